/* What the current password opens: the three acts that demand it, and changing it. */
#include "base/base.h"

#include "test_api.h"

#include "security/password.h"
#include "world.h"

#define ACCOUNT "/api/auth/account"
#define CHANGE  "/api/auth/password"
#define NEW     "another-good-horse"

enum kind { PASSWORD_ACT, EMAIL_ACT, DELETE_ACT, KINDS };

/* One of the three routes that demand the current password. */
static struct ask act_of(struct world *w, enum kind kind, const char *token, const char *password)
{
	switch (kind) {
	case PASSWORD_ACT:
		return (struct ask){ .method = "POST",
				     .path = CHANGE,
				     .token = token,
				     .body = format(w,
						    "{\"current_password\":\"%s\","
						    "\"new_password\":\"" NEW "\"}",
						    password) };
	case EMAIL_ACT:
		return (struct ask){ .method = "PATCH",
				     .path = ACCOUNT,
				     .token = token,
				     .body = format(w,
						    "{\"current_password\":\"%s\","
						    "\"email\":\"new@example.org\"}",
						    password) };
	case DELETE_ACT:
	case KINDS:
		break;
	}
	return (struct ask){ .method = "DELETE",
			     .path = ACCOUNT,
			     .token = token,
			     .body = format(w, "{\"password\":\"%s\"}", password) };
}

static const struct answer *act(struct world *w, enum kind kind, const struct person *p,
				const char *password)
{
	const struct ask q = act_of(w, kind, p->access, password);

	return ask(w, &q);
}

static int status_of(enum kind kind)
{
	return kind == DELETE_ACT ? 204 : 200;
}

/* --- what the three acts have in common ------------------------------------------------------ */

static void acts_demand_the_password(void)
{
	for (enum kind kind = PASSWORD_ACT; kind < KINDS; kind++) {
		struct world *w = world_new();
		struct person ada = person_new(w, "ada@example.org");
		const char *hash = w->store->accounts[0].password_hash;
		const struct answer *a = act(w, kind, &ada, "certainly-wrong");

		CHECK(a, 403, "wrong_password");
		CU_ASSERT(strstr(a->log, " event=auth_failed address=192.0.2.1 "
					 "reason=wrong_password ") != NULL);
		CU_ASSERT(strstr(a->log, "certainly-wrong") == NULL);
		CU_ASSERT(
			has_event(w, &ada.principal.user_id, "password_refused", "wrong_password"));
		CU_ASSERT(w->store->n_events == 2 && w->store->accounts[0].password_hash == hash);
		CU_ASSERT(w->store->accounts[0].epoch == 0 && lives(w, ada.access));
		/* an act that is done clears the count, and goes through at the present hash */
		CU_ASSERT_FATAL(session_throttle(w) != NULL);
		CU_ASSERT(session_throttle(w)->hits == 1);
		w->app.scrypt_cost = 11; /* the old hash serves; only a login makes it anew */
		CHECK(act(w, kind, &ada, PASSWORD), status_of(kind), NULL);
		CU_ASSERT(session_throttle(w) == NULL);
		world_free(w);
	}
}

static void acts_are_throttled_by_session(void)
{
	for (enum kind kind = PASSWORD_ACT; kind < KINDS; kind++) {
		struct world *w = world_new();
		struct person ada = person_new(w, "ada@example.org"),
			      second = person_again(w, &ada);
		const struct answer *a;
		struct gate other;

		w->app.throttle_address_per_minute = 1000;
		/* all three count together */
		for (int i = 0; i < 6; i++)
			CHECK(act(w, (enum kind)(i % KINDS), &ada, "wrong"), 403, "wrong_password");
		CU_ASSERT_FATAL(gate_open(&other, w->gate_path, 1) && gate_enter(&other, 0));
		a = act(w, kind, &ada, PASSWORD); /* not hashed: the gate is not asked */
		gate_close(&other);
		CHECK(a, 429, "rate_limited");
		CU_ASSERT(header_is(w, a, "Retry-After", "1"));
		CU_ASSERT(header_is(w, a, "RateLimit", "\"session\";r=0;t=1"));
		CU_ASSERT(header_is(w, a, "RateLimit-Policy", "\"session\";q=5"));
		/* neither a login nor another session waits, nor those for a login's failures */
		CHECK(login(w, "ada@example.org", PASSWORD), 200, NULL);
		for (int i = 0; i < 6; i++)
			CHECK(login(w, "ada@example.org", "wrong"), 401, "invalid_credentials");
		CHECK(act(w, kind, &second, PASSWORD), status_of(kind), NULL);
		world_free(w);
	}
}

/* What is not the caller's failure is given back, and the wait with it. */
static void acts_give_back_what_came_to_nothing(void)
{
	for (enum kind kind = PASSWORD_ACT; kind < KINDS; kind++) {
		struct world *w = world_new();
		struct person ada = person_new(w, "ada@example.org");
		size_t last = kind == PASSWORD_ACT ? 4 : 3;
		struct gate other;

		CU_ASSERT_FATAL(gate_open(&other, w->gate_path, 1) && gate_enter(&other, 0));
		for (int i = 0; i < 8; i++)
			CHECK(act(w, kind, &ada, i % 2 ? "wrong" : PASSWORD), 503, "hashing_busy");
		gate_close(&other);
		CU_ASSERT(session_throttle(w)->hits == 0);
		/* a store that fails at the act itself */
		calls_reset(w);
		w->store->fail_call = last;
		w->store->fail_with = STORE_BUSY;
		CHECK(act(w, kind, &ada, PASSWORD), 503, "unavailable");
		CU_ASSERT(session_throttle(w)->hits == 0);
		CU_ASSERT(strcmp(w->store->calls[last], "store_throttle_refund") == 0);
		calls_reset(w);
		CHECK(act(w, kind, &ada, PASSWORD), status_of(kind), NULL);
		world_free(w);
	}
}

/* --- what others do between reading and acting ----------------------------------------------- */

static void another_hash(struct store *s)
{
	static char hash[PASSWORD_HASH_MAX];

	CU_ASSERT(password_hash(10, PASSWORD, strlen(PASSWORD), hash) == PASSWORD_OK);
	s->accounts[0].password_hash = hash;
}

static void others_ended(struct store *s)
{
	s->sessions[0].epoch = ++s->accounts[0].epoch;
}

static void both(struct store *s)
{
	another_hash(s);
	others_ended(s);
}

static void another_password(struct store *s)
{
	another_hash(s);
	s->accounts[0].epoch++;
}

static void email_moved(struct store *s)
{
	others_ended(s);
	s->accounts[0].user.email = s->accounts[0].email_key = "moved@example.org";
}

static void disable(struct store *s)
{
	s->accounts[0].disabled = true;
}

static void acts_survive_a_rehash_alone(void)
{
	static const struct {
		void (*hook)(struct store *);
		int status[KINDS];
	} cases[] = {
		{ another_hash, { 200, 200, 204 } },     { others_ended, { 200, 200, 204 } },
		{ email_moved, { 200, 200, 204 } },      { both, { 503, 503, 503 } },
		{ another_password, { 401, 401, 401 } }, { disable, { 401, 401, 401 } },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (enum kind kind = PASSWORD_ACT; kind < KINDS; kind++) {
			struct world *w = world_new();
			struct person ada = person_new(w, "ada@example.org");
			int status = cases[i].status[kind];
			const struct answer *a;

			w->store->hook_call = kind == PASSWORD_ACT ? 4 : 3;
			w->store->hook = cases[i].hook;
			a = act(w, kind, &ada, PASSWORD);
			CHECK(a, status,
			      status == 401   ? "session_ended"
			      : status == 503 ? "unavailable"
					      : NULL);
			CU_ASSERT(!session_throttle(w) || session_throttle(w)->hits == 0);
			CU_ASSERT((w->store->n_accounts == 0) == (status == 204));
			/* nothing was overwritten that was not verified */
			if (status >= 400)
				CU_ASSERT(strcmp(w->store->accounts[0].email_key,
						 "new@example.org") != 0);
			world_free(w);
		}
	}
}

/* A store that says STALE for ever does not keep the worker. */
static void acts_try_twice(void)
{
	for (enum kind kind = PASSWORD_ACT; kind < KINDS; kind++) {
		struct world *w = world_new();
		struct person ada = person_new(w, "ada@example.org");

		w->store->fail_call = kind == PASSWORD_ACT ? 4 : 3;
		w->store->fail_with = STORE_STALE;
		CHECK(act(w, kind, &ada, PASSWORD), status_of(kind), NULL);
		CU_ASSERT(w->store->n_calls == w->store->fail_call + 2);
		calls_reset(w);
		world_free(w);

		w = world_new();
		ada = person_new(w, "ada@example.org");
		w->store->hook_call = kind == PASSWORD_ACT ? 4 : 3;
		w->store->hook = another_hash;
		w->store->fail_call = w->store->hook_call + 2;
		w->store->fail_with = STORE_STALE;
		CHECK(act(w, kind, &ada, PASSWORD), 503, "unavailable");
		CU_ASSERT(session_throttle(w)->hits == 0);
		world_free(w);
	}
}

/* --- the password ---------------------------------------------------------------------------- */

static void password_change_ends_every_session(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"), second = person_again(w, &ada);
	const struct answer *advanced = refresh(w, ada.refresh), *a;
	const char *old = w->store->accounts[0].password_hash;

	fake_clock_advance(US_PER_SECOND);
	a = act(w, PASSWORD_ACT, &ada, PASSWORD);
	CHECK(a, 200, NULL);
	CU_ASSERT(length(a, "") == 7 && text_is(a, "user.id", ada.id));
	CU_ASSERT(header_is(w, a, "Cache-Control", "no-store"));
	CU_ASSERT(lives(w, text(a, "access_token")));
	/* inside the grace, too: the new pair is for the new session alone */
	CHECK(refresh(w, ada.refresh), 401, "session_ended");
	CHECK(refresh(w, text(advanced, "refresh_token")), 401, "session_ended");
	CHECK(refresh(w, second.refresh), 401, "session_ended");
	CU_ASSERT(!lives(w, ada.access) && !lives(w, second.access));
	CHECK(refresh(w, text(a, "refresh_token")), 200, NULL);
	CU_ASSERT(strcmp(w->store->accounts[0].password_hash, old) != 0);
	CU_ASSERT(strstr(w->store->accounts[0].password_hash, NEW) == NULL);
	CHECK(login(w, "ada@example.org", PASSWORD), 401, "invalid_credentials");
	CHECK(login(w, "ada@example.org", NEW), 200, NULL);
	CU_ASSERT(has_event(w, &ada.principal.user_id, "password_changed", NULL));
	world_free(w);
}

static void password_change_judges_the_new_one(void)
{
	static const struct {
		const char *password, *code;
	} cases[] = {
		{ "", "too_short" },
		{ "7-chars", "too_short" },
		{ "a\xcc\x88-chars", "too_short" }, /* seven, once composed */
		{ "password", "too_common" },
		{ "My-Adalovelace!", "contains_email" },
		{ "EvergreenLists", "contains_site" },
	};
	struct world *w = world_new();
	struct person ada = person_new(w, "adalovelace@example.org");
	const struct answer *a;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		a = ASK(w, .method = "POST", .path = CHANGE, .token = ada.access,
			.body = format(w,
				       "{\"current_password\":\"wrong\",\"new_password\":\"%s\"}",
				       cases[i].password));
		CHECK(a, 422, "validation_failed");
		CU_ASSERT(length(a, "errors") == 1 &&
			  text_is(a, "errors.0.field", "new_password") &&
			  text_is(a, "errors.0.code", cases[i].code));
	}
	a = ASK(w, .method = "POST", .path = CHANGE, .token = ada.access, .body = "{}");
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(length(a, "errors") == 2);
	CHECK(ASK(w, .method = "POST", .path = CHANGE, .token = ada.access), 400, "invalid_json");
	/* none of them was a guess */
	CU_ASSERT(session_throttle(w) == NULL && w->store->n_events == 1);
	world_free(w);
}

CU_TestInfo password_tests[] = {
	{ "acts: the password", acts_demand_the_password },
	{ "acts: throttled", acts_are_throttled_by_session },
	{ "acts: given back", acts_give_back_what_came_to_nothing },
	{ "acts: what others do meanwhile", acts_survive_a_rehash_alone },
	{ "acts: twice at most", acts_try_twice },
	{ "password: every session ends", password_change_ends_every_session },
	{ "password: judged", password_change_judges_the_new_one },
	CU_TEST_INFO_NULL,
};
