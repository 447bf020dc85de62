#include "base/base.h"

#include "test_http.h"

#include "http/json_scan.h"
#include "http/json_writer.h"

/* A string constant with its length, NULs included. */
#define BYTES(s) (s), sizeof(s) - 1

/* --- the writer --- */

static bool written(const struct buf *b, const char *text)
{
	return !b->overflow && b->len == strlen(text) && !memcmp(b->data, text, b->len);
}

static void test_writer_shapes(void)
{
	static const struct uuid id = { { 0x01, 0x93, 0xab, 0xcd, 0xef, 0x01, 0x72, 0x34, 0x89,
					  0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67 } };
	struct json_writer w;
	struct buf b;

	buf_init(&b, 4096);
	json_begin(&w, &b);
	json_array_open(&w);
	json_object_open(&w);
	json_key(&w, "a");
	json_string(&w, "x");
	json_key(&w, "b");
	json_array_open(&w);
	json_array_close(&w);
	json_key(&w, "c");
	json_object_open(&w);
	json_object_close(&w);
	json_key(&w, "d");
	json_bool(&w, true);
	json_object_close(&w);
	json_object_open(&w);
	json_key(&w, "id");
	json_uuid(&w, &id);
	json_key(&w, "at");
	json_time(&w, INT64_C(1700000000123999));
	json_object_close(&w);
	json_bool(&w, false);
	json_null(&w);
	json_string(&w, NULL);
	json_string(&w, "");
	json_int(&w, 0);
	json_array_close(&w);
	CU_ASSERT(written(&b, "[{\"a\":\"x\",\"b\":[],\"c\":{},\"d\":true},"
			      "{\"id\":\"0193abcd-ef01-7234-89ab-cdef01234567\","
			      "\"at\":\"2023-11-14T22:13:20.123Z\"},"
			      "false,null,null,\"\",0]"));
	buf_free(&b);
}

static void test_writer_ints(void)
{
	static const int64_t values[] = { 0,   1,    -1,   9,         10,        -10,
					  99,  100,  1234, INT32_MAX, INT32_MIN, INT64_MAX,
					  -99, -100, 1000, -1000,     INT64_MIN };

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		struct json_writer w;
		char expected[32];
		struct buf b;

		(void)snprintf(expected, sizeof(expected), "%lld", (long long)values[i]);
		buf_init(&b, 64);
		json_begin(&w, &b);
		json_int(&w, values[i]);
		CHECK_CASE(written(&b, expected), expected);
		buf_free(&b);
	}
}

static void test_writer_escapes(void)
{
	static const struct {
		const char *text;
		size_t len;
		const char *json;
	} cases[] = {
		{ BYTES("plain"), "\"plain\"" },
		{ BYTES("\""), "\"\\\"\"" },
		{ BYTES("\\"), "\"\\\\\"" },
		{ BYTES("a\"b\\c"), "\"a\\\"b\\\\c\"" },
		{ BYTES("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\"" },
		{ BYTES("\x01\x0b\x1f"), "\"\\u0001\\u000b\\u001f\"" },
		{ BYTES("/<>&'\x7f"), "\"/<>&'\x7f\"" },
		{ BYTES("\xc3\xa4\xe2\x80\xa8\xf0\x9f\x98\x80"),
		  "\"\xc3\xa4\xe2\x80\xa8\xf0\x9f\x98\x80\"" },
		{ BYTES("\n\nend\n"), "\"\\n\\nend\\n\"" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct json_writer w;
		struct buf b;

		buf_init(&b, 256);
		json_begin(&w, &b);
		json_string(&w, cases[i].text);
		CHECK_CASE(written(&b, cases[i].json), cases[i].json);
		buf_free(&b);
	}
}

static void test_writer_overflow(void)
{
	/* whatever the limit is, nothing is written behind it and the flag says so */
	for (size_t max = 0; max < 64; max++) {
		struct json_writer w;
		struct buf b;

		buf_init(&b, max);
		json_begin(&w, &b);
		json_object_open(&w);
		json_key(&w, "key");
		json_string(&w, "a\"b\x01 and a longer run of text");
		json_key(&w, "number");
		json_int(&w, INT64_MIN);
		json_object_close(&w);
		CU_ASSERT(b.overflow && b.len <= max);
		buf_free(&b);
	}
}

/* --- the scan --- */

static void test_scan_accepts(void)
{
	static const struct {
		const char *text;
		size_t members;
	} cases[] = {
		{ "{}", 0 },
		{ " \t\r\n{ } \t\r\n", 0 },
		{ "{\"a\":1}", 1 },
		{ "{ \"a\" : 1 , \"b\" : [ ] , \"c\" : { } }", 3 },
		{ "{\"a\":[{\"b\":1},{\"c\":{\"d\":[]}},[1,[2]]]}", 4 },
		{ "{\"\":\"\"}", 1 },
		{ "{\"a\":true,\"b\":false,\"c\":null}", 3 },
		{ "{\"n\":[0,-0,1,-1,10,1.5,-0.0,1e5,1E5,1e+5,1e-5,0e0,12.34E-56]}", 1 },
		{ "{\"n\":[1e999,-1e999,1e-999,9223372036854775808,-9223372036854775809]}", 1 },
		{ "{\"n\":123456789012345678901234567890.123456789012345678901234567890}", 1 },
		{ "{\"s\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0001\\u00e4\\uD83D\\ude00\"}", 1 },
		{ "{\"s\":\"\\\\u0000\"}", 1 }, /* a backslash and five characters */
		{ "{\"s\":\"\\ud7ff\\ue000\\uffff\"}", 1 },
		{ "{\"s\":\"\x7f \xc2\x80 \xe2\x80\xa8 \xf0\x9f\x98\x80 \xef\xbb\xbf\"}", 1 },
		{ "{\"'\":\"//\",\"/*\":\"*/\"}", 2 },
		{ "{\"a\":1,\"a\":2}", 2 }, /* found by json_bind() */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t members = 99;

		CHECK_CASE(json_scan(cases[i].text, strlen(cases[i].text), &members),
			   cases[i].text);
		CHECK_CASE(members == cases[i].members, cases[i].text);
	}
}

static const char *const refused_values[] = {
	"",
	"'a'",
	"a",
	"NaN",
	"nan",
	"Infinity",
	"-Infinity",
	"undefined",
	"True",
	"TRUE",
	"tru",
	"truee",
	"nul",
	"Null",
	"nullx",
	"01",
	"-01",
	"00",
	"+1",
	".5",
	"-.5",
	"1.",
	"1.e5",
	"1e",
	"1e+",
	"1E-",
	"e5",
	"-",
	"--1",
	"0x10",
	"1_000",
	"1 2",
	"1.2.3",
	"1e5.5",
	"1,",
	",1",
	"[1,]",
	"[,1]",
	"[1 2]",
	"[1,,2]",
	"[",
	"]",
	"[1}",
	"{\"b\":1]",
	"{",
	"{,}",
	"{\"b\":1,}",
	"{\"b\"}",
	"{\"b\" 1}",
	"{\"b\":}",
	"{b:1}",
	"{'b':1}",
	"{1:1}",
	"{null:1}",
	"{\"b\":1,,\"c\":1}",
	"{\"b\":1 \"c\":1}",
	"{\"b\"::1}",
	"\"abc",
	"\"\\\"",
	"\"\\x41\"",
	"\"\\a\"",
	"\"\\'\"",
	"\"\\0\"",
	"\"\\u\"",
	"\"\\u12\"",
	"\"\\u123\"",
	"\"\\u123g\"",
	"\"\\u+123\"",
	"\"\\U0041\"",
	"\"a\nb\"",
	"\"a\tb\"",
	"\"a\rb\"",
	"\"\x01\"",
	"\"\x1f\"",
	"\"\\\n\"",
	"\"\\u0000\"",
	"\"a\\u0000b\"",
	/* surrogates without their other half */
	"\"\\ud800\"",
	"\"\\udbff\"",
	"\"\\udc00\"",
	"\"\\udfff\"",
	"\"\\ud800x\"",
	"\"\\ud800\\n\"",
	"\"\\ud800\\u0041\"",
	"\"\\ud800\\ud800\"",
	"\"\\ud800\\ue000\"",
	"\"\\udc00\\ud800\"",
	"\"\\udc00\\udc00\"",
	"\"\\ud800\\u\"",
	"\"\\ud83d\\\\ude00\"",
	/* bytes that are no UTF-8 */
	"\"\x80\"",
	"\"\xff\"",
	"\"\xc0\x80\"",
	"\"\xc0\xa2\"",
	"\"\xe0\x80\x80\"",
	"\"\xed\xa0\x80\"",
	"\"\xed\xa0\xbd\xed\xb8\x80\"",
	"\"\xf4\x90\x80\x80\"",
	"\"\xf0\x82\x82\xac\"",
	"\"\xe2\x82\"",
	"\"\xe2\"",
	/* comments, and white space that is none in JSON */
	"/**/1",
	"1//",
	"1#",
	"\v1",
	"\f1",
	"\xc2\xa0"
	"1",
	"\xef\xbb\xbf"
	"1",
};

/* Values that are refused wherever they stand. */
static void test_scan_refuses_values(void)
{
	for (size_t i = 0; i < ARRAY_LEN(refused_values); i++) {
		char text[128];
		size_t members;
		int len;

		len = snprintf(text, sizeof(text), "{\"a\":%s}", refused_values[i]);
		CHECK_CASE(!json_scan(text, (size_t)len, &members), text);
		len = snprintf(text, sizeof(text), "{\"a\":[0,%s]}", refused_values[i]);
		CHECK_CASE(!json_scan(text, (size_t)len, &members), text);
		if (refused_values[i][0] != '"')
			continue;
		len = snprintf(text, sizeof(text), "{%s:1}", refused_values[i]);
		CHECK_CASE(!json_scan(text, (size_t)len, &members), text);
	}
}

static void test_scan_refuses_texts(void)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {
		{ BYTES("") },
		{ BYTES(" ") },
		{ BYTES("null") },
		{ BYTES("1") },
		{ BYTES("\"a\"") },
		{ BYTES("[]") },
		{ BYTES("[{}]") },
		{ BYTES("{}{}") },
		{ BYTES("{},") },
		{ BYTES("{}]") },
		{ BYTES("{}}") },
		{ BYTES("{} x") },
		{ BYTES("{}\0") },
		{ BYTES("\0{}") },
		{ BYTES("{\0}") },
		{ BYTES("{}\v") },
		{ BYTES("{} // end") },
		{ BYTES("\xef\xbb\xbf{}") },
		{ BYTES("\xff\xfe{\0}\0") },
		{ BYTES("{}\xff") },
		{ BYTES("{\"a\0b\":1}") },
		{ BYTES("{\"a\":\"a\0b\"}") },
		{ BYTES("{\"a\":\"\\\0\"}") },
		{ BYTES("{\"a\":1\0}") },
		{ BYTES("{\"a\":tru\0}") },
		{ BYTES("{\"a\":\"\\u00\0"
			"1\"}") },
	};
	size_t members;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_CASE(!json_scan(cases[i].text, cases[i].len, &members), cases[i].text);
}

/* An object whose value is `n` - 1 more containers around a number. */
static size_t nested(char *text, size_t n, const char *open, const char *close)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		for (const char *p = i ? open : "{\"a\":"; *p; p++)
			text[len++] = *p;
	text[len++] = '1';
	for (size_t i = n; i-- > 0;)
		text[len++] = i ? *close : '}';
	return len;
}

static void test_scan_depth(void)
{
	static char big[64 * 1024];
	char text[256];
	size_t members, len;

	for (size_t n = 1; n < 24; n++) {
		len = nested(text, n, "[", "]");
		CU_ASSERT_EQUAL(json_scan(text, len, &members), n <= JSON_DEPTH_MAX);
		len = nested(text, n, "{\"a\":", "}");
		CU_ASSERT_EQUAL(json_scan(text, len, &members), n <= JSON_DEPTH_MAX);
		CU_ASSERT(n > JSON_DEPTH_MAX || members == n);
	}
	memset(big, '[', sizeof(big));
	CU_ASSERT_FALSE(json_scan(big, sizeof(big), &members));
	memcpy(big, "{\"a\":", 5);
	CU_ASSERT_FALSE(json_scan(big, sizeof(big), &members));
	/* breadth is not depth */
	for (size_t i = 5; i + 3 < sizeof(big); i += 3)
		memcpy(big + i, i == 5 ? "[[]" : ",[]", 3);
	len = 5 + (sizeof(big) - 5 - 3) / 3 * 3;
	memcpy(big + len, "]}", 2);
	CU_ASSERT(json_scan(big, len + 2, &members));
}

CU_TestInfo json_tests[] = {
	{ "writer: shapes", test_writer_shapes },
	{ "writer: integers", test_writer_ints },
	{ "writer: escapes", test_writer_escapes },
	{ "writer: overflow", test_writer_overflow },
	{ "scan: accepted", test_scan_accepts },
	{ "scan: refused values", test_scan_refuses_values },
	{ "scan: refused texts", test_scan_refuses_texts },
	{ "scan: depth", test_scan_depth },
	CU_TEST_INFO_NULL,
};
