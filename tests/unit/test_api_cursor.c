/* Cursors: bound to their list, and made up by hostile clients. */
#include "base/base.h"

#include "test_api.h"

#include "base/codec.h"
#include "seven.h"

enum { CURSOR_FIXED = 32 }; /* digest, number and id; then a title */

/* The cursor in a link. */
static const char *cursor_in(struct world *w, const char *path)
{
	const char *at = path ? strstr(path, "cursor=") + 7 : "";

	return arena_strndup(w->memory, at, strcspn(at, "&"));
}

/* A cursor belongs to its filters and its order, in whatever words they were asked for. */
static void cursors_are_bound(void)
{
	static const char *const queries[] = {
		"",
		"completed=false",
		"priority=none",
		"priority=high",
		"tag=home",
		"q=a",
		"q=al",
		"due_before=2027-01-01",
		"due_after=2026-01-01",
		"sort=created_at",
		"sort=updated_at",
		"sort=title",
		"sort=-title",
		"sort=due_date",
		"sort=-due_date",
		"sort=priority",
	};
	static const char *const same[][2] = {
		{ "", "sort=-created_at" },
		{ "", "status=all" },
		{ "", "count=true&order=desc&limit=3" },
		{ "", "unknown=1&q=" },
		{ "completed=false", "status=pending" },
		{ "q=al", "search=+al+" },
		{ "sort=-title", "sort_by=title&order=desc" },
		{ "due_after=2026-01-01", "due_after=2026-01-01T01:00:00%2B01:00" },
	};
	struct world *w = world_new();
	struct person ada = seven(w);

	for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
		const char *cursor = cursor_in(
			w, next_of(w, list(w, &ada, format(w, "%s&limit=1", queries[i]))));

		CU_ASSERT(*cursor);
		for (size_t k = 0; k < ARRAY_LEN(queries); k++)
			CHECK(list(w, &ada, format(w, "%s&cursor=%s", queries[k], cursor)),
			      i == k ? 200 : 400, i == k ? NULL : "invalid_query");
	}
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		const char *cursor = cursor_in(
			w, next_of(w, list(w, &ada, format(w, "%s&limit=1", same[i][0]))));

		CHECK(list(w, &ada, format(w, "%s&cursor=%s", same[i][1], cursor)), 200, NULL);
	}
	world_free(w);
}

static void cursors_are_each_users_own(void)
{
	struct world *w = world_new();
	struct person ada = seven(w), eve = person_new(w, "eve@example.org");
	const char *cursor = cursor_in(w, next_of(w, list(w, &ada, "sort=title&limit=1")));

	create(w, &eve, "{\"title\":\"zulu\"}");
	CHECK(list(w, &eve, format(w, "sort=title&cursor=%s", cursor)), 400, "invalid_query");
	/* another session of the same user is the same user */
	eve = person_again(w, &ada);
	CHECK(list(w, &eve, format(w, "sort=title&cursor=%s", cursor)), 200, NULL);
	world_free(w);
}

/* A real cursor of the query, as bytes. */
static size_t cursor_bytes(struct world *w, const struct person *p, const char *query,
			   uint8_t bytes[2048])
{
	const char *cursor = cursor_in(w, next_of(w, list(w, p, format(w, "%s&limit=1", query))));
	size_t len = 0;

	CU_ASSERT_FATAL(base64url_decode(cursor, strlen(cursor), bytes, 2048, &len));
	CU_ASSERT_FATAL(len >= CURSOR_FIXED);
	return len;
}

static const struct answer *with_cursor(struct world *w, const struct person *p, const char *query,
					const void *bytes, size_t len)
{
	char *cursor = arena_array(w->memory, BASE64_LEN(len) + 1, 1);

	base64url_encode(bytes, len, cursor);
	return list(w, p, format(w, "%s&cursor=%s", query, cursor));
}

/* Every byte of a cursor may be another: then it is refused, or it is a place like any other. */
static void cursors_may_be_made_up(void)
{
	static const char *const queries[] = { "", "sort=title", "sort=due_date", "sort=priority" };
	struct world *w = world_new();
	struct person ada = seven(w);

	for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
		uint8_t bytes[2048];
		size_t len = cursor_bytes(w, &ada, queries[i], bytes);

		for (size_t k = 0; k < len; k++) {
			int status;

			bytes[k] ^= 0x80;
			status = with_cursor(w, &ada, queries[i], bytes, len)->status;
			CU_ASSERT(status == 400 || (status == 200 && k >= 8));
			bytes[k] ^= 0x80;
			/* cut short */
			CU_ASSERT(with_cursor(w, &ada, queries[i], bytes, k)->status ==
				  (k < CURSOR_FIXED ? 400 : 200));
		}
		/* longer than any */
		memset(bytes + len, 'a', sizeof(bytes) - len);
		CU_ASSERT(with_cursor(w, &ada, queries[i], bytes, len + 1)->status ==
			  (i == 1 ? 200 : 400));
		CHECK(with_cursor(w, &ada, queries[i], bytes, CURSOR_FIXED + 801), 400,
		      "invalid_query");
		CHECK(with_cursor(w, &ada, queries[i], bytes, sizeof(bytes)), 400, "invalid_query");
	}
	world_free(w);
}

/* Places that no task can have are never asked of the database. */
static void cursors_have_possible_places(void)
{
	static const struct {
		const char *query;
		int64_t number;
		int status;
	} cases[] = {
		{ "", INT64_C(-62135596800000000), 200 },
		{ "", INT64_C(-62135596800000001), 400 },
		{ "", INT64_C(253402300800000000), 200 },
		{ "", INT64_C(253402300800000001), 400 },
		{ "", INT64_MAX, 400 },
		{ "", INT64_MIN, 400 },
		{ "sort=due_date", INT64_MAX, 200 },
		{ "sort=due_date", INT64_MAX - 1, 400 },
		{ "sort=due_date", INT64_MIN, 400 },
		{ "sort=priority", 3, 200 },
		{ "sort=priority", 4, 400 },
		{ "sort=priority", -1, 400 },
	};
	static const char texts[][4] = { "ab\xff", "ab\xc3", "\xed\xa0\x80", "a\0b" };
	struct world *w = world_new();
	struct person ada = seven(w);
	uint8_t bytes[2048];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		size_t len = cursor_bytes(w, &ada, cases[i].query, bytes);

		put_int64(bytes + 8, cases[i].number);
		calls_reset(w);
		CU_ASSERT(with_cursor(w, &ada, cases[i].query, bytes, len)->status ==
			  cases[i].status);
		CU_ASSERT(w->store->n_calls == (cases[i].status == 200));
	}
	(void)cursor_bytes(w, &ada, "sort=title", bytes);
	calls_reset(w);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		memcpy(bytes + CURSOR_FIXED, texts[i], 3);
		CHECK(with_cursor(w, &ada, "sort=title", bytes, CURSOR_FIXED + 3), 400,
		      "invalid_query");
	}
	CU_ASSERT(w->store->n_calls == 0);
	world_free(w);
}

/* A task that comes between two pages is seen if it lies ahead. */
static void pages_see_what_comes_between(void)
{
	struct world *w = world_new();
	struct person ada = seven(w);
	const struct answer *a = list(w, &ada, "sort=title&limit=3");
	const char *next = next_of(w, a);

	CU_ASSERT_STRING_EQUAL(titles(w, a), "Alpha alpha bravo");
	create(w, &ada, "{\"title\":\"Bravo!\"}");
	create(w, &ada, "{\"title\":\"abacus\"}");
	a = ASK(w, .path = next, .token = ada.access);
	CU_ASSERT_STRING_EQUAL(titles(w, a), "Bravo! charlie delta");
	world_free(w);
}

CU_TestInfo cursor_tests[] = {
	{ "cursors are bound", cursors_are_bound },
	{ "cursors of others", cursors_are_each_users_own },
	{ "made-up cursors", cursors_may_be_made_up },
	{ "impossible places", cursors_have_possible_places },
	{ "between two pages", pages_see_what_comes_between },
	CU_TEST_INFO_NULL,
};
