/* Batches that fail, in parts or as a whole. */
#include "base/base.h"

#include "test_api_batch.h"

/* --- what fails ------------------------------------------------------------------------------ */

static void each_has_its_own_result(void)
{
	struct batch_scene s = batch_scene_new();
	const struct answer *a;

	a = batch(&s, false,
		  format(s.w,
			 "{\"op\":\"delete\",\"id\":\"" MISSING "\"},"
			 "{\"op\":\"update\",\"id\":\"%s\",\"if_match\":99,\"data\":{\"title\":"
			 "\"x\"}},"
			 "{\"op\":\"create\",\"id\":\"%s\",\"data\":{\"title\":\"x\"}},"
			 "{\"op\":\"create\",\"id\":\"%s\",\"data\":{\"title\":\"x\"}},"
			 "{\"op\":\"restore\",\"id\":\"%s\"},"
			 "{\"op\":\"complete\",\"id\":\"%s\"}",
			 s.first, s.second, s.gone, s.first, s.second));
	CHECK(a, 207, NULL);
	CU_ASSERT(length(a, "items") == 6);
	CU_ASSERT(batch_item_status(&s, a, 0) == 404 && batch_item_status(&s, a, 1) == 412);
	CU_ASSERT(batch_item_status(&s, a, 2) == 409 && batch_item_status(&s, a, 3) == 409);
	CU_ASSERT(batch_item_status(&s, a, 4) == 404 && batch_item_status(&s, a, 5) == 200);
	/* each is a whole problem document */
	CU_ASSERT(length(a, "items.0") == 3 && length(a, "items.0.problem") == 6);
	CU_ASSERT(text_is(a, "items.0.problem.type", "about:blank"));
	CU_ASSERT(text_is(a, "items.0.problem.title", "Not Found"));
	CU_ASSERT(number(a, "items.0.problem.status") == 404);
	CU_ASSERT(text_is(a, "items.0.problem.code", "not_found"));
	CU_ASSERT(strlen(text(a, "items.0.problem.detail")) > 1);
	CU_ASSERT(text_is(a, "items.0.problem.request_id", header(s.w, a, "X-Request-Id")));
	CU_ASSERT(text_is(a, "items.1.problem.code", "precondition_failed"));
	CU_ASSERT(text_is(a, "items.1.problem.current.id", s.first));
	CU_ASSERT(text_is(a, "items.1.problem.current.title", "first"));
	CU_ASSERT(text_is(a, "items.2.problem.current.id", s.second));
	CU_ASSERT(text_is(a, "items.3.problem.code", "task_exists"));
	CU_ASSERT(length(a, "items.3.problem") == 6); /* in the trash: not shown */
	CU_ASSERT(length(a, "items.4.problem") == 6);
	CU_ASSERT(flag(a, "items.5.task.completed") == 1);
	world_free(s.w);
}

static void an_atomic_failure_changes_nothing(void)
{
	static const struct {
		const char *last; /* with %s for the second task */
		int status;
		const char *code, *current;
	} ends[] = {
		{ "{\"op\":\"delete\",\"id\":\"" MISSING "\"}", 404, "not_found", NULL },
		{ "{\"op\":\"restore\",\"id\":\"%s\"}", 404, "not_found", NULL },
		{ "{\"op\":\"create\",\"id\":\"%s\",\"data\":{\"title\":\"x\"}}", 409,
		  "task_exists", "second" },
		{ "{\"op\":\"delete\",\"id\":\"%s\",\"if_match\":\"\\\"1\\\"\"}", 412,
		  "precondition_failed", "second" },
	};
	struct batch_scene s = batch_scene_new();
	struct batch_rows before = batch_rows_of(&s);

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		const char *before_it =
			batch_join(&s, batch_op(&s, "delete", s.first),
				   "{\"op\":\"create\",\"data\":{\"title\":\"new\"}}");
		const char *last = format(s.w, ends[i].last, s.second);
		const struct answer *a = batch(&s, true,
					       batch_join(&s, batch_join(&s, before_it, last),
							  batch_op(&s, "restore", s.gone)));

		CHECK(a, ends[i].status, ends[i].code);
		CU_ASSERT(number(a, "index") == 2 && length(a, "items") == -1);
		if (ends[i].current)
			CU_ASSERT(text_is(a, "current.title", ends[i].current));
		CU_ASSERT(length(a, "") == (ends[i].current ? 8 : 7));
		CU_ASSERT(batch_unchanged(&s, &before));
	}
	world_free(s.w);
}

/* What an earlier operation of the batch has written is undone, and not what there is. */
static void current_is_what_there_is(void)
{
	struct batch_scene s = batch_scene_new();
	int64_t version = number(batch_to_task(&s, "GET", s.first), "version");
	const struct answer *a;

	a = batch(&s, true,
		  format(s.w,
			 "{\"op\":\"update\",\"id\":\"%s\",\"data\":{\"title\":\"never\"}},"
			 "{\"op\":\"delete\",\"id\":\"%s\",\"if_match\":%d}",
			 s.first, s.first, (int)version));
	CHECK(a, 412, "precondition_failed");
	CU_ASSERT(text_is(a, "current.title", "first"));
	CU_ASSERT(number(a, "current.version") == version && number(a, "index") == 1);
	a = batch(&s, true,
		  "{\"op\":\"create\",\"id\":\"" CHOSEN "\",\"data\":{\"title\":\"a\"}},"
		  "{\"op\":\"create\",\"id\":\"" CHOSEN "\",\"data\":{\"title\":\"b\"}}");
	CHECK(a, 409, "task_exists");
	CU_ASSERT(length(a, "") == 7 && number(a, "index") == 1);
	CHECK(batch_to_task(&s, "GET", CHOSEN), 404, "not_found");
	world_free(s.w);
}

static void conditions_hold(void)
{
	struct batch_scene s = batch_scene_new();
	int version = (int)number(batch_to_task(&s, "GET", s.first), "version");
	const struct answer *a;

	a = batch(&s, false,
		  format(s.w,
			 "{\"op\":\"update\",\"id\":\"%s\",\"if_match\":%d,"
			 "\"data\":{\"title\":\"x\"}},"
			 "{\"op\":\"update\",\"id\":\"%s\",\"if_match\":\"\\\"%d\\\"\","
			 "\"data\":{\"title\":\"y\"}},"
			 "{\"op\":\"complete\",\"id\":\"%s\",\"if_match\":\"W/\\\"%d\\\"\"},"
			 "{\"op\":\"delete\",\"id\":\"%s\",\"if_match\":0}",
			 s.first, version, s.first, version, s.done, version + 2, s.second));
	CHECK(a, 207, NULL);
	CU_ASSERT(batch_item_status(&s, a, 0) == 200 && batch_item_status(&s, a, 1) == 412);
	CU_ASSERT(batch_item_status(&s, a, 2) == 412 && batch_item_status(&s, a, 3) == 412);
	CU_ASSERT(text_is(a, "items.1.problem.current.title", "x"));
	a = batch(&s, false,
		  format(s.w, "{\"op\":\"delete\",\"id\":\"%s\",\"if_match\":\"W/\\\"%d\\\"\"}",
			 s.first, (int)number(batch_to_task(&s, "GET", s.first), "version")));
	CU_ASSERT(batch_item_status(&s, a, 0) == 200);
	world_free(s.w);
}

/* --- faults ---------------------------------------------------------------------------------- */

static const struct {
	enum store_result result;
	int status;
} faults[] = {
	{ STORE_NO_SESSION, 401 }, { STORE_BUSY, 503 },   { STORE_UNAVAILABLE, 503 },
	{ STORE_UNFIT, 503 },      { STORE_FAILED, 500 },
};

static const struct answer *batch_with_fault(struct batch_scene *s, bool atomic,
					     const char *operations, size_t call,
					     enum store_result result)
{
	calls_reset(s->w);
	s->w->store->fail_call = call;
	s->w->store->fail_with = result;
	return ASK(s->w, .method = "POST", .path = "/api/me/tasks/batch", .token = s->ada.access,
		   .body = format(s->w, "{\"atomic\":%s,\"operations\":[%s]}",
				  atomic ? "true" : "false", operations));
}

static void a_fault_in_an_atomic_batch_changes_nothing(void)
{
	for (size_t k = 0; k < ARRAY_LEN(faults); k++) {
		/* begin, five operations, the end */
		for (size_t n = 1; n <= 7; n++) {
			struct batch_scene s = batch_scene_new();
			struct batch_rows before = batch_rows_of(&s);
			const struct answer *a = batch_with_fault(&s, true, batch_one_of_each(&s),
								  n, faults[k].result);

			CU_ASSERT(a->status == faults[k].status);
			/* that is no answer to an operation */
			CU_ASSERT(length(a, "") == 6);
			CU_ASSERT(batch_unchanged(&s, &before));
			CU_ASSERT(s.w->store->n_calls == (n == 1 || n == 7 ? n : n + 1));
			CHECK(batch(&s, true, batch_one_of_each(&s)), 200, NULL);
			world_free(s.w);
		}
	}
}

/* The end of a batch that has failed, and the look at what there is, may fail as well. */
static void a_fault_after_a_failure_changes_nothing(void)
{
	for (size_t n = 4; n <= 5; n++) {
		struct batch_scene s = batch_scene_new();
		struct batch_rows before = batch_rows_of(&s);
		const struct answer *a = batch_with_fault(
			&s, true,
			batch_join(&s, batch_op(&s, "delete", s.first),
				   format(s.w, "{\"op\":\"delete\",\"id\":\"%s\",\"if_match\":1}",
					  s.second)),
			n, STORE_UNAVAILABLE);

		CHECK(a, 412, "precondition_failed");
		CU_ASSERT(number(a, "index") == 1);
		CU_ASSERT(length(a, "") == (n == 4 ? 8 : 7));
		CU_ASSERT(batch_unchanged(&s, &before));
		world_free(s.w);
	}
}

/* What was done before is told; what comes after is not tried. */
static void a_fault_between_operations(void)
{
	for (size_t k = 0; k < ARRAY_LEN(faults); k++) {
		for (size_t n = 1; n <= 5; n++) {
			struct batch_scene s = batch_scene_new();
			const struct answer *a = batch_with_fault(&s, false, batch_one_of_each(&s),
								  n, faults[k].result);

			CU_ASSERT(s.w->store->n_calls == n);
			CU_ASSERT(a->status == (n == 1 ? faults[k].status : 207));
			CU_ASSERT(length(a, "items") == (n == 1 ? -1 : 5));
			for (int i = 0; n > 1 && i < 5; i++) {
				bool done = i + 1 < (int)n;

				CU_ASSERT(batch_item_status(&s, a, i) == (!done ? faults[k].status
									  : i   ? 200
										: 201));
				CU_ASSERT(done == !*batch_item_text(&s, a, i, "problem.detail"));
			}
			world_free(s.w);
		}
	}
}

static void others_are_out_of_reach(void)
{
	struct batch_scene s = batch_scene_new();
	struct person bob = person_new(s.w, "bob@example.org");
	const char *his = task_new(s.w, &bob, "his");
	struct batch_rows before = batch_rows_of(&s);

	CHECK(batch(&s, true, batch_op(&s, "delete", his)), 404, "not_found");
	CU_ASSERT(batch_item_status(&s, batch(&s, false, batch_op(&s, "complete", his)), 0) == 404);
	CU_ASSERT(batch_unchanged(&s, &before));
	CHECK(ASK(s.w, .method = "POST", .path = format(s.w, "/api/%s/tasks/batch", bob.id),
		  .token = s.ada.access,
		  .body = format(s.w, "{\"operations\":[%s]}", batch_op(&s, "delete", his))),
	      404, "not_found");
	CHECK(ASK(s.w, .path = "/api/me/tasks/batch", .token = s.ada.access), 405,
	      "method_not_allowed");
	world_free(s.w);
}

CU_TestInfo batch_fault_tests[] = {
	{ "each has its own result", each_has_its_own_result },
	{ "an atomic failure", an_atomic_failure_changes_nothing },
	{ "current is what there is", current_is_what_there_is },
	{ "conditions", conditions_hold },
	{ "faults, atomic", a_fault_in_an_atomic_batch_changes_nothing },
	{ "faults after a failure", a_fault_after_a_failure_changes_nothing },
	{ "faults between operations", a_fault_between_operations },
	{ "others are out of reach", others_are_out_of_reach },
	CU_TEST_INFO_NULL,
};
