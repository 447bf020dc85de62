#include "base/base.h"

#include "test_exchange.h"

static const struct exchange_row *one(const char *text)
{
	return read_one(EXCHANGE_CSV, text);
}

static void test_written(void)
{
	struct task t = sample_task();

	t.title = "=1+\"1\"";
	t.tags = (struct tags){ 3, { "a,b", "c\\d", "-" } };
	CU_ASSERT_STRING_EQUAL(
		write_one(EXCHANGE_CSV, &t),
		"id,title,description,completed,completed_at,priority,due_date,tags,created_at,"
		"updated_at\r\n"
		"01890a5d-ac96-774b-bcce-b302099a8057,\"'=1+\"\"1\"\"\",\"All of them\",true,"
		"2026-02-01T01:02:03.004Z,high,2026-03-01,\"a\\,b,c\\\\d,-\","
		"2026-01-31T12:34:56.789Z,2026-02-02T05:06:07.008Z\r\n");
}

/* No cell that we write begins with what a spreadsheet calculates. */
static void test_formulas(void)
{
	static const char *const dangerous[] = {
		"=", "+", "-", "@", "\t=", "\r=", "\n=", "\x01", "\x7f", "\xef\xbc\x9d", " =", "'="
	};
	struct task t = sample_task();

	for (size_t i = 0; i < ARRAY_LEN(dangerous); i++) {
		const char *text, *title;

		t.title = t.description = dangerous[i];
		t.tags = (struct tags){ 1, { dangerous[i] } };
		text = write_one(EXCHANGE_CSV, &t);
		title = arena_printf(arena, ",\"'%s\",\"'%s\",", dangerous[i], dangerous[i]);
		CHECK_CASE(strstr(text, title) != NULL, dangerous[i]);
		title = arena_printf(arena, ",\"'%s\",", dangerous[i]);
		CHECK_CASE(strstr(strstr(text, "high"), title) != NULL, dangerous[i]);
	}
	/* an apostrophe of somebody else's stays */
	CU_ASSERT_STRING_EQUAL(one("title\n'quoted'\n")->task.title, "'quoted'");
	CU_ASSERT_STRING_EQUAL(one("title\n'=1\n")->task.title, "=1");
	CU_ASSERT_STRING_EQUAL(one("title\n=1\n")->task.title, "=1");
}

static void test_columns(void)
{
	const struct exchange_row *row = one("Tags , unknown,TITLE,Due_Date,completed,priority\r\n"
					     "\"b, a\",=x,Buy,2026-05-01,YES,Medium\r\n");

	CU_ASSERT_STRING_EQUAL(row->task.title, "Buy");
	CU_ASSERT_STRING_EQUAL(row->task.due.text, "2026-05-01");
	CU_ASSERT(row->task.completed);
	CU_ASSERT_EQUAL(row->task.priority, PRIORITY_MEDIUM);
	CU_ASSERT_EQUAL(row->task.tags.n, 2);
	CU_ASSERT_STRING_EQUAL(row->task.tags.list[0], "b");
	CU_ASSERT_STRING_EQUAL(row->task.tags.list[1], " a"); /* trimmed with all others, later */
	CU_ASSERT_EQUAL(row->task.created_at, 0);
	CU_ASSERT_PTR_NULL(row->task.description);

	/* fewer cells than columns; no line end at the end; a mark at the beginning */
	row = one("\xef\xbb\xbf"
		  "title,description,completed\nBuy");
	CU_ASSERT_STRING_EQUAL(row->task.title, "Buy");
	CU_ASSERT_PTR_NULL(row->task.description);
	CU_ASSERT_FALSE(row->task.completed);
	row = one("\"title\",\"description\"\nBuy,\"\"\n");
	CU_ASSERT_STRING_EQUAL(row->task.description, "");
}

static void test_delimiters(void)
{
	const struct exchange_row *row = one("title;description\na,b;c\n");

	CU_ASSERT_STRING_EQUAL(row->task.title, "a,b");
	CU_ASSERT_STRING_EQUAL(row->task.description, "c");
	row = one("title\tdescription\na;b\t\"c\td\"\n");
	CU_ASSERT_STRING_EQUAL(row->task.title, "a;b");
	CU_ASSERT_STRING_EQUAL(row->task.description, "c\td");
	row = one("\"a;b\",title\nx,y\n");
	CU_ASSERT_STRING_EQUAL(row->task.title, "y");
	/* one column has no delimiter */
	CU_ASSERT_STRING_EQUAL(one("title\na;b\n")->task.title, "a;b");
}

static void test_line_ends(void)
{
	const struct file *f = read_text(EXCHANGE_CSV, "\r\n\ntitle,tags\r\n\r\na\n,,\n,\r\r\nb,\r"
						       "\"c\r\nd\"\n\n");

	CU_ASSERT_PTR_NULL(f->error);
	CU_ASSERT_EQUAL(f->n, 3);
	CU_ASSERT_STRING_EQUAL(f->rows[0].task.title, "a");
	CU_ASSERT_STRING_EQUAL(f->rows[1].task.title, "b");
	CU_ASSERT_STRING_EQUAL(f->rows[2].task.title, "c\r\nd");
}

static void test_row_errors(void)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "title,id\na,17\n", "The id must be a UUID." },
		{ "title,id\na,00000000-0000-0000-0000-000000000000\n", "The id must be a UUID." },
		{ "title,completed\na,maybe\n", "The column completed must be true or false." },
		{ "title,priority\na,urgent\n", "The priority must be none, low, medium or high." },
		{ "title,due_date\na,tomorrow\n",
		  "The due date must be a date or an RFC 3339 date-time." },
		{ "title,due_date\na,2026-02-30\n",
		  "The due date must be a date or an RFC 3339 date-time." },
		{ "title,created_at\na,2026-02-03\n",
		  "The time of creation must be an RFC 3339 date-time since 1970." },
		{ "title,created_at\na,1969-02-03T00:00:00Z\n",
		  "The time of creation must be an RFC 3339 date-time since 1970." },
		{ "title,created_at\na,9999-12-31T23:59:59-01:00\n",
		  "The time of creation must be an RFC 3339 date-time since 1970." },
		{ "title,completed,completed_at\na,1,x\n",
		  "The time of completion must be an RFC 3339 date-time since 1970." },
		{ "title\na,b\n", "The row has more cells than the header row." },
		{ "title,tags\n\"a\" b,c\n",
		  "A closing quote is followed by more than a delimiter." },
		{ "title,tags\na,\"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21\"\n",
		  "There may be at most 20 tags." },
		{ "title\na\xff\n", "The text is not valid UTF-8." },
		{ "title\n\xc0\xaf\n", "The text is not valid UTF-8." },
		{ "title\n\xed\xa0\x80\n", "The text is not valid UTF-8." },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_CASE(strcmp(row_error(EXCHANGE_CSV, cases[i].text), cases[i].error) == 0,
			   cases[i].text);
	/* one bad row leaves the others as they are */
	CU_ASSERT_PTR_NOT_NULL(read_bytes(EXCHANGE_CSV, "title\na\0b\nc\n", 12)->rows[0].error);
	CU_ASSERT_STRING_EQUAL(read_bytes(EXCHANGE_CSV, "title\na\0b\nc\n", 12)->rows[1].task.title,
			       "c");
}

static void test_file_errors(void)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{ "", "The header row must name a column title." },
		{ "\n\n", "The header row must name a column title." },
		{ "name,tags\na,b\n", "The header row must name a column title." },
		{ "[{\"title\":\"a\"}]", "The header row must name a column title." },
		{ "title,Title\na,b\n", "Two columns have the same name." },
		{ "title,\"tags\"x\na,b\n",
		  "A name in the header row is followed by more than a delimiter." },
		{ "a,b;\"c,\"d\n", "The header row is too long, or a quote in it is not closed." },
		{ "\"title\na\n", "The header row is too long, or a quote in it is not closed." },
		{ "\xff\xfet\n", "The file must be UTF-8 text." },
		{ "title\na\n\"b\nc\n", "A quote is not closed; the file may be cut." },
		{ "title,tags\na,\"", "A quote is not closed; the file may be cut." },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct file *f = read_text(EXCHANGE_CSV, cases[i].text);

		CHECK_CASE(f->error && strcmp(f->error, cases[i].error) == 0, cases[i].text);
	}
}

/* What is longer than any task is told, and what is behind it is read. */
static void test_sizes(void)
{
	size_t len = 32 * 1024 * 1024;
	char *text = malloc(len);
	const struct file *f;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	memset(text, 'a', len);
	memcpy(text, "title\nx\n", 8);
	memcpy(text + len - 4, "\ny\nz", 4);
	f = read_bytes(EXCHANGE_CSV, text, len);
	CU_ASSERT_PTR_NULL(f->error);
	CU_ASSERT_EQUAL_FATAL(f->n, 4);
	CU_ASSERT_STRING_EQUAL(f->rows[0].task.title, "x");
	CU_ASSERT_STRING_EQUAL(f->rows[1].error, "The row is too long.");
	CU_ASSERT_STRING_EQUAL(f->rows[3].task.title, "z");

	/* the arena has room for a row of the least cells, and for no more */
	memset(text, ',', len);
	memcpy(text, "title\n", 6);
	f = read_bytes(EXCHANGE_CSV, text, len);
	CU_ASSERT(!f->error && f->n == 0);
	memset(text, '"', len);
	memcpy(text, "title\n", 6);
	text[len - 1] = 'x';
	f = read_bytes(EXCHANGE_CSV, text, len);
	CU_ASSERT_PTR_NOT_NULL(f->n ? f->rows[0].error : f->error);
	memset(text, ',', len);
	f = read_bytes(EXCHANGE_CSV, text, len);
	CU_ASSERT_PTR_NOT_NULL(f->error);
	free(text);
}

CU_TestInfo csv_tests[] = {
	{ "what is written", test_written },
	{ "formulas are defused, and only they", test_formulas },
	{ "columns by name, in any order", test_columns },
	{ "commas, semicolons, tabs", test_delimiters },
	{ "line ends and empty rows", test_line_ends },
	{ "a row that cannot be read", test_row_errors },
	{ "a file that cannot be read", test_file_errors },
	{ "rows without end", test_sizes },
	CU_TEST_INFO_NULL,
};
