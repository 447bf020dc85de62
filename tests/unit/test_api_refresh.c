/* The life of a session after the login. */
#include "base/base.h"

#include "test_api.h"

#include "base/codec.h"
#include "security/refresh_token.h"
#include "world.h"

static const struct answer *session(struct world *w, const char *access)
{
	return ASK(w, .path = "/api/auth/session", .token = access);
}

static void wait_s(int64_t seconds)
{
	fake_clock_advance(seconds * US_PER_SECOND);
}

static struct fake_session *row_of(struct world *w, const struct person *p)
{
	return fake_session_of(w->store, &p->principal);
}

/* --- refresh --------------------------------------------------------------------------------- */

static void refresh_advances(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const char *token = ada.refresh;

	for (int i = 1; i <= 3; i++) {
		const struct answer *a;

		wait_s(600);
		a = refresh(w, token);
		CHECK(a, 200, NULL);
		CU_ASSERT(length(a, "") == 7);
		CU_ASSERT(strcmp(text(a, "refresh_token"), token) != 0);
		CU_ASSERT(text_is(a, "user.email", "ada@example.org"));
		CU_ASSERT(row_of(w, &ada)->row.counter == i);
		CHECK(session(w, text(a, "access_token")), 200, NULL);
		token = text(a, "refresh_token");
	}
	/* a refresh with a valid token counts against nobody */
	CU_ASSERT(w->store->n_throttles == 0);
	world_free(w);
}

static void refresh_repeats_inside_the_grace(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *first = refresh(w, ada.refresh), *a;

	CHECK(first, 200, NULL);
	for (int i = 0; i < 24; i++) {
		if (i == 23)
			fake_clock_advance(30 * US_PER_SECOND - 1);
		a = refresh(w, ada.refresh);
		CHECK(a, 200, NULL);
		CU_ASSERT_STRING_EQUAL(text(a, "refresh_token"), text(first, "refresh_token"));
		CU_ASSERT(strcmp(text(a, "access_token"), text(first, "access_token")) != 0);
	}
	CU_ASSERT(row_of(w, &ada)->row.counter == 1 && w->store->n_sessions == 1);
	CU_ASSERT(!row_of(w, &ada)->revoked);
	world_free(w);
}

/* Ends everything that hangs on the session, and says so in the log. */
static void check_theft(struct world *w, const struct person *p, const char *stolen,
			const char *current)
{
	const struct answer *a = refresh(w, stolen);

	CHECK(a, 401, "session_ended");
	CU_ASSERT(strstr(a->log, " level=warning ") != NULL);
	CU_ASSERT(
		strstr(a->log, format(w, " event=refresh_theft address=192.0.2.1 user=%s session=",
				      p->id)) != NULL);
	CU_ASSERT(row_of(w, p)->revoked);
	CHECK(refresh(w, current), 401, "session_ended");
	CHECK(session(w, p->access), 401, "session_ended");
	a = refresh(w, stolen);
	CHECK(a, 401, "session_ended");
	CU_ASSERT(strstr(a->log, "refresh_theft") == NULL); /* nothing is left to steal */
}

static void refresh_after_the_grace_is_theft(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"), again = person_again(w, &ada);
	const struct answer *a = refresh(w, ada.refresh);

	wait_s(20);
	CHECK(refresh(w, ada.refresh), 200, NULL);
	wait_s(10); /* the re-issue has not extended it */
	check_theft(w, &ada, ada.refresh, text(a, "refresh_token"));
	/* the other session goes on */
	CHECK(refresh(w, again.refresh), 200, NULL);
	world_free(w);
}

static void refresh_two_behind_is_theft(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *a = refresh(w, ada.refresh);

	a = refresh(w, text(a, "refresh_token"));
	CHECK(a, 200, NULL);
	check_theft(w, &ada, ada.refresh, text(a, "refresh_token"));
	world_free(w);
}

static void refresh_without_grace_is_strict(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *a;

	w->app.refresh_grace_s = 0;
	a = refresh(w, ada.refresh);
	CHECK(a, 200, NULL);
	check_theft(w, &ada, ada.refresh, text(a, "refresh_token"));
	world_free(w);
}

/* Whoever refreshes between the decision and the end of the session keeps it: it was no theft of
 * the counter that was seen. */
static void advance_once_more(struct store *s)
{
	s->sessions[0].row.counter++;
}

static void theft_ends_what_was_seen(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");

	CHECK(refresh(w, ada.refresh), 200, NULL);
	wait_s(31);
	calls_reset(w);
	w->store->hook_call = 2;
	w->store->hook = advance_once_more;
	CHECK(refresh(w, ada.refresh), 401, "session_ended");
	CU_ASSERT(was_called(w, "store_session_theft"));
	CU_ASSERT(!row_of(w, &ada)->revoked);
	world_free(w);
}

static const char *token_with(struct world *w, struct keys *keys, const struct person *p,
			      int64_t counter, int64_t expires_at)
{
	const struct refresh_token t = { p->principal.user_id, p->principal.session_id, counter,
					 expires_at };
	char *out = arena_alloc(w->memory, REFRESH_TOKEN_LEN + 1);

	CU_ASSERT_FATAL(refresh_token_issue(keys, keys_active_id(keys), &t, out));
	return out;
}

static void refresh_refuses_invalid_tokens(void)
{
	static const char other_secret[] = "another secret of 256 bits and more";
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"), eve = ada;
	struct keys *other = keys_new(other_secret, strlen(other_secret), ISSUER, AUDIENCE);
	const int64_t later = FAKE_START_S + 1000;
	char *flipped = arena_strndup(w->memory, ada.refresh, strlen(ada.refresh));

	CU_ASSERT_FATAL(other != NULL);
	flipped[60] = flipped[60] == 'A' ? 'B' : 'A';
	const char *const bodies[] = {
		NULL,
		"{}",
		"{\"refresh_token\":null}",
		"{\"refresh_token\":\"\"}",
		"{\"refresh_token\":\"x\"}",
		format(w, "{\"refresh_token\":\"%s\"}", ada.access),
		format(w, "{\"refresh_token\":\"%s=\"}", ada.refresh),
		format(w, "{\"refresh_token\":\" %s\"}", ada.refresh),
		format(w, "{\"refresh_token\":\"%.*s\"}", REFRESH_TOKEN_LEN - 1, ada.refresh),
		format(w, "{\"refresh_token\":\"%s\"}", flipped),
		format(w, "{\"refresh_token\":\"%s\"}", token_with(w, other, &ada, 0, later)),
		/* ahead of the row: signed, but never handed out */
		format(w, "{\"refresh_token\":\"%s\"}", token_with(w, w->app.keys, &ada, 1, later)),
		format(w, "{\"refresh_token\":\"%s\"}",
		       token_with(w, w->app.keys, &ada, INT64_MAX, later)),
		/* its own expiry */
		format(w, "{\"refresh_token\":\"%s\"}",
		       token_with(w, w->app.keys, &ada, -1, FAKE_START_S)),
	};
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		const struct answer *a =
			ASK(w, .method = "POST", .path = "/api/auth/refresh", .body = bodies[i]);

		CHECK(a, 401, "invalid_refresh_token");
		CU_ASSERT(strstr(header(w, a, "WWW-Authenticate"), "error=") == NULL);
		CU_ASSERT(w->store->throttles[0].hits == (int64_t)i + 1); /* each counts */
	}
	CU_ASSERT(row_of(w, &ada)->row.counter == 0 && !row_of(w, &ada)->revoked);
	/* one of a session that is not there is of one that has ended */
	eve.principal.session_id.bytes[15] ^= 1;
	CHECK(refresh(w, token_with(w, w->app.keys, &eve, 0, later)), 401, "session_ended");
	CHECK(ASK(w, .method = "POST", .path = "/api/auth/refresh",
		  .body = "{\"refresh_token\":5}"),
	      422, "validation_failed");
	CHECK(ASK(w, .method = "POST", .path = "/api/auth/refresh", .body = "[]"), 400,
	      "invalid_json");
	CHECK(refresh(w, ada.refresh), 200, NULL);
	keys_free(other);
	world_free(w);
}

static void refresh_counts_invalid_tokens_only(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *a;

	w->app.throttle_address_per_minute = 2;
	for (int i = 0; i < 2; i++)
		CHECK(refresh(w, "x"), 401, "invalid_refresh_token");
	a = refresh(w, "x");
	CHECK(a, 429, "rate_limited");
	CU_ASSERT(header_is(w, a, "RateLimit-Policy", "\"address\";q=2;w=60"));
	CHECK(refresh(w, ada.refresh), 200, NULL);
	world_free(w);
}

static void refresh_of_ended_sessions(void)
{
	for (int way = 0; way < 3; way++) {
		struct world *w = world_new();
		struct person ada = person_new(w, "ada@example.org");

		if (way == 0)
			row_of(w, &ada)->revoked = true;
		else if (way == 1)
			w->store->accounts[0].disabled = true;
		else
			w->store->accounts[0].epoch++;
		CHECK(refresh(w, ada.refresh), 401, "session_ended");
		CU_ASSERT(row_of(w, &ada)->row.counter == 0);
		world_free(w);
	}
}

static void refresh_keeps_within_its_lives(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"), idle = person_again(w, &ada);
	const char *token = ada.refresh;
	const struct answer *a = NULL;

	/* idle: to the last second of 14 days */
	wait_s(14 * 86400 - 1);
	a = refresh(w, token);
	CHECK(a, 200, NULL);
	CU_ASSERT(text_is(a, "refresh_expires_at", "2026-10-19T14:13:19.000Z"));
	wait_s(1);
	CHECK(refresh(w, idle.refresh), 401, "invalid_refresh_token");
	/* absolute: 60 days from the login, however often it is used */
	for (int day = 24; day < 60; day += 10) {
		token = text(a, "refresh_token");
		fake_clock_set((FAKE_START_S + day * 86400) * US_PER_SECOND);
		a = refresh(w, token);
		CHECK(a, 200, NULL);
	}
	CU_ASSERT(text_is(a, "refresh_expires_at", "2026-11-20T14:13:20.000Z"));
	fake_clock_set((FAKE_START_S + 60 * 86400 - 1) * US_PER_SECOND);
	a = refresh(w, text(a, "refresh_token"));
	CHECK(a, 200, NULL);
	CU_ASSERT(text_is(a, "refresh_expires_at", "2026-11-20T14:13:20.000Z"));
	wait_s(1);
	CHECK(refresh(w, text(a, "refresh_token")), 401, "invalid_refresh_token");
	CHECK(session(w, text(a, "access_token")), 401, "session_ended");
	world_free(w);
}

/* --- session --------------------------------------------------------------------------------- */

static void session_tells_of_itself(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	char sid[UUID_TEXT_LEN + 1];
	const struct answer *a;

	uuid_format(&ada.principal.session_id, sid);
	wait_s(100);
	CHECK(refresh(w, ada.refresh), 200, NULL);
	a = session(w, ada.access);
	CHECK(a, 200, NULL);
	CU_ASSERT(header_is(w, a, "Cache-Control", "no-store"));
	CU_ASSERT(length(a, "") == 3 && length(a, "user") == 4 && length(a, "session") == 4);
	CU_ASSERT(text_is(a, "user.id", ada.id) && text_is(a, "user.email", "ada@example.org"));
	CU_ASSERT(is_null(a, "user.name"));
	CU_ASSERT(text_is(a, "session.id", sid));
	CU_ASSERT(text_is(a, "session.created_at", "2026-09-21T14:13:20.000Z"));
	CU_ASSERT(text_is(a, "session.last_used_at", "2026-09-21T14:15:00.000Z"));
	CU_ASSERT(text_is(a, "session.expires_at", "2026-10-05T14:15:00.000Z"));
	CU_ASSERT(text_is(a, "expires_at", "2026-09-21T14:28:20.000Z"));
	world_free(w);
}

/* --- logout ---------------------------------------------------------------------------------- */

#define LOGOUT .method = "POST", .path = "/api/auth/logout"

static void check_goodbye(const struct answer *a)
{
	CHECK(a, 200, NULL);
	CU_ASSERT_STRING_EQUAL(a->body, "{\"success\":true,\"message\":\"Logged out\"}");
}

static void logout_by_access_token(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"), again = person_again(w, &ada);

	check_goodbye(ASK(w, LOGOUT, .token = ada.access));
	CU_ASSERT(row_of(w, &ada)->revoked && !row_of(w, &again)->revoked);
	CHECK(session(w, ada.access), 401, "session_ended");
	CHECK(refresh(w, ada.refresh), 401, "session_ended");
	CHECK(session(w, again.access), 200, NULL);
	check_goodbye(ASK(w, LOGOUT, .token = ada.access)); /* twice is no harm */
	/* expired is good enough for this */
	wait_s(86400);
	check_goodbye(ASK(w, LOGOUT, .token = again.access));
	CU_ASSERT(row_of(w, &again)->revoked);
	world_free(w);
}

static void logout_by_refresh_token(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"), again = person_again(w, &ada);
	const char *body = format(w, "{\"refresh_token\":\"%s\"}", ada.refresh);

	/* the access token comes first */
	check_goodbye(ASK(w, LOGOUT, .token = again.access, .body = body));
	CU_ASSERT(!row_of(w, &ada)->revoked && row_of(w, &again)->revoked);
	/* one that we did not sign says nothing, and an old refresh token will do */
	CHECK(refresh(w, ada.refresh), 200, NULL);
	check_goodbye(ASK(w, LOGOUT, .token = "not.a.token", .body = body));
	CU_ASSERT(row_of(w, &ada)->revoked);
	world_free(w);
}

static void logout_without_anything(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");

	check_goodbye(ASK(w, LOGOUT));
	check_goodbye(ASK(w, LOGOUT, .body = "{}"));
	check_goodbye(ASK(w, LOGOUT, .body = "{\"refresh_token\":null}"));
	check_goodbye(ASK(w, LOGOUT, .body = "{\"refresh_token\":\"x\"}"));
	check_goodbye(ASK(w, LOGOUT, .token = "x"));
	check_goodbye(ASK(w, LOGOUT, .authorization = "Basic eDp5"));
	CU_ASSERT(w->store->n_calls == 0);
	CHECK(session(w, ada.access), 200, NULL);
	CHECK(ASK(w, LOGOUT, .body = "{\"refresh_token\":1}"), 422, "validation_failed");
	world_free(w);
}

CU_TestInfo refresh_tests[] = {
	{ "refresh advances", refresh_advances },
	{ "the current one inside the grace", refresh_repeats_inside_the_grace },
	{ "theft: after the grace", refresh_after_the_grace_is_theft },
	{ "theft: two behind", refresh_two_behind_is_theft },
	{ "theft: no grace", refresh_without_grace_is_strict },
	{ "theft: what was seen", theft_ends_what_was_seen },
	{ "invalid tokens", refresh_refuses_invalid_tokens },
	{ "invalid tokens are counted", refresh_counts_invalid_tokens_only },
	{ "ended sessions", refresh_of_ended_sessions },
	{ "idle and absolute life", refresh_keeps_within_its_lives },
	{ "session", session_tells_of_itself },
	{ "logout by access token", logout_by_access_token },
	{ "logout by refresh token", logout_by_refresh_token },
	{ "logout with nothing", logout_without_anything },
	CU_TEST_INFO_NULL,
};
