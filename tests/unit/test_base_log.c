#include "base/base.h"

#include "test_base.h"

#include <sys/socket.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/log.h"

/* --- capturing ------------------------------------------------------------------------------- */

void capture_open(struct capture *c, int level)
{
	CU_ASSERT_FATAL(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, c->fds) == 0);
	log_open(c->fds[1], (enum log_level)level);
}

void capture_close(struct capture *c)
{
	log_open(STDERR_FILENO, LOG_INFO);
	close(c->fds[0]);
	close(c->fds[1]);
}

size_t capture_next(struct capture *c, char *text, size_t size)
{
	ssize_t got = recv(c->fds[0], text, size - 1, MSG_DONTWAIT);

	text[got > 0 ? got : 0] = '\0';
	return got > 0 ? (size_t)got : 0;
}

struct record {
	size_t len;
	char text[2 * LOG_LINE_MAX];
};

/* The record of one pair with `value`; demands that it is one line and one write. */
static void record_of(struct capture *c, const char *value, struct record *out)
{
	struct log_line l;
	char more[16];

	log_begin(&l, LOG_INFO, "e");
	log_str(&l, "v", value);
	log_end(&l);
	out->len = capture_next(c, out->text, sizeof(out->text));
	CU_ASSERT(out->len > 0 && out->len <= LOG_LINE_MAX);
	CU_ASSERT(strlen(out->text) == out->len);
	CU_ASSERT(strchr(out->text, '\n') == out->text + out->len - 1);
	CU_ASSERT(capture_next(c, more, sizeof(more)) == 0);
}

/* --- tests ----------------------------------------------------------------------------------- */

static void log_writes_pairs(void)
{
	char text[LOG_LINE_MAX + 1], expected[128];
	struct capture c;
	struct log_line l;

	capture_open(&c, LOG_INFO);
	log_begin(&l, LOG_WARNING, "something");
	log_str(&l, "word", "plain-Word_1.2/3:{x}");
	log_int(&l, "least", INT64_MIN);
	log_int(&l, "most", INT64_MAX);
	log_str(&l, "absent", NULL);
	log_str(&l, "empty", "");
	log_end(&l);
	CU_ASSERT(capture_next(&c, text, sizeof(text)) > 0);
	CU_ASSERT(strncmp(text, "time=20", 7) == 0);
	CU_ASSERT(text[5 + RFC3339_LEN] == ' ' && text[5 + RFC3339_LEN - 1] == 'Z');
	(void)snprintf(expected, sizeof(expected),
		       " level=warning pid=%ld event=something word=", (long)getpid());
	CU_ASSERT(strncmp(text + 5 + RFC3339_LEN, expected, strlen(expected)) == 0);
	CU_ASSERT(strstr(text, " word=plain-Word_1.2/3:{x} least=-9223372036854775808 "
			       "most=9223372036854775807 empty=\"\"\n") != NULL);
	capture_close(&c);
}

static void log_escapes(void)
{
	static const struct {
		const char *value, *written;
	} cases[] = {
		{ "a b", "\"a b\"" },
		{ " ", "\" \"" },
		{ "say \"hi\"", "\"say \\\"hi\\\"\"" },
		{ "k=v", "\"k=v\"" },
		{ "back\\slash", "\"back\\\\slash\"" },
		{ "\x01\x1f\x7f", "\"\\x01\\x1f\\x7f\"" },
		{ "tab\there", "\"tab\\x09here\"" },
		{ "\r\n", "\"\\x0d\\x0a\"" },
		{ "\xc3\xa4\xff", "\"\\xc3\\xa4\\xff\"" },
		{ "!", "!" },
		{ "~", "~" },
	};
	char expected[64];
	struct capture c;
	struct record r;

	capture_open(&c, LOG_INFO);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		record_of(&c, cases[i].value, &r);
		(void)snprintf(expected, sizeof(expected), " event=e v=%s\n", cases[i].written);
		CU_ASSERT(strstr(r.text, expected) != NULL);
	}
	capture_close(&c);
}

static void log_cannot_be_injected_into(void)
{
	struct capture c;
	struct record r;

	capture_open(&c, LOG_INFO);
	record_of(&c, "x\ntime=2026 level=error event=fatal", &r);
	CU_ASSERT(strstr(r.text, " v=\"x\\x0atime=2026 level=error event=fatal\"\n") != NULL);
	record_of(&c, "x\" user=root y=\"", &r);
	CU_ASSERT(strstr(r.text, " v=\"x\\\" user=root y=\\\"\"\n") != NULL);
	/* every byte there is: what comes out is printable */
	for (int byte = 1; byte < 256; byte++) {
		record_of(&c, (char[]){ (char)byte, '\0' }, &r);
		for (size_t i = 0; i + 1 < r.len; i++)
			CU_ASSERT(r.text[i] >= ' ' && r.text[i] <= '~');
	}
	capture_close(&c);
}

/* A value of each length around the record's room is there whole or not at all, and so is each that
 * needs escapes. */
static void log_pairs_are_whole_or_absent(void)
{
	static const char letters[] = { 'x', ' ', '\n', '"' };
	static char value[3 * LOG_LINE_MAX];
	bool some_whole = false, some_absent = false;
	struct capture c;
	struct record r;

	capture_open(&c, LOG_INFO);
	for (size_t k = 0; k < sizeof(letters); k++) {
		for (size_t len = 1; len < LOG_LINE_MAX + 20; len++) {
			size_t escaped = letters[k] == 'x'    ? len
					 : letters[k] == ' '  ? len + 2
					 : letters[k] == '\n' ? 4 * len + 2
							      : 2 * len + 2;
			const char *pair;

			memset(value, letters[k], len);
			value[len] = '\0';
			record_of(&c, value, &r);
			pair = strstr(r.text, " v=");
			some_whole = some_whole || pair;
			some_absent = some_absent || !pair;
			CU_ASSERT(pair ? strlen(pair) == 3 + escaped + 1
				       : strstr(r.text, " event=e\n") != NULL);
			/* absent only for want of room */
			CU_ASSERT(pair || r.len + 3 + escaped > LOG_LINE_MAX);
		}
	}
	CU_ASSERT(some_whole && some_absent);
	memset(value, 'x', sizeof(value) - 1);
	record_of(&c, value, &r);
	CU_ASSERT(strstr(r.text, " event=e\n") != NULL);
	capture_close(&c);
}

static void log_keeps_what_stands_around_a_long_value(void)
{
	static char value[2 * LOG_LINE_MAX];
	char text[LOG_LINE_MAX + 1];
	struct capture c;
	struct log_line l;

	memset(value, 'x', sizeof(value) - 1);
	capture_open(&c, LOG_INFO);
	log_begin(&l, LOG_INFO, "e");
	log_str(&l, "first", "1");
	log_str(&l, "long", value);
	log_str(&l, "last", "3");
	log_end(&l);
	CU_ASSERT(capture_next(&c, text, sizeof(text)) > 0);
	CU_ASSERT(strstr(text, " first=1 last=3\n") != NULL && strstr(text, "long=") == NULL);
	/* the next record starts afresh */
	log_begin(&l, LOG_INFO, "e");
	log_str(&l, "second", "2");
	log_end(&l);
	CU_ASSERT(capture_next(&c, text, sizeof(text)) > 0);
	CU_ASSERT(strstr(text, " event=e second=2\n") != NULL);
	capture_close(&c);
}

static void log_filters_by_level(void)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	char text[LOG_LINE_MAX + 1], expected[32];
	struct capture c;

	for (int most = LOG_ERROR; most <= LOG_DEBUG; most++) {
		capture_open(&c, most);
		for (int level = LOG_ERROR; level <= LOG_DEBUG; level++) {
			struct log_line l;
			bool written;

			log_begin(&l, (enum log_level)level, "e");
			log_str(&l, "k", "v");
			log_int(&l, "n", 1);
			log_end(&l);
			written = capture_next(&c, text, sizeof(text)) > 0;
			CU_ASSERT(written == (level <= most));
			(void)snprintf(expected, sizeof(expected), " level=%s ", names[level]);
			CU_ASSERT(!written || strstr(text, expected) != NULL);
			log_message((enum log_level)level, "m", "text %d", 7);
			written = capture_next(&c, text, sizeof(text)) > 0;
			CU_ASSERT(written == (level <= most));
			CU_ASSERT(!written ||
				  strstr(text, " event=m message=\"text 7\"\n") != NULL);
		}
		capture_close(&c);
	}
}

static void log_message_is_bounded(void)
{
	char text[LOG_LINE_MAX + 1];
	struct capture c;

	capture_open(&c, LOG_INFO);
	log_message(LOG_INFO, "m", "%5000d", 1);
	CU_ASSERT(capture_next(&c, text, sizeof(text)) > 0);
	CU_ASSERT(strstr(text, " event=m") != NULL && text[strlen(text) - 1] == '\n');
	CU_ASSERT(capture_next(&c, text, sizeof(text)) == 0);
	capture_close(&c);
}

CU_TestInfo log_tests[] = {
	{ "pairs", log_writes_pairs },
	{ "escaping", log_escapes },
	{ "injection", log_cannot_be_injected_into },
	{ "a pair is whole or absent", log_pairs_are_whole_or_absent },
	{ "pairs before a long one", log_keeps_what_stands_around_a_long_value },
	{ "levels", log_filters_by_level },
	{ "messages", log_message_is_bounded },
	CU_TEST_INFO_NULL,
};
