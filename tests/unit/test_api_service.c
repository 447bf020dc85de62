/* The service's own routes. */
#include "base/base.h"

#include "test_api.h"

#include "world.h"

static void service_routes(void)
{
	struct world *w = world_new();
	const struct answer *a = ASK(w, .path = "/api/health");

	CHECK(a, 200, NULL);
	CU_ASSERT_STRING_EQUAL(a->body, "{\"status\":\"ok\"}");
	CU_ASSERT(header_is(w, a, "Cache-Control", "no-store"));
	CU_ASSERT(w->store->n_calls == 0);
	CHECK(ASK(w, .path = "/api/ready"), 200, NULL);
	CU_ASSERT(w->store->n_calls == 1 && was_called(w, "store_ready"));
	for (int r = STORE_NO_SESSION; r <= STORE_FAILED; r++) {
		calls_reset(w);
		w->store->fail_call = 1;
		w->store->fail_with = (enum store_result)r;
		a = ASK(w, .path = "/api/ready");
		CHECK(a, 503, "unavailable");
		CU_ASSERT(header_is(w, a, "Retry-After", "1"));
		CU_ASSERT(strstr(text(a, "detail"), "database") != NULL);
		CHECK(ASK(w, .path = "/api/health"), 200, NULL);
	}
	world_free(w);
}

static void keys_are_public_without_secrets(void)
{
	struct world *w = world_new();
	struct ask q = { .path = "/.well-known/jwks.json" };
	const struct answer *a = ask(w, &q);
	const char *tag = header(w, a, "ETag");

	CHECK(a, 200, NULL);
	CU_ASSERT_STRING_EQUAL(a->body, "{\"keys\":[]}"); /* HS256 alone */
	CU_ASSERT(header_is(w, a, "Cache-Control", "public, max-age=300"));
	CU_ASSERT_FATAL(tag != NULL);
	q.if_none_match = format(w, "\"x\", W/%s", tag);
	a = ask(w, &q);
	CHECK(a, 304, NULL);
	CU_ASSERT(header_is(w, a, "ETag", tag));
	CU_ASSERT(header_is(w, a, "Cache-Control", "public, max-age=300"));
	q.if_none_match = "\"x\"";
	CHECK(ask(w, &q), 200, NULL);
	CU_ASSERT(w->store->n_calls == 0);
	world_free(w);
}

static void the_contract_names_the_mount(void)
{
	struct world *w = world_new();
	struct ask q = { .path = "/api/openapi.json" };
	const struct answer *a = ask(w, &q);
	const char *tag = header(w, a, "ETag");

	CHECK(a, 200, NULL);
	CU_ASSERT(strstr(a->body, "{\"servers\":[{\"url\":\"/\"}],\"openapi\":\"3.1.0\",") ==
		  a->body);
	CU_ASSERT(header_is(w, a, "Cache-Control", "public, max-age=300"));
	CU_ASSERT_FATAL(tag != NULL);
	q.if_none_match = tag;
	a = ask(w, &q);
	CHECK(a, 304, NULL);
	CU_ASSERT(header_is(w, a, "ETag", tag));
	w->app.mount = "/todo";
	a = ask(w, &q);
	CHECK(a, 200, NULL);
	CU_ASSERT(strstr(a->body, "{\"servers\":[{\"url\":\"/todo\"}],") == a->body);
	CU_ASSERT(w->store->n_calls == 0);
	world_free(w);
}

CU_TestInfo service_tests[] = {
	{ "health and ready", service_routes },
	{ "public keys", keys_are_public_without_secrets },
	{ "the contract", the_contract_names_the_mount },
	CU_TEST_INFO_NULL,
};
