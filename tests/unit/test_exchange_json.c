#include "base/base.h"

#include "test_exchange.h"

static void test_written(void)
{
	struct task t = sample_task();

	CU_ASSERT_STRING_EQUAL(
		write_one(EXCHANGE_JSON, &t),
		"[{\"id\":\"01890a5d-ac96-774b-bcce-b302099a8057\","
		"\"user_id\":\"00000000-0000-0000-0000-000000000000\","
		"\"title\":\"Water the plants\",\"description\":\"All of them\","
		"\"completed\":true,\"completed_at\":\"2026-02-01T01:02:03.004Z\","
		"\"priority\":\"high\",\"due_date\":\"2026-03-01\",\"tags\":[\"home\",\"garden\"],"
		"\"version\":17,\"created_at\":\"2026-01-31T12:34:56.789Z\","
		"\"updated_at\":\"2026-02-02T05:06:07.008Z\"}]");
}

static void test_shapes(void)
{
	static const char *const good[] = {
		"[{\"title\":\"a\"}]",
		" [ { \"title\" : \"a\" } ] \r\n\t",
		"\xef\xbb\xbf[{\"title\":\"a\"}]",
		"{\"tasks\":[{\"title\":\"a\"}]}",
		"{\"user\":{\"tasks\":[1,2],\"x\":\"]}\\\"\"},\"n\":-1.5e3,\"tasks\":[{\"title\":"
		"\"a\"}],\"sessions\":[{}],\"more\":null}\n",
		"[{\"title\":\"a\",\"unknown\":{\"deep\":[{}]},\"user_id\":7,\"version\":\"x\"}]",
		"[{\"title\":\"a\",\"id\":null,\"description\":null,\"due_date\":null,\"tags\":"
		"null,"
		"\"priority\":null,\"created_at\":null,\"completed_at\":null}]",
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		CHECK_CASE(strcmp(read_one(EXCHANGE_JSON, good[i])->task.title, "a") == 0, good[i]);
	CU_ASSERT_EQUAL(read_text(EXCHANGE_JSON, " [ ] ")->n, 0);
	CU_ASSERT_PTR_NULL(read_text(EXCHANGE_JSON, "{\"tasks\":[]}")->error);
}

static void test_row_errors(void)
{
	static const char *const bad[] = {
		"17",
		"\"a\"",
		"null",
		"[]",
		"[{}]",
		"{\"title\":5}",
		"{\"title\":\"a\",\"title\":\"b\"}",
		"{\"title\":\"a\",}",
		"{\"title\":\"\\u0000\"}",
		"{\"title\":\"\\ud800\"}",
		"{\"title\":\"\xff\"}",
		"{'title':1}",
		"{\"title\":\"a\" \"b\"}",
		"{]",
		"nonsense",
		"{\"title\":\"a\",\"id\":\"17\"}",
		"{\"title\":\"a\",\"id\":17}",
		"{\"title\":\"a\",\"priority\":\"urgent\"}",
		"{\"title\":\"a\",\"completed\":1}",
		"{\"title\":\"a\",\"due_date\":\"soon\"}",
		"{\"title\":\"a\",\"tags\":\"b\"}",
		"{\"title\":\"a\",\"tags\":[1]}",
		"{\"title\":\"a\",\"created_at\":\"now\"}",
		"{\"title\":\"a\",\"tags\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\","
		"\"10\",\"11\",\"12\",\"13\",\"14\",\"15\",\"16\",\"17\",\"18\",\"19\",\"20\","
		"\"21\"]}",
		"{\"title\":\"a\",\"x\":[[[[[[[[[[]]]]]]]]]]}",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *text =
			arena_printf(arena, "[{\"title\":\"x\"},%s,{\"title\":\"y\"}]", bad[i]);
		const struct file *f = read_text(EXCHANGE_JSON, text);
		size_t len = f->n == 3 && f->rows[1].error ? strlen(f->rows[1].error) : 0;

		CHECK_CASE(!f->error && len && f->rows[1].error[len - 1] == '.', bad[i]);
		if (f->n == 3)
			CHECK_CASE(!f->rows[0].error && !f->rows[2].error, bad[i]);
	}
	CU_ASSERT_STRING_EQUAL(row_error(EXCHANGE_JSON, "[{\"title\":\"a\"}{}]"),
			       "The task must be one JSON object.");
	CU_ASSERT_STRING_EQUAL(row_error(EXCHANGE_JSON, "[{\"title\":5}]"),
			       "The field title is not valid: It must be a string or null.");
}

static void test_file_errors(void)
{
	static const char *const bad[] = {
		"",
		" ",
		"17",
		"\"tasks\"",
		"{}",
		"{\"tasks\":{}}",
		"{\"task\":[]}",
		"[",
		"[{\"title\":\"a\"}",
		"[{\"title\":\"a\"},",
		"[{\"title\":\"a\"},]",
		"[,]",
		"[{\"title\":\"a\"}]]",
		"[{\"title\":\"a\"}] x",
		"[{\"title\":\"a",
		"[{\"title\":\"a\\",
		"{\"tasks\":[]",
		"{\"tasks\":[],\"tasks\":[]}",
		"{\"tasks\":[],}",
		"{\"tasks\":[]} {}",
		"{\"a\":,\"tasks\":[]}",
		"{\"a\"",
		"{\"a\":1",
		"{a:[]}",
		"}",
		"]",
		"{",
		"[}",
		"\x00",
		"\xff\xfe[",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK_CASE(read_text(EXCHANGE_JSON, bad[i])->error != NULL, bad[i]);
	CU_ASSERT_PTR_NOT_NULL(read_bytes(EXCHANGE_JSON, "[]\0", 3)->error);
}

static void test_sizes(void)
{
	size_t len = 32 * 1024 * 1024;
	char *text = malloc(len);
	const struct file *f;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	memset(text, '[', len);
	CU_ASSERT_PTR_NOT_NULL(read_bytes(EXCHANGE_JSON, text, len)->error);
	memset(text, '{', len);
	CU_ASSERT_PTR_NOT_NULL(read_bytes(EXCHANGE_JSON, text, len)->error);
	memset(text, '"', len);
	text[0] = '[';
	CU_ASSERT_PTR_NOT_NULL(read_bytes(EXCHANGE_JSON, text, len)->error);
	memset(text, ' ', len);
	memcpy(text, "[{\"title\":\"", 11);
	memcpy(text + len - 15, "\"},{\"title\":1}]", 15);
	f = read_bytes(EXCHANGE_JSON, text, len);
	CU_ASSERT_PTR_NULL(f->error);
	CU_ASSERT_EQUAL(f->n, 2);
	CU_ASSERT_STRING_EQUAL(f->rows[0].error, "The task is too long.");
	free(text);
}

CU_TestInfo json_tests[] = {
	{ "what is written", test_written },
	{ "an array, or an object with one", test_shapes },
	{ "a row that cannot be read", test_row_errors },
	{ "a file that cannot be read", test_file_errors },
	{ "values without end", test_sizes },
	CU_TEST_INFO_NULL,
};
