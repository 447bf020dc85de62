#include "base/base.h"

#include "http/cookie.h"

#include "test_http.h"

static void test_find(void)
{
	static const struct {
		const char *header;
		const char *want; /* NULL: absent */
	} cases[] = {
		{ NULL, NULL },
		{ "", NULL },
		{ ";", NULL },
		{ "t", NULL },
		{ "t=", "" },
		{ "t=1", "1" },
		{ "a=0; t=1", "1" },
		{ "a=0;t=1", "1" },
		{ "t=1; a=0", "1" },
		{ " \t t=1 \t ; a=0", "1" },
		{ ";; ;t=1;;", "1" },
		{ "t=1; t=2", "1" },
		{ "t=; t=2", "" },
		{ "t=a=b", "a=b" },
		{ "t=\"1\"", "\"1\"" },
		{ "t = 1", NULL },
		{ "T=1", NULL },
		{ "tt=1", NULL },
		{ "at=1", NULL },
		{ "t2=1; xt=2; t", NULL },
		{ "a=t=1", NULL },
		{ "a= t=1", NULL },
		{ "a=\"; t=1", "1" },
		{ "a=0, t=1", NULL },
		{ "\xff\xfe; t=\xff", "\xff" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = 999;
		const char *value = cookie_find(cases[i].header, "t", &len);

		if (!cases[i].want)
			CHECK_CASE(!value, cases[i].header);
		else
			CHECK_CASE(value && len == strlen(cases[i].want) &&
					   memcmp(value, cases[i].want, len) == 0,
				   cases[i].header);
	}
}

/* A prefix is a part of the name: the cookie of a page without it is another one. */
static void test_prefixed_name(void)
{
	static const char header[] = "taskcell_refresh=bad; __Secure-taskcell_refresh=good";
	size_t len;
	const char *value = cookie_find(header, "__Secure-taskcell_refresh", &len);

	CU_ASSERT(value && len == 4 && memcmp(value, "good", 4) == 0);
	value = cookie_find(header, "taskcell_refresh", &len);
	CU_ASSERT(value && len == 3 && memcmp(value, "bad", 3) == 0);
	CU_ASSERT_PTR_NULL(cookie_find("x__Secure-taskcell_refresh=1", "taskcell_refresh", &len));
}

static void test_list(void)
{
	static const char list[] = " https://a.example, http://b:3000\thttps://c.example,";

	CU_ASSERT(list_has(list, "https://a.example"));
	CU_ASSERT(list_has(list, "http://b:3000"));
	CU_ASSERT(list_has(list, "https://c.example"));
	CU_ASSERT(!list_has(list, "https://a.exampl"));
	CU_ASSERT(!list_has(list, "https://a.example."));
	CU_ASSERT(!list_has(list, "https://A.example"));
	CU_ASSERT(!list_has(list, "https://a.example,"));
	CU_ASSERT(!list_has(list, "https://a.example, http://b:3000"));
	CU_ASSERT(!list_has(list, "http://b"));
	CU_ASSERT(!list_has(list, ""));
	CU_ASSERT(!list_has("", ""));
	CU_ASSERT(!list_has("", "x"));
	CU_ASSERT(!list_has(" ,,\t", " "));
	CU_ASSERT(list_has("x", "x"));
}

CU_TestInfo cookie_tests[] = {
	{ "find", test_find },
	{ "prefixed name", test_prefixed_name },
	{ "list", test_list },
	CU_TEST_INFO_NULL,
};
