/* Deleting is not the end: the trash, and clearing what is completed. */
#include "base/base.h"

#include "test_api.h"

#include "world.h"

#define MISSING "0198c2f0-1a2b-7c3d-8e4f-a0b1c2d3e4ff"
#define DAY_US  (86400 * US_PER_SECOND)

static const struct answer *get(struct world *w, const struct person *p, const char *path)
{
	return ASK(w, .path = path, .token = p->access);
}

static const struct answer *discard(struct world *w, const struct person *p, const char *path)
{
	return ASK(w, .method = "DELETE", .path = path, .token = p->access);
}

static const struct answer *restore(struct world *w, const struct person *p, const char *id)
{
	return ASK(w, .method = "POST", .path = format(w, "/api/me/trash/%s/restore", id),
		   .token = p->access);
}

/* A task with everything, in the trash; its id. */
static const char *trashed(struct world *w, const struct person *p, const char *title)
{
	const char *body = format(w,
				  "{\"title\":\"%s\",\"description\":\"d\",\"completed\":true,"
				  "\"priority\":\"high\",\"due_date\":\"2026-02-28\","
				  "\"tags\":[\"a\",\"b\"]}",
				  title);
	const struct answer *a =
		ASK(w, .method = "POST", .path = "/api/me/tasks", .token = p->access, .body = body);
	const char *id = text(a, "id");

	CHECK(a, 201, NULL);
	CHECK(discard(w, p, format(w, "/api/me/tasks/%s", id)), 200, NULL);
	return id;
}

static void trash_gives_back(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org");
	const struct answer *a = get(w, &ada, "/api/me/trash");
	const char *id;

	CHECK(a, 200, NULL);
	CU_ASSERT_STRING_EQUAL(a->body, "[]");
	id = trashed(w, &ada, "x");
	fake_clock_advance(US_PER_SECOND);
	a = get(w, &ada, "/api/me/trash");
	CU_ASSERT(length(a, "") == 1 && length(a, "0") == 13);
	CU_ASSERT(text_is(a, "0.id", id) && text_is(a, "0.title", "x"));
	CU_ASSERT(text_is(a, "0.deleted_at", "2026-09-21T14:13:20.000Z"));
	CU_ASSERT(number(a, "0.version") == 2 && header(w, a, "Link") == NULL);
	CU_ASSERT(length(get(w, &bob, "/api/me/trash"), "") == 0);
	CHECK(restore(w, &bob, id), 404, "not_found");

	a = restore(w, &ada, id);
	CHECK(a, 200, NULL);
	CU_ASSERT(length(a, "") == 12 && number(a, "version") == 3);
	CU_ASSERT(header_is(w, a, "ETag", "\"3\""));
	CU_ASSERT(text_is(a, "title", "x") && text_is(a, "description", "d"));
	CU_ASSERT(text_is(a, "priority", "high") && text_is(a, "due_date", "2026-02-28"));
	CU_ASSERT(text_is(a, "tags.0", "a") && text_is(a, "tags.1", "b"));
	CU_ASSERT(text_is(a, "completed_at", "2026-09-21T14:13:20.000Z"));
	CU_ASSERT(length(get(w, &ada, "/api/me/trash"), "") == 0);
	CHECK(get(w, &ada, format(w, "/api/me/tasks/%s", id)), 200, NULL);
	CHECK(restore(w, &ada, id), 404, "not_found");
	CHECK(restore(w, &ada, MISSING), 404, "not_found");
	world_free(w);
}

static void trash_lets_go(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org");
	const char *id = trashed(w, &ada, "x"), *path = format(w, "/api/me/trash/%s", id);

	CHECK(discard(w, &bob, path), 404, "not_found");
	CHECK(discard(w, &ada, path), 204, NULL);
	CHECK(discard(w, &ada, path), 404, "not_found");
	CHECK(restore(w, &ada, id), 404, "not_found");
	CU_ASSERT(length(get(w, &ada, "/api/me/trash"), "") == 0);
	/* a task that lives is not in the trash */
	CHECK(discard(w, &ada, format(w, "/api/me/trash/%s", task_new(w, &ada, "y"))), 404,
	      "not_found");
	CU_ASSERT(w->store->n_tasks == 1);
	world_free(w);
}

static void trash_keeps_thirty_days(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const char *old = trashed(w, &ada, "old"), *new;

	fake_session_of(w->store, &ada.principal)->row.expires_at = INT64_MAX;
	fake_session_of(w->store, &ada.principal)->row.idle_expires_at = INT64_MAX;
	fake_clock_advance(US_PER_SECOND);
	new = trashed(w, &ada, "new");
	/* a token of that day */
	fake_clock_advance(TRASH_KEEP_DAYS * DAY_US - US_PER_SECOND);
	ada.access =
		token_of(w, w->app.keys,
			 &(struct token_claims){ ada.principal.user_id, ada.principal.session_id,
						 FAKE_START_S + TRASH_KEEP_DAYS * 86400,
						 FAKE_START_S + TRASH_KEEP_DAYS * 86400 + 900 });
	CU_ASSERT(length(get(w, &ada, "/api/me/trash"), "") == 1);
	CHECK(restore(w, &ada, old), 404, "not_found");
	CHECK(restore(w, &ada, new), 200, NULL);
	world_free(w);
}

/* The last deleted comes first, and pages are complete; moments are shared by several. */
static void trash_has_pages(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org");
	const char *path = "/api/me/trash?limit=3", *last = "~", *id = "~";
	int seen = 0;

	for (int i = 0; i < 10; i++) {
		fake_clock_advance(i % 3 == 0 ? 1000 : 0);
		(void)trashed(w, &ada, format(w, "t%d", i));
	}
	(void)trashed(w, &bob, "bob's");
	w->app.mount = "/todo";
	for (int page = 0; path; page++) {
		const struct answer *a = get(w, &ada, path);
		const char *link = header(w, a, "Link");
		int n = length(a, "");

		CHECK(a, 200, NULL);
		CU_ASSERT_FATAL(page < 4);
		CU_ASSERT(n == (page < 3 ? 3 : 1));
		for (int i = 0; i < n; i++, seen++) {
			const char *when = text(a, format(w, "%d.deleted_at", i));
			const char *next = text(a, format(w, "%d.id", i));

			CU_ASSERT(strcmp(when, last) < 0 ||
				  (strcmp(when, last) == 0 && strcmp(next, id) < 0));
			last = when;
			id = next;
		}
		if (link)
			CU_ASSERT(strncmp(link, "</todo/api/me/trash?cursor=", 27) == 0 &&
				  strstr(link, "&limit=3>; rel=\"next\""));
		path = link ? arena_strndup(w->memory, link + 6, strcspn(link + 6, ">")) : NULL;
	}
	CU_ASSERT(seen == 10);
	world_free(w);
}

static void trash_refuses_bad_queries(void)
{
	static const char *const bad[] = {
		"limit=0", "limit=1001", "limit=x",
		"cursor=", "cursor=x",   "cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
	};
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org");
	const char *link, *cursor;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(get(w, &ada, format(w, "/api/me/trash?%s", bad[i])), 400, "invalid_query");
	CU_ASSERT(w->store->n_calls == 0);
	(void)trashed(w, &ada, "x");
	(void)trashed(w, &ada, "y");
	link = header(w, get(w, &ada, "/api/me/trash?limit=1"), "Link");
	CU_ASSERT_FATAL(link != NULL);
	cursor = arena_strndup(w->memory, strstr(link, "cursor="),
			       strcspn(strstr(link, "cursor="), "&>"));
	CHECK(get(w, &ada, format(w, "/api/me/trash?%s", cursor)), 200, NULL);
	/* of another list, and of somebody else */
	CHECK(get(w, &ada, format(w, "/api/me/tasks?%s", cursor)), 400, "invalid_query");
	CHECK(get(w, &bob, format(w, "/api/me/trash?%s", cursor)), 400, "invalid_query");
	world_free(w);
}

/* An id that is in the trash is taken, and who holds it is not told. */
static void trash_keeps_its_ids(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org");
	const char *id = trashed(w, &ada, "x"), *path = format(w, "/api/me/tasks/%s", id);
	const char *body = format(w, "{\"id\":\"%s\",\"title\":\"new\"}", id);

	for (int gone = 0; gone < 2; gone++) {
		const struct answer *a = ASK(w, .method = "POST", .path = "/api/me/tasks",
					     .token = ada.access, .body = body);

		CHECK(a, 409, "task_exists");
		CU_ASSERT(length(a, "current") == -1);
		a = ASK(w, .method = "PUT", .path = path, .token = ada.access, .if_none_match = "*",
			.body = "{\"title\":\"new\"}");
		CHECK(a, 412, "precondition_failed");
		CU_ASSERT(length(a, "current") == -1);
		if (!gone)
			CHECK(discard(w, &ada, format(w, "/api/me/trash/%s", id)), 204, NULL);
	}
	/* ids are each user's own */
	CHECK(ASK(w, .method = "POST", .path = "/api/me/tasks", .token = bob.access, .body = body),
	      201, NULL);
	world_free(w);
}

/* --- clearing -------------------------------------------------------------------------------- */

static void clear_takes_the_completed(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org");
	const struct answer *a;

	for (int i = 0; i < 5; i++) {
		const char *id = task_new(w, i < 4 ? &ada : &bob, format(w, "t%d", i));

		if (i % 2 == 0)
			CHECK(ASK(w, .method = "PATCH", .path = format(w, "/api/me/tasks/%s", id),
				  .token = i < 4 ? ada.access : bob.access),
			      200, NULL);
	}
	a = discard(w, &ada, "/api/me/tasks?completed=true");
	CHECK(a, 200, NULL);
	CU_ASSERT_STRING_EQUAL(a->body, "{\"deleted\":2}");
	CU_ASSERT(w->store->n_tasks == 3);
	CU_ASSERT(length(get(w, &ada, "/api/me/tasks"), "") == 2);
	CU_ASSERT(length(get(w, &ada, "/api/me/trash"), "") == 2);
	CU_ASSERT(length(get(w, &bob, "/api/me/tasks"), "") == 1);
	a = discard(w, &ada, format(w, "/api/%s/tasks?completed=true&completed=true&_=1", ada.id));
	CU_ASSERT_STRING_EQUAL(a->body, "{\"deleted\":0}");
	world_free(w);
}

/* Whatever would delete more than was meant. */
static void clear_refuses_anything_else(void)
{
	static const char *const bad[] = {
		"",
		"?completed=false",
		"?completed=",
		"?completed",
		"?completed=TRUE",
		"?completed=1",
		"?Completed=true",
		"?completed=true&completed=false",
		"?completed=false&completed=true",
		"?completed=true&tag=home",
		"?completed=true&q=x",
		"?completed=true&search=",
		"?completed=true&priority=low",
		"?completed=true&status=completed",
		"?status=completed",
		"?completed=true&due_before=2026-01-01",
		"?completed=true&due_after=2026-01-01",
		"?limit=1&completed=true",
		"?completed=true&cursor=x",
		"?all=true",
	};
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");

	(void)task_new(w, &ada, "x");
	w->store->tasks[0].completed = true;
	calls_reset(w);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(discard(w, &ada, format(w, "/api/me/tasks%s", bad[i])), 400, "invalid_query");
	CU_ASSERT(w->store->n_calls == 0 && w->store->n_tasks == 1);
	world_free(w);
}

CU_TestInfo trash_tests[] = {
	{ "restoring", trash_gives_back },
	{ "deleting for good", trash_lets_go },
	{ "thirty days", trash_keeps_thirty_days },
	{ "pages", trash_has_pages },
	{ "bad queries", trash_refuses_bad_queries },
	{ "ids stay taken", trash_keeps_its_ids },
	{ "clearing", clear_takes_the_completed },
	{ "clearing nothing else", clear_refuses_anything_else },
	CU_TEST_INFO_NULL,
};
