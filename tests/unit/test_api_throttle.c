/* The throttle in front of registration and login. */
#include "base/base.h"

#include "test_api.h"

#include "world.h"

static void throttle_counts_addresses(void)
{
	struct world *w = world_new();
	const struct answer *a;

	(void)person_new(w, "ada@example.org");
	w->app.throttle_address_per_minute = 3;
	CHECK(login(w, "ada@example.org", PASSWORD), 200, NULL);
	CHECK(ASK(w, REGISTER, .body = "{}"), 422, "validation_failed");
	fake_clock_advance(20 * US_PER_SECOND + 1);
	CHECK(login(w, "ada@example.org", "x"), 401, "invalid_credentials");
	calls_reset(w);
	a = login(w, "ada@example.org", PASSWORD);
	CHECK(a, 429, "rate_limited");
	CU_ASSERT(header_is(w, a, "Retry-After", "40"));
	CU_ASSERT(header_is(w, a, "RateLimit", "\"address\";r=0;t=40"));
	CU_ASSERT(header_is(w, a, "RateLimit-Policy", "\"address\";q=3;w=60"));
	CU_ASSERT(w->store->n_calls == 1);
	CHECK(ASK(w, REGISTER, .body = "{}"), 429, "rate_limited");
	/* others, and other routes, are not concerned */
	CHECK(ASK(w, REGISTER, .body = "{}", .address = "192.0.2.2"), 422, "validation_failed");
	CHECK(ASK(w, .path = "/api/health"), 200, NULL);
	fake_clock_advance(40 * US_PER_SECOND);
	CHECK(login(w, "ada@example.org", PASSWORD), 200, NULL);
	world_free(w);
}

static void throttle_counts_networks(void)
{
	static const struct {
		const char *one, *two;
		bool same;
	} pairs[] = {
		{ "192.0.2.1", "192.0.2.1", true },
		{ "192.0.2.1", "192.0.2.2", false },
		{ "2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true },
		{ "2001:DB8:1:2::1", "2001:db8:1:2::1", true },
		{ "2001:db8:1:2::1", "2001:db8:1:3::1", false },
		{ "192.0.2.1", "::ffff:192.0.2.1", true },
		{ "::ffff:192.0.2.1", "::ffff:192.0.2.2", false },
		{ "::1", "::2", true },
		{ "", "", true },
		{ "unix:", "unix:", true },
	};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct world *w = world_new();

		w->app.throttle_address_per_minute = 1;
		CHECK(ASK(w, REGISTER, .body = "{}", .address = pairs[i].one), 422,
		      "validation_failed");
		CHECK(ASK(w, REGISTER, .body = "{}", .address = pairs[i].two),
		      pairs[i].same ? 429 : 422,
		      pairs[i].same ? "rate_limited" : "validation_failed");
		world_free(w);
	}
}

static void throttle_counts_failures_of_accounts(void)
{
	static const int waits[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900 };
	struct world *w = world_new();
	const struct answer *a;
	struct gate other;

	(void)person_new(w, "ada@example.org");
	w->app.throttle_address_per_minute = 1000;
	for (int i = 0; i < 5; i++)
		CHECK(login(w, "ada@example.org", "wrong"), 401, "invalid_credentials");
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		const char *wait = format(w, "%d", waits[i]);

		CHECK(login(w, "Ada@example.org", "wrong"), 401, "invalid_credentials");
		/* neither counted nor hashed: the gate is not asked, the right password no help */
		CU_ASSERT_FATAL(gate_open(&other, w->gate_path, 1) && gate_enter(&other, 0));
		for (int k = 0; k < 2; k++) {
			a = login(w, "ada@example.org", PASSWORD);
			CHECK(a, 429, "rate_limited");
			CU_ASSERT(header_is(w, a, "Retry-After", wait));
			CU_ASSERT(header_is(w, a, "RateLimit",
					    format(w, "\"account\";r=0;t=%s", wait)));
			CU_ASSERT(header_is(w, a, "RateLimit-Policy", "\"account\";q=5"));
		}
		gate_close(&other);
		/* rounded up: a client that waits as told is let in */
		fake_clock_advance(waits[i] * US_PER_SECOND - 1);
		a = login(w, "ada@example.org", PASSWORD);
		CHECK(a, 429, "rate_limited");
		CU_ASSERT(header_is(w, a, "Retry-After", "1"));
		fake_clock_advance(1);
	}
	CHECK(login(w, "ada@example.org", PASSWORD), 200, NULL);
	CU_ASSERT(account_throttle(w) == NULL);
	for (int i = 0; i < 5; i++)
		CHECK(login(w, "ada@example.org", "wrong"), 401, "invalid_credentials");
	world_free(w);
}

static void throttle_treats_unknown_accounts_alike(void)
{
	struct world *w = world_new();

	for (int i = 0; i < 6; i++)
		CHECK(login(w, "nobody@example.org", "wrong"), 401, "invalid_credentials");
	CHECK(login(w, "Nobody@example.org", "wrong"), 429, "rate_limited");
	CHECK(login(w, "somebody@example.org", "wrong"), 401, "invalid_credentials");
	/* keys do not hold what people typed */
	for (size_t i = 0; i < w->store->n_throttles; i++)
		CU_ASSERT(strstr(w->store->throttles[i].key, "body") == NULL);
	CU_ASSERT(strlen(account_throttle(w)->key) == strlen("account:") + 64);
	/* of what is no e-mail, and maybe a password, not even a digest is kept: the one of "" */
	for (int i = 0; i < 2; i++)
		CHECK(login(w, i ? "hunter2-hunter2" : "my secret word", "x"), 401,
		      "invalid_credentials");
	CU_ASSERT_FATAL(fake_throttle_of(w->store, "account:e3b0c44298fc1c149afbf4c8996fb924"
						   "27ae41e4649b934ca495991b7852b855") != NULL);
	CU_ASSERT(w->store->throttles[w->store->n_throttles - 1].hits == 2);
	world_free(w);
}

/* --- who is no stranger ---------------------------------------------------------------------- */

#define ELSEWHERE "198.51.100.9"

static const char *const right = "{\"email\":\"ada@example.org\",\"password\":\"" PASSWORD "\"}";

/* Somebody else's guessing, from elsewhere. */
static void lock(struct world *w)
{
	w->app.throttle_address_per_minute = 1000;
	for (int i = 0; i < 6; i++)
		CHECK(ASK(w, LOGIN, .address = ELSEWHERE,
			  .body = "{\"email\":\"ada@example.org\",\"password\":\"wrong\"}"),
		      401, "invalid_credentials");
	CHECK(ASK(w, LOGIN, .address = ELSEWHERE, .body = right), 429, "rate_limited");
	CHECK(ASK(w, LOGIN, .address = "203.0.113.1", .body = right), 429, "rate_limited");
}

static void throttle_knows_networks(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");

	/* where it has begun a session, be it over */
	fake_session_of(w->store, &ada.principal)->revoked = true;
	lock(w);
	CHECK(ASK(w, LOGIN, .address = "192.0.2.1", .body = right), 200, NULL);
	/* which clears the known network's count alone */
	CHECK(ASK(w, LOGIN, .address = ELSEWHERE, .body = right), 429, "rate_limited");
	/* a known network has a limit, too: it may be the guesser's */
	for (int i = 0; i < 6; i++)
		CHECK(login(w, "ada@example.org", "wrong"), 401, "invalid_credentials");
	CHECK(login(w, "ada@example.org", PASSWORD), 429, "rate_limited");
	world_free(w);
}

/* Addresses that cannot be told apart are known to nobody. */
static void throttle_knows_no_nameless_network(void)
{
	struct world *w = world_new();

	(void)person_new(w, "ada@example.org");
	w->store->sessions[0].network = "";
	lock(w);
	CHECK(ASK(w, LOGIN, .address = "\xff", .body = right), 429, "rate_limited");
	world_free(w);
}

static void throttle_knows_shown_sessions(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org"), ended = person_again(w, &ada);
	const struct token_claims old = { ada.principal.user_id, ada.principal.session_id,
					  FAKE_START_S - 900, FAKE_START_S - 800 };
	const char *cookie = format(w, "__Secure-taskcell_refresh=%s", ada.refresh);
	const struct ask shown[] = {
		{ LOGIN, .body = right, .token = ada.access },
		{ LOGIN, .body = right, .token = token_of(w, w->app.keys, &old) },
		{ LOGIN, .body = right, .cookie = cookie, .site = "same-origin" },
		{ LOGIN, .body = right, .cookie = cookie, .origin = ORIGIN, .token = "x" },
	};
	const struct ask refused[] = {
		{ LOGIN, .body = right, .token = bob.access },
		{ LOGIN, .body = right, .token = ended.access },
		{ LOGIN, .body = right, .token = ada.refresh },
		{ LOGIN, .body = right, .cookie = cookie },
		{ LOGIN, .body = right, .cookie = cookie, .site = "cross-site" },
		{ LOGIN, .body = right, .site = "same-origin",
		  .cookie = format(w, "__Secure-taskcell_refresh=%s", ended.refresh) },
		{ LOGIN, .body = right, .site = "same-origin",
		  .cookie = format(w, "__Secure-taskcell_refresh=%s", bob.refresh) },
	};

	for (size_t i = 0; i < w->store->n_sessions; i++)
		w->store->sessions[i].network = "203.0.113.77";
	fake_session_of(w->store, &ended.principal)->revoked = true;
	lock(w);
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		CHECK(ask(w, &refused[i]), 429, "rate_limited");
	for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
		CHECK(ask(w, &shown[i]), 200, NULL);
		/* by the login itself the network is known; not for the next case */
		w->store->n_sessions--;
	}
	world_free(w);
}

static void throttle_can_be_off(void)
{
	struct world *w = world_new();

	(void)person_new(w, "ada@example.org");
	w->app.throttle = false;
	w->app.throttle_address_per_minute = 1;
	for (int i = 0; i < 8; i++)
		CHECK(login(w, "ada@example.org", "wrong"), 401, "invalid_credentials");
	CHECK(login(w, "ada@example.org", PASSWORD), 200, NULL);
	CU_ASSERT(w->store->n_throttles == 0);
	world_free(w);
}

CU_TestInfo throttle_tests[] = {
	{ "addresses", throttle_counts_addresses },
	{ "networks", throttle_counts_networks },
	{ "failures of accounts", throttle_counts_failures_of_accounts },
	{ "unknown accounts", throttle_treats_unknown_accounts_alike },
	{ "known networks", throttle_knows_networks },
	{ "nameless networks", throttle_knows_no_nameless_network },
	{ "shown sessions", throttle_knows_shown_sessions },
	{ "off", throttle_can_be_off },
	CU_TEST_INFO_NULL,
};
