#include "base/base.h"

#include "http/api_error.h"
#include "http/problem.h"
#include "http/response.h"
#include "http/text.h"
#include "test_http.h"

static bool buf_is(const struct buf *b, const char *text)
{
	return b->len == strlen(text) && !memcmp(b->data, text, b->len);
}

/* --- text --- */

static void test_utf8(void)
{
	static const struct {
		const char *bytes;
		bool valid;
	} cases[] = {
		{ "", true },
		{ "plain", true },
		{ "\xc2\x80 \xdf\xbf", true },
		{ "\xe0\xa0\x80 \xef\xbf\xbf", true },
		{ "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf", true },
		{ "\x80", false },             /* a tail alone */
		{ "\xc0\xaf", false },         /* overlong */
		{ "\xc1\xbf", false },         /* overlong */
		{ "\xe0\x9f\xbf", false },     /* overlong */
		{ "\xf0\x8f\xbf\xbf", false }, /* overlong */
		{ "\xed\xa0\x80", false },     /* U+D800 */
		{ "\xed\xbf\xbf", false },     /* U+DFFF */
		{ "\xf4\x90\x80\x80", false }, /* above U+10FFFF */
		{ "\xf5\x80\x80\x80", false },
		{ "\xff", false },
		{ "a\xe2\x82", false }, /* cut */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_CASE(text_is_utf8(cases[i].bytes, strlen(cases[i].bytes)) == cases[i].valid,
			   cases[i].bytes);
	CU_ASSERT(text_is_utf8("a\0b", 3));
}

static void test_length(void)
{
	CU_ASSERT_EQUAL(text_length("", 0), 0);
	CU_ASSERT_EQUAL(text_length("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 10), 4);
	/* a letter and a combining mark are two code points */
	CU_ASSERT_EQUAL(text_length("e\xcc\x81", 3), 2);
}

static void test_trim(void)
{
	static const struct {
		const char *text;
		const char *trimmed;
	} cases[] = {
		{ "", "" },
		{ "a", "a" },
		{ "  a b\t\n", "a b" },
		{ " \t\r\n\v\f", "" },
		{ "\xc2\xa0\xe2\x80\x83x\xe3\x80\x80", "x" }, /* U+00A0 U+2003 x U+3000 */
		{ "\xc2\x85y\xe2\x80\xa8\xe2\x80\xa9", "y" }, /* U+0085 y U+2028 U+2029 */
		{ "\xe3\x80\x80", "" },
		{ "\xe2\x80\x8bz", "\xe2\x80\x8bz" }, /* U+200B is no white space */
		{ "\xef\xbb\xbfz", "\xef\xbb\xbfz" }, /* nor is U+FEFF */
		{ " \xf0\x9f\x98\x80 ", "\xf0\x9f\x98\x80" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *s = cases[i].text;
		size_t len = strlen(s);

		text_trim(&s, &len);
		CHECK_CASE(len == strlen(cases[i].trimmed) && !memcmp(s, cases[i].trimmed, len),
			   cases[i].text);
	}
}

/* --- response and problem --- */

static void test_response(void)
{
	char wide[RESPONSE_HEADERS_MAX + 1];
	struct response r;

	response_init(&r);
	response_headerf(&r, "ETag", "\"%d\"", 17);
	response_headerf(&r, "Location", "/api/%s", "x");
	CU_ASSERT(buf_is(&r.headers, "ETag: \"17\"\r\nLocation: /api/x\r\n"));
	CU_ASSERT_FALSE(r.headers.overflow);
	for (int c = 1; c < 256; c++) {
		bool control = c < 0x20 || c == 0x7f;
		char value[] = { 'a', (char)c, 'b', '\0' };

		response_reset(&r);
		response_header(&r, "X", value);
		CU_ASSERT_EQUAL(r.headers.overflow, control);
		CU_ASSERT_EQUAL(r.headers.len, control ? 0 : 8);
	}
	response_reset(&r);
	response_header(&r, "A", "b");
	memset(wide, 'w', sizeof(wide));
	wide[sizeof(wide) - 1] = '\0';
	response_header(&r, "X", wide);
	CU_ASSERT(r.headers.overflow);
	CU_ASSERT(buf_is(&r.headers, "A: b\r\n"));
	wide[RESPONSE_HEADERS_MAX - 4] = '\0';
	response_reset(&r);
	response_header(&r, "X", wide);
	CU_ASSERT(r.headers.overflow && !r.headers.len);
	response_reset(&r);
	response_headerf(&r, "X", "%s", wide);
	CU_ASSERT(r.headers.overflow && !r.headers.len);
	wide[RESPONSE_HEADERS_MAX - 5] = '\0';
	response_reset(&r);
	response_headerf(&r, "X", "%s", wide);
	CU_ASSERT(!r.headers.overflow && r.headers.len == RESPONSE_HEADERS_MAX);
	response_reset(&r);

	r.status = 200;
	r.content_type = "text/plain";
	buf_append(&r.body, "body", 4);
	response_reset(&r);
	CU_ASSERT(!r.status && !r.content_type && !r.body.len && !r.headers.overflow);
	response_free(&r);
}

static void test_errors(void)
{
	for (int e = API_OK + 1; e < API_ERROR_COUNT; e++) {
		const struct api_error_info *info = api_error_info((enum api_error)e);

		CU_ASSERT_PTR_NOT_NULL_FATAL(info->code);
		CU_ASSERT_EQUAL(strspn(info->code, "abcdefghijklmnopqrstuvwxyz_"),
				strlen(info->code));
		CHECK_CASE(info->detail[strlen(info->detail) - 1] == '.', info->code);
		/* it becomes an error_description in quotes */
		CHECK_CASE(!strpbrk(info->detail, "\"\\"), info->code);
		CHECK_CASE(strcmp(http_reason(info->status), "Unknown"), info->code);
	}
	CU_ASSERT_EQUAL(api_error_info(API_HASHING_BUSY)->status, 503);
	CU_ASSERT_STRING_EQUAL(api_error_info(API_EMAIL_TAKEN)->code, "email_taken");
	CU_ASSERT_STRING_EQUAL(http_reason(200), "OK");
	CU_ASSERT_STRING_EQUAL(http_reason(204), "No Content");
	CU_ASSERT_STRING_EQUAL(http_reason(422), "Unprocessable Content");
	CU_ASSERT_STRING_EQUAL(http_reason(-1), "Unknown");
}

static void write_current(struct json_writer *w, const void *arg)
{
	json_key(w, "current");
	json_string(w, arg);
}

static void test_problem(void)
{
	struct field_errors fields = { .n = 0 };
	struct response r;

	response_init(&r);
	response_header(&r, "Kept", "yes");
	buf_printf(&r.body, "half an answer");
	problem_write(&r, &(struct problem){ .error = API_NOT_FOUND, .request_id = "r-1" });
	CU_ASSERT_EQUAL(r.status, 404);
	CU_ASSERT_STRING_EQUAL(r.content_type, "application/problem+json");
	CU_ASSERT(buf_is(&r.headers, "Kept: yes\r\n"));
	CU_ASSERT(buf_is(&r.body,
			 "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
			 "\"detail\":\"There is nothing here.\",\"code\":\"not_found\","
			 "\"request_id\":\"r-1\"}"));

	field_error_add(&fields, "ti\"tle", "too_long", "It is too long.");
	field_error_required(&fields, "b");
	problem_write(&r, &(struct problem){ .error = API_VALIDATION_FAILED,
					     .request_id = "r",
					     .fields = &fields,
					     .detail = "Other." });
	CU_ASSERT_EQUAL(r.status, 422);
	CU_ASSERT(buf_is(&r.body,
			 "{\"type\":\"about:blank\",\"title\":\"Unprocessable Content\","
			 "\"status\":422,\"detail\":\"Other.\",\"code\":\"validation_failed\","
			 "\"request_id\":\"r\",\"errors\":[{\"field\":\"ti\\\"tle\","
			 "\"code\":\"too_long\",\"detail\":\"It is too long.\"},{\"field\":\"b\","
			 "\"code\":\"required\",\"detail\":\"This field is required.\"}]}"));

	fields.n = 0;
	problem_write(&r, &(struct problem){ .error = API_PRECONDITION_FAILED,
					     .request_id = "r",
					     .fields = &fields,
					     .extra = write_current,
					     .extra_arg = "task" });
	CU_ASSERT(buf_is(&r.body,
			 "{\"type\":\"about:blank\",\"title\":\"Precondition Failed\","
			 "\"status\":412,\"detail\":\"The task has changed since the version that "
			 "was named.\",\"code\":\"precondition_failed\",\"request_id\":\"r\","
			 "\"current\":\"task\"}"));
	response_free(&r);
}

static void test_problem_headers(void)
{
	static const char plain[] = "WWW-Authenticate: Bearer realm=\"taskcell\"\r\n";
	static const struct {
		enum api_error error;
		const char *headers;
	} cases[] = {
		{ API_MISSING_TOKEN, plain },
		{ API_INVALID_CREDENTIALS, plain },
		{ API_INVALID_REFRESH_TOKEN, plain },
		{ API_INVALID_TOKEN,
		  "WWW-Authenticate: Bearer realm=\"taskcell\", error=\"invalid_token\", "
		  "error_description=\"The access token is not valid.\"\r\n" },
		{ API_TOKEN_EXPIRED,
		  "WWW-Authenticate: Bearer realm=\"taskcell\", error=\"invalid_token\", "
		  "error_description=\"The access token has expired.\"\r\n" },
		{ API_SESSION_ENDED,
		  "WWW-Authenticate: Bearer realm=\"taskcell\", error=\"invalid_token\", "
		  "error_description=\"The session has ended; log in again.\"\r\n" },
		{ API_HASHING_BUSY, "Retry-After: 1\r\n" },
		{ API_UNAVAILABLE, "Retry-After: 1\r\n" },
		{ API_RATE_LIMITED, "" },
		{ API_REGISTRATION_CLOSED, "" },
		{ API_INTERNAL_ERROR, "" },
	};
	struct response r;

	response_init(&r);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		response_reset(&r);
		problem_write(&r, &(struct problem){ .error = cases[i].error, .request_id = "r" });
		CHECK_CASE(buf_is(&r.headers, cases[i].headers),
			   api_error_info(cases[i].error)->code);
	}
	response_free(&r);
}

static CU_TestInfo response_tests[] = {
	{ "UTF-8", test_utf8 },
	{ "length", test_length },
	{ "trim", test_trim },
	{ "response", test_response },
	{ "api_error", test_errors },
	{ "problem", test_problem },
	{ "problem headers", test_problem_headers },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ "request", NULL, NULL, NULL, NULL, request_tests },
	{ "what is wanted", NULL, NULL, NULL, NULL, accept_tests },
	{ "response", NULL, NULL, NULL, NULL, response_tests },
	{ "spilled response", spill_start, spill_stop, NULL, NULL, spill_tests },
	{ "text", text_start, text_stop, NULL, NULL, text_tests },
	{ "cookie", NULL, NULL, NULL, NULL, cookie_tests },
	{ "json", NULL, NULL, NULL, NULL, json_tests },
	{ "json_bind", bind_start, bind_stop, NULL, NULL, bind_tests },
	{ "json_bind, nested", nested_start, nested_stop, NULL, NULL, nested_tests },
	CU_SUITE_INFO_NULL,
};

int main(void)
{
	return run_suites(suites);
}
