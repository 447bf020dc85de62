/* The list of tasks and its pages. */
#include "base/base.h"

#include "test_api.h"

#include "base/codec.h"
#include "world.h"

/* `n` tasks more, put there past the API, `step` microseconds apart; every third one completed. */
static void add_tasks(struct world *w, const struct person *p, int n, int64_t step)
{
	for (int i = 0; i < n; i++) {
		const struct new_task new = {
			.id = uuid_v7(),
			.title = format(w, "task %d", i),
			.completed = i % 3 == 0,
		};
		enum created how;
		struct task task;

		fake_clock_advance(step);
		CU_ASSERT_FATAL(store_task_create(w->store, w->memory, &p->principal, &new, NULL,
						  &task, &how) == STORE_OK);
	}
	calls_reset(w);
}

static const struct answer *list(struct world *w, const struct person *p, const char *query)
{
	return ASK(w, .path = format(w, "/api/me/tasks%s", query), .token = p->access);
}

/* What stands in the angle brackets of a Link header, NULL without one. */
static const char *next_of(struct world *w, const struct answer *a)
{
	const char *link = header(w, a, "Link");

	if (!link)
		return NULL;
	CU_ASSERT(link[0] == '<' && strstr(link, ">; rel=\"next\"") != NULL);
	return arena_strndup(w->memory, link + 1, strcspn(link, ">") - 1);
}

static void list_is_newest_first(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org");
	const struct answer *a = list(w, &ada, "");

	CHECK(a, 200, NULL);
	CU_ASSERT_STRING_EQUAL(a->body, "[]");
	CU_ASSERT(header_is(w, a, "Cache-Control", "private, no-cache"));
	add_tasks(w, &ada, 5, 1);
	add_tasks(w, &bob, 5, 1);
	a = list(w, &ada, "");
	CU_ASSERT(length(a, "") == 5 && length(a, "0") == 12);
	for (int i = 0; i < 5; i++) {
		char path[16];

		(void)snprintf(path, sizeof(path), "%d.title", i);
		CU_ASSERT(text_is(a, path, format(w, "task %d", 4 - i)));
	}
	CU_ASSERT(header(w, a, "Link") == NULL && header_is(w, a, "ETag", "\"5\""));
	world_free(w);
}

/* Follows the links from `path`; each task that is wanted comes once, in order. */
static void walk(struct world *w, const struct person *p, const char *path, int limit, int total)
{
	int seen = 0, pages = 0;
	char last[UUID_TEXT_LEN + 1] = "~", last_time[RFC3339_LEN + 1] = "~";

	while (path && pages < 100) {
		const struct answer *a = ASK(w, .path = path, .token = p->access);
		int n = length(a, "");

		CHECK(a, 200, NULL);
		pages++;
		for (int i = 0; i < n; i++) {
			const char *id = text(a, format(w, "%d.id", i));
			const char *when = text(a, format(w, "%d.created_at", i));

			CU_ASSERT(strcmp(when, last_time) < 0 ||
				  (strcmp(when, last_time) == 0 && strcmp(id, last) < 0));
			(void)snprintf(last, sizeof(last), "%s", id);
			(void)snprintf(last_time, sizeof(last_time), "%s", when);
		}
		seen += n;
		path = next_of(w, a);
		CU_ASSERT(path ? n == limit : n <= limit);
	}
	CU_ASSERT(seen == total);
	CU_ASSERT(pages == (total + limit - 1) / limit);
}

static void list_pages_are_complete(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org");
	const char *own = format(w, "/api/%s/tasks", ada.id);

	/* moments that are shared by several tasks: the id decides */
	add_tasks(w, &bob, 10, 0);
	for (int i = 0; i < 6; i++) {
		fake_clock_advance(1000);
		add_tasks(w, &ada, 4, 0);
	}
	walk(w, &ada, "/api/me/tasks?limit=1", 1, 24);
	walk(w, &ada, "/api/me/tasks?limit=5", 5, 24);
	walk(w, &ada, "/api/me/tasks?limit=8", 8, 24);
	walk(w, &ada, "/api/me/tasks?limit=23", 23, 24);
	walk(w, &ada, "/api/me/tasks?limit=24", 24, 24);
	walk(w, &ada, "/api/me/tasks?limit=1000", 1000, 24);
	walk(w, &ada, format(w, "%s?limit=7", own), 7, 24);
	walk(w, &ada, "/api/me/tasks?limit=3&completed=true", 3, 12);
	walk(w, &ada, "/api/me/tasks?status=pending&limit=5", 5, 12);
	walk(w, &ada, "/api/me/tasks?status=all&limit=5", 5, 24);
	walk(w, &bob, "/api/me/tasks?limit=4", 4, 10);
	world_free(w);
}

static void list_links_keep_the_question(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *a;
	const char *next;

	add_tasks(w, &ada, 9, 1);
	w->app.mount = "/x";
	a = list(w, &ada, "?other=1&status=completed&completed=true&limit=2&limit=9&cursor2=y");
	CU_ASSERT(length(a, "") == 2);
	next = next_of(w, a);
	CU_ASSERT_FATAL(next != NULL);
	CU_ASSERT(strncmp(next, "/x/api/me/tasks?cursor=", 23) == 0);
	CU_ASSERT(strstr(next, "&limit=2&completed=true&status=completed") != NULL);
	a = ASK(w, .path = next + 2, .token = ada.access);
	CU_ASSERT(length(a, "") == 1 && !next_of(w, a));
	world_free(w);
}

/* The place of a cursor need not exist any more. */
static void list_goes_on_behind_a_deleted_task(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *a;
	const char *next;

	add_tasks(w, &ada, 4, 1);
	a = list(w, &ada, "?limit=2");
	next = next_of(w, a);
	CHECK(ASK(w, .method = "DELETE", .path = format(w, "/api/me/tasks/%s", text(a, "1.id")),
		  .token = ada.access),
	      200, NULL);
	add_tasks(w, &ada, 1, 1);
	a = ASK(w, .path = next, .token = ada.access);
	CU_ASSERT(length(a, "") == 2);
	CU_ASSERT(text_is(a, "0.title", "task 1") && text_is(a, "1.title", "task 0"));
	world_free(w);
}

static void list_is_cut_at_a_thousand(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *a;

	add_tasks(w, &ada, 1000, 1);
	a = list(w, &ada, "");
	CU_ASSERT(length(a, "") == 1000 && !next_of(w, a));
	add_tasks(w, &ada, 2, 1);
	a = list(w, &ada, "");
	CU_ASSERT(length(a, "") == 1000);
	CU_ASSERT_FATAL(next_of(w, a) != NULL);
	a = ASK(w, .path = next_of(w, a), .token = ada.access);
	CU_ASSERT(length(a, "") == 2 && text_is(a, "1.title", "task 0"));
	world_free(w);
}

static void list_filters(void)
{
	static const struct {
		const char *query;
		int n;
	} cases[] = {
		{ "", 10 },
		{ "?completed=true", 4 },
		{ "?completed=false", 6 },
		{ "?status=all", 10 },
		{ "?status=pending", 6 },
		{ "?status=completed", 4 },
		{ "?status=completed&completed=true", 4 },
		{ "?status=pending&completed=false", 6 },
		{ "?status=all&completed=true", 4 },
		{ "?status=pending&completed=true", 0 },
		{ "?completed=false&status=completed&limit=1", 0 },
		{ "?limit=0007", 7 },
		{ "?limit=10", 10 },
		{ "?limit=1000", 10 },
		{ "?sort=title&unknown", 10 },
		{ "?COMPLETED=maybe", 10 },
		{ "?c%6fmpleted=tru%65", 4 },
		{ "?&&limit=3&", 3 },
		{ "?limit=4&limit=bad", 4 },
	};
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");

	add_tasks(w, &ada, 10, 1);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct answer *a = list(w, &ada, cases[i].query);

		CHECK(a, 200, NULL);
		CU_ASSERT(length(a, "") == cases[i].n);
	}
	world_free(w);
}

static void list_refuses_bad_queries(void)
{
	static const char *const bad[] = {
		"?completed=maybe",
		"?completed=",
		"?completed",
		"?completed=TRUE",
		"?completed=1",
		"?status=done",
		"?status=",
		"?status=Pending",
		"?limit=",
		"?limit=0",
		"?limit=1001",
		"?limit=-1",
		"?limit=%2b5",
		"?limit=+5",
		"?limit=5x",
		"?limit=1e2",
		"?limit=99999999999999999999",
		"?cursor=",
		"?cursor=x",
		"?cursor=!!!!",
		"?cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"?a=%zz",
		"?a=%",
		"?a=%00",
		"?a=%ff",
		"?cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	};
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	char many[200] = "?";

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(list(w, &ada, bad[i]), 400, "invalid_query");
	for (int i = 0; i < 33; i++)
		memcpy(many + strlen(many), "a=1&", 5);
	CHECK(list(w, &ada, many), 400, "invalid_query");
	CU_ASSERT(w->store->n_calls == 0);
	world_free(w);
}

CU_TestInfo task_list_tests[] = {
	{ "newest first", list_is_newest_first },
	{ "pages are complete", list_pages_are_complete },
	{ "links keep the question", list_links_keep_the_question },
	{ "behind a deleted task", list_goes_on_behind_a_deleted_task },
	{ "a thousand", list_is_cut_at_a_thousand },
	{ "filters", list_filters },
	{ "bad queries", list_refuses_bad_queries },
	CU_TEST_INFO_NULL,
};
