/* Who may use the guarded routes. */
#include "base/base.h"

#include "test_api.h"

#include "api/routes.h"
#include "world.h"

#define MISSING "0198c2f0-1a2b-7c3d-8e4f-a0b1c2d3e4ff"

static void asks_every_guarded_route(struct world *w, const char *authorization, const char *code)
{
	size_t guarded = 0;

	w->app.throttle_address_per_minute = 1000;
	for (size_t i = 0; i < routes_count; i++) {
		const struct answer *a;

		if (routes[i].flags & ROUTE_PUBLIC)
			continue;
		guarded++;
		calls_reset(w);
		a = ASK(w, .method = http_method_name(routes[i].method),
			.path = route_path(w, &routes[i], "me", MISSING),
			.authorization = authorization);
		CHECK(a, 401, code);
		CU_ASSERT(w->store->n_calls == ((routes[i].flags & ROUTE_THROTTLED) != 0));
		CU_ASSERT((strstr(header(w, a, "WWW-Authenticate"), "error=\"invalid_token\"") !=
			   NULL) == (strcmp(code, "missing_token") != 0));
	}
	CU_ASSERT(guarded == 25);
}

static const char *bearer(struct world *w, const char *token)
{
	return format(w, "Bearer %s", token);
}

/* A token under other keys or claims than those the world takes. */
static const char *foreign_token(struct world *w, const char *secret, const char *issuer,
				 const char *audience, const struct person *p)
{
	struct keys *keys = keys_new(secret, strlen(secret), issuer, audience);
	const struct token_claims claims = { p->principal.user_id, p->principal.session_id,
					     FAKE_START_S, FAKE_START_S + 900 };
	const char *token;

	CU_ASSERT_FATAL(keys != NULL);
	token = token_of(w, keys, &claims);
	keys_free(keys);
	return bearer(w, token);
}

static const char *timed_token(struct world *w, const struct person *p, int64_t from, int64_t to)
{
	const struct token_claims claims = { p->principal.user_id, p->principal.session_id,
					     FAKE_START_S + from, FAKE_START_S + to };

	return bearer(w, token_of(w, w->app.keys, &claims));
}

/* The same token with one character of a segment changed. */
static const char *tampered(struct world *w, const char *token, int segment)
{
	char *copy = arena_strndup(w->memory, token, strlen(token)), *p = copy;

	while (segment--)
		p = strchr(p, '.') + 1;
	p[10] = p[10] == 'A' ? 'B' : 'A';
	return bearer(w, copy);
}

static void bearer_is_demanded(void)
{
	static const char *const missing[] = {
		NULL, "", "Basic YWRhOnNlY3JldA==", "Bearer", "Bearer:x", "BearerX y", "Token abc",
	};
	struct world *w = world_new();

	for (size_t i = 0; i < ARRAY_LEN(missing); i++)
		asks_every_guarded_route(w, missing[i], "missing_token");
	world_free(w);
}

static void bearer_refuses_bad_tokens(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const char *dot = strrchr(ada.access, '.');
	int unsigned_len = (int)(dot - ada.access);
	const char *payload = strchr(ada.access, '.') + 1;
	const char *const bad[] = {
		"Bearer ", "Bearer  ", "Bearer x", "Bearer ..", "Bearer a.b.c",
		bearer(w, ada.refresh), format(w, "Bearer %.*s", unsigned_len, ada.access),
		format(w, "Bearer %.*s.", unsigned_len, ada.access),
		format(w, "Bearer %.*s.AAAA", unsigned_len, ada.access),
		format(w, "Bearer %sA", ada.access), format(w, "Bearer %s ", ada.access),
		format(w, "Bearer %s,%s", ada.access, ada.access),
		/* {"alg":"none","typ":"JWT"} */
		format(w, "Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.%.*s.", (int)(dot - payload),
		       payload),
		format(w, "Bearer eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.%s", payload),
		tampered(w, ada.access, 0), tampered(w, ada.access, 1), tampered(w, ada.access, 2),
		foreign_token(w, "another secret of 256 bits and more", ISSUER, AUDIENCE, &ada),
		foreign_token(w, SECRET, "https://elsewhere.example", AUDIENCE, &ada),
		foreign_token(w, SECRET, ISSUER, "another", &ada),
		timed_token(w, &ada, 31, 900), /* not yet */
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		asks_every_guarded_route(w, bad[i], "invalid_token");
	asks_every_guarded_route(w, timed_token(w, &ada, -900, -30), "token_expired");
	world_free(w);
}

static void bearer_takes_good_tokens(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const char *const good[] = {
		bearer(w, ada.access),
		format(w, "bearer %s", ada.access),
		format(w, "BEARER   %s", ada.access),
		timed_token(w, &ada, 30, 900),   /* a clock that is behind */
		timed_token(w, &ada, -900, -29), /* within the leeway */
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		CHECK(ASK(w, .path = "/api/auth/session", .authorization = good[i]), 200, NULL);
	/* the clock of the token is ours, not the database's */
	fake_clock_advance(931 * US_PER_SECOND);
	CHECK(ASK(w, .path = "/api/auth/session", .token = ada.access), 401, "token_expired");
	world_free(w);
}

/* Every way in which a session ends closes every guarded route that has a valid request. */
static void bearer_of_a_dead_session(void)
{
	for (int way = 0; way < 6; way++) {
		struct world *w = world_new();
		struct person ada = person_new(w, "ada@example.org");
		const char *task = task_new(w, &ada, "x");
		struct fake_session *session = fake_session_of(w->store, &ada.principal);
		struct fake_account *account = &w->store->accounts[0];

		switch (way) {
		case 0:
			session->revoked = true;
			break;
		case 1:
			session->row.expires_at = FAKE_START_S * US_PER_SECOND;
			break;
		case 2:
			session->row.idle_expires_at = FAKE_START_S * US_PER_SECOND;
			break;
		case 3:
			account->disabled = true;
			break;
		case 4:
			account->epoch++;
			break;
		case 5:
			w->store->n_sessions = 0;
			break;
		}
		for (size_t i = 0; i < routes_count; i++) {
			const struct answer *a;

			if (routes[i].flags & ROUTE_PUBLIC)
				continue;
			a = ASK(w, .method = http_method_name(routes[i].method),
				.path = route_path(w, &routes[i], "me", task), .token = ada.access,
				.body = route_body(&routes[i]));
			CHECK(a, 401, "session_ended");
			CU_ASSERT(strstr(a->log, " reason=session_ended ") != NULL);
		}
		CU_ASSERT(w->store->n_tasks == 1);
		CU_ASSERT_STRING_EQUAL(w->store->tasks[0].title, "x");
		world_free(w);
	}
}

CU_TestInfo bearer_tests[] = {
	{ "a bearer is demanded", bearer_is_demanded },
	{ "bad tokens", bearer_refuses_bad_tokens },
	{ "good tokens", bearer_takes_good_tokens },
	{ "dead sessions", bearer_of_a_dead_session },
	CU_TEST_INFO_NULL,
};
