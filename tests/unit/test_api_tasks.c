/* The routes of tasks. */
#include "base/base.h"

#include "test_api.h"

#include "world.h"

#define MISSING "0198c2f0-1a2b-7c3d-8e4f-a0b1c2d3e4ff"

/* Somebody and one task. */
struct scene {
	struct world *w;
	struct person ada;
	const char *task; /* its id */
	const char *path; /* its path */
};

static struct scene scene_new(void)
{
	struct scene s = { .w = world_new() };

	s.ada = person_new(s.w, "ada@example.org");
	s.task = task_new(s.w, &s.ada, "first");
	s.path = format(s.w, "/api/me/tasks/%s", s.task);
	return s;
}

/* A request to the scene's task. */
static const struct answer *to_task(struct scene *s, const char *method, const char *body)
{
	return ASK(s->w, .method = method, .path = s->path, .token = s->ada.access, .body = body);
}

static const struct answer *create(struct scene *s, const char *body)
{
	return ASK(s->w, .method = "POST", .path = "/api/me/tasks", .token = s->ada.access,
		   .body = body);
}

/* --- create ---------------------------------------------------------------------------------- */

static void create_answers_with_the_task(void)
{
	struct scene s = scene_new();
	const struct answer *a;

	fake_clock_advance(1234567);
	a = create(&s, "{\"title\":\" \\u00a0 Br\xc3\xb6t \\u2028\",\"description\":\" as sent \","
		       "\"user_id\":\"" MISSING "\",\"unknown\":[1]}");
	CHECK(a, 201, NULL);
	CU_ASSERT(length(a, "") == 12);
	CU_ASSERT(text_is(a, "title", "Br\xc3\xb6t"));
	CU_ASSERT(text_is(a, "description", " as sent "));
	CU_ASSERT(text_is(a, "user_id", s.ada.id)); /* the token's, not the body's */
	CU_ASSERT(flag(a, "completed") == 0 && is_null(a, "completed_at"));
	CU_ASSERT(number(a, "version") == 2);
	CU_ASSERT(text_is(a, "created_at", "2026-09-21T14:13:21.234Z"));
	CU_ASSERT(text_is(a, "updated_at", "2026-09-21T14:13:21.234Z"));
	CU_ASSERT(header_is(s.w, a, "ETag", "\"2\""));
	CU_ASSERT(header_is(s.w, a, "Location", format(s.w, "/api/me/tasks/%s", text(a, "id"))));
	CU_ASSERT(header_is(s.w, a, "Cache-Control", "private, no-cache"));
	a = ASK(s.w, .path = header(s.w, a, "Location"), .token = s.ada.access);
	CHECK(a, 200, NULL);
	CU_ASSERT(text_is(a, "title", "Br\xc3\xb6t"));

	a = create(&s, "{\"title\":\"done\",\"completed\":true,\"description\":null}");
	CHECK(a, 201, NULL);
	CU_ASSERT(flag(a, "completed") == 1 && is_null(a, "description"));
	CU_ASSERT(text_is(a, "completed_at", "2026-09-21T14:13:21.234Z"));
	world_free(s.w);
}

static void create_location_has_the_mount(void)
{
	struct scene s = scene_new();
	const char *path = format(s.w, "/api/%s/tasks", s.ada.id);
	const struct answer *a;

	s.w->app.mount = "/todo";
	a = ASK(s.w, .method = "POST", .path = path, .token = s.ada.access,
		.body = "{\"title\":\"x\"}");
	CHECK(a, 201, NULL);
	CU_ASSERT(header_is(s.w, a, "Location", format(s.w, "/todo%s/%s", path, text(a, "id"))));
	world_free(s.w);
}

/* A text of `n` letters that are two bytes each. */
static const char *letters(struct world *w, size_t n)
{
	char *out = arena_alloc(w->memory, 2 * n + 1);

	for (size_t i = 0; i < n; i++)
		memcpy(out + 2 * i, "\xc3\xa4", 2);
	return out;
}

static void create_judges_fields(void)
{
	struct scene s = scene_new();
	static const struct {
		const char *body, *field, *code;
	} bad[] = {
		{ "{}", "title", "required" },
		{ "{\"title\":\"\"}", "title", "too_short" },
		{ "{\"title\":\" \\t\\u00a0\\u3000\"}", "title", "too_short" },
		{ "{\"title\":null}", "title", "invalid_type" },
		{ "{\"title\":5}", "title", "invalid_type" },
		{ "{\"title\":[\"x\"]}", "title", "invalid_type" },
		{ "{\"title\":\"x\",\"description\":false}", "description", "invalid_type" },
		{ "{\"title\":\"x\",\"completed\":\"true\"}", "completed", "invalid_type" },
		{ "{\"title\":\"x\",\"completed\":1}", "completed", "invalid_type" },
		{ "{\"title\":\"x\",\"completed\":null}", "completed", "invalid_type" },
	};
	static const char *const broken[] = {
		"[]",
		"null",
		"\"x\"",
		"{",
		"{\"title\":\"x\"} x",
		"{\"title\":\"x\",}",
		"{\"title\":\"x\",\"title\":\"y\"}",
		"{\"title\":\"a\\u0000b\"}",
		"{\"title\":\"\\ud800\"}",
		"{\"title\":\"\xff\"}",
		"{'title':'x'}",
		"  ",
		"{\"title\":\"x\",\"d\":[[[[[[[[1]]]]]]]]}",
		"{\"title\":\"a\nb\"}",
		"{\"title\":\"x\",\"n\":NaN}",
		"{\"title\":\"x\"}{}",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct answer *a = create(&s, bad[i].body);

		CHECK(a, 422, "validation_failed");
		CU_ASSERT(length(a, "errors") == 1);
		CU_ASSERT(text_is(a, "errors.0.field", bad[i].field));
		CU_ASSERT(text_is(a, "errors.0.code", bad[i].code));
	}
	for (size_t i = 0; i < ARRAY_LEN(broken); i++)
		CHECK(create(&s, broken[i]), 400, "invalid_json");
	CHECK(create(&s, NULL), 400, "invalid_json");
	CHECK(create(&s, format(s.w, "{\"title\":\"%s\"}", letters(s.w, 200))), 201, NULL);
	CHECK(create(&s, format(s.w, "{\"title\":\"%s\"}", letters(s.w, 201))), 422,
	      "validation_failed");
	CU_ASSERT(s.w->store->n_tasks == 2);
	world_free(s.w);
}

static void create_takes_long_descriptions(void)
{
	struct scene s = scene_new();

	for (size_t n = 10000; n <= 10001; n++) {
		size_t size = 2 * n + 64;
		char *body = arena_alloc(s.w->memory, size);

		(void)snprintf(body, size, "{\"title\":\"x\",\"description\":\"%s\"}",
			       letters(s.w, n));
		CHECK(create(&s, body), n == 10000 ? 201 : 422,
		      n == 10000 ? NULL : "validation_failed");
	}
	world_free(s.w);
}

static void bodies_have_media_types(void)
{
	static const struct {
		const char *type;
		bool json, patch;
	} types[] = {
		{ "application/json", true, true },
		{ "Application/JSON; charset=utf-8", true, true },
		{ "application/json;x=\"y\"", true, true },
		{ "application/merge-patch+json", false, true },
		{ "", false, false },
		{ "text/plain", false, false },
		{ "application/jsonx", false, false },
		{ "application/x-www-form-urlencoded", false, false },
	};
	struct scene s = scene_new();

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct ask q = { .token = s.ada.access,
				 .body = "{\"title\":\"x\"}",
				 .type = types[i].type };
		int status = types[i].json ? 200 : 415;
		const char *code = types[i].json ? NULL : "unsupported_media_type";

		q.method = "POST";
		q.path = "/api/me/tasks";
		CHECK(ask(s.w, &q), types[i].json ? 201 : 415, code);
		q.method = "PUT";
		q.path = s.path;
		CHECK(ask(s.w, &q), status, code);
		q.path = format(s.w, "%s/complete", s.path);
		q.method = "POST";
		CHECK(ask(s.w, &q), status, code);
		q.path = s.path;
		q.method = "PATCH";
		CHECK(ask(s.w, &q), types[i].patch ? 200 : 415,
		      types[i].patch ? NULL : "unsupported_media_type");
		/* an empty body needs none, and any will do */
		q.body = "";
		CHECK(ask(s.w, &q), 200, NULL);
	}
	world_free(s.w);
}

/* --- change ---------------------------------------------------------------------------------- */

static void get_has_an_etag(void)
{
	struct scene s = scene_new();
	const struct answer *a = to_task(&s, "GET", NULL);

	CHECK(a, 200, NULL);
	CU_ASSERT(header_is(s.w, a, "ETag", "\"1\""));
	CU_ASSERT(header_is(s.w, a, "Cache-Control", "private, no-cache"));
	CU_ASSERT(length(a, "") == 12 && text_is(a, "id", s.task) && text_is(a, "title", "first"));
	CU_ASSERT(is_null(a, "description"));
	world_free(s.w);
}

static void patch_merges(void)
{
	struct scene s = scene_new();
	const struct answer *a;

	fake_clock_advance(US_PER_SECOND);
	a = to_task(&s, "PATCH", "{\"description\":\"more\"}");
	CHECK(a, 200, NULL);
	CU_ASSERT(text_is(a, "title", "first") && text_is(a, "description", "more"));
	CU_ASSERT(number(a, "version") == 2 && header_is(s.w, a, "ETag", "\"2\""));
	CU_ASSERT(text_is(a, "created_at", "2026-09-21T14:13:20.000Z"));
	CU_ASSERT(text_is(a, "updated_at", "2026-09-21T14:13:21.000Z"));
	a = to_task(&s, "PATCH", "{\"title\":\" second \",\"completed\":true}");
	CU_ASSERT(text_is(a, "title", "second") && text_is(a, "description", "more"));
	CU_ASSERT(flag(a, "completed") == 1 && number(a, "version") == 3);
	/* null clears what may be null */
	a = to_task(&s, "PATCH", "{\"description\":null}");
	CU_ASSERT(is_null(a, "description") && flag(a, "completed") == 1);
	a = to_task(&s, "PATCH", "{\"title\":null}");
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(text_is(a, "errors.0.code", "invalid_type"));
	/* what changes nothing moves nothing */
	fake_clock_advance(US_PER_SECOND);
	a = to_task(&s, "PATCH", "{}");
	CHECK(a, 200, NULL);
	CU_ASSERT(number(a, "version") == 4);
	a = to_task(&s, "PATCH", "{\"title\":\"second\",\"completed\":true,\"user_id\":\"x\"}");
	CU_ASSERT(number(a, "version") == 4);
	CU_ASSERT(text_is(a, "updated_at", "2026-09-21T14:13:21.000Z"));
	/* unknown members */
	CHECK(to_task(&s, "PATCH", "{\"colour\":[]}"), 200, NULL);
	a = ASK(s.w, .method = "PATCH", .path = s.path, .token = s.ada.access,
		.prefer = "handling=strict", .body = "{\"colour\":[],\"id\":1,\"user_id\":2}");
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(length(a, "errors") == 1 && text_is(a, "errors.0.field", "colour"));
	world_free(s.w);
}

static void flips_and_sets(void)
{
	static const char *const methods[] = { "PATCH", "POST" };
	struct scene s = scene_new();
	const char *complete = format(s.w, "%s/complete", s.path);
	const struct answer *a;

	for (int i = 1; i <= 4; i++) {
		fake_clock_advance(US_PER_SECOND);
		a = to_task(&s, "PATCH", NULL);
		CHECK(a, 200, NULL);
		CU_ASSERT(flag(a, "completed") == i % 2 && number(a, "version") == 1 + i);
		CU_ASSERT(is_null(a, "completed_at") == (i % 2 == 0));
	}
	for (size_t m = 0; m < ARRAY_LEN(methods); m++) {
		struct ask q = { .method = methods[m], .path = complete, .token = s.ada.access };

		CU_ASSERT(flag(ask(s.w, &q), "completed") == 1);
		CU_ASSERT(flag(ask(s.w, &q), "completed") == 0);
		q.body = "{\"completed\":true}";
		for (int i = 0; i < 2; i++)
			CU_ASSERT(flag(ask(s.w, &q), "completed") == 1);
		q.body = "{\"completed\":false}";
		for (int i = 0; i < 2; i++)
			CU_ASSERT(flag(ask(s.w, &q), "completed") == 0);
		q.body = "{\"completed\":null}";
		CHECK(ask(s.w, &q), 422, "validation_failed");
		q.body = "[]";
		CHECK(ask(s.w, &q), 400, "invalid_json");
		/* the title is none of its members */
		q.body = "{\"completed\":true,\"title\":\"\"}";
		a = ask(s.w, &q);
		CHECK(a, 200, NULL);
		CU_ASSERT(text_is(a, "title", "first"));
		q.body = NULL;
		CU_ASSERT(flag(ask(s.w, &q), "completed") == 0);
	}
	world_free(s.w);
}

/* Setting what is set keeps the time at which it was done. */
static void completed_at_is_the_first(void)
{
	struct scene s = scene_new();
	const struct answer *a;

	CHECK(to_task(&s, "PATCH", "{\"completed\":true}"), 200, NULL);
	fake_clock_advance(US_PER_SECOND);
	a = to_task(&s, "PATCH", "{\"completed\":true,\"title\":\"y\"}");
	CU_ASSERT(text_is(a, "completed_at", "2026-09-21T14:13:20.000Z"));
	CU_ASSERT(text_is(a, "updated_at", "2026-09-21T14:13:21.000Z"));
	world_free(s.w);
}

static void put_keeps_what_is_absent(void)
{
	struct scene s = scene_new();
	const struct answer *a;

	CHECK(to_task(&s, "PATCH", "{\"description\":\"more\",\"completed\":true}"), 200, NULL);
	a = to_task(&s, "PUT", "{\"title\":\"put\"}");
	CHECK(a, 200, NULL);
	CU_ASSERT(text_is(a, "title", "put") && text_is(a, "description", "more"));
	CU_ASSERT(flag(a, "completed") == 1);
	a = to_task(&s, "PUT", "{\"description\":null}");
	CU_ASSERT(text_is(a, "title", "put") && is_null(a, "description"));
	CHECK(to_task(&s, "PUT", "{}"), 200, NULL);
	CHECK(to_task(&s, "PUT", NULL), 400, "invalid_json");
	world_free(s.w);
}

static void put_replaces_when_strict(void)
{
	struct scene s = scene_new();
	struct ask q = { .method = "PUT",
			 .path = s.path,
			 .token = s.ada.access,
			 .prefer = "return=minimal, handling=strict" };
	const struct answer *a;

	CHECK(to_task(&s, "PATCH", "{\"description\":\"more\",\"completed\":true}"), 200, NULL);
	q.body = "{\"title\":\"put\",\"id\":\"x\",\"user_id\":\"y\"}";
	a = ask(s.w, &q);
	CHECK(a, 200, NULL);
	CU_ASSERT(text_is(a, "title", "put") && is_null(a, "description"));
	CU_ASSERT(flag(a, "completed") == 0 && is_null(a, "completed_at"));
	q.body = "{\"title\":\"put\",\"description\":\"x\",\"completed\":true}";
	a = ask(s.w, &q);
	CU_ASSERT(text_is(a, "description", "x") && flag(a, "completed") == 1);
	q.body = "{\"completed\":false}";
	a = ask(s.w, &q);
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(text_is(a, "errors.0.field", "title") && text_is(a, "errors.0.code", "required"));
	q.body = "{\"title\":\"x\",\"colour\":1}";
	a = ask(s.w, &q);
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(text_is(a, "errors.0.code", "unknown_field"));
	a = to_task(&s, "GET", NULL);
	CU_ASSERT(text_is(a, "title", "put") && flag(a, "completed") == 1);
	world_free(s.w);
}

/* --- If-Match -------------------------------------------------------------------------------- */

static const struct answer *if_match(struct scene *s, const char *method, const char *suffix,
				     const char *value)
{
	return ASK(s->w, .method = method, .path = format(s->w, "%s%s", s->path, suffix),
		   .token = s->ada.access, .if_match = value,
		   .body = strcmp(method, "PUT") == 0 ? "{\"title\":\"new\"}" : NULL);
}

static void stale_writes_get_the_current_task(void)
{
	static const struct {
		const char *method, *suffix;
	} writes[] = {
		{ "PUT", "" },           { "PATCH", "" },
		{ "DELETE", "" },        { "PATCH", "/complete" },
		{ "POST", "/complete" },
	};
	static const char *const stale[] = { "\"2\"",       "\"0\"", "\"1\"",   "\"\"",   "\"x\"",
					     "3",           "",      "W/\"2\"", "\"33\"", "\"-3\"",
					     "\"2\", \"4\"" };
	struct scene s = scene_new();

	CHECK(to_task(&s, "PATCH", NULL), 200, NULL);
	CHECK(to_task(&s, "PATCH", "{\"title\":\"now\"}"), 200, NULL);
	for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
		for (size_t k = 0; k < ARRAY_LEN(stale); k++) {
			const struct answer *a =
				if_match(&s, writes[i].method, writes[i].suffix, stale[k]);

			CHECK(a, 412, "precondition_failed");
			CU_ASSERT(length(a, "current") == 12);
			CU_ASSERT(text_is(a, "current.id", s.task));
			CU_ASSERT(text_is(a, "current.title", "now"));
			CU_ASSERT(number(a, "current.version") == 3);
			CU_ASSERT(flag(a, "current.completed") == 1);
		}
	}
	CU_ASSERT(s.w->store->n_tasks == 1 && s.w->store->tasks[0].version == 3);
	/* a document without one has no such member */
	CU_ASSERT(length(ASK(s.w, .method = "PATCH", .path = "/api/me/tasks/" MISSING,
			     .token = s.ada.access, .if_match = "\"1\""),
			 "current") == -1);
	world_free(s.w);
}

static void fresh_writes_pass(void)
{
	static const char *const forms[] = {
		"\"%d\"", "W/\"%d\"", "\"%d-gzip\"", "W/\"%d-br\"",         "\"900\", \"%d\"",
		"*",      " * ",      "\"%d\" ",     "\"x\",W/\"%d-gzip\"", ",, \"%d\",",
	};
	struct scene s = scene_new();
	char value[64], many[40 * 5 + 1] = "";
	int version = 1;

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const struct answer *a;

		(void)snprintf(value, sizeof(value), forms[i], version);
		a = if_match(&s, "PATCH", "", value);
		CHECK(a, 200, NULL);
		version++;
		CU_ASSERT(number(a, "version") == version);
	}
	for (int i = 0; i < 40; i++)
		memcpy(many + strlen(many), "\"77\",", 6);
	CHECK(if_match(&s, "PATCH", "", many), 400, "invalid_request");
	CHECK(if_match(&s, "DELETE", "", many), 400, "invalid_request");
	(void)snprintf(value, sizeof(value), "\"%d\"", version);
	CHECK(if_match(&s, "DELETE", "", value), 200, NULL);
	world_free(s.w);
}

/* --- delete ---------------------------------------------------------------------------------- */

static void delete_answers_with_the_task(void)
{
	struct scene s = scene_new();
	const struct answer *a;
	const char *second = task_new(s.w, &s.ada, "second");

	a = to_task(&s, "DELETE", NULL);
	CHECK(a, 200, NULL);
	CU_ASSERT(length(a, "") == 13 && text_is(a, "id", s.task) && text_is(a, "title", "first"));
	CHECK(to_task(&s, "DELETE", NULL), 404, "not_found");
	CHECK(to_task(&s, "GET", NULL), 404, "not_found");
	s.path = format(s.w, "/api/me/tasks/%s", second);
	a = ASK(s.w, .method = "DELETE", .path = s.path, .token = s.ada.access,
		.prefer = "return=minimal");
	CHECK(a, 204, NULL);
	CHECK(ASK(s.w, .method = "DELETE", .path = s.path, .token = s.ada.access,
		  .prefer = "return=minimal"),
	      404, "not_found");
	CU_ASSERT(s.w->store->n_tasks == 0);
	world_free(s.w);
}

CU_TestInfo task_tests[] = {
	{ "create", create_answers_with_the_task },
	{ "create: mount prefix", create_location_has_the_mount },
	{ "create: fields", create_judges_fields },
	{ "create: long descriptions", create_takes_long_descriptions },
	{ "media types", bodies_have_media_types },
	{ "get", get_has_an_etag },
	{ "merge patch", patch_merges },
	{ "flip and set", flips_and_sets },
	{ "completed_at", completed_at_is_the_first },
	{ "put", put_keeps_what_is_absent },
	{ "put, strict", put_replaces_when_strict },
	{ "If-Match, stale", stale_writes_get_the_current_task },
	{ "If-Match, fresh", fresh_writes_pass },
	{ "delete", delete_answers_with_the_task },
	CU_TEST_INFO_NULL,
};
