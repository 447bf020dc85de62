/* A request that may be sent twice: Idempotency-Key, ids that clients choose, and conditions. */
#include "base/base.h"

#include "test_api.h"

#include "world.h"

#define CHOSEN "0198c2f0-1a2b-7c3d-8e4f-a0b1c2d3e4ff"
#define BODY   "{\"title\":\"x\",\"tags\":[\"a\"],\"due_date\":\"2026-02-28\"}"

static const struct answer *create(struct world *w, const struct person *p, const char *key,
				   const char *body)
{
	return ASK(w, .method = "POST", .path = "/api/me/tasks", .token = p->access, .body = body,
		   .idempotency_key = key);
}

static const struct answer *put_new(struct world *w, const struct person *p, const char *id,
				    const char *body)
{
	return ASK(w, .method = "PUT", .path = format(w, "/api/me/tasks/%s", id),
		   .token = p->access, .if_none_match = "*", .body = body);
}

/* A token that does. */
static void last_two_days(struct world *w, struct person *p)
{
	const struct token_claims claims = { p->principal.user_id, p->principal.session_id,
					     FAKE_START_S, FAKE_START_S + 2 * 86400 };

	p->access = token_of(w, w->app.keys, &claims);
}

/* --- Idempotency-Key ------------------------------------------------------------------------- */

static void key_makes_one_task(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org");
	const struct answer *first, *again;

	last_two_days(w, &ada);
	last_two_days(w, &bob);
	first = create(w, &ada, "k1", BODY);
	CHECK(first, 201, NULL);
	CU_ASSERT(header(w, first, "Idempotency-Replayed") == NULL);
	for (int i = 0; i < 3; i++) {
		fake_clock_advance(3600 * US_PER_SECOND);
		again = create(w, &ada, "k1", BODY);
		CHECK(again, 201, NULL);
		CU_ASSERT_STRING_EQUAL(again->body, first->body);
		CU_ASSERT(header_is(w, again, "Idempotency-Replayed", "true"));
		CU_ASSERT(header_is(w, again, "ETag", header(w, first, "ETag")));
		CU_ASSERT(header_is(w, again, "Location", header(w, first, "Location")));
	}
	CU_ASSERT(w->store->n_tasks == 1);
	/* other keys, and the keys of others, are other requests */
	CHECK(create(w, &ada, "K1", BODY), 201, NULL);
	CHECK(create(w, &bob, "k1", BODY), 201, NULL);
	CHECK(create(w, &ada, NULL, BODY), 201, NULL);
	CU_ASSERT(w->store->n_tasks == 4);
	/* a day later it is a new one */
	fake_clock_advance(21 * 3600 * US_PER_SECOND);
	again = create(w, &ada, "k1", BODY);
	CHECK(again, 201, NULL);
	CU_ASSERT(header(w, again, "Idempotency-Replayed") == NULL);
	CU_ASSERT(w->store->n_tasks == 5);
	world_free(w);
}

/* The answer is as it was, whatever became of the task. */
static void key_answers_as_it_was(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *first = create(w, &ada, "k1", BODY), *again;
	const char *path = format(w, "/api/me/tasks/%s", text(first, "id"));

	CHECK(ASK(w, .method = "PATCH", .path = path, .token = ada.access,
		  .body = "{\"title\":\"y\",\"tags\":null}"),
	      200, NULL);
	again = create(w, &ada, "k1", BODY);
	CU_ASSERT_STRING_EQUAL(again->body, first->body);
	CHECK(ASK(w, .method = "DELETE", .path = path, .token = ada.access), 200, NULL);
	again = create(w, &ada, "k1", BODY);
	CHECK(again, 201, NULL);
	CU_ASSERT_STRING_EQUAL(again->body, first->body);
	CU_ASSERT(w->store->n_tasks == 0);
	world_free(w);
}

static void key_is_bound_to_its_request(void)
{
	static const char *const others[] = {
		"{\"title\":\"y\",\"tags\":[\"a\"],\"due_date\":\"2026-02-28\"}",
		BODY " ", /* the bytes count, not what they mean */
		"{\"title\":\"x\"}",
	};
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *a;

	CHECK(create(w, &ada, "k1", BODY), 201, NULL);
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		a = create(w, &ada, "k1", others[i]);
		CHECK(a, 422, "idempotency_key_reused");
		CU_ASSERT(header(w, a, "Location") == NULL && header(w, a, "ETag") == NULL);
		CU_ASSERT(header(w, a, "Idempotency-Replayed") == NULL);
	}
	CU_ASSERT(w->store->n_tasks == 1);
	/* what was refused has used no key up */
	CHECK(create(w, &ada, "k2", "{\"title\":\"\"}"), 422, "validation_failed");
	CHECK(create(w, &ada, "k2", BODY), 201, NULL);
	/* the path may be spelled in another way */
	a = ASK(w, .method = "POST", .path = format(w, "/api/%s/tasks/", ada.id),
		.token = ada.access, .body = BODY, .idempotency_key = "k2");
	CHECK(a, 201, NULL);
	CU_ASSERT(header_is(w, a, "Idempotency-Replayed", "true"));
	CU_ASSERT(w->store->n_tasks == 2);
	world_free(w);
}

static void key_has_a_form(void)
{
	static const char *const bad[] = {
		"", " ", "a b", "a\tb", "\xc3\xa4", "a\x7f", " a", "a "
	};
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	char longest[257];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(create(w, &ada, bad[i], BODY), 400, "invalid_request");
	memset(longest, '~', sizeof(longest) - 1);
	longest[256] = '\0';
	CHECK(create(w, &ada, longest, BODY), 400, "invalid_request");
	CU_ASSERT(w->store->n_calls == 0);
	longest[255] = '\0';
	CHECK(create(w, &ada, longest, BODY), 201, NULL);
	CHECK(create(w, &ada, "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", BODY), 201, NULL);
	CU_ASSERT(w->store->n_tasks == 2);
	/* no key is looked at where it has no meaning */
	CHECK(ASK(w, .path = "/api/me/tasks", .token = ada.access, .idempotency_key = " "), 200,
	      NULL);
	world_free(w);
}

/* A retry after any failure makes one task. */
static void key_survives_failures(void)
{
	static const enum store_result faults[] = { STORE_BUSY, STORE_UNAVAILABLE, STORE_FAILED };

	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct world *w = world_new();
		struct person ada = person_new(w, "ada@example.org");
		const struct answer *first;

		w->store->fail_call = 1;
		w->store->fail_with = faults[i];
		CU_ASSERT(create(w, &ada, "k", BODY)->status >= 500);
		first = create(w, &ada, "k", BODY);
		CHECK(first, 201, NULL);
		CU_ASSERT_STRING_EQUAL(create(w, &ada, "k", BODY)->body, first->body);
		CU_ASSERT(w->store->n_tasks == 1);
		world_free(w);
	}
}

/* --- ids that clients choose ------------------------------------------------------------------ */

static void id_in_a_post(void)
{
	static const char *const versions[] = {
		"C232AB00-9414-11EC-B3C8-9F6BDECED846",
		"5df41881-3aed-3515-88a7-2f4a814cf09e",
		"919108f7-52d1-4320-9bac-f847db4148a8",
		"ffffffff-ffff-ffff-ffff-ffffffffffff",
	};
	static const struct {
		const char *id, *code;
	} bad[] = {
		{ "\"x\"", "invalid_value" },
		{ "\"\"", "invalid_value" },
		{ "\"00000000-0000-0000-0000-000000000000\"", "invalid_value" },
		{ "\"{0198c2f0-1a2b-7c3d-8e4f-a0b1c2d3e4f}\"", "too_long" },
		{ "\"0198c2f01a2b7c3d8e4fa0b1c2d3e4ff\"", "invalid_value" },
		{ "5", "invalid_type" },
		{ "[]", "invalid_type" },
	};
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *a =
		create(w, &ada, NULL, "{\"id\":\"" CHOSEN "\",\"title\":\"first\"}");

	CHECK(a, 201, NULL);
	CU_ASSERT(text_is(a, "id", CHOSEN));
	CU_ASSERT(header_is(w, a, "Location", "/api/me/tasks/" CHOSEN));
	a = create(w, &ada, NULL, "{\"id\":\"" CHOSEN "\",\"title\":\"second\"}");
	CHECK(a, 409, "task_exists");
	CU_ASSERT(text_is(a, "current.id", CHOSEN) && text_is(a, "current.title", "first"));
	CU_ASSERT(header(w, a, "Location") == NULL && header(w, a, "ETag") == NULL);
	for (size_t i = 0; i < ARRAY_LEN(versions); i++)
		CHECK(create(w, &ada, NULL,
			     format(w, "{\"id\":\"%s\",\"title\":\"x\"}", versions[i])),
		      201, NULL);
	CHECK(create(w, &ada, NULL, "{\"id\":null,\"title\":\"x\"}"), 201, NULL);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		a = create(w, &ada, NULL, format(w, "{\"id\":%s,\"title\":\"x\"}", bad[i].id));
		CHECK(a, 422, "validation_failed");
		CU_ASSERT(length(a, "errors") == 1 && text_is(a, "errors.0.field", "id"));
		CU_ASSERT(text_is(a, "errors.0.code", bad[i].code));
	}
	CU_ASSERT(w->store->n_tasks == 6);
	/* with a key the answer is the first one's, not a conflict with it */
	CHECK(create(w, &ada, "k", "{\"id\":\"" CHOSEN "\",\"title\":\"x\"}"), 409, "task_exists");
	world_free(w);
}

static void id_and_key_together(void)
{
	static const char body[] = "{\"id\":\"" CHOSEN "\",\"title\":\"x\"}";
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *first = create(w, &ada, "k", body),
			    *again = create(w, &ada, "k", body);

	CHECK(again, 201, NULL);
	CU_ASSERT_STRING_EQUAL(again->body, first->body);
	CHECK(create(w, &ada, "l", body), 409, "task_exists");
	world_free(w);
}

static void put_makes_what_is_not_there(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org");
	const struct answer *a;

	CHECK(ASK(w, .method = "PUT", .path = "/api/me/tasks/" CHOSEN, .token = ada.access,
		  .body = "{\"title\":\"x\"}"),
	      404, "not_found");
	a = put_new(w, &ada, CHOSEN,
		    "{\"title\":\" x \",\"priority\":\"low\",\"id\":\"ignored\",\"user_id\":1}");
	CHECK(a, 201, NULL);
	CU_ASSERT(text_is(a, "id", CHOSEN) && text_is(a, "title", "x"));
	CU_ASSERT(text_is(a, "priority", "low") && flag(a, "completed") == 0);
	CU_ASSERT(header_is(w, a, "Location", "/api/me/tasks/" CHOSEN));
	CU_ASSERT(header_is(w, a, "ETag", "\"1\""));
	a = put_new(w, &ada, CHOSEN, "{\"title\":\"y\"}");
	CHECK(a, 412, "precondition_failed");
	CU_ASSERT(text_is(a, "current.title", "x") && number(a, "current.version") == 1);
	CHECK(put_new(w, &bob, CHOSEN, "{\"title\":\"bob's\"}"), 201, NULL);
	CU_ASSERT(w->store->n_tasks == 2);
	world_free(w);
}

static void put_refuses_other_conditions(void)
{
	static const char *const conditions[] = {
		"\"1\"", "W/\"1\"", "x", "", "*, \"1\"", "\"*\""
	};
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *a;

	for (size_t i = 0; i < ARRAY_LEN(conditions); i++)
		CHECK(ASK(w, .method = "PUT", .path = "/api/me/tasks/" CHOSEN, .token = ada.access,
			  .if_none_match = conditions[i], .body = "{\"title\":\"x\"}"),
		      400, "invalid_request");
	CHECK(ASK(w, .method = "PUT", .path = "/api/me/tasks/" CHOSEN, .token = ada.access,
		  .if_none_match = "*", .if_match = "*", .body = "{\"title\":\"x\"}"),
	      400, "invalid_request");
	a = put_new(w, &ada, CHOSEN, "{}");
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(text_is(a, "errors.0.field", "title") && text_is(a, "errors.0.code", "required"));
	a = put_new(w, &ada, "00000000-0000-0000-0000-000000000000", "{\"title\":\"x\"}");
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(text_is(a, "errors.0.field", "id"));
	CHECK(put_new(w, &ada, "17", "{\"title\":\"x\"}"), 404, "not_found");
	CHECK(put_new(w, &ada, CHOSEN, "[]"), 400, "invalid_json");
	CU_ASSERT(w->store->n_calls == 0 && w->store->n_tasks == 0);
	world_free(w);
}

/* --- conditional reading ---------------------------------------------------------------------- */

static void get_answers_not_modified(void)
{
	static const struct {
		const char *tags;
		int status;
	} cases[] = {
		{ "\"2\"", 304 },          { "W/\"2\"", 304 }, { "\"2-gzip\"", 304 },
		{ "\"1\", \"2\"", 304 },   { "*", 304 },       { "\"1\"", 200 },
		{ "\"02\"", 200 },         { "2", 200 },       { "", 200 },
		{ "\"1\", \"3\"", 200 },   { "x\"2\"", 200 },  { "\"22\"", 200 },
		{ "\"2\", garbage", 200 },
	};
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const char *one = format(w, "/api/me/tasks/%s", task_new(w, &ada, "x"));
	char many[40 * 4 + 1] = "";

	CHECK(ASK(w, .method = "PATCH", .path = one, .token = ada.access), 200, NULL);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *const paths[] = { one, "/api/me/tasks", "/api/me/tasks?q=x&limit=1" };

		for (size_t k = 0; k < ARRAY_LEN(paths); k++) {
			const struct answer *a = ASK(w, .path = paths[k], .token = ada.access,
						     .if_none_match = cases[i].tags);

			CHECK(a, cases[i].status, NULL);
			CU_ASSERT(header_is(w, a, "ETag", "\"2\""));
			CU_ASSERT(header_is(w, a, "Cache-Control", "private, no-cache"));
		}
	}
	/* too many to be read: it comes once more */
	for (int i = 0; i < 40; i++)
		memcpy(many + strlen(many), "\"2\",", 5);
	CHECK(ASK(w, .path = one, .token = ada.access, .if_none_match = many), 200, NULL);
	CHECK(ASK(w, .path = "/api/me/tasks", .token = ada.access, .if_none_match = many), 200,
	      NULL);
	/* what nobody may see is not "not modified" either */
	fake_session_of(w->store, &ada.principal)->revoked = true;
	CHECK(ASK(w, .path = one, .token = ada.access, .if_none_match = "*"), 401, "session_ended");
	CHECK(ASK(w, .path = "/api/me/tasks", .token = ada.access, .if_none_match = "*"), 401,
	      "session_ended");
	world_free(w);
}

/* Every write of the owner, and of nobody else, changes the list's tag. */
static void list_tag_follows_writes(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org");
	const char *id = task_new(w, &ada, "x"), *one = format(w, "/api/me/tasks/%s", id);
	const struct {
		const char *method, *path, *body;
	} writes[] = {
		{ "PATCH", one, NULL },
		{ "POST", "/api/me/tasks", "{\"title\":\"y\"}" },
		{ "DELETE", one, NULL },
		{ "POST", format(w, "/api/me/trash/%s/restore", id), NULL },
		{ "DELETE", "/api/me/tasks?completed=true", NULL },
	};
	const char *tag = header(w, ASK(w, .path = "/api/me/tasks", .token = ada.access), "ETag");

	for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
		const struct answer *a;

		(void)task_new(w, &bob, "z");
		w->store->n_listed = 0;
		CHECK(ASK(w, .path = "/api/me/tasks", .token = ada.access, .if_none_match = tag),
		      304, NULL);
		CHECK(ASK(w, .path = "/api/me/tasks", .token = ada.access,
			  .if_none_match = format(w, "\"1\", %s", tag)),
		      304, NULL);
		/* and no row was read for it */
		CU_ASSERT(w->store->n_listed == 0);
		CU_ASSERT(ASK(w, .method = writes[i].method, .path = writes[i].path,
			      .token = ada.access, .body = writes[i].body)
				  ->status < 300);
		a = ASK(w, .path = "/api/me/tasks", .token = ada.access, .if_none_match = tag);
		CHECK(a, 200, NULL);
		tag = header(w, a, "ETag");
	}
	/* what changes nothing leaves it */
	CHECK(ASK(w, .method = "DELETE", .path = "/api/me/tasks?completed=true",
		  .token = ada.access),
	      200, NULL);
	CHECK(ASK(w, .path = "/api/me/tasks", .token = ada.access, .if_none_match = tag), 304,
	      NULL);
	world_free(w);
}

CU_TestInfo idempotency_tests[] = {
	{ "one task", key_makes_one_task },
	{ "as it was", key_answers_as_it_was },
	{ "another request", key_is_bound_to_its_request },
	{ "form of a key", key_has_a_form },
	{ "failures", key_survives_failures },
	{ "id in a POST", id_in_a_post },
	{ "id and key", id_and_key_together },
	{ "PUT of a new task", put_makes_what_is_not_there },
	{ "PUT, other conditions", put_refuses_other_conditions },
	{ "not modified", get_answers_not_modified },
	{ "the list's tag", list_tag_follows_writes },
	CU_TEST_INFO_NULL,
};
