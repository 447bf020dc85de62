/* The query of the list: filters, orders, and what hostile clients make of them. */
#include "base/base.h"

#include "test_api.h"

#include "seven.h"

/* --- filters --------------------------------------------------------------------------------- */

static void filters(void)
{
	static const struct {
		const char *query, *titles;
	} cases[] = {
		{ "priority=high", "bravo delta" },
		{ "priority=none", "foxtrot alpha charlie" },
		{ "tag=home", "bravo delta" },
		{ "tag=HOME&completed=false", "bravo delta" },
		{ "tag=%20paint+", "delta" },
		{ "tag=work+%26%20play", "alpha" },
		{ "tag=hom", "" },
		{ "q=paint", "foxtrot delta" },
		{ "search=paint", "foxtrot delta" },
		{ "q=paint+buy", "delta" },
		{ "q=PAINT%20g&search=ignored", "delta" },
		{ "q=b%c3%a4r", "foxtrot" },
		{ "q=xyz", "" },
		{ "q=", "foxtrot echo alpha charlie bravo Alpha delta" },
		{ "search=+%e3%80%80", "foxtrot echo alpha charlie bravo Alpha delta" },
		{ "due_before=2026-02-28", "" },
		{ "due_before=2026-03-01", "echo charlie Alpha" },
		{ "due_before=2026-02-28T22:45:00Z", "echo charlie" },
		{ "due_after=2026-02-28T22:45:00Z", "Alpha delta" },
		{ "due_after=2026-03-01T00:30:00%2B02:00", "charlie Alpha delta" },
		{ "due_after=2026-03-01&due_before=2026-03-02", "delta" },
		{ "due_after=2026-03-02", "" },
		{ "priority=high&tag=paint&q=green&completed=false&due_after=2026-01-01", "delta" },
		{ "status=pending&completed=true&q=alpha", "" },
	};
	struct world *w = world_new();
	struct person ada = seven(w);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct answer *a = list(w, &ada, cases[i].query);

		CHECK(a, 200, NULL);
		if (strcmp(titles(w, a), cases[i].titles) != 0)
			fprintf(stderr, "%s: %s\n", cases[i].query, titles(w, a));
		CU_ASSERT_STRING_EQUAL(titles(w, a), cases[i].titles);
		CU_ASSERT(header_is(w, a, "Vary", "Accept"));
	}
	world_free(w);
}

static void counts(void)
{
	static const struct {
		const char *query, *count;
	} cases[] = {
		{ "", NULL },
		{ "count=false", NULL },
		{ "count=true", "7" },
		{ "count=true&limit=2", "7" },
		{ "count=true&completed=true&limit=1", "2" },
		{ "count=true&q=xyz", "0" },
		{ "count=true&completed=true&status=pending", "0" },
	};
	struct world *w = world_new();
	struct person ada = seven(w);
	const char *next = "/api/me/tasks?count=true&limit=3";
	int pages = 0;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct answer *a = list(w, &ada, cases[i].query);

		CHECK(a, 200, NULL);
		if (cases[i].count)
			CU_ASSERT(header_is(w, a, "X-Total-Count", cases[i].count));
		CU_ASSERT(cases[i].count || !header(w, a, "X-Total-Count"));
	}
	/* the number of all that match, wherever the page begins */
	for (; next; pages++) {
		const struct answer *a = ASK(w, .path = next, .token = ada.access);

		CU_ASSERT(header_is(w, a, "X-Total-Count", "7"));
		next = next_of(w, a);
	}
	CU_ASSERT(pages == 3);
	world_free(w);
}

/* --- orders ---------------------------------------------------------------------------------- */

static void orders(void)
{
	static const struct {
		const char *query, *titles;
	} cases[] = {
		{ "sort=-created_at", "foxtrot echo alpha charlie bravo Alpha delta" },
		{ "order=desc", "foxtrot echo alpha charlie bravo Alpha delta" },
		{ "sort=created_at", "delta Alpha bravo charlie alpha echo foxtrot" },
		{ "order=asc", "delta Alpha bravo charlie alpha echo foxtrot" },
		{ "sort_by=created_at", "delta Alpha bravo charlie alpha echo foxtrot" },
		{ "sort=title", "Alpha alpha bravo charlie delta echo foxtrot" },
		{ "sort_by=title&order=asc", "Alpha alpha bravo charlie delta echo foxtrot" },
		{ "sort=-title", "foxtrot echo delta charlie bravo alpha Alpha" },
		{ "sort_by=title&order=desc", "foxtrot echo delta charlie bravo alpha Alpha" },
		{ "sort_by=-title&order=desc", "foxtrot echo delta charlie bravo alpha Alpha" },
		{ "sort=title&sort_by=-priority", "Alpha alpha bravo charlie delta echo foxtrot" },
		{ "sort=due_date", "echo charlie Alpha delta bravo alpha foxtrot" },
		{ "sort=-due_date", "foxtrot alpha bravo delta Alpha charlie echo" },
		{ "sort=priority", "charlie alpha foxtrot Alpha echo delta bravo" },
		{ "sort=-priority", "bravo delta echo Alpha foxtrot alpha charlie" },
		{ "sort=updated_at", "Alpha bravo charlie alpha echo foxtrot delta" },
		{ "sort=-updated_at", "delta foxtrot echo alpha charlie bravo Alpha" },
		{ "sort=-title&completed=true", "echo Alpha" },
	};
	struct world *w = world_new();
	struct person ada = seven(w);
	const char *first = text(list(w, &ada, "sort=created_at&limit=1"), "0.id");

	fake_clock_advance(1000);
	CHECK(ASK(w, .method = "PATCH", .path = format(w, "/api/me/tasks/%s", first),
		  .token = ada.access, .body = "{\"description\":\"now\"}"),
	      200, NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct answer *a = list(w, &ada, cases[i].query);

		CHECK(a, 200, NULL);
		CU_ASSERT_STRING_EQUAL(titles(w, a), cases[i].titles);
		/* and the same in pages of every size */
		for (int limit = 1; limit <= 7; limit++) {
			const char *path =
				format(w, "/api/me/tasks?%s&limit=%d", cases[i].query, limit);
			const char *all = "";
			int pages = 0;

			for (; path && pages < 10; pages++) {
				a = ASK(w, .path = path, .token = ada.access);
				CHECK(a, 200, NULL);
				all = format(w, "%s%s%s", all, pages ? " " : "", titles(w, a));
				path = next_of(w, a);
			}
			CU_ASSERT_STRING_EQUAL(all, cases[i].titles);
		}
	}
	world_free(w);
}

/* --- refusals -------------------------------------------------------------------------------- */

static void bad_values(void)
{
	static const struct {
		const char *query, *name;
	} bad[] = {
		{ "priority=", "priority" },
		{ "priority=urgent", "priority" },
		{ "priority=High", "priority" },
		{ "priority=3", "priority" },
		{ "priority=high&completed=x", "completed" },
		{ "status=done", "status" },
		{ "tag=", "tag" },
		{ "tag=%20", "tag" },
		{ "due_before=", "due_before" },
		{ "due_before=tomorrow", "due_before" },
		{ "due_before=2026-02-30", "due_before" },
		{ "due_before=2026-02-28T10:00:00", "due_before" },
		{ "due_before=2026-02-28T10:00:00+02:00", "due_before" }, /* a + is a blank */
		{ "due_after=infinity", "due_after" },
		{ "due_after=10000-01-01", "due_after" },
		{ "sort=", "sort" },
		{ "sort=-", "sort" },
		{ "sort=--title", "sort" },
		{ "sort=%2btitle", "sort" },
		{ "sort=Title", "sort" },
		{ "sort=version", "sort" },
		{ "sort=title,priority", "sort" },
		{ "sort=title&sort_by=x", "sort_by" },
		{ "sort_by=", "sort_by" },
		{ "order=", "order" },
		{ "order=ASC", "order" },
		{ "sort=-title&order=asc", "order" },
		{ "count=", "count" },
		{ "count=1", "count" },
		{ "limit=0", "limit" },
		{ "limit=1001", "limit" },
		{ "format=", "format" },
		{ "format=xml", "format" },
		{ "format=csv&limit=5", NULL },
		{ "format=json&cursor=x", NULL },
		{ "cursor=x", NULL },
		{ "q=%ff", NULL },
		{ "q=%00", NULL },
		{ "q=%", NULL },
		{ "%ff=1", NULL },
	};
	struct world *w = world_new();
	struct person ada = seven(w);

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct answer *a = list(w, &ada, bad[i].query);

		CHECK(a, 400, "invalid_query");
		if (bad[i].name)
			CU_ASSERT(strstr(text(a, "detail"), format(w, " %s ", bad[i].name)) !=
				  NULL);
	}
	CU_ASSERT(w->store->n_calls == 0);
	world_free(w);
}

/* `n` times a text, as the value of a parameter. */
static const char *repeat(struct world *w, const char *name, const char *piece, size_t n)
{
	size_t len = strlen(piece);
	char *out = arena_array(w->memory, strlen(name) + n * len + 1, 1);

	memcpy(out, name, strlen(name));
	for (size_t i = 0; i < n; i++)
		memcpy(out + strlen(name) + i * len, piece, len);
	return out;
}

static const struct answer *long_list(struct world *w, const struct person *p, const char *query)
{
	size_t len = strlen(query) + 16;
	char *path = arena_array(w->memory, len, 1);

	(void)snprintf(path, len, "/api/me/tasks?%s", query);
	return ASK(w, .path = path, .token = p->access);
}

static void long_queries(void)
{
	struct world *w = world_new();
	struct person ada = seven(w);

	/* what does not fit into a link would make a list that cannot be read to its end */
	CHECK(long_list(w, &ada, repeat(w, "q=", "a", 1500)), 200, NULL);
	CHECK(long_list(w, &ada, repeat(w, "q=", "a", 2500)), 400, "invalid_query");
	CHECK(long_list(w, &ada, repeat(w, "q=", "%c3%a4", 500)), 400, "invalid_query");
	CHECK(long_list(w, &ada, repeat(w, "q=", "%20%61", 750)), 200, NULL);
	CHECK(long_list(w, &ada, repeat(w, "tag=", "x", 100000)), 400, "invalid_query");
	CHECK(long_list(w, &ada, repeat(w, "status=", "all", 30000)), 400, "invalid_query");
	CHECK(long_list(w, &ada, repeat(w, "cursor=", "A", 100000)), 400, "invalid_query");
	CHECK(long_list(w, &ada, repeat(w, "sort=", "-", 100000)), 400, "invalid_query");
	CHECK(long_list(w, &ada, repeat(w, "due_before=2026-01-01T00:00:00.", "0", 90000)), 400,
	      "invalid_query");
	/* nobody looks at it */
	CHECK(long_list(w, &ada, repeat(w, "other=", "x", 100000)), 200, NULL);
	/* a number with zeros in front is a number */
	CHECK(long_list(w, &ada, format(w, "%s5", repeat(w, "limit=", "0", 5000))), 200, NULL);
	CU_ASSERT(length(long_list(w, &ada, format(w, "%s5", repeat(w, "limit=", "0", 5000))),
			 "") == 5);
	world_free(w);
}

/* The longest of everything that may stand in the headers together. */
static void headers_have_room(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const char *origin = repeat(w, "https://", "o", 255),
		   *title = repeat(w, "", "\xf0\x9d\x94\xb8", 200);
	bool refused = false;
	size_t most = 0;

	w->app.mount = repeat(w, "/", "m", 254);
	w->app.cors_origins = origin;
	for (int i = 0; i < 3; i++)
		create(w, &ada, format(w, "{\"title\":\"%s\",\"tags\":[\"~\"]}", title));
	for (size_t n = 0; !refused && n < 2000; n++) {
		const char *search = repeat(w, "", "-", n), *next;
		const struct answer *a =
			ASK(w,
			    .path = format(w, "/api/%s/tasks?sort=title&count=true&limit=1&q=%s",
					   ada.id, search),
			    .token = ada.access, .origin = origin,
			    .request_id = repeat(w, "", "r", 64));

		refused = a->status == 400;
		CHECK(a, refused ? 400 : 200, refused ? "invalid_query" : NULL);
		next = next_of(w, a);
		CU_ASSERT((next == NULL) == refused);
		if (!next)
			continue;
		most = strlen(a->headers);
		CHECK(ASK(w, .path = next + strlen(w->app.mount), .token = ada.access), 200, NULL);
	}
	CU_ASSERT(refused);
	/* what was not refused came near the most there may be, and not above it */
	CU_ASSERT(most > RESPONSE_HEADERS_MAX - 300 && most <= RESPONSE_HEADERS_MAX);
	world_free(w);
}

/* Values that come back in a link are encoded, whatever they hold. */
static void links_are_encoded(void)
{
	static const char *const searches[] = {
		"a%3e%3b%20rel%3d%22next%22%0d%0aX-Y:%20z%3c",
		"%3Cscript%3E",
		"a%26limit=3%26completed=true%23x",
		"100%25+%2B+%C3%A4",
	};
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");

	for (int i = 0; i < 3; i++)
		create(w, &ada,
		       "{\"title\":\"a rel next x y z script limit completed true 100 \\u00e4\"}");
	for (size_t i = 0; i < ARRAY_LEN(searches); i++) {
		const struct answer *a =
			list(w, &ada, format(w, "q=%s&limit=1&completed=false", searches[i]));
		const char *next;

		CHECK(a, 200, NULL);
		next = next_of(w, a);
		/* it was found, so there is a next page; "3" is not in the tasks */
		if (length(a, "") == 0)
			continue;
		CU_ASSERT_FATAL(next != NULL);
		CU_ASSERT(strspn(next, "/?=&%+-._~0123456789abcdefghijklmnopqrstuvwxyz"
				       "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(next));
		CU_ASSERT(header(w, a, "X-Y") == NULL);
		for (int pages = 1; next && pages < 5; pages++) {
			a = ASK(w, .path = next, .token = ada.access);
			CHECK(a, 200, NULL);
			CU_ASSERT(length(a, "") == 1);
			next = next_of(w, a);
			CU_ASSERT((next == NULL) == (pages == 2));
		}
	}
	world_free(w);
}

static void files_by_accept_or_format(void)
{
	static const struct {
		const char *query, *accept, *type;
	} cases[] = {
		{ "", NULL, "application/json" },
		{ "", "*/*", "application/json" },
		{ "", "text/html,application/xhtml+xml,*/*;q=0.8", "application/json" },
		{ "", "text/csv", "text/csv; charset=utf-8" },
		{ "", "text/calendar;q=0.5, text/csv;q=0.4", "text/calendar; charset=utf-8" },
		{ "format=csv", NULL, "text/csv; charset=utf-8" },
		{ "format=ical", "application/json", "text/calendar; charset=utf-8" },
		{ "format=json", "text/csv", "application/json" },
	};
	struct world *w = world_new();
	struct person ada = seven(w);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct answer *a =
			ASK(w, .path = format(w, "/api/me/tasks?%s", cases[i].query),
			    .token = ada.access, .accept = cases[i].accept);

		CHECK(a, 200, NULL);
		CU_ASSERT_STRING_EQUAL(a->type, cases[i].type);
		CU_ASSERT(header_is(w, a, "Vary", "Accept"));
	}
	CHECK(ASK(w, .path = "/api/me/tasks?limit=5", .token = ada.access, .accept = "text/csv"),
	      400, "invalid_query");
	world_free(w);
}

CU_TestInfo query_tests[] = {
	{ "filters", filters },
	{ "count", counts },
	{ "orders and pages", orders },
	{ "bad values", bad_values },
	{ "long queries", long_queries },
	{ "room in the headers", headers_have_room },
	{ "encoded links", links_are_encoded },
	{ "files", files_by_accept_or_format },
	CU_TEST_INFO_NULL,
};
