#include "base/base.h"

#include "base/codec.h"
#include "test_exchange.h"

/* The only task of a calendar with these lines in it. */
static const char *calendar(const char *lines)
{
	return arena_printf(arena,
			    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VTODO\r\n%s"
			    "END:VTODO\r\nEND:VCALENDAR\r\n",
			    lines);
}

static const struct exchange_row *one(const char *lines)
{
	return read_one(EXCHANGE_ICALENDAR, calendar(lines));
}

static void test_written(void)
{
	struct task t = sample_task();

	t.title = "a;b,c\\d\ne";
	t.tags = (struct tags){ 2, { "x,y", "z" } };
	CU_ASSERT_STRING_EQUAL(
		write_one(EXCHANGE_ICALENDAR, &t),
		"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//taskcell//taskcell//EN\r\n"
		"BEGIN:VTODO\r\nUID:01890a5d-ac96-774b-bcce-b302099a8057\r\n"
		"DTSTAMP:20260202T050607Z\r\n"
		"CREATED;X-TASKCELL-TIME=\"2026-01-31T12:34:56.789Z\":20260131T123456Z\r\n"
		"LAST-MODIFIED;X-TASKCELL-TIME=\"2026-02-02T05:06:07.008Z\":20260202T050607Z\r\n"
		"SUMMARY:a\\;b\\,c\\\\d\\ne\r\nDESCRIPTION:All of them\r\nCATEGORIES:x\\,y,z\r\n"
		"PRIORITY:1\r\nDUE;VALUE=DATE:20260301\r\nSTATUS:COMPLETED\r\n"
		"COMPLETED;X-TASKCELL-TIME=\"2026-02-01T01:02:03.004Z\":20260201T010203Z\r\n"
		"END:VTODO\r\nEND:VCALENDAR\r\n");
}

/* No line has more than 75 octets, and none begins or ends inside a character. */
static void test_folding(void)
{
	static const char *const pieces[] = { "x", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
					      ",", "\n" };
	struct task t = sample_task();

	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		for (size_t shift = 0; shift < 8; shift++) {
			struct buf text;
			const char *p;

			buf_init(&text, 4096);
			buf_append(&text, "abcdefgh", shift);
			for (size_t n = 0; n < 200; n++)
				buf_append(&text, pieces[i], strlen(pieces[i]));
			buf_putc(&text, '\0');
			t.description = text.data;
			p = write_one(EXCHANGE_ICALENDAR, &t);
			CU_ASSERT(same_task(read_one(EXCHANGE_ICALENDAR, p), &t));
			for (; *p; p = strstr(p, "\r\n") + 2) {
				size_t len = (size_t)(strstr(p, "\r\n") - p);

				CU_ASSERT(len <= 75);
				CU_ASSERT(((unsigned char)p[*p == ' '] & 0xc0) != 0x80);
			}
			buf_free(&text);
		}
	}
}

static void test_foreign(void)
{
	const struct exchange_row *row =
		one("uid:abc@example.org\r\nSUMMARY;LANGUAGE=de;ALTREP=\"cid:a;b:c\":Ein\r\n"
		    "  Wort: da\\Nund\\, dort\\; "
		    "C:\\x\\\xc3\xa4\\\r\nDTSTAMP:20260101T000000Z\r\nPRIORITY:4\r\n"
		    "STATUS:IN-PROCESS\r\nATTACH;ENCODING=BASE64;VALUE=BINARY:AAAA\r\n"
		    "CATEGORIES:Work, Home\r\ncategories:a\\,b\r\nCATEGORIES:\r\n"
		    "X-OTHER;Y:broken\r\nBEGIN:VALARM\r\nDESCRIPTION:of the alarm\r\n"
		    "BEGIN:VTODO\r\nSUMMARY:inner\r\nEND:VTODO\r\nEND:VALARM\r\n"
		    "SUMMARY:second\r\n");

	CU_ASSERT_STRING_EQUAL(row->uid, "abc@example.org");
	CU_ASSERT_STRING_EQUAL(row->task.title, "Ein Wort: da\nund, dort; C:\\x\\\xc3\xa4\\");
	CU_ASSERT_PTR_NULL(row->task.description);
	CU_ASSERT_EQUAL(row->task.priority, PRIORITY_HIGH);
	CU_ASSERT_FALSE(row->task.completed);
	CU_ASSERT_EQUAL(row->task.tags.n, 3);
	CU_ASSERT_STRING_EQUAL(row->task.tags.list[0], "Work");
	CU_ASSERT_STRING_EQUAL(row->task.tags.list[1], " Home");
	CU_ASSERT_STRING_EQUAL(row->task.tags.list[2], "a,b");

	row = one("UID:01890A5D-AC96-774B-BCCE-B302099A8057\nSUMMARY:x\n");
	CU_ASSERT_PTR_NULL(row->uid);
	CU_ASSERT_EQUAL(row->task.id.bytes[0], 0x01);
	/* occurrences of a series are tasks of their own */
	row = one("UID:01890a5d-ac96-774b-bcce-b302099a8057\nRECURRENCE-ID:20260101\nSUMMARY:x\n");
	CU_ASSERT_STRING_EQUAL(row->uid, "01890a5d-ac96-774b-bcce-b302099a8057\n20260101");
	CU_ASSERT_EQUAL(row->task.id.bytes[0], 0);
	row = one("");
	CU_ASSERT_PTR_NULL(row->uid);
	CU_ASSERT_STRING_EQUAL(row->task.title, "");
}

static void test_mapping(void)
{
	static const enum priority priorities[] = {
		PRIORITY_NONE,   PRIORITY_HIGH, PRIORITY_HIGH, PRIORITY_HIGH, PRIORITY_HIGH,
		PRIORITY_MEDIUM, PRIORITY_LOW,  PRIORITY_LOW,  PRIORITY_LOW,  PRIORITY_LOW,
	};
	static const struct {
		const char *lines;
		bool completed;
	} cases[] = {
		{ "STATUS:COMPLETED\n", true },
		{ "STATUS:completed\n", true },
		{ "STATUS:CANCELLED\n", true },
		{ "STATUS:NEEDS-ACTION\n", false },
		{ "STATUS:NEEDS-ACTION\nCOMPLETED:20260101T000000Z\n", false },
		{ "COMPLETED:20260101T000000Z\n", true },
		{ "", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(priorities); i++)
		CU_ASSERT_EQUAL(one(arena_printf(arena, "PRIORITY:%zu\n", i))->task.priority,
				priorities[i]);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_CASE(one(cases[i].lines)->task.completed == cases[i].completed,
			   cases[i].lines);
	CU_ASSERT_EQUAL(one("COMPLETED:20260101T000000Z\n")->task.completed_at,
			INT64_C(1767225600) * US_PER_SECOND);
	CU_ASSERT_EQUAL(one("STATUS:NEEDS-ACTION\nCOMPLETED:20260101T000000Z\n")->task.completed_at,
			0);
}

static void test_times(void)
{
	static const struct {
		const char *line, *text;
	} cases[] = {
		{ "DUE;VALUE=DATE:20260301", "2026-03-01" },
		{ "DUE:20260301", "2026-03-01" },
		{ "DUE:20260301T101112Z", "2026-03-01T10:11:12Z" },
		{ "DUE:20260301T101112", "2026-03-01T10:11:12Z" },
		{ "DUE;TZID=Europe/Berlin:20260301T101112", "2026-03-01T10:11:12+01:00" },
		{ "DUE;TZID=\"Europe/Berlin\":20260701T101112", "2026-07-01T10:11:12+02:00" },
		{ "DUE;TZID=/mozilla.org/20050126_1/America/New_York:20260701T101112",
		  "2026-07-01T10:11:12-04:00" },
		{ "DUE;TZID=/freeassociation.sourceforge.net/Asia/Kolkata:20260701T101112",
		  "2026-07-01T10:11:12+05:30" },
		{ "DUE;TZID=Europe/Berlin:20260301T101112Z", "2026-03-01T10:11:12Z" },
		{ "DUE;TZID=Europe/Berlin:99990701T101112", "9999-07-01T10:11:12+02:00" },
		/* what is exact counts as long as it is the same second */
		{ "DUE;X-TASKCELL-TIME=\"2026-03-01T12:11:12.5+02:00\":20260301T101112Z",
		  "2026-03-01T12:11:12.5+02:00" },
		{ "DUE;X-TASKCELL-TIME=\"2026-03-01T12:11:13+02:00\":20260301T101112Z",
		  "2026-03-01T10:11:12Z" },
		{ "DUE;X-TASKCELL-TIME=\"2026-03-01\":20260302", "2026-03-02" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct exchange_row *row = one(arena_printf(arena, "%s\r\n", cases[i].line));

		CHECK_CASE(row->task.due.text && !strcmp(row->task.due.text, cases[i].text),
			   cases[i].line);
	}
	CU_ASSERT_PTR_NULL(one("CREATED:20260301\n")->task.due.text);
}

static void test_row_errors(void)
{
	static const char *const bad[] = {
		"DUE:soon",
		"DUE:",
		"DUE:20260231",
		"DUE:20260301T250000Z",
		"DUE:20261301T000000Z",
		"DUE:00000101",
		"CREATED:x",
		"COMPLETED:x",
		"CREATED:19690101T000000Z",
		"PRIORITY:10",
		"PRIORITY:-1",
		"PRIORITY:high",
		"PRIORITY:",
		"DUE;TZID=Nowhere/Land:20260301T101112",
		"DUE;TZID=../../../etc/passwd:20260301T101112",
		"DUE;TZID=:20260301T101112",
		"SUMMARY",
		"SUMMARY;X",
		"SUMMARY;X=",
		"SUMMARY;X=\"a:b",
		"SUMMARY;:x",
		"UID:\xff",
		"SUMMARY:\xc0\xaf",
		"CATEGORIES:1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21",
		"STATUS:\xed\xa0\x80",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *error = row_error(EXCHANGE_ICALENDAR,
					      calendar(arena_printf(arena, "%s\r\n", bad[i])));

		CHECK_CASE(*error && error[strlen(error) - 1] == '.', bad[i]);
	}
}

static void test_file_errors(void)
{
	static const char *const bad[] = {
		"",
		"\r\n",
		"BEGIN:VTODO\r\nEND:VTODO\r\n",
		"[]",
		"title\na\n",
		"BEGIN:VCALENDAR",
		"BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nSUMMARY:a\r\n",
		"BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nEND:VTODO\r\n",
		"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\nEND:VCALENDAR\r\n",
		"BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nEND:VCALENDAR\r\n",
	};
	const struct file *f;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_CASE(read_text(EXCHANGE_ICALENDAR, bad[i])->error != NULL, bad[i]);
	f = read_text(EXCHANGE_ICALENDAR, "begin:vcalendar\nbegin:vevent\nsummary:e\nend:vevent\n"
					  "begin:vtodo\nsummary:a\nend:vtodo\nend:vcalendar\n\n"
					  "BEGIN:VCALENDAR\nBEGIN:VTODO\nSUMMARY:b\nEND:VTODO\n"
					  "END:VCALENDAR");
	CU_ASSERT_PTR_NULL(f->error);
	CU_ASSERT_EQUAL_FATAL(f->n, 2);
	CU_ASSERT_STRING_EQUAL(f->rows[0].task.title, "a");
	CU_ASSERT_STRING_EQUAL(f->rows[1].task.title, "b");
	f = read_bytes(EXCHANGE_ICALENDAR,
		       "BEGIN:VCALENDAR\nBEGIN:VTODO\nSUMMARY:a\0b\n"
		       "END:VTODO\nEND:VCALENDAR",
		       64);
	CU_ASSERT_EQUAL_FATAL(f->n, 1);
	CU_ASSERT_STRING_EQUAL(f->rows[0].error, "The text has a NUL in it.");
}

static struct file *read_and_free(struct buf *b)
{
	struct file *f = read_bytes(EXCHANGE_ICALENDAR, b->data, b->len);

	CU_ASSERT_FALSE(b->overflow);
	buf_free(b);
	return f;
}

static void append(struct buf *b, const char *text)
{
	buf_append(b, text, strlen(text));
}

static void test_sizes(void)
{
	static const char *const endless[] = { "SUMMARY:", "ATTACH:", "" };
	static const char *const repeated[] = { "DESCRIPTION:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
						"SUMMARY:x\n y\n" };
	struct buf b;
	struct file *f;

	/* components in components in components */
	buf_init(&b, 64 * 1024 * 1024);
	for (int i = 0; i < 1000000; i++)
		append(&b, i ? "BEGIN:VTODO\n" : "BEGIN:VCALENDAR\n");
	CU_ASSERT_PTR_NOT_NULL(read_and_free(&b)->error);
	/* one line, folded and not */
	for (size_t i = 0; i < ARRAY_LEN(endless); i++) {
		buf_init(&b, 64 * 1024 * 1024);
		append(&b, "BEGIN:VCALENDAR\nBEGIN:VTODO\n");
		append(&b, endless[i]);
		while (b.len < 20 * 1024 * 1024)
			append(&b,
			       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
		while (b.len < 30 * 1024 * 1024)
			append(&b,
			       "\r\n aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
		append(&b, "\nEND:VTODO\nBEGIN:VTODO\nSUMMARY:b\nEND:VTODO\nEND:VCALENDAR\n");
		f = read_and_free(&b);
		CU_ASSERT_PTR_NULL(f->error);
		CU_ASSERT_EQUAL_FATAL(f->n, 2);
		CU_ASSERT((f->rows[0].error != NULL) == (i == 0));
		CU_ASSERT_STRING_EQUAL(f->rows[1].task.title, "b");
	}
	/* more properties than a task has */
	for (size_t i = 0; i < ARRAY_LEN(repeated); i++) {
		buf_init(&b, 64 * 1024 * 1024);
		append(&b, "BEGIN:VCALENDAR\nBEGIN:VTODO\n");
		while (b.len < 20 * 1024 * 1024)
			append(&b, repeated[i]);
		append(&b, "END:VTODO\nEND:VCALENDAR\n");
		f = read_and_free(&b);
		CU_ASSERT_EQUAL_FATAL(f->n, 1);
		CU_ASSERT_STRING_EQUAL(f->rows[0].error, "The task is too long.");
	}
}

CU_TestInfo icalendar_tests[] = {
	{ "what is written", test_written },
	{ "folding", test_folding },
	{ "files of other programs", test_foreign },
	{ "priority and status", test_mapping },
	{ "dates stay dates, moments keep their offset", test_times },
	{ "a row that cannot be read", test_row_errors },
	{ "a file that cannot be read", test_file_errors },
	{ "lines and components without end", test_sizes },
	CU_TEST_INFO_NULL,
};
