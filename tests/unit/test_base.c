#include "base/base.h"

#include "test_base.h"

#include <stdalign.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/secret.h"
#include "base/uuid.h"

enum { KIB = 1024, MIB = 1024 * 1024 };

/* Runs `fn` in a child, which has to end with status 1 after one record that holds `message`. */
static void expect_fatal(void (*fn)(void), const char *message)
{
	char text[LOG_LINE_MAX + 1];
	struct capture log;
	int status = 0;
	pid_t pid;

	capture_open(&log, LOG_ERROR);
	pid = fork();
	if (pid == 0) {
		fn();
		_exit(0);
	}
	CU_ASSERT_FATAL(pid > 0);
	CU_ASSERT(waitpid(pid, &status, 0) == pid);
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE);
	CU_ASSERT(capture_next(&log, text, sizeof(text)) > 0);
	CU_ASSERT(strstr(text, " level=error ") && strstr(text, " event=fatal "));
	CU_ASSERT(strstr(text, message) != NULL);
	CU_ASSERT(capture_next(&log, text, sizeof(text)) == 0);
	capture_close(&log);
}

static bool is_zero(const void *p, size_t len)
{
	const unsigned char *bytes = p;

	for (size_t i = 0; i < len; i++) {
		if (bytes[i])
			return false;
	}
	return true;
}

/* --- arena ----------------------------------------------------------------------------------- */

static void arena_gives_aligned_zeroed_separate_memory(void)
{
	struct arena *a = arena_new(4 * MIB);
	unsigned char *p[300];

	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_LEN(p); i++) {
			p[i] = arena_alloc(a, i);
			CU_ASSERT(p[i] && (uintptr_t)p[i] % alignof(max_align_t) == 0);
			CU_ASSERT(is_zero(p[i], i));
			memset(p[i], (int)i, i);
		}
		for (size_t i = 0; i < ARRAY_LEN(p); i++) {
			for (size_t k = 0; k < i; k++)
				CU_ASSERT(p[i][k] == (unsigned char)i);
		}
		/* the second round finds the first one's bytes and has to zero them */
		arena_reset(a);
	}
	arena_free(a);
	arena_free(NULL);
}

static void arena_serves_big_blocks(void)
{
	struct arena *a = arena_new(4 * MIB);
	char *small = arena_strndup(a, "before", 6);
	unsigned char *big = arena_alloc(a, MIB + 1);
	char *after = arena_strndup(a, "after it", 5);

	CU_ASSERT((uintptr_t)big % alignof(max_align_t) == 0);
	CU_ASSERT(is_zero(big, MIB + 1));
	memset(big, 0xff, MIB + 1);
	CU_ASSERT_STRING_EQUAL(small, "before");
	CU_ASSERT_STRING_EQUAL(after, "after");
	arena_free(a);
}

static void arena_keeps_its_first_block(void)
{
	struct arena *a = arena_new(4 * MIB);
	char *first = arena_alloc(a, 100);

	memset(first, 'x', 100);
	(void)arena_alloc(a, MIB);
	arena_reset(a);
	CU_ASSERT(arena_alloc(a, 100) == (void *)first);
	CU_ASSERT(is_zero(first, 100));
	arena_free(a);
}

static void arena_copies_texts(void)
{
	struct arena *a = arena_new(MIB);
	char *s = arena_strndup(a, "ab\0cd", 5);
	char *empty = arena_strndup(a, NULL, 0);
	char *text = arena_printf(a, "%s-%d-%0200d", "x", -7, 1);

	CU_ASSERT(memcmp(s, "ab\0cd", 6) == 0);
	CU_ASSERT_STRING_EQUAL(empty, "");
	CU_ASSERT(strlen(text) == 205 && strncmp(text, "x--7-000", 8) == 0 && text[204] == '1');
	arena_free(a);
}

static char order[8];

static void note(void *letter)
{
	order[strlen(order)] = *(const char *)letter;
}

static void arena_runs_deferred_newest_first_and_once(void)
{
	static char letters[] = "abc";
	struct arena *a = arena_new(MIB);

	memset(order, 0, sizeof(order));
	for (int i = 0; i < 3; i++)
		arena_defer(a, note, &letters[i]);
	CU_ASSERT_STRING_EQUAL(order, "");
	arena_reset(a);
	CU_ASSERT_STRING_EQUAL(order, "cba");
	arena_reset(a);
	CU_ASSERT_STRING_EQUAL(order, "cba");
	arena_defer(a, note, &letters[0]);
	arena_free(a);
	CU_ASSERT_STRING_EQUAL(order, "cbaa");
}

static void read_and_note(void *text)
{
	order[0] = *(const char *)text;
}

static void arena_wipes_at_reset(void)
{
	struct arena *a = arena_new(MIB);
	char outside[] = "a secret!", *inside;

	inside = arena_strndup(a, "password", 8);
	arena_wipe_later(a, inside, 8);
	arena_wipe_later(a, outside, 8);
	arena_wipe_later(a, outside, 0);
	CU_ASSERT_STRING_EQUAL(inside, "password");
	CU_ASSERT_STRING_EQUAL(outside, "a secret!");
	/* what is deferred may still look at what was born before it */
	memset(order, 0, sizeof(order));
	arena_defer(a, read_and_note, inside);
	arena_reset(a);
	CU_ASSERT(order[0] == 'p');
	CU_ASSERT(is_zero(inside, 8)); /* in the first block, which is kept */
	CU_ASSERT(is_zero(outside, 8) && outside[8] == '!');
	arena_free(a);
}

static void one_allocation_above_the_ceiling(void)
{
	(void)arena_alloc(arena_new(MIB), MIB + 1);
}

static void many_allocations_above_the_ceiling(void)
{
	struct arena *a = arena_new(MIB);

	for (int i = 0; i <= MIB / KIB; i++)
		(void)arena_alloc(a, KIB);
}

static void deferring_above_the_ceiling(void)
{
	struct arena *a = arena_new(MIB);

	for (int i = 0; i <= MIB / 16; i++)
		arena_defer(a, note, order);
}

static void a_ceiling_below_the_first_block(void)
{
	struct arena *a = arena_new(KIB);

	(void)arena_alloc(a, 600);
	(void)arena_alloc(a, 600);
}

static void an_array_that_overflows(void)
{
	(void)arena_array(arena_new(MIB), SIZE_MAX / 16 + 2, 16);
}

static void the_longest_string(void)
{
	(void)arena_strndup(arena_new(MIB), "", SIZE_MAX - 1);
}

static void arena_ends_the_process_at_its_ceiling(void)
{
	expect_fatal(one_allocation_above_the_ceiling, "ceiling of 1048576 bytes");
	expect_fatal(many_allocations_above_the_ceiling, "ceiling of 1048576 bytes");
	expect_fatal(deferring_above_the_ceiling, "ceiling of 1048576 bytes");
	expect_fatal(a_ceiling_below_the_first_block, "ceiling of 1024 bytes");
	expect_fatal(an_array_that_overflows, "too large");
	expect_fatal(the_longest_string, "too large");
}

static void arena_reaches_its_ceiling_again_after_a_reset(void)
{
	struct arena *a = arena_new(MIB);

	for (int i = 0; i < 3; i++) {
		(void)arena_alloc(a, 64 * KIB);
		(void)arena_alloc(a, MIB - 64 * KIB);
		arena_reset(a);
	}
	arena_free(a);
}

static CU_TestInfo arena_tests[] = {
	{ "memory is aligned, zeroed, separate", arena_gives_aligned_zeroed_separate_memory },
	{ "big blocks", arena_serves_big_blocks },
	{ "the first block is kept", arena_keeps_its_first_block },
	{ "copies of texts", arena_copies_texts },
	{ "deferred newest first, once", arena_runs_deferred_newest_first_and_once },
	{ "wipes at reset", arena_wipes_at_reset },
	{ "the ceiling ends the process", arena_ends_the_process_at_its_ceiling },
	{ "the ceiling after a reset", arena_reaches_its_ceiling_again_after_a_reset },
	CU_TEST_INFO_NULL,
};

/* --- buf ------------------------------------------------------------------------------------- */

static void buf_stops_at_its_maximum(void)
{
	struct buf b;

	buf_init(&b, 10);
	CU_ASSERT(b.data == NULL && b.len == 0 && !b.overflow);
	buf_append(&b, "12345", 5);
	buf_append(&b, "67890", 5);
	CU_ASSERT(b.len == 10 && !b.overflow && memcmp(b.data, "1234567890", 10) == 0);
	buf_append(&b, NULL, 0);
	CU_ASSERT(!b.overflow);
	buf_putc(&b, 'x');
	CU_ASSERT(b.len == 10 && b.overflow);
	buf_free(&b);
}

static void buf_drops_whole_what_does_not_fit(void)
{
	struct buf b;

	buf_init(&b, 10);
	buf_append(&b, "1234567", 7);
	buf_append(&b, "abcd", 4);
	CU_ASSERT(b.overflow && b.len == 7);
	buf_append(&b, "89", 2); /* would fit: the flag stays all the same */
	CU_ASSERT(b.overflow);
	CU_ASSERT(buf_reserve(&b, SIZE_MAX) == NULL);
	buf_reset(&b, 0);
	CU_ASSERT(!b.overflow && b.len == 0);
	CU_ASSERT(buf_reserve(&b, SIZE_MAX) == NULL && b.overflow);
	buf_reset(&b, 1024); /* also when the memory is kept */
	CU_ASSERT(!b.overflow);
	buf_free(&b);
	CU_ASSERT(!b.overflow && b.max == 10 && b.data == NULL);
}

static void buf_grows_to_the_byte(void)
{
	char block[1024];
	struct buf b;

	memset(block, 'a', sizeof(block));
	buf_init(&b, 3000);
	buf_append(&b, block, sizeof(block));
	buf_putc(&b, 'b');
	buf_append(&b, block, sizeof(block));
	buf_append(&b, block, 3000 - 2 * sizeof(block) - 2);
	CU_ASSERT(b.len == 2999 && !b.overflow);
	buf_putc(&b, 'c');
	CU_ASSERT(b.len == 3000 && b.cap == 3000 && !b.overflow);
	CU_ASSERT(b.data[1023] == 'a' && b.data[1024] == 'b' && b.data[1025] == 'a' &&
		  b.data[2999] == 'c');
	buf_putc(&b, 'd');
	CU_ASSERT(b.len == 3000 && b.overflow);
	buf_free(&b);
}

static void buf_reset_gives_memory_back(void)
{
	struct buf b;
	char *data;

	buf_init(&b, MIB);
	buf_append(&b, "kept", 4);
	data = b.data;
	buf_reset(&b, b.cap);
	CU_ASSERT(b.data == data && b.len == 0);
	CU_ASSERT(buf_reserve(&b, 100 * KIB) != NULL);
	buf_reset(&b, 4 * KIB);
	CU_ASSERT(b.data == NULL && b.cap == 0 && b.len == 0 && b.max == MIB);
	buf_append(&b, "again", 5);
	CU_ASSERT(b.len == 5 && memcmp(b.data, "again", 5) == 0);
	buf_free(&b);
}

static void buf_reserve_and_commit(void)
{
	struct buf b;
	char *room;

	buf_init(&b, 8);
	buf_append(&b, "ab", 2);
	room = buf_reserve(&b, 6);
	CU_ASSERT(room == b.data + 2 && b.len == 2);
	memcpy(room, "cdefgh", 6);
	buf_commit(&b, 3);
	CU_ASSERT(b.len == 5 && memcmp(b.data, "abcde", 5) == 0);
	CU_ASSERT(buf_reserve(&b, 4) == NULL && b.overflow && b.len == 5);
	buf_free(&b);
}

static void buf_printf_of_every_length(void)
{
	struct buf b;
	bool same = true;

	buf_init(&b, 4096);
	for (int len = 0; len < 700; len++) {
		buf_reset(&b, 4096);
		buf_printf(&b, "<%*s>", len, "");
		same = same && b.len == (size_t)len + 2 && b.data[0] == '<' &&
		       b.data[b.len - 1] == '>' && !b.overflow;
	}
	CU_ASSERT(same);
	buf_reset(&b, 4096);
	buf_printf(&b, "%5000d", 1);
	CU_ASSERT(b.len == 0 && b.overflow);
	buf_free(&b);

	/* to the last byte, on both sides of the small buffer and with one that cannot grow */
	for (int max = 250; max < 2500; max += max < 262 ? 1 : 700) {
		buf_init(&b, (size_t)max);
		buf_printf(&b, "%*d", max, 7);
		CU_ASSERT(b.len == (size_t)max && !b.overflow && b.data[b.len - 1] == '7');
		buf_free(&b);
	}
}

static CU_TestInfo buf_tests[] = {
	{ "the maximum", buf_stops_at_its_maximum },
	{ "overflow drops whole and sticks", buf_drops_whole_what_does_not_fit },
	{ "growth at the boundary", buf_grows_to_the_byte },
	{ "reset gives memory back", buf_reset_gives_memory_back },
	{ "reserve and commit", buf_reserve_and_commit },
	{ "printf of every length", buf_printf_of_every_length },
	CU_TEST_INFO_NULL,
};

/* --- uuid, secret, random -------------------------------------------------------------------- */

static void uuid_v7_has_its_layout(void)
{
	int64_t before = clock_now_us() / 1000, after, ms = 0;
	struct uuid u = uuid_v7(), v = uuid_v7();

	after = clock_now_us() / 1000;
	for (int i = 0; i < 6; i++)
		ms = ms << 8 | u.bytes[i];
	CU_ASSERT(before > 0 && before <= ms && ms <= after);
	CU_ASSERT(u.bytes[6] >> 4 == 7);
	CU_ASSERT(u.bytes[8] >> 6 == 2);
	CU_ASSERT(memcmp(u.bytes + 8, v.bytes + 8, 8) != 0);
	CU_ASSERT(!uuid_equal(&u, &v) && uuid_equal(&u, &u));
}

static void uuid_parses_and_formats(void)
{
	static const char lower[] = "0198c2f0-1a2b-7c3d-8e4f-a0b1c2d3e4ff";
	static const char upper[] = "0198C2F0-1A2B-7C3D-8E4F-A0B1C2D3E4FF";
	char text[UUID_TEXT_LEN + 1], bad[UUID_TEXT_LEN + 1];
	struct uuid u, v;

	CU_ASSERT(uuid_parse(lower, UUID_TEXT_LEN, &u));
	CU_ASSERT(u.bytes[0] == 0x01 && u.bytes[6] == 0x7c && u.bytes[15] == 0xff);
	uuid_format(&u, text);
	CU_ASSERT_STRING_EQUAL(text, lower);
	CU_ASSERT(uuid_parse(upper, UUID_TEXT_LEN, &v) && uuid_equal(&u, &v));
	uuid_format(&v, text);
	CU_ASSERT_STRING_EQUAL(text, lower);

	CU_ASSERT(!uuid_parse("", 0, &v));
	CU_ASSERT(!uuid_parse(lower, UUID_TEXT_LEN - 1, &v));
	CU_ASSERT(!uuid_parse("0198c2f01a2b7c3d8e4fa0b1c2d3e4ff", 32, &v));
	CU_ASSERT(!uuid_parse("{0198c2f0-1a2b-7c3d-8e4f-a0b1c2d3e4}", UUID_TEXT_LEN, &v));
	CU_ASSERT(!uuid_parse("0198c2f01-a2b-7c3d-8e4f-a0b1c2d3e4ff", UUID_TEXT_LEN, &v));
	/* any one character wrong: no digit where one is due, no dash where one is due */
	for (size_t i = 0; i < UUID_TEXT_LEN; i++) {
		static const char wrong[] = { 'g', ' ', '\0', '/', ':', '@', '`', '\x80' };

		for (size_t k = 0; k < sizeof(wrong); k++) {
			memcpy(bad, lower, sizeof(bad));
			bad[i] = wrong[k];
			CU_ASSERT(!uuid_parse(bad, UUID_TEXT_LEN, &v));
		}
		memcpy(bad, lower, sizeof(bad));
		bad[i] = bad[i] == '-' ? '0' : '-';
		CU_ASSERT(!uuid_parse(bad, UUID_TEXT_LEN, &v));
	}
	CU_ASSERT(uuid_equal(&u, &v)); /* a refusal leaves the result alone */
}

static void secret_equal_sees_every_byte(void)
{
	unsigned char a[32], b[32];

	memset(a, 0x5a, sizeof(a));
	for (size_t i = 0; i < sizeof(a); i++) {
		for (int bit = 0; bit < 8; bit++) {
			memcpy(b, a, sizeof(a));
			b[i] = (unsigned char)(b[i] ^ 1 << bit);
			CU_ASSERT(!secret_equal(a, b, sizeof(a)));
			CU_ASSERT(secret_equal(a, b, i));
		}
	}
	CU_ASSERT(secret_equal(a, a, sizeof(a)));
	CU_ASSERT(secret_equal(NULL, NULL, 0));
}

static void random_bytes_fill_all_and_differ(void)
{
	enum { LEN = 100000 };
	unsigned char *a = calloc(1, LEN + 1), *b = calloc(1, LEN + 1);
	unsigned seen[256] = { 0 };

	CU_ASSERT_FATAL(a && b);
	random_bytes(a, LEN);
	random_bytes(b, LEN);
	CU_ASSERT(a[LEN] == 0 && b[LEN] == 0);
	CU_ASSERT(memcmp(a, b, LEN) != 0);
	CU_ASSERT(!is_zero(a, 64) && !is_zero(a + LEN - 64, 64));
	for (size_t i = 0; i < LEN; i++)
		seen[a[i]]++;
	/* about 390 each; a byte that hardly occurs means that something is left unfilled */
	for (size_t i = 0; i < ARRAY_LEN(seen); i++)
		CU_ASSERT(seen[i] > 200 && seen[i] < 600);
	random_bytes(a, 0);
	free(a);
	free(b);
}

static void clocks_do_not_go_back(void)
{
	int64_t now = clock_now_us(), mono = clock_monotonic_us();

	/* time(2) is that of the last tick: for a moment it is a second behind */
	CU_ASSERT(now / US_PER_SECOND - time(NULL) <= 1 && time(NULL) - now / US_PER_SECOND < 60);
	for (int i = 0; i < 1000; i++) {
		int64_t next = clock_monotonic_us();

		CU_ASSERT(next >= mono);
		mono = next;
	}
}

static CU_TestInfo id_tests[] = {
	{ "layout of version 7", uuid_v7_has_its_layout },
	{ "parse and format", uuid_parses_and_formats },
	{ "secret_equal", secret_equal_sees_every_byte },
	{ "random bytes", random_bytes_fill_all_and_differ },
	{ "clocks", clocks_do_not_go_back },
	CU_TEST_INFO_NULL,
};

int main(void)
{
	CU_SuiteInfo suites[] = {
		{ .pName = "arena", .pTests = arena_tests },
		{ .pName = "buf", .pTests = buf_tests },
		{ .pName = "log", .pTests = log_tests },
		{ .pName = "codec", .pTests = codec_tests },
		{ .pName = "net", .pTests = net_tests },
		{ .pName = "ids and secrets", .pTests = id_tests },
		CU_SUITE_INFO_NULL,
	};

	return run_suites(suites);
}
