/* Imports and exports that meet trouble. What goes well is told by the tests through the server. */
#include "base/base.h"

#include "test_api.h"

#include "world.h"

#define IMPORT  .method = "POST", .path = "/api/me/tasks/import"
#define EXPORT  .path = "/api/me/tasks?format=json"
#define ACCOUNT .path = "/api/auth/export"

struct scene {
	struct world *w;
	struct person ada;
};

static struct scene scene_new(void)
{
	struct scene s = { .w = world_new() };

	s.ada = person_new(s.w, "ada@example.org");
	return s;
}

/* An array of so many tasks, each with a description of that length. */
static const char *tasks_json(struct scene *s, size_t n, size_t length)
{
	char *description = arena_alloc(s->w->memory, length + 1);
	const char *text;
	struct buf out;

	memset(description, 'd', length);
	buf_init(&out, 64 * 1024 * 1024);
	for (size_t i = 0; i < n; i++)
		buf_printf(&out, "%c{\"title\":\"task %zu\",\"description\":\"%s\"}", i ? ',' : '[',
			   i, description);
	buf_putc(&out, ']');
	text = arena_strndup(s->w->memory, out.data, out.len);
	buf_free(&out);
	return text;
}

static const struct answer *import(struct scene *s, const char *body)
{
	return ASK(s->w, IMPORT, .token = s->ada.access, .body = body);
}

/* Whatever call of the database fails, nothing of the group stays and no transaction is open. */
static void test_import_faults(void)
{
	struct scene s = scene_new();
	const char *body = tasks_json(&s, 3, 1);
	const struct answer *a = NULL;
	size_t n = 0;

	while (n < 20 && (!a || a->status != 200)) {
		CU_ASSERT_EQUAL(s.w->store->n_tasks, 0);
		calls_reset(s.w);
		s.w->store->fail_call = ++n;
		s.w->store->fail_with = STORE_UNAVAILABLE;
		a = import(&s, body);
		if (a->status != 200)
			CHECK(a, 503, "unavailable");
		CU_ASSERT_PTR_NULL(s.w->store->before);
	}
	CHECK(a, 200, NULL);
	CU_ASSERT_EQUAL(number(a, "created"), 3);
	CU_ASSERT_EQUAL(s.w->store->n_tasks, 3);
	/* the beginning, three rows and the end at least */
	CU_ASSERT(n > 5);
	world_free(s.w);
}

/* Rows go in by the hundred: what failed later leaves those before, and may be sent again. */
static void test_import_groups(void)
{
	struct scene s = scene_new();
	const char *body = tasks_json(&s, 250, 1);

	calls_reset(s.w);
	s.w->store->fail_call = 1 + 100 + 1 + 1 + 50;
	s.w->store->fail_with = STORE_BUSY;
	CHECK(import(&s, body), 503, "unavailable");
	CU_ASSERT_EQUAL(s.w->store->n_tasks, 100);
	calls_reset(s.w);
	CU_ASSERT_EQUAL(number(import(&s, body), "created"), 250);
	CU_ASSERT_EQUAL(s.w->store->n_tasks, 350);
	world_free(s.w);
}

static void test_import_without_a_session(void)
{
	struct scene s = scene_new();

	fake_session_of(s.w->store, &s.ada.principal)->revoked = true;
	CHECK(import(&s, tasks_json(&s, 1, 1)), 401, "session_ended");
	CU_ASSERT_PTR_NULL(s.w->store->before);
	CU_ASSERT_EQUAL(s.w->store->n_tasks, 0);
	CHECK(ASK(s.w, EXPORT, .token = s.ada.access), 401, "session_ended");
	CU_ASSERT_PTR_NULL(s.w->store->before);
	world_free(s.w);
}

/* A file whose rows are all bad asks the database for nothing. */
static void test_import_of_nothing(void)
{
	struct scene s = scene_new();
	const struct answer *a;

	calls_reset(s.w);
	a = import(&s, "[{\"title\":\"\"},17]");
	CHECK(a, 200, NULL);
	CU_ASSERT_EQUAL(number(a, "failed"), 2);
	CU_ASSERT(text_is(a, "rows.0.status", "failed"));
	CU_ASSERT(is_null(a, "rows.1.id"));
	CU_ASSERT_FALSE(was_called(s.w, "store_task_import"));
	calls_reset(s.w);
	CHECK(import(&s, "[{\"title\":\"a\"}"), 400, "invalid_json");
	CU_ASSERT_EQUAL(s.w->store->n_calls, 0);
	world_free(s.w);
}

static void test_export_faults(void)
{
	struct scene s = scene_new();
	const struct answer *a = NULL;
	size_t n = 0;

	CHECK(import(&s, tasks_json(&s, 1001, 1)), 200, NULL);
	while (n < 20 && (!a || a->status != 200)) {
		calls_reset(s.w);
		s.w->store->fail_call = ++n;
		s.w->store->fail_with = STORE_UNAVAILABLE;
		a = ASK(s.w, EXPORT, .token = s.ada.access);
		if (a->status != 200) {
			CHECK(a, 503, "unavailable");
			CU_ASSERT_PTR_NULL(header(s.w, a, "Content-Disposition"));
		}
		CU_ASSERT_PTR_NULL(s.w->store->before);
	}
	/* the beginning, three pages and the end */
	CU_ASSERT_EQUAL(n, 1 + 3 + 1 + 1);
	CU_ASSERT_EQUAL(length(a, ""), 1001);
	world_free(s.w);
}

/* The whole account in pages, and each page may fail. */
static void test_account_faults(void)
{
	struct scene s = scene_new();
	const struct answer *a = NULL;
	size_t n = 0;

	CHECK(import(&s, tasks_json(&s, 1501, 1)), 200, NULL);
	for (size_t i = 0; i < 500; i++) {
		struct task *t = &s.w->store->trash[s.w->store->n_trash++];

		*t = s.w->store->tasks[--s.w->store->n_tasks];
		t->deleted_at = (int64_t)i + 1; /* past its time, but there */
	}
	while (n < 20 && (!a || a->status != 200)) {
		calls_reset(s.w);
		s.w->store->fail_call = ++n;
		s.w->store->fail_with = STORE_UNAVAILABLE;
		a = ASK(s.w, ACCOUNT, .token = s.ada.access);
		if (a->status != 200)
			CHECK(a, 503, "unavailable");
		CU_ASSERT_PTR_NULL(s.w->store->before);
	}
	/* the beginning, the account, pages of tasks, of trash and of events, the end */
	CU_ASSERT_EQUAL(n, 1 + 1 + 3 + 2 + 1 + 1 + 1);
	CU_ASSERT(length(a, "tasks") == 1001 && length(a, "trash") == 500);
	CU_ASSERT(length(a, "audit") == 1 && length(a, "sessions") == 1);
	CU_ASSERT(text_is(a, "trash.0.deleted_at", "1970-01-01T00:00:00.000Z"));
	calls_reset(s.w);
	fake_session_of(s.w->store, &s.ada.principal)->revoked = true;
	CHECK(ASK(s.w, ACCOUNT, .token = s.ada.access), 401, "session_ended");
	CU_ASSERT_PTR_NULL(s.w->store->before);
	world_free(s.w);
}

/* What is larger than a piece goes through a file; when there is no room for one, nothing of the
 * answer is sent. */
static void test_spilled(void)
{
	struct scene s = scene_new();
	const struct answer *a;

	CHECK(import(&s, tasks_json(&s, 300, 10000)), 200, NULL);
	a = ASK(s.w, EXPORT, .token = s.ada.access);
	CHECK(a, 200, NULL);
	CU_ASSERT(a->body_len > 3000000);
	CU_ASSERT_EQUAL(length(a, ""), 300);
	a = ASK(s.w, ACCOUNT, .token = s.ada.access);
	CHECK(a, 200, NULL);
	CU_ASSERT(a->body_len > 3000000);
	CU_ASSERT_EQUAL(length(a, "tasks"), 300);
	s.w->app.spool_dir = "/nonexistent/folder";
	CHECK(ASK(s.w, EXPORT, .token = s.ada.access), 503, "unavailable");
	CHECK(ASK(s.w, ACCOUNT, .token = s.ada.access), 503, "unavailable");
	CU_ASSERT_PTR_NULL(s.w->store->before);
	world_free(s.w);
}

CU_TestInfo exchange_tests[] = {
	{ "an import that fails leaves nothing open", test_import_faults },
	{ "an import goes in by groups", test_import_groups },
	{ "no session", test_import_without_a_session },
	{ "an import of nothing", test_import_of_nothing },
	{ "an export that fails", test_export_faults },
	{ "the export of an account that fails", test_account_faults },
	{ "an export larger than memory", test_spilled },
	CU_TEST_INFO_NULL,
};
