#include "base/base.h"

#include "base/codec.h"
#include "test_exchange.h"

struct arena *arena;

void clear_arena(void)
{
	arena_reset(arena);
}

/* --- helpers --- */

struct file *read_bytes(enum exchange_format format, const char *text, size_t len)
{
	struct file *f = arena_alloc(arena, sizeof(*f));
	/* of exactly that size, so that a step over its end is seen */
	char *copy = malloc(len ? len : 1);
	struct exchange_reader *r;
	struct exchange_row row;

	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	memcpy(copy, text, len);
	r = exchange_open(format, copy, len);
	while (exchange_next(r, arena, &row, &f->error)) {
		CU_ASSERT_PTR_NULL(f->error);
		if (f->n < FILE_ROWS_MAX)
			f->rows[f->n] = row;
		CU_ASSERT_EQUAL(row.number, ++f->n);
	}
	/* the end stays the end */
	CU_ASSERT_FALSE(exchange_next(r, arena, &row, &f->error));
	exchange_close(r);
	free(copy);
	return f;
}

struct file *read_text(enum exchange_format format, const char *text)
{
	return read_bytes(format, text, strlen(text));
}

static const struct exchange_row *only_row(const struct file *f)
{
	static const struct exchange_row none = { .task.title = "" };

	CU_ASSERT_PTR_NULL(f->error);
	CU_ASSERT_EQUAL(f->n, 1);
	return f->n == 1 ? &f->rows[0] : &none;
}

const struct exchange_row *read_one(enum exchange_format format, const char *text)
{
	const struct exchange_row *row = only_row(read_text(format, text));

	if (row->error)
		printf("\n    %s", row->error);
	CU_ASSERT_PTR_NULL(row->error);
	return row;
}

const char *row_error(enum exchange_format format, const char *text)
{
	const struct exchange_row *row = only_row(read_text(format, text));

	CU_ASSERT_PTR_NOT_NULL(row->error);
	return row->error ? row->error : "";
}

struct task sample_task(void)
{
	struct task t = {
		.title = "Water the plants",
		.description = "All of them",
		.completed = true,
		.priority = PRIORITY_HIGH,
		.due = { .text = "2026-03-01" },
		.tags = { .n = 2, .list = { "home", "garden" } },
		.version = 17,
	};

	CU_ASSERT(uuid_parse("01890a5d-ac96-774b-bcce-b302099a8057", 36, &t.id));
	CU_ASSERT(rfc3339_parse("2026-01-31T12:34:56.789Z", 24, &t.created_at));
	CU_ASSERT(rfc3339_parse("2026-02-01T01:02:03.004Z", 24, &t.completed_at));
	CU_ASSERT(rfc3339_parse("2026-02-02T05:06:07.008Z", 24, &t.updated_at));
	CU_ASSERT(date_parse(t.due.text, 10, &t.due.at));
	return t;
}

const char *write_one(enum exchange_format format, const struct task *t)
{
	const char *text;
	struct buf out;

	buf_init(&out, 1024 * 1024);
	exchange_begin(format, &out);
	exchange_task(format, &out, t, true);
	exchange_end(format, &out);
	CU_ASSERT_FALSE(out.overflow);
	text = arena_strndup(arena, out.data, out.len);
	buf_free(&out);
	return text;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

bool same_task(const struct exchange_row *row, const struct task *t)
{
	const struct new_task *n = &row->task;

	if (row->error || row->uid || !uuid_equal(&n->id, &t->id))
		return false;
	if (!same_text(n->title, t->title) || !same_text(n->description, t->description))
		return false;
	if (n->completed != t->completed || n->priority != t->priority ||
	    n->created_at != t->created_at || n->completed_at != t->completed_at)
		return false;
	if (!same_text(n->due.text, t->due.text) || n->due.at != t->due.at ||
	    n->tags.n != t->tags.n)
		return false;
	for (size_t i = 0; i < t->tags.n; i++)
		if (strcmp(n->tags.list[i], t->tags.list[i]) != 0)
			return false;
	return true;
}

/* --- there and back --- */

static const char *const format_names[] = { "JSON", "CSV", "iCalendar" };

static bool survives(enum exchange_format format, const struct task *t)
{
	return same_task(read_one(format, write_one(format, t)), t);
}

static void check_all(const struct task *t, const char *label)
{
	for (int f = EXCHANGE_JSON; f <= EXCHANGE_ICALENDAR; f++)
		CHECK_CASE(survives((enum exchange_format)f, t),
			   arena_printf(arena, "%s: %s", format_names[f], label));
}

/* Texts that every format holds. */
static const char *const hostile[] = {
	"x",
	"\"",
	"\"\"",
	"a \"quoted\" word",
	",",
	";",
	":",
	"a,b;c:d",
	"\\",
	"\\\\",
	"\\n",
	"\\,",
	"\\N\\;",
	"a\\",
	"first\nsecond",
	"\n",
	"a\n",
	"a\n\n b",
	"\t",
	"a\tb",
	" a",
	"a ",
	" ",
	"=1+1",
	"+1",
	"-1",
	"@SUM(A1)",
	"\t=1",
	"'",
	"''",
	"'a",
	"'=1",
	"''=1",
	"' =1",
	" =1",
	" '=1",
	"=HYPERLINK(\"http://x\",\"y\")",
	"=cmd|' /C calc'!A0",
	"\xef\xbc\x9d"
	"1",
	"'\xef\xbc\x8b",
	"BEGIN:VTODO",
	"END:VTODO",
	"a\nEND:VTODO\nBEGIN:VCALENDAR",
	"null",
	"true",
	"{}",
	"[1]",
	"</script><script>",
	"'; drop table tasks; --",
	"%00%0a",
	"\xf0\x9f\x98\x80",
	"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7",
	"\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d",
	"\xe2\x80\xae"
	"evil",
	"e\xcc\x81",
	"\xef\xbb\xbf"
	"mark",
	"\xc2\x85",
	"\xe2\x80\xa8",
	"\xef\xbf\xbe",
	"\xf4\x8f\xbf\xbf",
	"id,title",
	"a\\\nb",
	"#",
	"sep=;",
	"1,5",
	"2026-01-01",
};

static void test_hostile_texts(void)
{
	struct task t = sample_task();

	for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
		t.title = t.description = hostile[i];
		check_all(&t, hostile[i]);
	}
}

static void test_hostile_tags(void)
{
	struct task t = sample_task();

	/* those of blanks alone are no tags */
	for (size_t i = 0; i < ARRAY_LEN(hostile); i++) {
		if (!hostile[i][strspn(hostile[i], " \t\n")])
			continue;
		t.tags = (struct tags){ 2, { hostile[i], "second" } };
		check_all(&t, hostile[i]);
		t.tags = (struct tags){ 2, { "first", hostile[i] } };
		check_all(&t, hostile[i]);
	}
	t.tags.n = 0;
	for (size_t i = 0; i < TASK_TAGS_MAX; i++)
		t.tags.list[t.tags.n++] = arena_printf(arena, "tag %zu, of many", i);
	check_all(&t, "twenty tags");
	t.tags.n = 0;
	check_all(&t, "no tags");
}

static size_t put_scalar(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

static bool is_control(uint32_t c)
{
	return (c < 0x20 && c != '\t' && c != '\n') || c == 0x7f;
}

/* Every code point there is, a thousand at a time. */
static void test_every_character(void)
{
	struct task t = sample_task();
	uint32_t c = 1;

	while (c < 0x110000) {
		char text[4 * 1000 + 1];
		size_t len = 0;

		for (int i = 0; i < 1000 && c < 0x110000; c++) {
			if ((c >= 0xd800 && c < 0xe000) || is_control(c))
				continue;
			len += put_scalar(text + len, c);
			i++;
		}
		text[len] = '\0';
		t.description = text;
		for (int f = EXCHANGE_JSON; f <= EXCHANGE_ICALENDAR; f++)
			CHECK_CASE(survives((enum exchange_format)f, &t),
				   arena_printf(arena, "%s up to U+%04X", format_names[f], c));
		t.description = NULL;
		arena_reset(arena);
	}
}

static void test_control_characters(void)
{
	char text[] = "a?b", first[] = "?b";
	struct task t = sample_task();
	const char *back;

	for (uint32_t c = 1; c < 0x80; c++) {
		if (!is_control(c))
			continue;
		text[1] = first[0] = (char)c;
		t.title = text;
		t.description = first;
		CHECK_CASE(survives(EXCHANGE_JSON, &t), "JSON");
		CHECK_CASE(survives(EXCHANGE_CSV, &t), "CSV");
		back = read_one(EXCHANGE_ICALENDAR, write_one(EXCHANGE_ICALENDAR, &t))->task.title;
		CU_ASSERT_STRING_EQUAL(back, c == '\r' ? "a\nb"
						       : "a\xef\xbf\xbd"
							 "b");
	}
	t.title = "a\r\nb";
	back = read_one(EXCHANGE_ICALENDAR, write_one(EXCHANGE_ICALENDAR, &t))->task.title;
	CU_ASSERT_STRING_EQUAL(back, "a\nb");
}

static void test_fields(void)
{
	static const char *const dues[] = {
		"2026-03-01",
		"0001-01-01",
		"9999-12-31",
		"2024-02-29",
		"2026-03-01T10:00:00Z",
		"2026-03-01T10:00:00+02:00",
		"2026-03-01T00:00:00-09:30",
		"2026-03-01T10:00:00.5Z",
		"2026-03-01t10:00:00.123456z",
		"1969-12-31T23:59:59.999Z",
		"2016-12-31T23:59:60Z",
		"2026-03-01T10:00:00.000+00:00",
		"2026-03-01T10:00:00-00:00",
	};
	struct task t = sample_task();

	check_all(&t, "sample");
	for (size_t i = 0; i < ARRAY_LEN(dues); i++) {
		t.due.text = dues[i];
		CU_ASSERT(date_parse(dues[i], strlen(dues[i]), &t.due.at) ||
			  rfc3339_parse(dues[i], strlen(dues[i]), &t.due.at));
		check_all(&t, dues[i]);
	}
	t.due = (struct due){ .text = NULL };
	for (int p = PRIORITY_NONE; p <= PRIORITY_HIGH; p++) {
		t.priority = (enum priority)p;
		check_all(&t, "priority");
	}
	t.description = NULL;
	check_all(&t, "no description");
	t.description = "";
	check_all(&t, "an empty description");
	t.completed = false;
	t.completed_at = 0;
	check_all(&t, "not completed");
	t.created_at = 1784000000 * US_PER_SECOND;
	check_all(&t, "a whole second");
}

/* The greatest there may be, in the characters that grow most. */
static void test_greatest(void)
{
	static const char *const growing[] = { "\xf0\x9f\x98\x80", "\"", "\\", ",", "\n", "\x01" };
	struct task t = sample_task();

	for (size_t i = 0; i < ARRAY_LEN(growing); i++) {
		size_t len = strlen(growing[i]);
		char *text = arena_alloc(arena, 10000 * len + 1);

		for (size_t n = 0; n < 10000; n++)
			memcpy(text + n * len, growing[i], len);
		t.description = text;
		t.title = text + 9800 * len;
		for (size_t n = 0; n < TASK_TAGS_MAX; n++)
			t.tags.list[n] = text + 9960 * len;
		t.tags.n = TASK_TAGS_MAX;
		CHECK_CASE(survives(EXCHANGE_JSON, &t), "JSON");
		if (*growing[i] == '\n')
			t.tags.n = 0;
		CHECK_CASE(survives(EXCHANGE_CSV, &t), "CSV");
		if (*growing[i] != 1)
			CHECK_CASE(survives(EXCHANGE_ICALENDAR, &t), "iCalendar");
		arena_reset(arena);
	}
}

static void test_many(void)
{
	for (int f = EXCHANGE_JSON; f <= EXCHANGE_ICALENDAR; f++) {
		enum exchange_format format = (enum exchange_format)f;
		struct task t = sample_task();
		struct file *file;
		struct buf out;

		buf_init(&out, 1024 * 1024);
		exchange_begin(format, &out);
		for (int i = 0; i < 50; i++) {
			t.id.bytes[15] = (uint8_t)i;
			t.title = hostile[i];
			exchange_task(format, &out, &t, i == 0);
		}
		exchange_end(format, &out);
		file = read_bytes(format, out.data, out.len);
		CU_ASSERT_PTR_NULL(file->error);
		CU_ASSERT_EQUAL(file->n, 50);
		for (int i = 0; i < 50 && file->n == 50; i++) {
			t.id.bytes[15] = (uint8_t)i;
			t.title = hostile[i];
			CHECK_CASE(same_task(&file->rows[i], &t), format_names[f]);
		}
		/* cut anywhere it is an error, or fewer tasks, or without its last line end the
		 * same */
		for (size_t len = 0; len + 2 < out.len; len += 97) {
			file = read_bytes(format, out.data, len);
			CHECK_CASE(file->error || (format == EXCHANGE_CSV && file->n <= 50),
				   format_names[f]);
		}
		buf_free(&out);
		arena_reset(arena);
	}
}

static void test_none(void)
{
	for (int f = EXCHANGE_JSON; f <= EXCHANGE_ICALENDAR; f++) {
		struct file *file;
		struct buf out;

		buf_init(&out, 4096);
		exchange_begin((enum exchange_format)f, &out);
		exchange_end((enum exchange_format)f, &out);
		file = read_bytes((enum exchange_format)f, out.data, out.len);
		CHECK_CASE(!file->error && file->n == 0, format_names[f]);
		file = read_bytes((enum exchange_format)f, "", 0);
		CHECK_CASE(file->error && file->n == 0, format_names[f]);
		buf_free(&out);
	}
}

static void test_media_types(void)
{
	CU_ASSERT_STRING_EQUAL(exchange_media_type(EXCHANGE_JSON), "application/json");
	CU_ASSERT_STRING_EQUAL(exchange_media_type(EXCHANGE_CSV), "text/csv; charset=utf-8");
	CU_ASSERT_STRING_EQUAL(exchange_media_type(EXCHANGE_ICALENDAR),
			       "text/calendar; charset=utf-8");
}

CU_TestInfo round_tests[] = {
	{ "hostile titles and descriptions come back", test_hostile_texts },
	{ "hostile tags come back", test_hostile_tags },
	{ "every character comes back", test_every_character },
	{ "control characters, as far as a format holds them", test_control_characters },
	{ "every field comes back", test_fields },
	{ "the greatest task comes back", test_greatest },
	{ "many tasks, and files that are cut", test_many },
	{ "no tasks, and no file", test_none },
	{ "media types", test_media_types },
	CU_TEST_INFO_NULL,
};

int main(void)
{
	CU_SuiteInfo suites[] = {
		{ "there and back", NULL, NULL, clear_arena, NULL, round_tests },
		{ "CSV", NULL, NULL, clear_arena, NULL, csv_tests },
		{ "iCalendar", NULL, NULL, clear_arena, NULL, icalendar_tests },
		{ "JSON", NULL, NULL, clear_arena, NULL, json_tests },
		CU_SUITE_INFO_NULL,
	};
	int status;

	arena = arena_new(64 * 1024 * 1024);
	status = run_suites(suites);
	arena_free(arena);
	return status;
}
