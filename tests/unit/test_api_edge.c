/* Who asks and from where: clients behind proxies, keys of the throttle, pages of other origins. */
#include "base/base.h"

#include "test_api.h"

#include "base/clock.h"
#include "world.h"

#define HOUR_US (3600 * US_PER_SECOND)
#define NOBODY  "00000000-0000-7000-8000-000000000000"

static bool says(const struct answer *a, const char *what)
{
	if (strstr(a->log, what))
		return true;
	fprintf(stderr, "wanted %s in: %s\n", what, a->log);
	return false;
}

static bool has_key(const struct world *w, const char *key)
{
	for (size_t i = 0; i < w->store->n_throttles; i++) {
		if (strcmp(w->store->throttles[i].key, key) == 0)
			return true;
	}
	fprintf(stderr, "no count of %s\n", key);
	return false;
}

/* --- the client ------------------------------------------------------------------------------- */

static void client_is_resolved_once(void)
{
	static const struct {
		const char *peer, *header, *address, *network;
	} cases[] = {
		{ "192.0.2.9", "198.51.100.1", "192.0.2.9", "192.0.2.9" },
		{ "10.0.0.1", "203.0.113.5, 198.51.100.1, 10.0.0.2", "198.51.100.1",
		  "198.51.100.1" },
		{ "10.0.0.1", "2001:DB8:1:2:3::4", "2001:db8:1:2:3::4", "2001:db8:1:2::/64" },
		{ "::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1", "198.51.100.1" },
		{ "10.0.0.1", "unknown", "10.0.0.1", "10.0.0.1" },
		{ "unix:", "198.51.100.1", "unix:", "unix:" },
		/* not UTF-8: the database would not take it */
		{ "\xff", "198.51.100.1", "", "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world *w = world_new();
		const struct answer *a;

		CU_ASSERT(net_list_parse("10.0.0.0/8", &w->app.trusted_proxies));
		a = ASK(w, LOGIN, .body = credentials(w, "ada@example.org", "x"),
			.address = cases[i].peer, .forwarded_for = cases[i].header);
		CHECK(a, 401, "invalid_credentials");
		CU_ASSERT(says(a, format(w, " event=auth_failed address=%s reason=unknown_email ",
					 *cases[i].address ? cases[i].address : "\"\"")));
		CU_ASSERT(has_key(w, format(w, "address:%s", cases[i].network)));
		CU_ASSERT(!strstr(a->log, "forwarded_ignored"));
		world_free(w);
	}
}

static void long_texts_are_cut(void)
{
	struct world *w = world_new();
	char peer[200], agent[400];
	const struct fake_session *s;

	memset(peer, 'p', sizeof(peer) - 1);
	memset(agent, 'a', sizeof(agent) - 1);
	peer[sizeof(peer) - 1] = agent[sizeof(agent) - 1] = '\0';
	CHECK(ASK(w, REGISTER, .body = credentials(w, "ada@example.org", PASSWORD), .address = peer,
		  .agent = agent),
	      201, NULL);
	s = &w->store->sessions[0];
	CU_ASSERT(strlen(s->ip) == 64 && strlen(s->network) == 64);
	CU_ASSERT(strlen(s->user_agent) == 255);
	CHECK(ASK(w, REGISTER, .body = credentials(w, "eve@example.org", PASSWORD),
		  .agent = "\xc3\x28"),
	      201, NULL);
	CU_ASSERT_PTR_NULL(w->store->sessions[1].user_agent);
	world_free(w);
}

/* Once, and again when an hour has passed. */
static void warning_comes_once_an_hour(void)
{
	static const struct ask forwarded = { .path = "/api/health",
					      .forwarded_for = "203.0.113.5" };
	struct world *w = world_new();
	const struct answer *a = ASK(w, .path = "/api/health");

	CU_ASSERT(!strstr(a->log, "forwarded_ignored"));
	a = ask(w, &forwarded);
	CU_ASSERT(says(a, " level=warning "));
	CU_ASSERT(says(a, " event=forwarded_ignored address=192.0.2.1 "));
	CU_ASSERT(!strstr(a->log, "203.0.113.5"));
	for (int i = 0; i < 10; i++)
		CU_ASSERT(!strstr(ask(w, &forwarded)->log, "forwarded_ignored"));
	w->app.forwarded_warned_at = clock_monotonic_us() - HOUR_US + US_PER_SECOND;
	CU_ASSERT(!strstr(ask(w, &forwarded)->log, "forwarded_ignored"));
	w->app.forwarded_warned_at = clock_monotonic_us() - HOUR_US;
	CU_ASSERT(says(ask(w, &forwarded), "forwarded_ignored"));
	CU_ASSERT(!strstr(ask(w, &forwarded)->log, "forwarded_ignored"));
	world_free(w);
}

/* --- keys of the throttle --------------------------------------------------------------------- */

/* Strangers, a network that is known, and sessions count apart; no key says what was typed. */
static void throttle_keys(void)
{
	/* printf %s ada@example.org | sha256sum */
	static const char digest[] =
		"cfe00dde46ef942601ffafb9e2825e802858b460e586b8305b344c1eb826357d";
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	char session[UUID_TEXT_LEN + 1];
	const char *stranger, *known;

	uuid_format(&ada.principal.session_id, session);
	CHECK(ASK(w, LOGIN, .body = credentials(w, "ADA@example.org", "x"),
		  .address = "198.51.100.1"),
	      401, "invalid_credentials");
	stranger = account_throttle(w)->key;
	CU_ASSERT_STRING_EQUAL(stranger, format(w, "account:%s", digest));
	CHECK(ASK(w, LOGIN, .body = credentials(w, "ada@example.org", "x"),
		  .address = "198.51.100.2"),
	      401, "invalid_credentials");
	CU_ASSERT_EQUAL(fake_throttle_of(w->store, stranger)->hits, 2);
	/* somebody who shows a live session of the account */
	CHECK(ASK(w, LOGIN, .body = credentials(w, "ada@example.org", "x"), .token = ada.access,
		  .address = "2001:db8:1:2:3::4"),
	      401, "invalid_credentials");
	known = format(w, "session:%s", session);
	CU_ASSERT(has_key(w, known));
	CU_ASSERT_EQUAL(fake_throttle_of(w->store, stranger)->hits, 2);
	/* its count is one, wherever its token is and whatever is tried with it */
	CHECK(ASK(w, LOGIN, .body = credentials(w, "ada@example.org", "x"), .token = ada.access,
		  .address = "198.51.100.3"),
	      401, "invalid_credentials");
	CHECK(ASK(w, .method = "DELETE", .path = "/api/auth/account", .token = ada.access,
		  .body = "{\"password\":\"x\"}"),
	      403, "wrong_password");
	CU_ASSERT_EQUAL(fake_throttle_of(w->store, known)->hits, 3);
	/* a network on which a session of the account has begun */
	CHECK(ASK(w, LOGIN, .body = credentials(w, "ada@example.org", "x"), .token = ada.access),
	      401, "invalid_credentials");
	CU_ASSERT(has_key(w, format(w, "%s:192.0.2.1", stranger)));
	CU_ASSERT_EQUAL(fake_throttle_of(w->store, known)->hits, 3);
	world_free(w);
}

/* --- other origins ---------------------------------------------------------------------------- */

#define APP_ORIGIN "https://app.example"

static void cors_is_off_by_default(void)
{
	struct world *w = world_new();
	const struct answer *a = ASK(w, .method = "OPTIONS", .path = "/api/me/tasks",
				     .origin = APP_ORIGIN, .request_method = "GET");

	CHECK(a, 204, NULL);
	CU_ASSERT(header_is(w, a, "Allow", "GET, HEAD, POST, DELETE, OPTIONS"));
	CU_ASSERT(!strstr(a->headers, "Access-Control-") && !strstr(a->headers, "Vary"));
	a = ASK(w, .path = "/api/health", .origin = "");
	CU_ASSERT(!strstr(a->headers, "Access-Control-") && !strstr(a->headers, "Vary"));
	world_free(w);
}

static void cors_answers_preflights(void)
{
	struct world *w = world_new();
	const struct answer *a;

	w->app.cors_origins = "http://b.example:3000, " APP_ORIGIN;
	a = ASK(w, .method = "OPTIONS", .path = "/api/me/tasks", .origin = APP_ORIGIN,
		.request_method = "POST");
	CHECK(a, 204, NULL);
	CU_ASSERT(header_is(w, a, "Access-Control-Allow-Origin", APP_ORIGIN));
	CU_ASSERT(header_is(w, a, "Access-Control-Allow-Methods",
			    "GET, HEAD, POST, DELETE, OPTIONS"));
	CU_ASSERT(header_is(w, a, "Access-Control-Max-Age", "600"));
	CU_ASSERT(header_is(w, a, "Vary", "Origin"));
	CU_ASSERT(!strstr(a->headers, "Credentials"));
	CU_ASSERT(w->store->n_calls == 0);
	/* another origin learns nothing, and the next one gets no answer of a cache */
	a = ASK(w, .method = "OPTIONS", .path = "/api/me/tasks", .origin = "https://evil.example",
		.request_method = "POST");
	CHECK(a, 204, NULL);
	CU_ASSERT(!strstr(a->headers, "Access-Control-"));
	CU_ASSERT(header_is(w, a, "Vary", "Origin"));
	/* no preflight */
	a = ASK(w, .method = "OPTIONS", .path = "/api/me/tasks", .origin = APP_ORIGIN);
	CU_ASSERT(!strstr(a->headers, "Access-Control-Allow-Methods"));
	a = ASK(w, .path = "/api/health", .origin = APP_ORIGIN, .request_method = "POST");
	CHECK(a, 200, NULL);
	CU_ASSERT(!strstr(a->headers, "Access-Control-Allow-Methods"));
	a = ASK(w, .method = "OPTIONS", .path = "/api/none", .origin = APP_ORIGIN,
		.request_method = "GET");
	CHECK(a, 404, "not_found");
	world_free(w);
}

/* Errors too, or a page could not tell them from a network that is down. */
static void cors_covers_every_answer(void)
{
	static const struct {
		struct ask ask;
		int status;
	} cases[] = {
		{ { .path = "/api/health" }, 200 },
		{ { .path = "/api/none" }, 404 },
		{ { .method = "PUT", .path = "/api/health" }, 405 },
		{ { .path = "/api/me/tasks" }, 401 },
		{ { REGISTER, .body = "{}" }, 422 },
		{ { REGISTER, .body = "{" }, 400 },
		{ { REGISTER, .state = BODY_TOO_LARGE }, 413 },
		{ { REGISTER, .state = BODY_CUT }, 400 },
		{ { .path = "/.well-known/jwks.json" }, 200 },
	};
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *a;

	w->app.cors_origins = APP_ORIGIN;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ask q = cases[i].ask;

		q.origin = APP_ORIGIN;
		a = ask(w, &q);
		CU_ASSERT(answer_is(a, cases[i].status, text(a, "code")));
		CU_ASSERT(header_is(w, a, "Access-Control-Allow-Origin", APP_ORIGIN));
		CU_ASSERT(header_is(w, a, "Vary", "Origin"));
		CU_ASSERT(strstr(header(w, a, "Access-Control-Expose-Headers"), "Retry-After") !=
			  NULL);
	}
	w->app.throttle_address_per_minute = 1;
	(void)login(w, "ada@example.org", "x");
	a = ASK(w, LOGIN, .body = "{}", .origin = APP_ORIGIN);
	CHECK(a, 429, "rate_limited");
	CU_ASSERT(header_is(w, a, "Access-Control-Allow-Origin", APP_ORIGIN));
	calls_reset(w);
	w->store->fail_call = 1;
	w->store->fail_with = STORE_FAILED;
	a = ASK(w, .path = "/api/me/tasks", .token = ada.access, .origin = APP_ORIGIN);
	CHECK(a, 500, "internal_error");
	CU_ASSERT(header_is(w, a, "Access-Control-Allow-Origin", APP_ORIGIN));
	world_free(w);
}

/* --- paths and caches ------------------------------------------------------------------------- */

static void session_ids_are_ids(void)
{
	static const char *const no_ids[] = { "x", "me", NOBODY "0", "%20", "{session_id}" };
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");

	for (size_t i = 0; i < ARRAY_LEN(no_ids); i++) {
		calls_reset(w);
		CHECK(ASK(w, .method = "DELETE", .token = ada.access,
			  .path = format(w, "/api/auth/sessions/%s", no_ids[i])),
		      404, "not_found");
		CU_ASSERT(w->store->n_calls == 0);
	}
	CHECK(ASK(w, .method = "DELETE", .token = ada.access, .path = "/api/auth/sessions/" NOBODY),
	      404, "not_found");
	CU_ASSERT(was_called(w, "store_session_end_own"));
	world_free(w);
}

/* What may be cached is the answer itself, nothing around it. */
static void only_the_keys_are_cached(void)
{
	static const char path[] = "/.well-known/jwks.json";
	struct world *w = world_new();
	const struct answer *a = ASK(w, .path = path);
	const char *tag = header(w, a, "ETag");

	CHECK(a, 200, NULL);
	CU_ASSERT(header_is(w, a, "Cache-Control", "public, max-age=300"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(tag);
	a = ASK(w, .path = path, .if_none_match = tag);
	CHECK(a, 304, NULL);
	CU_ASSERT(header_is(w, a, "Cache-Control", "public, max-age=300"));
	a = ASK(w, .method = "OPTIONS", .path = path);
	CHECK(a, 204, NULL);
	CU_ASSERT(header_is(w, a, "Cache-Control", "no-store"));
	a = ASK(w, .method = "PUT", .path = path);
	CHECK(a, 405, "method_not_allowed");
	CU_ASSERT(header_is(w, a, "Cache-Control", "no-store"));
	world_free(w);
}

/* Only an import may be long, and what could not be kept is our fault. */
static void bodies_have_sizes(void)
{
	static const char import[] = "/api/me/tasks/import", tasks[] = "/api/me/tasks";
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	struct ask q = { .method = "POST", .token = ada.access };
	char *body = arena_alloc(w->memory, REQUEST_BODY_MAX + 2);
	const struct answer *a;

	memset(body, ' ', REQUEST_BODY_MAX + 1);
	memcpy(body, "{\"title\":\"x\"}", 13);
	body[REQUEST_BODY_MAX] = '\0';
	q.path = tasks;
	q.body = body;
	CHECK(ask(w, &q), 201, NULL);
	body[REQUEST_BODY_MAX] = ' ';
	CHECK(ask(w, &q), 413, "body_too_large");
	memcpy(body, "[{\"title\":\"x\"}]", 15);
	q.path = import;
	CHECK(ask(w, &q), 200, NULL);
	CU_ASSERT(w->store->n_tasks == 2);

	calls_reset(w);
	q.state = BODY_TOO_LARGE;
	a = ask(w, &q);
	CHECK(a, 413, "body_too_large");
	CU_ASSERT(strstr(text(a, "detail"), "64 MiB") != NULL);
	q.state = BODY_LOST;
	CHECK(ask(w, &q), 503, "unavailable");
	q.path = tasks;
	CHECK(ask(w, &q), 503, "unavailable");
	q.state = BODY_TOO_LARGE;
	CU_ASSERT(strstr(text(ask(w, &q), "detail"), "64 KiB") != NULL);
	CU_ASSERT(w->store->n_calls == 0);
	world_free(w);
}

CU_TestInfo edge_tests[] = {
	{ "client", client_is_resolved_once },
	{ "long texts", long_texts_are_cut },
	{ "warning of a forwarded header", warning_comes_once_an_hour },
	{ "keys of the throttle", throttle_keys },
	{ "no other origins", cors_is_off_by_default },
	{ "preflights", cors_answers_preflights },
	{ "every answer to another origin", cors_covers_every_answer },
	{ "ids of sessions", session_ids_are_ids },
	{ "caches", only_the_keys_are_cached },
	{ "sizes of bodies", bodies_have_sizes },
	CU_TEST_INFO_NULL,
};
