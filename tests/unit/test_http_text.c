#include "base/base.h"

#include <stdio.h>

#include "http/email.h"
#include "http/text.h"
#include "test_http.h"

static struct arena *arena;

int text_start(void)
{
	arena = arena_new(1 << 20);
	return 0;
}

int text_stop(void)
{
	arena_free(arena);
	return 0;
}

/* --- NFKC --- */

static void test_nfkc(void)
{
	static const struct {
		const char *text;
		const char *normal;
	} cases[] = {
		{ "", "" },
		{ "plain ASCII 123!", "plain ASCII 123!" },
		{ "o\xcc\x88", "\xc3\xb6" },                                /* o, U+0308 */
		{ "\xc3\xb6", "\xc3\xb6" },                                 /* ö */
		{ "\xef\xac\x81", "fi" },                                   /* U+FB01 */
		{ "\xef\xbc\xa1\xef\xbc\x91", "A1" },                       /* full width */
		{ "\xe2\x84\xab", "\xc3\x85" },                             /* Ångström */
		{ "\xc2\xa0", " " },                                        /* no-break space */
		{ "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "\xed\x95\x9c" }, /* Hangul */
		{ "q\xcc\x87\xcc\xa3", "q\xcc\xa3\xcc\x87" },               /* marks in order */
		{ "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80" },
		{ "\xe2\x80\x8b", "\xe2\x80\x8b" }, /* U+200B stays */
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t n = 99;
		char *s = text_nfkc(arena, cases[i].text, strlen(cases[i].text), i % 2, &n);

		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		CHECK_CASE(n == strlen(cases[i].normal) && strcmp(s, cases[i].normal) == 0,
			   cases[i].text);
	}
}

/* Of every character, as of a password full of the worst one: the room is enough, so that there is
 * no second copy. */
static void test_nfkc_growth(void)
{
	char text[4], worst[3 * 128];
	size_t n;

	for (uint32_t c = 0x80; c < 0x110000; c++) {
		size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

		if (c >= 0xd800 && c < 0xe000)
			continue;
		for (size_t i = len - 1, rest = c; i < len; i--, rest >>= 6)
			text[i] = (char)(i ? 0x80 | (rest & 0x3f) : (0xf00U >> len & 0xf0) | rest);
		if (!text_nfkc(arena, text, len, false, &n) || n > 11 * len) {
			printf("U+%04X\n", (unsigned)c);
			CU_FAIL("a character that grows more");
		}
		arena_reset(arena);
	}
	for (size_t i = 0; i < sizeof(worst); i++)
		worst[i] = "\xef\xb7\xba"[i % 3];
	CU_ASSERT_PTR_NOT_NULL(text_nfkc(arena, worst, sizeof(worst), true, &n));
	CU_ASSERT_EQUAL(n, 11 * sizeof(worst));
}

static void test_nfkc_secret(void)
{
	struct arena *own = arena_new(1 << 16);
	size_t n, left = 0;
	char *s = text_nfkc(own, "geheim o\xcc\x88", 10, true, &n);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	arena_reset(own); /* keeps its first block, so the bytes may be looked at */
	for (size_t i = 0; i < n; i++)
		left += s[i] != '\0';
	CU_ASSERT_EQUAL(left, 0);
	arena_free(own);
}

/* --- e-mail --- */

#define L60 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_email(void)
{
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{ "anna@example.org", true },
		{ "a@b.c", true },
		{ "Anna.O'Neil+x!#$%&*/=?^_`{|}~-@sub.ex-ample.co.uk", true },
		{ L60 "aaaa@example.org", true },
		{ "a@" L60 "aaa.org", true },
		{ "a@1.2", true },
		{ "", false },
		{ "@", false },
		{ "anna", false },
		{ "@example.org", false },
		{ "anna@", false },
		{ "anna@example", false },
		{ "anna@.org", false },
		{ "anna@example..org", false },
		{ "anna@example.org.", false },
		{ "anna@-example.org", false },
		{ "anna@example-.org", false },
		{ "anna@example.-org", false },
		{ "anna@@example.org", false },
		{ "an na@example.org", false },
		{ "anna@exa mple.org", false },
		{ "anna@example.org ", false },
		{ "anna@example.org\n", false },
		{ "\"anna\"@example.org", false },
		{ "anna<x>@example.org", false },
		{ "j\xc3\xb6rg@example.org", false },
		{ "anna@ex\xc3\xa4mple.org", false },
		{ "anna@[127.0.0.1]", false },
		{ L60 "aaaaa@example.org", false },
		{ "a@" L60 "aaaa.org", false },
	};
	char longest[EMAIL_MAX + 2];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_CASE(email_is_valid(cases[i].text, strlen(cases[i].text)) == cases[i].valid,
			   cases[i].text);
	CU_ASSERT_FALSE(email_is_valid("an\0na@example.org", 17));
	CU_ASSERT_FALSE(email_is_valid("anna@exam\0ple.org", 17));

	snprintf(longest, sizeof(longest), "a@" L60 "." L60 "." L60 "." L60 ".aaaaaaaa");
	CU_ASSERT_EQUAL_FATAL(strlen(longest), EMAIL_MAX);
	CU_ASSERT_TRUE(email_is_valid(longest, EMAIL_MAX));
	longest[EMAIL_MAX] = 'a';
	CU_ASSERT_FALSE(email_is_valid(longest, EMAIL_MAX + 1));
}

static void test_email_key(void)
{
	CU_ASSERT_STRING_EQUAL(email_key(arena, "Anna.ZAZ@Example.ORG"), "anna.zaz@example.org");
	CU_ASSERT_STRING_EQUAL(email_key(arena, "a{B}[@`"), "a{b}[@`");
}

CU_TestInfo text_tests[] = {
	{ "NFKC", test_nfkc },
	{ "NFKC's growth", test_nfkc_growth },
	{ "NFKC wiped", test_nfkc_secret },
	{ "e-mail", test_email },
	{ "e-mail's key", test_email_key },
	CU_TEST_INFO_NULL,
};
