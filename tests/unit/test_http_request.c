#include "base/base.h"

#include "test_http.h"

#include "http/path.h"
#include "http/request.h"

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
			CHECK_CASE(cases[i].params[k]
					   ? params[k] && !strcmp(params[k], cases[i].params[k])
					   : !params[k],
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

const char *tags_text(struct arena *a, tags_parse *parse, const char *header)
{
	const char *text = "";
	struct if_match m;

	if (!parse(header, &m))
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
		{ "\"1\" \"2\"", "" },
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
		CHECK_CASE(!strcmp(tags_text(a, if_match_parse, cases[i].header), cases[i].read),
			   cases[i].header);
	for (size_t i = 0; i < IF_MATCH_MAX; i++)
		memcpy(many + i * 4, "\"1\",", 4);
	CU_ASSERT_STRING_NOT_EQUAL(tags_text(a, if_match_parse, many), "too many");
	memcpy(many + (size_t)4 * IF_MATCH_MAX, "\"x\"", 4);
	CU_ASSERT_STRING_NOT_EQUAL(tags_text(a, if_match_parse, many), "too many");
	memcpy(many + (size_t)4 * IF_MATCH_MAX, "\"2\"", 4);
	CU_ASSERT_STRING_EQUAL(tags_text(a, if_match_parse, many), "too many");
	arena_free(a);
}

CU_TestInfo request_tests[] = {
	{ "path_parse", test_path_parse }, { "path_match", test_path_match },
	{ "query", test_query },           { "method", test_method },
	{ "media type", test_media_type }, { "Prefer", test_prefer },
	{ "If-Match", test_if_match },     CU_TEST_INFO_NULL,
};
