#include "base/base.h"

#include "cunit.h"

#include "http/api_error.h"
#include "http/path.h"
#include "http/problem.h"
#include "http/request.h"
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

/* --- path and query --- */

/* The segments behind one another, each in brackets; "404" when the path is refused. */
static const char *path_text(struct arena *a, const char *raw)
{
	const char *text = "";
	struct path p;

	if (!path_parse(a, raw, &p))
		return "404";
	for (size_t i = 0; i < p.n; i++)
		text = arena_printf(a, "%s[%s]", text, p.segments[i]);
	return text;
}

static void test_path_parse(void)
{
	static const struct {
		const char *raw;
		const char *segments;
	} cases[] = {
		{ "/", "" },
		{ "/api", "[api]" },
		{ "/api/", "[api]" },
		{ "/api/me/tasks", "[api][me][tasks]" },
		{ "/a%20b/%E2%82%ac+", "[a b][\xe2\x82\xac+]" },
		{ "/%2525", "[%25]" }, /* decoded once */
		{ "/..", "[..]" },     /* nothing to climb: a name like any other */
		{ "/1/2/3/4/5/6/7/8", "[1][2][3][4][5][6][7][8]" },
		{ "/1/2/3/4/5/6/7/8/", "[1][2][3][4][5][6][7][8]" },
		{ "/1/2/3/4/5/6/7/8/9", "404" },
		{ "", "404" },
		{ "api", "404" },
		{ "//", "404" },
		{ "//api", "404" },
		{ "/api//", "404" },
		{ "/api//tasks", "404" },
		{ "/a%2fb", "404" },
		{ "/a%2Fb", "404" },
		{ "/%2f", "404" },
		{ "/a%00", "404" },
		{ "/a%", "404" },
		{ "/a%4", "404" },
		{ "/a%4/b", "404" },
		{ "/a%zz", "404" },
		{ "/a%u0041", "404" },
	};
	struct arena *a = arena_new(1 << 20);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_CASE(!strcmp(path_text(a, cases[i].raw), cases[i].segments), cases[i].raw);
	arena_free(a);
}

static void test_path_match(void)
{
	static const struct {
		const char *raw;
		const char *pattern;
		bool match;
		unsigned literals;
		const char *params[3];
	} cases[] = {
		{ "/api/health", "/api/health", true, 0xc0, { NULL } },
		{ "/api/u/tasks", "/api/{user_id}/tasks", true, 0xa0, { "u" } },
		{ "/api/u/tasks/t", "/api/{user_id}/tasks/{task_id}", true, 0xa0, { "u", "t" } },
		{ "/api/u/tasks/t/complete",
		  "/api/{user_id}/tasks/{task_id}/complete",
		  true,
		  0xa8,
		  { "u", "t" } },
		{ "/api/u/tasks/batch", "/api/{user_id}/tasks/batch", true, 0xb0, { "u" } },
		{ "/api", "/api/health", false, 0, { NULL } },
		{ "/api/health/x", "/api/health", false, 0, { NULL } },
		{ "/api/healt", "/api/health", false, 0, { NULL } },
		{ "/api/healthy", "/api/health", false, 0, { NULL } },
		{ "/API/health", "/api/health", false, 0, { NULL } },
		{ "/", "/api", false, 0, { NULL } },
		{ "/api/u/tasks", "/api/{user_id}/tasks/{task_id}", false, 0, { NULL } },
	};
	struct arena *a = arena_new(1 << 20);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *params[PATH_SEGMENTS_MAX] = { NULL };
		unsigned literals;
		struct path p;

		CU_ASSERT_FATAL(path_parse(a, cases[i].raw, &p));
		CHECK_CASE(path_match(&p, cases[i].pattern, params, &literals) == cases[i].match,
			   cases[i].raw);
		if (!cases[i].match)
			continue;
		CHECK_CASE(literals == cases[i].literals, cases[i].raw);
		for (size_t k = 0; k < 3; k++)
			CHECK_CASE(cases[i].params[k] ?
					   params[k] && !strcmp(params[k], cases[i].params[k]) :
					   !params[k],
				   cases[i].raw);
	}
	arena_free(a);
}

static const char *query_text(struct arena *a, const char *raw)
{
	const char *text = "";
	struct query q;

	if (!query_parse(a, raw, &q))
		return "400";
	for (size_t i = 0; i < q.n; i++)
		text = arena_printf(a, "%s[%s=%s]", text, q.params[i].name, q.params[i].value);
	return text;
}

static void test_query(void)
{
	static const struct {
		const char *raw;
		const char *params;
	} cases[] = {
		{ NULL, "" },
		{ "", "" },
		{ "&&", "" },
		{ "a=1", "[a=1]" },
		{ "a=1&b=2&a=3", "[a=1][b=2][a=3]" },
		{ "&a=1&&b=2&", "[a=1][b=2]" },
		{ "a", "[a=]" },
		{ "a=", "[a=]" },
		{ "=1", "[=1]" },
		{ "a=b=c", "[a=b=c]" },
		{ "a=x+y%2Bz%26", "[a=x y+z&]" },
		{ "%61%20=%3d", "[a ==]" },
		{ "a=%2541", "[a=%41]" },
		{ "a=%e2%82%ac", "[a=\xe2\x82\xac]" },
		{ "a=%", "400" },
		{ "a=%4", "400" },
		{ "a=%4&b=1", "400" },
		{ "%gg=1", "400" },
		{ "a=%00", "400" },
		{ "%00=a", "400" },
		{ "a=%ff", "400" },
		{ "%c0%af=1", "400" },
		{ "a=%ed%a0%80", "400" },
		{ "a=\xff", "400" },
	};
	struct arena *a = arena_new(1 << 20);
	char many[4 * QUERY_PARAMS_MAX + 8] = "";
	struct query q;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_CASE(!strcmp(query_text(a, cases[i].raw), cases[i].params), cases[i].params);

	CU_ASSERT_FATAL(query_parse(a, "a=1&b=2&a=3&e", &q));
	CU_ASSERT_STRING_EQUAL(query_get(&q, "a"), "1");
	CU_ASSERT_STRING_EQUAL(query_get(&q, "b"), "2");
	CU_ASSERT_STRING_EQUAL(query_get(&q, "e"), "");
	CU_ASSERT_PTR_NULL(query_get(&q, "A"));

	for (size_t i = 0; i < QUERY_PARAMS_MAX; i++)
		memcpy(many + i * 4, "a=1&", 4);
	CU_ASSERT(query_parse(a, many, &q));
	CU_ASSERT_EQUAL(q.n, QUERY_PARAMS_MAX);
	many[4 * QUERY_PARAMS_MAX] = 'b';
	CU_ASSERT_FALSE(query_parse(a, many, &q));
	arena_free(a);
}

/* --- request headers --- */

static void test_method(void)
{
	for (enum http_method m = HTTP_GET; m < HTTP_OTHER; m++)
		CU_ASSERT_EQUAL(http_method_of(http_method_name(m)), m);
	CU_ASSERT_EQUAL(http_method_of("GET"), HTTP_GET);
	CU_ASSERT_EQUAL(http_method_of("DELETE"), HTTP_DELETE);
	CU_ASSERT_STRING_EQUAL(http_method_name(HTTP_PATCH), "PATCH");
	CU_ASSERT_EQUAL(http_method_of("get"), HTTP_OTHER);
	CU_ASSERT_EQUAL(http_method_of("GETS"), HTTP_OTHER);
	CU_ASSERT_EQUAL(http_method_of("OTHER"), HTTP_OTHER);
	CU_ASSERT_EQUAL(http_method_of(""), HTTP_OTHER);
	CU_ASSERT_EQUAL(http_method_of(NULL), HTTP_OTHER);
}

static void test_media_type(void)
{
	static const struct {
		const char *header;
		enum media_type type;
	} cases[] = {
		{ NULL, MEDIA_NONE },
		{ "", MEDIA_NONE },
		{ " \t", MEDIA_NONE },
		{ "application/json", MEDIA_JSON },
		{ "Application/JSON", MEDIA_JSON },
		{ " application/json ", MEDIA_JSON },
		{ "application/json;charset=utf-8", MEDIA_JSON },
		{ "application/json ; x=\"y\"", MEDIA_JSON },
		{ "application/json;", MEDIA_JSON },
		{ "application/merge-patch+json", MEDIA_MERGE_PATCH },
		{ "application/merge-patch+json; charset=utf-8", MEDIA_MERGE_PATCH },
		{ "application/jsonx", MEDIA_OTHER },
		{ "application/jso", MEDIA_OTHER },
		{ "application/json x", MEDIA_OTHER },
		{ "application/json, text/html", MEDIA_OTHER },
		{ "application/vnd.api+json", MEDIA_OTHER },
		{ "text/json", MEDIA_OTHER },
		{ "text/plain;application/json", MEDIA_OTHER },
		{ "; charset=utf-8", MEDIA_OTHER },
		{ "application/x-www-form-urlencoded", MEDIA_OTHER },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_CASE(media_type_of(cases[i].header) == cases[i].type, cases[i].header);
}

static void test_prefer(void)
{
	static const struct {
		const char *header;
		bool has; /* handling=strict */
	} cases[] = {
		{ NULL, false },
		{ "", false },
		{ "handling=strict", true },
		{ "HANDLING=strict", true },
		{ "handling=\"strict\"", true },
		{ "handling=\"str\\ict\"", true },
		{ "handling \t=\t strict", true },
		{ "return=minimal, handling=strict", true },
		{ "return=minimal,handling=strict,wait=10", true },
		{ ",, ,handling=strict", true },
		{ "handling=strict; foo=bar", true },
		{ "respond-async;x=\"a,b;c\", handling=strict", true },
		{ "x=\"\\\",handling=lenient,\", handling=strict", true },
		{ "handling=strict, handling=lenient", true },
		{ "handling=lenient, handling=strict", false }, /* the first one counts */
		{ "handling", false },
		{ "handling=", false },
		{ "handling=\"\"", false },
		{ "handling=Strict", false },
		{ "handling=stric", false },
		{ "handling=strictly", false },
		{ "handling=\"strictly\"", false },
		{ "handling=\"stric\"", false },
		{ "handling=\"strict", false },
		{ "handlings=strict", false },
		{ "handlin=strict", false },
		{ "strict", false },
		{ "foo; handling=strict", false }, /* a parameter, not a preference */
		{ "x=\"handling=strict\"", false },
		{ "x=\", handling=strict", false }, /* a quote without end */
		{ "x=\"\\", false },
		{ "x=\"a,handling=strict,b\"", false },
		{ "=strict", false },
		{ "\"handling\"=strict", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_CASE(prefer_has(cases[i].header, "handling", "strict") == cases[i].has,
			   cases[i].header);
	CU_ASSERT(prefer_has("respond-async, return=minimal", "return", "minimal"));
	CU_ASSERT(prefer_has("return=minimal;a, b", "Return", "minimal"));
}

/* "*" or the versions; "too many". */
static const char *if_match_text(struct arena *a, const char *header)
{
	const char *text = "";
	struct if_match m;

	if (!if_match_parse(header, &m))
		return "too many";
	if (m.any)
		return m.n ? "any and some" : "*";
	for (size_t i = 0; i < m.n; i++)
		text = arena_printf(a, "%s%lld ", text, (long long)m.versions[i]);
	return text;
}

static void test_if_match(void)
{
	static const struct {
		const char *header;
		const char *read;
	} cases[] = {
		{ NULL, "*" },
		{ "*", "*" },
		{ " * ", "*" },
		{ "\"17\"", "17 " },
		{ "W/\"17\"", "17 " },
		{ "\"17-gzip\"", "17 " },
		{ "W/\"17-br\"", "17 " },
		{ "\"17-deflate\"", "17 " },
		{ "\"1\", W/\"2\" ,\t\"3-gzip\",", "1 2 3 " },
		{ ",\"4\",,\"5\"", "4 5 " },
		{ "\"9223372036854775807\"", "9223372036854775807 " },
		{ "\"9223372036854775808\", \"6\"", "6 " },
		{ "\"99999999999999999999999999\"", "" },
		/* tags that are not ours */
		{ "\"\", \"7\"", "7 " },
		{ "\"abc\", \"7\"", "7 " },
		{ "\"a,b\", \"7\"", "7 " },
		{ "\"-1\"", "" },
		{ "\"+1\"", "" },
		{ "\" 1\"", "" },
		{ "\"1 \"", "" },
		{ "\"1x\"", "" },
		{ "\"1-\"", "" },
		{ "\"1-2\"", "" },
		{ "\"1-gzip-br\"", "" },
		{ "\"-gzip\"", "" },
		/* no list of tags at all */
		{ "", "" },
		{ "17", "" },
		{ "\"1\", 17", "" },
		{ "\"1\" \"2\"", "1 2 " },
		{ "\"1\"x", "" },
		{ "\"1", "" },
		{ "w/\"1\"", "" },
		{ "W/", "" },
		{ "W", "" },
		{ "\"", "" },
		{ "*, \"1\"", "" },
		{ "**", "" },
		{ "\"1\", *", "" },
	};
	struct arena *a = arena_new(1 << 20);
	char many[4 * IF_MATCH_MAX + 8] = "";

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_CASE(!strcmp(if_match_text(a, cases[i].header), cases[i].read),
			   cases[i].header);
	for (size_t i = 0; i < IF_MATCH_MAX; i++)
		memcpy(many + i * 4, "\"1\",", 4);
	CU_ASSERT_STRING_NOT_EQUAL(if_match_text(a, many), "too many");
	memcpy(many + (size_t)4 * IF_MATCH_MAX, "\"x\"", 4);
	CU_ASSERT_STRING_NOT_EQUAL(if_match_text(a, many), "too many");
	memcpy(many + (size_t)4 * IF_MATCH_MAX, "\"2\"", 4);
	CU_ASSERT_STRING_EQUAL(if_match_text(a, many), "too many");
	arena_free(a);
}

/* --- response and problem --- */

static void test_response(void)
{
	char wide[RESPONSE_HEADERS_MAX + 1];
	struct response r;

	response_init(&r);
	response_header(&r, "ETag", "\"%d\"", 17);
	response_header(&r, "Location", "/api/%s", "x");
	CU_ASSERT(buf_is(&r.headers, "ETag: \"17\"\r\nLocation: /api/x\r\n"));
	CU_ASSERT_FALSE(r.headers.overflow);
	for (int c = 1; c < 256; c++) {
		bool control = c < 0x20 || c == 0x7f;
		char value[] = { 'a', (char)c, 'b', '\0' };

		response_reset(&r);
		response_header(&r, "X", "%s", value);
		CU_ASSERT_EQUAL(r.headers.overflow, control);
		CU_ASSERT_EQUAL(r.headers.len, control ? 0 : 8);
	}
	response_reset(&r);
	response_header(&r, "A", "b");
	memset(wide, 'w', sizeof(wide));
	wide[sizeof(wide) - 1] = '\0';
	response_header(&r, "X", "%s", wide);
	CU_ASSERT(r.headers.overflow);
	CU_ASSERT(buf_is(&r.headers, "A: b\r\n"));
	wide[RESPONSE_HEADERS_MAX - 4] = '\0';
	response_reset(&r);
	response_header(&r, "X", "%s", wide);
	CU_ASSERT(r.headers.overflow && !r.headers.len);

	r.status = 200;
	r.content_type = "text/plain";
	buf_puts(&r.body, "body");
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
	buf_puts(&r.body, "half an answer");
	problem_write(&r, &(struct problem){ .error = API_NOT_FOUND, .request_id = "r-1" });
	CU_ASSERT_EQUAL(r.status, 404);
	CU_ASSERT_STRING_EQUAL(r.content_type, "application/problem+json");
	CU_ASSERT(buf_is(&r.headers, "Kept: yes\r\n"));
	CU_ASSERT(buf_is(&r.body,
			 "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,"
			 "\"detail\":\"There is nothing here.\",\"code\":\"not_found\","
			 "\"request_id\":\"r-1\"}"));

	field_error_add(&fields, "ti\"tle", "too_long", "It is too long.");
	field_error_add(&fields, "b", "required", "It is required.");
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
			 "\"code\":\"required\",\"detail\":\"It is required.\"}]}"));

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
		  "error_description=\"The session has ended. Log in again.\"\r\n" },
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

static CU_TestInfo value_tests[] = {
	{ "UTF-8", test_utf8 },
	{ "length", test_length },
	{ "trim", test_trim },
	{ "path_parse", test_path_parse },
	{ "path_match", test_path_match },
	{ "query", test_query },
	{ "method", test_method },
	{ "media type", test_media_type },
	{ "Prefer", test_prefer },
	{ "If-Match", test_if_match },
	{ "response", test_response },
	{ "api_error", test_errors },
	{ "problem", test_problem },
	{ "problem headers", test_problem_headers },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ "http", NULL, NULL, NULL, NULL, value_tests },
	{ "json", NULL, NULL, NULL, NULL, json_tests },
	CU_SUITE_INFO_NULL,
};

int main(void)
{
	return run_suites(suites);
}
