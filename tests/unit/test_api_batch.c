/* Several operations in one request. */
#include "base/base.h"

#include "test_api_batch.h"

const struct answer *batch_to_task(struct batch_scene *s, const char *method, const char *id)
{
	return ASK(s->w, .method = method, .path = format(s->w, "/api/me/tasks/%s", id),
		   .token = s->ada.access);
}

struct batch_scene batch_scene_new(void)
{
	struct batch_scene s = { .w = world_new() };

	s.ada = person_new(s.w, "ada@example.org");
	s.first = task_new(s.w, &s.ada, "first");
	s.second = task_new(s.w, &s.ada, "second");
	s.done = task_new(s.w, &s.ada, "done");
	s.gone = task_new(s.w, &s.ada, "gone");
	CHECK(batch_to_task(&s, "PATCH", s.done), 200, NULL);
	CHECK(batch_to_task(&s, "DELETE", s.gone), 200, NULL);
	return s;
}

const struct answer *batch(struct batch_scene *s, bool atomic, const char *operations)
{
	calls_reset(s->w);
	return ASK(s->w, .method = "POST", .path = "/api/me/tasks/batch", .token = s->ada.access,
		   .body = format(s->w, "{\"atomic\":%s,\"operations\":[%s]}",
				  atomic ? "true" : "false", operations));
}

/* Of an operation that names a task and nothing else. */
const char *batch_op(struct batch_scene *s, const char *name, const char *id)
{
	return format(s->w, "{\"op\":\"%s\",\"id\":\"%s\"}", name, id);
}

const char *batch_join(struct batch_scene *s, const char *a, const char *b)
{
	return format(s->w, "%s,%s", a, b);
}

int batch_item_status(struct batch_scene *s, const struct answer *a, int i)
{
	return (int)number(a, format(s->w, "items.%d.status", i));
}

const char *batch_item_text(struct batch_scene *s, const struct answer *a, int i,
			    const char *member)
{
	return text(a, format(s->w, "items.%d.%s", i, member));
}

struct batch_rows batch_rows_of(const struct batch_scene *s)
{
	const struct store *store = s->w->store;
	struct batch_rows rows;

	memset(&rows, 0, sizeof(rows));
	rows.n_tasks = store->n_tasks;
	rows.n_trash = store->n_trash;
	rows.revision = store->accounts[0].revision;
	memcpy(rows.tasks, store->tasks, sizeof(rows.tasks[0]) * store->n_tasks);
	memcpy(rows.trash, store->trash, sizeof(rows.trash[0]) * store->n_trash);
	return rows;
}

bool batch_unchanged(const struct batch_scene *s, const struct batch_rows *before)
{
	struct batch_rows now = batch_rows_of(s);

	return !s->w->store->before && memcmp(&now, before, sizeof(now)) == 0;
}

/* --- what operations do ---------------------------------------------------------------------- */

const char *batch_one_of_each(struct batch_scene *s)
{
	return format(s->w,
		      "{\"op\":\"create\",\"data\":{\"title\":\"new\",\"priority\":\"high\"}},"
		      "{\"op\":\"update\",\"id\":\"%s\",\"data\":{\"title\":\"changed\"}},"
		      "{\"op\":\"delete\",\"id\":\"%s\"},"
		      "{\"op\":\"complete\",\"id\":\"%s\"},"
		      "{\"op\":\"restore\",\"id\":\"%s\"}",
		      s->first, s->second, s->first, s->gone);
}

static void check_one_of_each(struct batch_scene *s, const struct answer *a)
{
	CU_ASSERT(length(a, "") == 1 && length(a, "items") == 5);
	for (int i = 0; i < 5; i++) {
		CU_ASSERT(length(a, format(s->w, "items.%d", i)) == 3);
		CU_ASSERT(number(a, format(s->w, "items.%d.index", i)) == i);
		CU_ASSERT(batch_item_status(s, a, i) == (i ? 200 : 201));
	}
	CU_ASSERT(text_is(a, "items.0.task.title", "new"));
	CU_ASSERT(text_is(a, "items.0.task.priority", "high"));
	CU_ASSERT(text_is(a, "items.1.task.title", "changed"));
	CU_ASSERT(text_is(a, "items.2.task.id", s->second));
	CU_ASSERT(text_is(a, "items.2.task.deleted_at", "2026-09-21T14:13:20.000Z"));
	CU_ASSERT(text_is(a, "items.3.task.id", s->first));
	CU_ASSERT(flag(a, "items.3.task.completed") == 1);
	CU_ASSERT(text_is(a, "items.4.task.id", s->gone));
	CHECK(batch_to_task(s, "GET", batch_item_text(s, a, 0, "task.id")), 200, NULL);
	CHECK(batch_to_task(s, "GET", s->second), 404, "not_found");
	CHECK(batch_to_task(s, "GET", s->gone), 200, NULL);
	CU_ASSERT(flag(batch_to_task(s, "GET", s->first), "completed") == 1);
}

static void operations_do_what_they_say(void)
{
	struct batch_scene s = batch_scene_new();
	const struct answer *a = batch(&s, false, batch_one_of_each(&s));

	CHECK(a, 207, NULL);
	CU_ASSERT(s.w->store->n_calls == 5);
	CU_ASSERT(header_is(s.w, a, "Cache-Control", "private, no-cache"));
	check_one_of_each(&s, a);
	world_free(s.w);
}

static void atomic_operations_are_one_transaction(void)
{
	struct batch_scene s = batch_scene_new();
	const struct answer *a = batch(&s, true, batch_one_of_each(&s));

	CHECK(a, 200, NULL);
	CU_ASSERT_FATAL(s.w->store->n_calls == 7);
	CU_ASSERT_STRING_EQUAL(s.w->store->calls[0], "store_begin");
	CU_ASSERT_STRING_EQUAL(s.w->store->calls[6], "store_end");
	check_one_of_each(&s, a);
	world_free(s.w);
}

static void without_atomic_each_is_on_its_own(void)
{
	struct batch_scene s = batch_scene_new();

	calls_reset(s.w);
	CHECK(ASK(s.w, .method = "POST", .path = "/api/me/tasks/batch", .token = s.ada.access,
		  .body = format(s.w, "{\"operations\":[%s]}", batch_op(&s, "delete", s.first))),
	      207, NULL);
	CU_ASSERT(!was_called(s.w, "store_begin"));
	world_free(s.w);
}

static void ids_may_be_chosen(void)
{
	struct batch_scene s = batch_scene_new();
	const struct answer *a;

	a = batch(&s, false,
		  "{\"op\":\"create\",\"id\":\"" CHOSEN "\",\"data\":{\"title\":\"a\"}},"
		  "{\"op\":\"create\",\"data\":{\"id\":\"" MISSING "\",\"title\":\"b\"}},"
		  "{\"op\":\"create\",\"data\":{\"id\":null,\"title\":\"c\"}}");
	CHECK(a, 207, NULL);
	CU_ASSERT(text_is(a, "items.0.task.id", CHOSEN));
	CU_ASSERT(text_is(a, "items.1.task.id", MISSING));
	CU_ASSERT(batch_item_status(&s, a, 2) == 201);
	/* sent again nothing is doubled; the operation's own id is what counts */
	a = batch(&s, false,
		  "{\"op\":\"create\",\"id\":\"" CHOSEN "\",\"data\":{\"title\":\"a\"}},"
		  "{\"op\":\"create\",\"id\":\"" MISSING "\",\"data\":{\"id\":\"" CHOSEN
		  "\",\"title\":\"b\"}}");
	CU_ASSERT(batch_item_status(&s, a, 0) == 409 && batch_item_status(&s, a, 1) == 409);
	CU_ASSERT(text_is(a, "items.0.problem.code", "task_exists"));
	CU_ASSERT(text_is(a, "items.0.problem.current.title", "a"));
	CU_ASSERT(text_is(a, "items.1.problem.current.title", "b"));
	world_free(s.w);
}

/* A later operation may be about what an earlier one has made. */
static void operations_follow_one_another(void)
{
	struct batch_scene s = batch_scene_new();

	for (int atomic = 0; atomic < 2; atomic++) {
		const struct answer *a =
			batch(&s, atomic,
			      format(s.w,
				     "{\"op\":\"create\",\"id\":\"0198c2f0-1a2b-7c3d-8e4f-"
				     "00000000001%d\","
				     "\"data\":{\"title\":\"a\"}},"
				     "{\"op\":\"update\",\"id\":\"0198C2F0-1A2B-7C3D-8E4F-"
				     "00000000001%d\","
				     "\"data\":{\"description\":\"b\",\"tags\":[\"x\"]}}",
				     atomic, atomic));

		CHECK(a, atomic ? 200 : 207, NULL);
		CU_ASSERT(text_is(a, "items.1.task.title", "a"));
		CU_ASSERT(text_is(a, "items.1.task.description", "b"));
		CU_ASSERT(text_is(a, "items.1.task.tags.0", "x"));
	}
	world_free(s.w);
}

/* A request that is sent again must not undo itself. */
static void complete_is_no_flip(void)
{
	struct batch_scene s = batch_scene_new();
	const struct answer *a = batch(&s, false, batch_op(&s, "complete", s.done));

	CU_ASSERT(flag(a, "items.0.task.completed") == 1);
	a = batch(&s, false,
		  format(s.w,
			 "{\"op\":\"complete\",\"id\":\"%s\",\"data\":{\"completed\":false}},"
			 "{\"op\":\"complete\",\"id\":\"%s\",\"data\":{}},"
			 "{\"op\":\"complete\",\"id\":\"%s\",\"data\":{\"completed\":true}}",
			 s.done, s.first, s.second));
	CU_ASSERT(flag(a, "items.0.task.completed") == 0);
	CU_ASSERT(flag(a, "items.1.task.completed") == 1);
	CU_ASSERT(flag(a, "items.2.task.completed") == 1);
	world_free(s.w);
}

static void members_that_are_absent_are_kept(void)
{
	struct batch_scene s = batch_scene_new();
	const struct answer *a;

	a = batch(&s, false,
		  format(s.w,
			 "{\"op\":\"update\",\"id\":\"%s\",\"data\":{\"description\":\"d\","
			 "\"due_date\":\"2026-10-01\",\"tags\":[\"x\",\"y\"]}},"
			 "{\"op\":\"update\",\"id\":\"%s\",\"data\":{\"priority\":\"low\"}},"
			 "{\"op\":\"update\",\"id\":\"%s\",\"data\":{}},"
			 "{\"op\":\"update\",\"id\":\"%s\",\"data\":{\"due_date\":null}}",
			 s.first, s.first, s.first, s.first));
	CHECK(a, 207, NULL);
	CU_ASSERT(text_is(a, "items.2.task.title", "first"));
	CU_ASSERT(text_is(a, "items.2.task.description", "d"));
	CU_ASSERT(text_is(a, "items.2.task.due_date", "2026-10-01"));
	CU_ASSERT(text_is(a, "items.2.task.priority", "low"));
	CU_ASSERT(length(a, "items.2.task.tags") == 2);
	CU_ASSERT(number(a, "items.2.task.version") == number(a, "items.1.task.version"));
	CU_ASSERT(is_null(a, "items.3.task.due_date"));
	CU_ASSERT(text_is(a, "items.3.task.priority", "low"));
	world_free(s.w);
}

/* --- what is refused ------------------------------------------------------------------------- */

static void everything_is_judged_before_anything_is_done(void)
{
#define ID "\"id\":\"" MISSING "\""
	static const struct {
		const char *operation, *field, *code;
	} bad[] = {
		{ "{}", "operations[1].op", "required" },
		{ "{\"op\":\"destroy\"," ID "}", "operations[1].op", "invalid_value" },
		{ "{\"op\":null," ID "}", "operations[1].op", "invalid_type" },
		{ "1", "operations[1]", "invalid_type" },
		{ "{\"op\":\"create\"}", "operations[1].data", "required" },
		{ "{\"op\":\"create\",\"data\":null}", "operations[1].data", "invalid_type" },
		{ "{\"op\":\"create\",\"data\":{}}", "operations[1].data.title", "required" },
		{ "{\"op\":\"create\",\"data\":{\"title\":\" \"}}", "operations[1].data.title",
		  "too_short" },
		{ "{\"op\":\"create\",\"id\":\"x\",\"data\":{\"title\":\"x\"}}", "operations[1].id",
		  "invalid_value" },
		{ "{\"op\":\"create\",\"id\":\"00000000-0000-0000-0000-000000000000\","
		  "\"data\":{\"title\":\"x\"}}",
		  "operations[1].id", "invalid_value" },
		{ "{\"op\":\"create\",\"data\":{\"title\":\"x\",\"id\":\"x\"}}",
		  "operations[1].data.id", "invalid_value" },
		{ "{\"op\":\"create\",\"if_match\":1,\"data\":{\"title\":\"x\"}}",
		  "operations[1].if_match", "not_allowed" },
		{ "{\"op\":\"create\",\"data\":{\"title\":\"x\",\"due_date\":\"soon\"}}",
		  "operations[1].data.due_date", "invalid_value" },
		{ "{\"op\":\"create\",\"data\":{\"title\":\"x\",\"tags\":[\"a\",\"a\"]}}",
		  "operations[1].data.tags[1]", "duplicate" },
		{ "{\"op\":\"update\"," ID "}", "operations[1].data", "required" },
		{ "{\"op\":\"update\",\"data\":{}}", "operations[1].id", "required" },
		{ "{\"op\":\"update\"," ID ",\"data\":{\"title\":null}}",
		  "operations[1].data.title", "invalid_type" },
		{ "{\"op\":\"update\"," ID ",\"data\":{\"priority\":\"urgent\"}}",
		  "operations[1].data.priority", "invalid_value" },
		{ "{\"op\":\"update\"," ID ",\"data\":{\"due_date\":\"2026-02-30\"}}",
		  "operations[1].data.due_date", "invalid_value" },
		{ "{\"op\":\"delete\"}", "operations[1].id", "required" },
		{ "{\"op\":\"delete\",\"id\":null}", "operations[1].id", "invalid_type" },
		{ "{\"op\":\"delete\",\"id\":\"../x\"}", "operations[1].id", "invalid_value" },
		{ "{\"op\":\"delete\"," ID ",\"if_match\":\"x\"}", "operations[1].if_match",
		  "invalid_value" },
		{ "{\"op\":\"delete\"," ID ",\"if_match\":\"*\"}", "operations[1].if_match",
		  "invalid_value" },
		{ "{\"op\":\"delete\"," ID ",\"if_match\":1.5}", "operations[1].if_match",
		  "invalid_type" },
		{ "{\"op\":\"delete\"," ID ",\"if_match\":-1}", "operations[1].if_match",
		  "out_of_range" },
		{ "{\"op\":\"complete\"}", "operations[1].id", "required" },
		{ "{\"op\":\"complete\"," ID ",\"data\":{\"completed\":1}}",
		  "operations[1].data.completed", "invalid_type" },
		{ "{\"op\":\"restore\"}", "operations[1].id", "required" },
		{ "{\"op\":\"restore\"," ID ",\"if_match\":1}", "operations[1].if_match",
		  "not_allowed" },
	};
#undef ID
	struct batch_scene s = batch_scene_new();
	struct batch_rows before = batch_rows_of(&s);

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const char *operations =
			batch_join(&s, batch_op(&s, "delete", s.first), bad[i].operation);
		const struct answer *a = batch(&s, i % 2, operations);

		CHECK(a, 422, "validation_failed");
		CU_ASSERT(length(a, "errors") == 1);
		if (!text_is(a, "errors.0.field", bad[i].field) ||
		    !text_is(a, "errors.0.code", bad[i].code))
			fprintf(stderr, "%s\n", bad[i].operation);
		CU_ASSERT(text_is(a, "errors.0.field", bad[i].field));
		CU_ASSERT(text_is(a, "errors.0.code", bad[i].code));
		CU_ASSERT(s.w->store->n_calls == 0 && batch_unchanged(&s, &before));
	}
	world_free(s.w);
}

static const char *many(struct batch_scene *s, int n)
{
	const char *list = batch_op(s, "complete", s->first);

	for (int i = 1; i < n; i++)
		list = batch_join(s, list, batch_op(s, "complete", s->first));
	return list;
}

static void numbers_are_bounded(void)
{
	struct batch_scene s = batch_scene_new();
	const struct answer *a = batch(&s, true, many(&s, 100));

	CHECK(a, 200, NULL);
	CU_ASSERT(length(a, "items") == 100 && number(a, "items.99.index") == 99);
	a = batch(&s, true, many(&s, 101));
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(text_is(a, "errors.0.field", "operations"));
	CU_ASSERT(text_is(a, "errors.0.code", "too_many"));
	a = batch(&s, true, "");
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(text_is(a, "errors.0.code", "too_few"));
	a = ASK(s.w, .method = "POST", .path = "/api/me/tasks/batch", .token = s.ada.access,
		.body = "{}");
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(text_is(a, "errors.0.field", "operations"));
	a = ASK(s.w, .method = "POST", .path = "/api/me/tasks/batch", .token = s.ada.access,
		.body = "{\"atomic\":1,\"operations\":[{\"op\":\"restore\",\"id\":\"" MISSING
			"\"}]}");
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(text_is(a, "errors.0.field", "atomic"));
	world_free(s.w);
}

static void strict_knows_every_member(void)
{
	struct batch_scene s = batch_scene_new();
	const char *operation = format(
		s.w,
		"{\"operations\":[{\"op\":\"create\",\"data\":{\"title\":\"x\",\"color\":1}}]}");
	const struct answer *a =
		ASK(s.w, .method = "POST", .path = "/api/me/tasks/batch", .token = s.ada.access,
		    .body = operation, .prefer = "handling=strict");

	CHECK(a, 422, "validation_failed");
	CU_ASSERT(text_is(a, "errors.0.field", "operations[0].data.color"));
	CU_ASSERT(text_is(a, "errors.0.code", "unknown_field"));
	CHECK(ASK(s.w, .method = "POST", .path = "/api/me/tasks/batch", .token = s.ada.access,
		  .body = operation),
	      207, NULL);
	world_free(s.w);
}

CU_TestInfo batch_tests[] = {
	{ "operations do what they say", operations_do_what_they_say },
	{ "one transaction", atomic_operations_are_one_transaction },
	{ "not atomic by itself", without_atomic_each_is_on_its_own },
	{ "ids may be chosen", ids_may_be_chosen },
	{ "operations follow one another", operations_follow_one_another },
	{ "complete is no flip", complete_is_no_flip },
	{ "absent members are kept", members_that_are_absent_are_kept },
	{ "judged before done", everything_is_judged_before_anything_is_done },
	{ "numbers", numbers_are_bounded },
	{ "strict", strict_knows_every_member },
	CU_TEST_INFO_NULL,
};
