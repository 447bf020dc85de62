/* Cookie mode: the refresh token where no script of a page can read it. */
#include "base/base.h"

#include "test_api.h"

#include "world.h"

enum { IDLE_S = 14 * 86400 };

#define REFRESH .method = "POST", .path = "/api/auth/refresh"
#define LOGOUT  .method = "POST", .path = "/api/auth/logout"
#define NAME    "__Secure-taskcell_refresh"
#define SAME    .site = "same-origin"

static const char *cookie_body(struct world *w, const char *email)
{
	return format(w, "{\"email\":\"%s\",\"password\":\"%s\",\"cookie\":true}", email, PASSWORD);
}

static const char *sent(struct world *w, const char *value)
{
	return format(w, NAME "=%s", value);
}

/* --- getting it ------------------------------------------------------------------------------ */

static void cookie_replaces_the_member(void)
{
	struct world *w = world_new();
	const char *value;
	const struct answer *a = ASK(w, REGISTER, .body = cookie_body(w, "eve@example.org"));

	CHECK(a, 201, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(value = cookie_of(w, a, IDLE_S));
	CU_ASSERT(length(a, "") == 6 && text(a, "refresh_token")[0] == '\0');
	CU_ASSERT(text_is(a, "refresh_expires_at", "2026-10-05T14:13:20.000Z"));
	a = ASK(w, LOGIN, .body = cookie_body(w, "eve@example.org"));
	CHECK(a, 200, NULL);
	CU_ASSERT(cookie_of(w, a, IDLE_S) != NULL && length(a, "") == 6);
	/* it is a refresh token like any other */
	a = ASK(w, REFRESH, .body = format(w, "{\"refresh_token\":\"%s\"}", value));
	CHECK(a, 200, NULL);
	CU_ASSERT(header(w, a, "Set-Cookie") == NULL && length(a, "") == 7);
	a = ASK(w, .method = "POST", .path = "/api/auth/password", .token = text(a, "access_token"),
		.body = "{\"current_password\":\"" PASSWORD
			"\",\"new_password\":\"another-good-horse\",\"cookie\":true}");
	CHECK(a, 200, NULL);
	CU_ASSERT(cookie_of(w, a, IDLE_S) != NULL && length(a, "") == 6);
	/* nearer to the absolute end */
	w->app.refresh_absolute_s = 1000;
	a = ASK(w, LOGIN,
		.body = "{\"email\":\"eve@example.org\",\"password\":\"another-good-horse\","
			"\"cookie\":true}");
	CU_ASSERT(cookie_of(w, a, 1000) != NULL);
	world_free(w);
}

static void cookie_only_when_asked_for(void)
{
	static const char *const values[] = { "1", "\"true\"", "null", "[]", "{}" };
	struct world *w = world_new();
	const struct answer *a;

	(void)person_new(w, "ada@example.org");
	a = ASK(w, LOGIN,
		.body = "{\"email\":\"ada@example.org\",\"password\":\"" PASSWORD
			"\",\"cookie\":false}",
		.cookie = NAME "=x", SAME);
	CHECK(a, 200, NULL);
	CU_ASSERT(header(w, a, "Set-Cookie") == NULL && length(a, "") == 7);
	CU_ASSERT(header(w, login(w, "ada@example.org", PASSWORD), "Set-Cookie") == NULL);
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		a = ASK(w, LOGIN,
			.body = format(w,
				       "{\"email\":\"ada@example.org\",\"password\":\"x\","
				       "\"cookie\":%s}",
				       values[i]));
		CHECK(a, 422, "validation_failed");
		CU_ASSERT(text_is(a, "errors.0.field", "cookie") &&
			  text_is(a, "errors.0.code", "invalid_type"));
	}
	world_free(w);
}

/* Without an origin of our own nothing sets it and nothing reads it. */
static void cookie_needs_an_origin(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct ask asks[] = {
		{ REGISTER, .body = cookie_body(w, "eve@example.org") },
		{ LOGIN, .body = cookie_body(w, "ada@example.org") },
		{ .method = "POST",
		  .path = "/api/auth/password",
		  .token = ada.access,
		  .body = "{\"current_password\":\"" PASSWORD
			  "\",\"new_password\":\"another-good-horse\",\"cookie\":true}" },
	};
	const struct answer *a;

	w->app.cookie_mode = false;
	for (size_t i = 0; i < ARRAY_LEN(asks); i++) {
		a = ask(w, &asks[i]);
		CHECK(a, 422, "validation_failed");
		CU_ASSERT(length(a, "errors") == 1 && text_is(a, "errors.0.field", "cookie") &&
			  text_is(a, "errors.0.code", "not_available"));
	}
	CU_ASSERT(w->store->n_accounts == 1 && w->store->n_sessions == 1);
	CHECK(ASK(w, REFRESH, .cookie = sent(w, ada.refresh), SAME, .origin = ORIGIN), 401,
	      "invalid_refresh_token");
	CHECK(ASK(w, REFRESH, .cookie = sent(w, ada.refresh), .site = "cross-site"), 401,
	      "invalid_refresh_token");
	a = ASK(w, LOGOUT, .cookie = sent(w, ada.refresh), SAME);
	CHECK(a, 200, NULL);
	CU_ASSERT(header(w, a, "Set-Cookie") == NULL && lives(w, ada.access));
	world_free(w);
}

static void cookie_without_https(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *a;

	w->app.cookie_secure = false;
	w->app.mount = "/todo";
	a = ASK(w, LOGIN, .body = cookie_body(w, "ada@example.org"));
	CU_ASSERT(cookie_of(w, a, IDLE_S) != NULL);
	CHECK(ASK(w, REFRESH, .cookie = sent(w, ada.refresh), SAME), 401, "invalid_refresh_token");
	a = ASK(w, REFRESH, .cookie = format(w, "taskcell_refresh=%s", ada.refresh), SAME);
	CHECK(a, 200, NULL);
	CU_ASSERT(cookie_of(w, a, IDLE_S) != NULL);
	world_free(w);
}

/* --- refreshing by it ------------------------------------------------------------------------ */

static void cookie_refreshes(void)
{
	static const char *const bodies[] = { NULL, "{}", "{\"refresh_token\":null}",
					      "{\"refresh_token\":\"\"}" };
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const char *value = ada.refresh, *next;
	const struct answer *a;

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		fake_clock_advance(60 * US_PER_SECOND);
		a = ASK(w, REFRESH, .cookie = sent(w, value), SAME, .body = bodies[i]);
		CHECK(a, 200, NULL);
		next = cookie_of(w, a, IDLE_S);
		CU_ASSERT_FATAL(next && strcmp(next, value) != 0);
		CU_ASSERT(length(a, "") == 6);
		CHECK(ASK(w, .path = "/api/auth/session", .token = text(a, "access_token")), 200,
		      NULL);
		value = next;
	}
	/* inside the grace the current one again */
	next = cookie_of(w, ASK(w, REFRESH, .cookie = sent(w, value), SAME), IDLE_S);
	a = ASK(w, REFRESH, .cookie = sent(w, value), SAME);
	CU_ASSERT_STRING_EQUAL(cookie_of(w, a, IDLE_S), next);
	/* after it theft */
	fake_clock_advance(31 * US_PER_SECOND);
	a = ASK(w, REFRESH, .cookie = sent(w, value), SAME);
	CHECK(a, 401, "session_ended");
	CU_ASSERT(strstr(a->log, " event=refresh_theft ") != NULL && !lives(w, ada.access));
	world_free(w);
}

static void cookie_comes_after_the_body(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org");
	const struct answer *a =
		ASK(w, REFRESH, .cookie = sent(w, ada.refresh), .site = "cross-site",
		    .body = format(w, "{\"refresh_token\":\"%s\"}", bob.refresh));

	/* what does not rely on the cookie is not bound by its rule */
	CHECK(a, 200, NULL);
	CU_ASSERT(text_is(a, "user.id", bob.id) && header(w, a, "Set-Cookie") == NULL);
	CHECK(ASK(w, REFRESH, .cookie = sent(w, ada.refresh), SAME,
		  .body = "{\"refresh_token\":\"x\"}"),
	      401, "invalid_refresh_token");
	CU_ASSERT(fake_session_of(w->store, &ada.principal)->row.counter == 0);
	world_free(w);
}

static void cookie_is_told_by_its_name(void)
{
	static const char *const none[] = {
		"",
		"x",
		NAME,
		NAME "=",
		NAME "=x",
		"x" NAME "=%s",
		NAME "x=%s",
		"taskcell_refresh=%s",
		"__secure-taskcell_refresh=%s",
		NAME "=\"%s\"",
		NAME "=%s%s",
		NAME "=%s x",
		NAME "=x; " NAME "=%s",
		"a=" NAME "=%s",
	};
	static const char *const some[] = { NAME "=%s", "a=b; " NAME "=%s; c=d", "a=b;" NAME "=%s;",
					    NAME "=%s; " NAME "=x" };
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");

	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		CHECK(ASK(w, REFRESH, .cookie = format(w, none[i], ada.refresh, ada.refresh), SAME),
		      401, "invalid_refresh_token");
	for (size_t i = 0; i < ARRAY_LEN(some); i++)
		CHECK(ASK(w, REFRESH, .cookie = format(w, some[i], ada.refresh), SAME), 200, NULL);
	/* and it opens nothing else */
	CHECK(ASK(w, .path = "/api/auth/session", .cookie = sent(w, ada.refresh), SAME), 401,
	      "missing_token");
	CHECK(ASK(w, .method = "DELETE", .path = "/api/auth/account",
		  .cookie = sent(w, ada.refresh), SAME, .body = "{\"password\":\"" PASSWORD "\"}"),
	      401, "missing_token");
	world_free(w);
}

/* --- the cross-site rule --------------------------------------------------------------------- */

static const struct rule {
	const char *site, *origin;
	bool allowed;
} rules[] = {
	{ "same-origin", NULL, true },
	{ "same-origin", ORIGIN, true },
	{ "same-origin", "https://evil.example", true }, /* the browser's own word comes first */
	{ NULL, ORIGIN, true },
	{ NULL, NULL, false },
	{ NULL, "", false },
	{ NULL, "null", false },
	{ NULL, "https://evil.example", false },
	{ NULL, ORIGIN "/", false },
	{ NULL, ORIGIN ":443", false },
	{ NULL, ORIGIN ".evil.example", false },
	{ NULL, "https://TASKS.example", false },
	{ NULL, "http://tasks.example", false },
	{ NULL, "tasks.example", false },
	{ "", ORIGIN, false },
	{ "same-site", ORIGIN, false },
	{ "cross-site", ORIGIN, false },
	{ "none", ORIGIN, false },
	{ "Same-Origin", NULL, false },
	{ "same-origin, same-origin", NULL, false },
	{ "same-originx", NULL, false },
};

static void cookie_is_for_the_same_origin(void)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		const struct rule *rule = &rules[i];
		struct world *w = world_new();
		struct person ada = person_new(w, "ada@example.org");
		struct ask q = { REFRESH, .cookie = sent(w, ada.refresh), .site = rule->site,
				 .origin = rule->origin };
		const struct answer *good = ask(w, &q), *bad;

		CHECK(good, rule->allowed ? 200 : 403, rule->allowed ? NULL : "cross_site");
		if (!rule->allowed) {
			/* before the token is looked at, and before anything is counted */
			CU_ASSERT(w->store->n_calls == 0);
			CU_ASSERT(strstr(good->log, " event=auth_failed address=192.0.2.1 "
						    "reason=cross_site ") != NULL);
			q.cookie = NAME "=x";
			q.request_id = "same";
			bad = ask(w, &q);
			q.cookie = sent(w, ada.refresh);
			CU_ASSERT_STRING_EQUAL(ask(w, &q)->body, bad->body);
			CHECK(bad, 403, "cross_site");
		}
		q.path = "/api/auth/logout";
		CHECK(ask(w, &q), rule->allowed ? 200 : 403, rule->allowed ? NULL : "cross_site");
		CU_ASSERT(lives(w, ada.access) == !rule->allowed);
		world_free(w);
	}
}

/* A configuration that knows no origin believes none. */
static void cookie_rule_without_an_origin(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");

	w->app.public_origin = "";
	CHECK(ASK(w, REFRESH, .cookie = sent(w, ada.refresh), .origin = ""), 403, "cross_site");
	/* and without a cookie there is no rule */
	CHECK(ASK(w, REFRESH, .site = "cross-site"), 401, "invalid_refresh_token");
	CHECK(ASK(w, LOGOUT, .site = "cross-site", .cookie = "a=b"), 200, NULL);
	world_free(w);
}

/* --- logging out ----------------------------------------------------------------------------- */

static void check_cleared(struct world *w, const struct answer *a)
{
	CHECK(a, 200, NULL);
	CU_ASSERT_FATAL(header(w, a, "Set-Cookie") != NULL);
	CU_ASSERT_STRING_EQUAL(cookie_of(w, a, 0), "");
}

static void logout_by_the_cookie(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org");
	struct ask q = { LOGOUT, .cookie = sent(w, ada.refresh), SAME };

	/* another's token names another session, and the cookie goes all the same */
	q.token = bob.access;
	check_cleared(w, ask(w, &q));
	CU_ASSERT(!lives(w, bob.access) && lives(w, ada.access));
	q.token = NULL;
	q.body = format(w, "{\"refresh_token\":\"%s\"}", bob.refresh);
	check_cleared(w, ask(w, &q));
	CU_ASSERT(lives(w, ada.access));
	/* one that fails leaves it, so that one can try again */
	q.body = NULL;
	calls_reset(w);
	w->store->fail_call = 1;
	w->store->fail_with = STORE_UNAVAILABLE;
	CHECK(ask(w, &q), 503, "unavailable");
	calls_reset(w);
	/* no other token is one of ours: the cookie it is */
	q.token = "x.y.z";
	q.body = "{\"refresh_token\":\"x\"}";
	check_cleared(w, ask(w, &q));
	CU_ASSERT(!lives(w, ada.access));
	CU_ASSERT(has_event(w, &ada.principal.user_id, "logout", NULL));
	check_cleared(w, ask(w, &q)); /* twice is no harm */
	q.cookie = NAME "=x";
	calls_reset(w);
	check_cleared(w, ask(w, &q));
	CU_ASSERT(w->store->n_calls == 0);
	q.cookie = NULL;
	CU_ASSERT(header(w, ask(w, &q), "Set-Cookie") == NULL);
	world_free(w);
}

/* A bearer comes from whoever holds it, wherever the page is. */
static void logout_from_elsewhere(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	struct ask q = { LOGOUT, .cookie = sent(w, ada.refresh), .site = "cross-site" };

	CHECK(ask(w, &q), 403, "cross_site");
	q.token = "x.y.z";
	CHECK(ask(w, &q), 403, "cross_site");
	CU_ASSERT(w->store->n_calls == 0);
	q.token = ada.access;
	check_cleared(w, ask(w, &q));
	world_free(w);
}

CU_TestInfo cookie_tests[] = {
	{ "instead of the member", cookie_replaces_the_member },
	{ "only when asked for", cookie_only_when_asked_for },
	{ "needs an origin", cookie_needs_an_origin },
	{ "without https", cookie_without_https },
	{ "refresh", cookie_refreshes },
	{ "after the body", cookie_comes_after_the_body },
	{ "name and value", cookie_is_told_by_its_name },
	{ "the cross-site rule", cookie_is_for_the_same_origin },
	{ "the rule without an origin", cookie_rule_without_an_origin },
	{ "logout", logout_by_the_cookie },
	{ "logout from elsewhere", logout_from_elsewhere },
	CU_TEST_INFO_NULL,
};
