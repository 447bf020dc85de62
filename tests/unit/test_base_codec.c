#include "base/base.h"

#include "test_base.h"

#include <inttypes.h>

#include "base/codec.h"

/* --- base64 ---------------------------------------------------------------------------------- */

static void base64_vectors(void)
{
	/* RFC 4648, section 10, without the padding, and bytes that tell the alphabets apart */
	static const struct {
		const char *bytes, *url, *plain;
	} vectors[] = {
		{ "", "", "" },
		{ "f", "Zg", "Zg" },
		{ "fo", "Zm8", "Zm8" },
		{ "foo", "Zm9v", "Zm9v" },
		{ "foob", "Zm9vYg", "Zm9vYg" },
		{ "fooba", "Zm9vYmE", "Zm9vYmE" },
		{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
		{ "\xfb\xef\xbe", "----", "++++" },
		{ "\xff\xff\xff", "____", "////" },
		{ "\x14\xfb\x9c\x03\xd9\x7e", "FPucA9l-", "FPucA9l+" },
	};
	char text[32], bytes[32];
	size_t n;

	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		size_t len = strlen(vectors[i].bytes);

		CU_ASSERT(BASE64_LEN(len) == strlen(vectors[i].url));
		base64url_encode(vectors[i].bytes, len, text);
		CU_ASSERT_STRING_EQUAL(text, vectors[i].url);
		CU_ASSERT(base64url_decode(text, strlen(text), bytes, len, &n) && n == len &&
			  memcmp(bytes, vectors[i].bytes, len) == 0);
		base64_encode(vectors[i].bytes, len, text);
		CU_ASSERT_STRING_EQUAL(text, vectors[i].plain);
		CU_ASSERT(base64_decode(text, strlen(text), bytes, len, &n) && n == len &&
			  memcmp(bytes, vectors[i].bytes, len) == 0);
		/* one byte too little room */
		CU_ASSERT(!len || !base64_decode(text, strlen(text), bytes, len - 1, &n));
	}
}

static bool refused(const char *text, size_t len)
{
	char bytes[32];
	size_t n;

	return !base64url_decode(text, len, bytes, sizeof(bytes), &n) &&
	       !base64_decode(text, len, bytes, sizeof(bytes), &n);
}

static void base64_refuses_what_is_not_canonical(void)
{
	char bytes[8];
	size_t n;

	CU_ASSERT(refused("Z", 1));
	CU_ASSERT(refused("Zm9vY", 5));
	CU_ASSERT(refused("Zg==", 4));
	CU_ASSERT(refused("Zm8=", 4));
	CU_ASSERT(refused("Zh", 2));  /* bits behind the last byte */
	CU_ASSERT(refused("Zm9", 3)); /* the same, two bits */
	CU_ASSERT(refused("Zm 9", 4));
	CU_ASSERT(refused("Zm9v\n", 5));
	CU_ASSERT(refused("Zm\0v", 4));
	CU_ASSERT(!base64url_decode("++++", 4, bytes, sizeof(bytes), &n));
	CU_ASSERT(!base64url_decode("////", 4, bytes, sizeof(bytes), &n));
	CU_ASSERT(!base64_decode("----", 4, bytes, sizeof(bytes), &n));
	CU_ASSERT(!base64_decode("____", 4, bytes, sizeof(bytes), &n));
}

/* Of all texts of two and three characters exactly one stands for each value. */
static void base64_is_one_to_one(void)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t two = 0, three = 0, foreign = 0, n;
	char again[8];
	uint8_t bytes[2];

	for (int a = 0; a < 256; a++) {
		char text[3] = { (char)a, 'A', 'A' };

		foreign += base64url_decode(text, 3, bytes, sizeof(bytes), &n);
	}
	CU_ASSERT(foreign == 64);
	for (size_t i = 0; i < 64 * 64; i++) {
		char text[4] = { alphabet[i / 64], alphabet[i % 64] };

		if (base64url_decode(text, 2, bytes, sizeof(bytes), &n)) {
			two++;
			base64url_encode(bytes, n, again);
			CU_ASSERT(n == 1 && strcmp(text, again) == 0);
		}
		for (int k = 0; k < 64; k++) {
			text[2] = alphabet[k];
			three += base64url_decode(text, 3, bytes, sizeof(bytes), &n) && n == 2;
		}
	}
	CU_ASSERT(two == 256);
	CU_ASSERT(three == 65536);
}

static void base64_round_trips(void)
{
	uint8_t in[70], out[70];
	char text[BASE64_LEN(sizeof(in)) + 1];
	size_t n;

	for (size_t len = 0; len <= sizeof(in); len++) {
		for (size_t i = 0; i < len; i++)
			in[i] = (uint8_t)(i * 89 + len * 57);
		base64url_encode(in, len, text);
		CU_ASSERT(strlen(text) == BASE64_LEN(len));
		CU_ASSERT(base64url_decode(text, strlen(text), out, sizeof(out), &n) && n == len &&
			  memcmp(in, out, len) == 0);
	}
}

/* --- hex, percent, numbers ------------------------------------------------------------------- */

static void hex_both_ways(void)
{
	static const uint8_t bytes[] = { 0x00, 0x01, 0x9a, 0xff };
	char text[9];
	int known = 0;

	hex_encode(bytes, sizeof(bytes), text);
	CU_ASSERT_STRING_EQUAL(text, "00019aff");
	hex_encode(bytes, 0, text);
	CU_ASSERT_STRING_EQUAL(text, "");
	for (int c = 0; c < 256; c++)
		known += hex_value((char)c) >= 0;
	CU_ASSERT(known == 22);
	CU_ASSERT(hex_value('0') == 0 && hex_value('9') == 9 && hex_value('a') == 10 &&
		  hex_value('F') == 15);
}

/* Whether `text` decodes to `expected`; NULL: it is refused. */
static bool decodes(const char *text, size_t len, bool plus, const char *expected)
{
	char out[32];
	size_t n;

	if (!percent_decode(text, len, plus, out, &n))
		return !expected;
	return expected && n == strlen(expected) && memcmp(out, expected, n) == 0;
}

static void percent_decoding(void)
{
	CU_ASSERT(decodes("", 0, false, ""));
	CU_ASSERT(decodes("a%20b", 5, false, "a b"));
	CU_ASSERT(decodes("%e2%82%AC", 9, false, "\xe2\x82\xac"));
	CU_ASSERT(decodes("%2541", 5, false, "%41")); /* once */
	CU_ASSERT(decodes("a+b%2B", 6, false, "a+b+"));
	CU_ASSERT(decodes("a+b%2B", 6, true, "a b+"));
	CU_ASSERT(decodes("%2f%2F", 6, false, "//"));
	CU_ASSERT(decodes("%", 1, false, NULL));
	CU_ASSERT(decodes("%4", 2, false, NULL));
	CU_ASSERT(decodes("ab%4", 4, false, NULL));
	CU_ASSERT(decodes("%41", 2, false, NULL)); /* the rest is not ours to read */
	CU_ASSERT(decodes("%4g", 3, false, NULL));
	CU_ASSERT(decodes("%g4", 3, false, NULL));
	CU_ASSERT(decodes("%%41", 4, false, NULL));
	CU_ASSERT(decodes("% 4", 3, false, NULL));
	CU_ASSERT(decodes("a%00b", 5, false, NULL));
	CU_ASSERT(decodes("a\0b", 3, false, NULL));
}

static bool parses(const char *text, int64_t max, int64_t expected)
{
	int64_t value = -1;

	if (!decimal_parse(text, strlen(text), max, &value))
		return expected < 0;
	return value == expected;
}

static void decimal_numbers(void)
{
	static const char *const bad[] = { "",   "-1", "+1", " 1",  "1 ",   "1a",  "0x1",
					   "1.", "1e", "-",  "\n1", "\xb2", "1\n", "٣" };
	int64_t value = 7;

	CU_ASSERT(parses("0", INT64_MAX, 0));
	CU_ASSERT(parses("00012", INT64_MAX, 12));
	CU_ASSERT(parses("9223372036854775807", INT64_MAX, INT64_MAX));
	CU_ASSERT(parses("9223372036854775808", INT64_MAX, -1));
	CU_ASSERT(parses("9223372036854775810", INT64_MAX, -1));
	CU_ASSERT(parses("18446744073709551616", INT64_MAX, -1));
	CU_ASSERT(parses("99999999999999999999999999", INT64_MAX, -1));
	CU_ASSERT(parses("1000", 1000, 1000));
	CU_ASSERT(parses("1001", 1000, -1));
	CU_ASSERT(parses("999", 1000, 999));
	CU_ASSERT(parses("5", 5, 5));
	CU_ASSERT(parses("6", 5, -1)); /* the maximum is smaller than the digit */
	CU_ASSERT(parses("10", 5, -1));
	CU_ASSERT(parses("0", 0, 0));
	CU_ASSERT(parses("1", 0, -1));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CU_ASSERT(parses(bad[i], INT64_MAX, -1));
	CU_ASSERT(!decimal_parse("1\0", 2, INT64_MAX, &value));
	CU_ASSERT(value == 7);
	CU_ASSERT(decimal_parse("123", 2, INT64_MAX, &value) && value == 12);
}

static void decimals_out(void)
{
	static const int64_t values[] = { 0,   -1,   7,         10,        -10,
					  999, 1000, INT64_MAX, INT64_MIN, INT64_MIN + 1 };
	char text[DECIMAL_LEN + 1], expected[32];

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		int len = snprintf(expected, sizeof(expected), "%" PRId64, values[i]);

		CU_ASSERT(decimal_format(values[i], text) == (size_t)len);
		CU_ASSERT_STRING_EQUAL(text, expected);
	}
}

/* --- times ----------------------------------------------------------------------------------- */

static void times_by_hand(void)
{
	static const struct {
		int64_t us;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 999, "1970-01-01T00:00:00.000Z" }, /* cut */
		{ 999999, "1970-01-01T00:00:00.999Z" },
		{ INT64_C(951782400000000), "2000-02-29T00:00:00.000Z" },
		{ INT64_C(1709164799999999), "2024-02-28T23:59:59.999Z" },
		{ INT64_C(1709164800000000), "2024-02-29T00:00:00.000Z" },
		{ INT64_C(1740787200000000), "2025-03-01T00:00:00.000Z" },
		{ INT64_C(4107542399000000), "2100-02-28T23:59:59.000Z" }, /* not a leap year */
		{ INT64_C(4107542400000000), "2100-03-01T00:00:00.000Z" },
		{ INT64_C(1767225599123456), "2025-12-31T23:59:59.123Z" },
		{ -1, "1969-12-31T23:59:59.999Z" },
		{ -1000, "1969-12-31T23:59:59.999Z" },
		{ -1001, "1969-12-31T23:59:59.998Z" },
		{ -86400 * US_PER_SECOND, "1969-12-31T00:00:00.000Z" },
		{ -86400 * US_PER_SECOND - 1, "1969-12-30T23:59:59.999Z" },
		{ INT64_C(-62135596800000000), "0001-01-01T00:00:00.000Z" },
		{ INT64_C(-62135596800000001), "0001-01-01T00:00:00.000Z" },
		{ INT64_MIN, "0001-01-01T00:00:00.000Z" },
		{ INT64_C(253402300799999999), "9999-12-31T23:59:59.999Z" },
		{ INT64_C(253402300800000000), "9999-12-31T23:59:59.999Z" },
		{ INT64_MAX, "9999-12-31T23:59:59.999Z" },
	};
	char text[RFC3339_LEN + 1];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		rfc3339_format(cases[i].us, text);
		CU_ASSERT_STRING_EQUAL(text, cases[i].text);
	}
}

/* Against the C library, over all years; 11 does not divide the lengths of months or eras. */
static void times_of_every_year(void)
{
	const int64_t first = INT64_C(-62135596800), last = INT64_C(253402300799);
	char text[RFC3339_LEN + 1], expected[RFC3339_LEN + 1];
	size_t wrong = 0;

	for (int64_t s = first; s <= last; s += 11 * 86400 + 3661) {
		time_t t = (time_t)s;
		struct tm tm;

		CU_ASSERT_FATAL(gmtime_r(&t, &tm) != NULL);
		(void)snprintf(expected, sizeof(expected), "%04u-%02u-%02uT%02u:%02u:%02u.000Z",
			       (unsigned)(tm.tm_year + 1900) % 10000,
			       (unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100,
			       (unsigned)tm.tm_hour % 100, (unsigned)tm.tm_min % 100,
			       (unsigned)tm.tm_sec % 100);
		rfc3339_format(s * US_PER_SECOND, text);
		wrong += strcmp(text, expected) != 0;
	}
	CU_ASSERT(wrong == 0);
}

static void dates(void)
{
	static const char *const bad[] = {
		"",
		"2026-01-1",
		"2026-1-01",
		"26-01-01",
		"2026-01-011",
		"02026-01-01",
		"0000-01-01",
		"2026-00-01",
		"2026-13-01",
		"2026-01-00",
		"2026-01-32",
		"2026-04-31",
		"2026-02-29",
		"2100-02-29",
		"1900-02-29",
		"2024-02-30",
		"2026/01/01",
		"2026-01-01 ",
		" 2026-01-01",
		"-026-01-01",
		"2026-+1-01",
		"2026-01- 1",
		"+026-01-01",
		"20260101",
		"2026-W01-1",
		"2026-01-0x",
		"١٢٣٤-01-01",
		"10000-01-01",
	};
	int64_t us = 7;

	CU_ASSERT(date_parse("1970-01-01", 10, &us) && us == 0);
	CU_ASSERT(date_parse("1970-01-01T", 10, &us) && us == 0); /* no further than its length */
	CU_ASSERT(date_parse("2000-02-29", 10, &us) && us == 951782400 * US_PER_SECOND);
	CU_ASSERT(date_parse("2024-02-29", 10, &us) && us == 1709164800 * US_PER_SECOND);
	CU_ASSERT(date_parse("0001-01-01", 10, &us) && us == INT64_C(-62135596800000000));
	CU_ASSERT(date_parse("9999-12-31", 10, &us) && us == INT64_C(253402214400000000));
	us = 7;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CU_ASSERT(!date_parse(bad[i], strlen(bad[i]), &us));
	CU_ASSERT(!date_parse("2026-01-0\0", 10, &us));
	CU_ASSERT(us == 7);
}

/* Every day there is reads as the day it is written as, and follows the day before. */
static void dates_of_every_day(void)
{
	int64_t us, next = INT64_C(-62135596800) * US_PER_SECOND;
	char text[RFC3339_LEN + 1], date[11] = "";
	size_t wrong = 0, days = 0;

	for (unsigned y = 1; y <= 9999; y++)
		for (unsigned m = 1; m <= 12; m++)
			for (unsigned d = 1; d <= 31; d++) {
				(void)snprintf(date, sizeof(date), "%04u-%02u-%02u", y % 10000,
					       m % 100, d % 100);
				if (!date_parse(date, 10, &us))
					continue;
				rfc3339_format(us, text);
				wrong += us != next || memcmp(text, date, 10) != 0;
				next = us + 86400 * US_PER_SECOND;
				days++;
			}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(days, 3652059);
}

static void times_read(void)
{
	static const struct {
		const char *text;
		const char *utc; /* NULL: refused */
	} cases[] = {
		{ "2026-01-31T12:34:56Z", "2026-01-31T12:34:56.000Z" },
		{ "2026-01-31t12:34:56z", "2026-01-31T12:34:56.000Z" },
		{ "2026-01-31T12:34:56.789Z", "2026-01-31T12:34:56.789Z" },
		{ "2026-01-31T12:34:56.7Z", "2026-01-31T12:34:56.700Z" },
		{ "2026-01-31T12:34:56.78912345678901234567890Z", "2026-01-31T12:34:56.789Z" },
		{ "2026-01-31T12:34:56+02:00", "2026-01-31T10:34:56.000Z" },
		{ "2026-01-31T12:34:56.5-05:30", "2026-01-31T18:04:56.500Z" },
		{ "2026-01-31T00:34:56+02:00", "2026-01-30T22:34:56.000Z" },
		{ "2025-12-31T23:59:59-00:01", "2026-01-01T00:00:59.000Z" },
		{ "2026-01-31T12:34:56-00:00", "2026-01-31T12:34:56.000Z" },
		{ "2026-01-31T12:34:56+23:59", "2026-01-30T12:35:56.000Z" },
		{ "2016-12-31T23:59:60Z", "2016-12-31T23:59:59.000Z" },
		{ "2016-12-31T23:59:60.25Z", "2016-12-31T23:59:59.250Z" },
		{ "0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z" },
		{ "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999Z" },
		/* outside these years in UTC */
		{ "0001-01-01T00:00:00+00:01", NULL },
		{ "9999-12-31T23:59:59-00:01", NULL },
		{ "0000-12-31T23:59:59-00:01", NULL },
		{ "", NULL },
		{ "2026-01-31", NULL },
		{ "2026-01-31T12:34:56", NULL },
		{ "2026-01-31 12:34:56Z", NULL },
		{ "2026-01-31T12:34Z", NULL },
		{ "2026-01-31T12:34:5Z", NULL },
		{ "2026-01-31T1:34:56Z", NULL },
		{ "2026-01-31T24:00:00Z", NULL },
		{ "2026-01-31T12:60:00Z", NULL },
		{ "2026-01-31T12:34:61Z", NULL },
		{ "2026-02-30T12:34:56Z", NULL },
		{ "2026-01-31T12:34:56.Z", NULL },
		{ "2026-01-31T12:34:56.", NULL },
		{ "2026-01-31T12:34:56.5", NULL },
		{ "2026-01-31T12:34:56,5Z", NULL },
		{ "2026-01-31T12:34:56.5ZZ", NULL },
		{ "2026-01-31T12:34:56Z ", NULL },
		{ "2026-01-31T12:34:56+02", NULL },
		{ "2026-01-31T12:34:56+0200", NULL },
		{ "2026-01-31T12:34:56+2:00", NULL },
		{ "2026-01-31T12:34:56+24:00", NULL },
		{ "2026-01-31T12:34:56+02:60", NULL },
		{ "2026-01-31T12:34:56 02:00", NULL },
		{ "2026-01-31T12:34:56+02:00Z", NULL },
		{ "2026-01-31T12-34-56Z", NULL },
		{ "2026-01-31T-1:34:56Z", NULL },
		{ "20260131T123456Z", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[RFC3339_LEN + 1] = "", *exact = strdup(cases[i].text);
		size_t len = strlen(exact);
		int64_t us = 7;
		bool ok;

		/* of exactly that length, so that a read behind it is seen */
		exact = realloc(exact, len ? len : 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(exact);
		ok = rfc3339_parse(exact, len, &us);
		free(exact);
		if (ok)
			rfc3339_format(us, text);
		if (ok != !!cases[i].utc || (ok ? strcmp(text, cases[i].utc) != 0 : us != 7))
			printf("\n    case: %s reads as %s", cases[i].text, text);
		CU_ASSERT(ok == !!cases[i].utc);
		CU_ASSERT(ok ? !strcmp(text, cases[i].utc) : us == 7);
	}
}

/* The microseconds, which the format cuts; and what is written reads as it was. */
static void times_round_trip(void)
{
	static const char exact[] = "2026-01-31T12:34:56.123456789+01:00";
	char text[RFC3339_LEN + 1];
	size_t wrong = 0;
	int64_t us, back;

	CU_ASSERT(rfc3339_parse(exact, sizeof(exact) - 1, &us) && us == INT64_C(1769859296123456));
	for (int64_t ms = INT64_C(-62135596800000); ms < INT64_C(253402300800000);
	     ms += INT64_C(86399977777)) {
		rfc3339_format(ms * 1000, text);
		wrong += !rfc3339_parse(text, RFC3339_LEN, &back) || back != ms * 1000;
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

static void numbers_as_bytes(void)
{
	static const struct {
		int64_t value;
		uint8_t bytes[8];
	} cases[] = {
		{ 0, { 0 } },
		{ 1, { 0, 0, 0, 0, 0, 0, 0, 1 } },
		{ -1, { 255, 255, 255, 255, 255, 255, 255, 255 } },
		{ INT64_C(0x0102030405060788), { 1, 2, 3, 4, 5, 6, 7, 0x88 } },
		{ INT64_MAX, { 127, 255, 255, 255, 255, 255, 255, 255 } },
		{ INT64_MIN, { 128, 0, 0, 0, 0, 0, 0, 0 } },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint8_t out[9] = { [8] = 'x' };

		put_int64(out, cases[i].value);
		CU_ASSERT(memcmp(out, cases[i].bytes, 8) == 0 && out[8] == 'x');
		CU_ASSERT(get_int64(cases[i].bytes) == cases[i].value);
	}
}

static void letters_of_ascii(void)
{
	static const char upper[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	static const char lower[] = "abcdefghijklmnopqrstuvwxyz";

	for (int c = -128; c < 128; c++) {
		const char *at = c ? strchr(upper, c) : NULL;
		bool alnum = c && (at || strchr(lower, c) || strchr("0123456789", c));

		CU_ASSERT(ascii_lower((char)c) == (at ? lower[at - upper] : (char)c));
		CU_ASSERT(ascii_is_alnum((char)c) == alnum);
	}
}

CU_TestInfo codec_tests[] = {
	{ "numbers as bytes", numbers_as_bytes },
	{ "letters", letters_of_ascii },
	{ "base64 vectors", base64_vectors },
	{ "base64 canonical form", base64_refuses_what_is_not_canonical },
	{ "base64 is one to one", base64_is_one_to_one },
	{ "base64 round trip", base64_round_trips },
	{ "hex", hex_both_ways },
	{ "percent", percent_decoding },
	{ "decimal", decimal_numbers },
	{ "decimals out", decimals_out },
	{ "times by hand", times_by_hand },
	{ "times of every year", times_of_every_year },
	{ "dates", dates },
	{ "dates of every day", dates_of_every_day },
	{ "times read", times_read },
	{ "times round trip", times_round_trip },
	CU_TEST_INFO_NULL,
};
