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
	{ "off", throttle_can_be_off },
	CU_TEST_INFO_NULL,
};
