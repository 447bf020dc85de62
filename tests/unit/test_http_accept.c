/* Headers by which a client says what it wants: Accept, If-None-Match, Prefer. */
#include "base/base.h"

#include "test_http.h"

#include "base/arena.h"
#include "http/request.h"

static void test_accept(void)
{
	static const char *const offered[] = { "application/json", "text/csv", "text/calendar" };
	enum { JSON, CSV, CALENDAR };
	static const struct {
		const char *header;
		size_t chosen;
	} cases[] = {
		{ NULL, JSON },
		{ "", JSON },
		{ "*/*", JSON },
		{ "image/png", JSON }, /* nothing fits */
		{ "application/json", JSON },
		{ "text/csv", CSV },
		{ "TEXT/Csv", CSV },
		{ "text/calendar", CALENDAR },
		{ "text/*", CSV },
		{ "TEXT/*", CSV },
		{ "text/csv;charset=utf-8", CSV },
		{ "text/csv ; header=present ; q=0.5", CSV },
		{ " ,, text/calendar ,", CALENDAR },
		/* a browser's */
		{ "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8",
		  JSON },
		/* weights */
		{ "application/json;q=0.5, text/csv", CSV },
		{ "application/json;q=0.999, text/csv;q=1.000", CSV },
		{ "application/json;q=0.001, text/csv;q=0.01", CSV },
		{ "text/csv;q=0.5, application/json;q=0.5", JSON },
		{ "text/calendar;Q=0.9, text/csv;q=0.8", CALENDAR },
		{ "text/csv;q=\"1\", text/calendar;q=0.9", CALENDAR }, /* no weight in quotes */
		/* zero is a refusal */
		{ "application/json;q=0, */*", CSV },
		{ "application/json;q=0.0, text/csv;q=0.000, */*;q=0.1", CALENDAR },
		{ "text/*;q=0, */*", JSON },
		{ "*/*;q=0", JSON },
		/* the more exact range says how welcome a type is */
		{ "*/*, application/json;q=0.1, text/csv;q=0.2", CALENDAR },
		{ "text/*;q=0.9, text/csv;q=0.1", CALENDAR },
		{ "text/csv;q=0.1, text/*;q=0.9", CALENDAR },
		{ "text/*;q=0.3, */*;q=0.5", JSON },
		/* and wins over a wider one of the same weight */
		{ "text/csv, */*", CSV },
		{ "*/*, text/*", CSV },
		{ "*/*;q=0.5, text/calendar;q=0.5", CALENDAR },
		/* malformed ranges say nothing */
		{ "text/csv;q=2, text/calendar;q=0.1", CALENDAR },
		{ "text/csv;q=1.001, text/calendar;q=0.1", CALENDAR },
		{ "text/csv;q=0.1234, text/calendar;q=0.1", CALENDAR },
		{ "text/csv;q=, text/calendar;q=0.1", CALENDAR },
		{ "text/csv;q=-1, text/calendar;q=0.1", CALENDAR },
		{ "text/csv;q=x, text/calendar;q=0.1", CALENDAR },
		{ "text/csv;q=0x1, text/calendar;q=0.1", CALENDAR },
		{ "text/csv x, text/calendar;q=0.1", CALENDAR },
		{ "text/csv;q=1 x, text/calendar;q=0.1", CALENDAR },
		{ "text/csvx, text/calendar;q=0.1", CALENDAR },
		{ "text/cs, text/calendar;q=0.1", CALENDAR },
		{ "text/, text/calendar;q=0.1", CALENDAR },
		{ "*, text/calendar;q=0.1", CALENDAR },
		{ "*/csv, text/calendar;q=0.1", CALENDAR },
		{ "text, text/calendar;q=0.1", CALENDAR },
		{ ";q=1, text/calendar;q=0.1", CALENDAR },
		/* commas and weights in quotes are none */
		{ "x/y;z=\"a,text/csv\", text/calendar;q=0.1", CALENDAR },
		{ "text/csv;z=\";q=0\", text/calendar;q=0.9", CSV },
		{ "text/calendar;z=\"\\\",text/csv\"", CALENDAR },
		{ "text/csv;z=\"no end, text/calendar", JSON },
		{ "text/csv;z=\"\\", JSON },
		{ "text/csv;", CSV },
		{ "text/csv;z", CSV },
		{ "text/csv;;q=0.5", CSV },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_CASE(accept_choose(cases[i].header, offered, 3) == cases[i].chosen,
			   cases[i].header);
	CU_ASSERT_EQUAL(accept_choose("text/csv", offered, 1), JSON);
	CU_ASSERT_EQUAL(accept_choose("text/csv", offered, 0), 0);
}

/* The same reading as that of If-Match, but for what the absence of the header means. */
static void test_if_none_match(void)
{
	static const struct {
		const char *header;
		const char *read;
	} cases[] = {
		{ NULL, "" },       { "", "" },          { "*", "*" },
		{ " * ", "*" },     { "\"17\"", "17 " }, { "W/\"17-gzip\", \"3\"", "17 3 " },
		{ "\"x\"", "" },    { "\"017\"", "" },   { "17", "" },
		{ "*, \"1\"", "" }, { "\"1\", *", "" },  { "\"1\" \"2\"", "" },
		{ "\"0\"", "0 " },  { "\"00\"", "" },    { "\"-gzip\"", "" },
	};
	struct arena *a = arena_new(1 << 20);
	const char *many = "\"1\"";

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		CHECK_CASE(
			!strcmp(tags_text(a, if_none_match_parse, cases[i].header), cases[i].read),
			cases[i].header);
	for (int i = 1; i < IF_MATCH_MAX; i++)
		many = arena_printf(a, "%s,\"1\"", many);
	CU_ASSERT_STRING_NOT_EQUAL(tags_text(a, if_none_match_parse, many), "too many");
	CU_ASSERT_STRING_EQUAL(tags_text(a, if_none_match_parse, arena_printf(a, "%s,\"2\"", many)),
			       "too many");
	arena_free(a);
}

static void test_prefer_number(void)
{
	static const struct {
		const char *header;
		int64_t wait; /* -1: none */
	} cases[] = {
		{ NULL, -1 },
		{ "", -1 },
		{ "wait=25", 25 },
		{ "Wait = 0", 0 },
		{ "respond-async, wait=10;x=y", 10 },
		{ "handling=strict,wait=7 , return=minimal", 7 },
		{ "wait=9223372036854775807", INT64_MAX },
		{ "wait=5, wait=6", 5 },
		{ "wait=x, wait=6", -1 }, /* the first one counts */
		{ "wait", -1 },
		{ "wait=", -1 },
		{ "wait=-1", -1 },
		{ "wait=+1", -1 },
		{ "wait=1.5", -1 },
		{ "wait=25s", -1 },
		{ "wait=9223372036854775808", -1 },
		{ "waits=1", -1 },
		{ "x=\"wait=1\"", -1 },
		{ "x; wait=1", -1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int64_t wait = -1;

		CHECK_CASE(prefer_number(cases[i].header, "wait", &wait) == (cases[i].wait >= 0),
			   cases[i].header);
		CHECK_CASE(wait == cases[i].wait, cases[i].header);
	}
}

CU_TestInfo accept_tests[] = {
	{ "Accept", test_accept },
	{ "If-None-Match", test_if_none_match },
	{ "Prefer: wait", test_prefer_number },
	CU_TEST_INFO_NULL,
};
