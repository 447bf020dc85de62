/* What happens when several processes want the same row. */
#include "base/base.h"

#include "base/clock.h"
#include "store/test_races.h"

/* --- refresh --------------------------------------------------------------------------------- */

struct refresh_result {
	enum store_result r;
	bool found, advanced, revoked;
	int64_t counter;
};

static void run_refresh(struct racer *racer, void *arg, void *out)
{
	const struct session_refresh *refresh = arg;
	struct refresh_result *result = out;
	struct session_state state;

	result->r = store_session_refresh(racer->store, racer->arena, refresh, &state);
	if (result->r != STORE_OK)
		return;
	result->found = state.found;
	result->advanced = state.advanced;
	result->revoked = state.revoked;
	result->counter = state.session.counter;
}

static void next_counter(unsigned round, void *arg)
{
	struct session_refresh *refresh = arg;

	refresh->counter += round > 0;
}

static void test_parallel_refresh(void)
{
	enum { N = 24, ROUNDS = 3 };
	struct session_refresh *refresh = fixture_shared(sizeof(*refresh));
	struct account account;
	struct user user;
	struct session session;
	struct race race_ = { .racers = N,
			      .rounds = ROUNDS,
			      .before = next_counter,
			      .run = run_refresh,
			      .arg = refresh,
			      .result_size = sizeof(struct refresh_result) };
	const struct refresh_result *results;

	fixture_account(store, &account);
	CU_ASSERT_FATAL(store_session_get(store, arena, &account.principal, &user, &session) ==
			STORE_OK);
	*refresh = (struct session_refresh){ .principal = account.principal,
					     .counter = session.counter,
					     .idle_s = FIXTURE_IDLE_S,
					     .key_id = "k2" };
	results = race(&race_);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned advanced = 0;

		for (unsigned i = 0; i < N; i++) {
			const struct refresh_result *got = &results[round * N + i];

			CU_ASSERT(got->r == STORE_OK);
			CU_ASSERT(got->found);
			CU_ASSERT(!got->revoked);
			CU_ASSERT_EQUAL(got->counter, session.counter + 1 + (int64_t)round);
			advanced += got->advanced;
		}
		CU_ASSERT_EQUAL(advanced, 1);
	}
	CU_ASSERT_EQUAL(fixture_live_sessions(admin, &account.principal), 1);
	CU_ASSERT_EQUAL(fixture_int(admin,
				    "select count(*) from taskcell.sessions where user_id = '%s'",
				    fixture_id(&account.principal.user_id)),
			1);
}

/* --- one e-mail ------------------------------------------------------------------------------ */

struct register_result {
	enum store_result r;
	struct uuid user_id;
};

static void run_register(struct racer *racer, void *arg, void *out)
{
	struct register_result *result = out;
	struct new_account create = { .user_id = uuid_v7(),
				      .password_hash = "hash",
				      .session = fixture_session(),
				      .client = fixture_client() };
	struct user user;
	struct session session;

	(void)arg;
	create.email = arena_printf(racer->arena, "One%u@Example.org", racer->round);
	create.email_key = arena_printf(racer->arena, "one%u@example.org", racer->round);
	result->user_id = create.user_id;
	result->r = store_account_create(racer->store, racer->arena, &create, &user, &session);
}

static int64_t rows_of(const struct uuid *user_id)
{
	const char *id = fixture_id(user_id);

	return fixture_int(admin,
			   "select (select count(*) from taskcell.users where id = '%s')"
			   " + (select count(*) from taskcell.user_emails where user_id = '%s')"
			   " + (select count(*) from taskcell.credentials where user_id = '%s')"
			   " + (select count(*) from taskcell.sessions where user_id = '%s')",
			   id, id, id, id);
}

static void test_one_email_one_account(void)
{
	enum { N = 12, ROUNDS = 5 };
	struct race race_ = { .racers = N,
			      .rounds = ROUNDS,
			      .run = run_register,
			      .result_size = sizeof(struct register_result) };
	const struct register_result *results = race(&race_);

	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned ok = 0;

		for (unsigned i = 0; i < N; i++) {
			const struct register_result *got = &results[round * N + i];

			ok += got->r == STORE_OK;
			CU_ASSERT(got->r == STORE_OK || got->r == STORE_CONFLICT);
			CU_ASSERT_EQUAL(rows_of(&got->user_id), got->r == STORE_OK ? 4 : 0);
		}
		CU_ASSERT_EQUAL(ok, 1);
	}
}

/* --- throttle -------------------------------------------------------------------------------- */

enum { GUESSES = 200, GUESSERS = 24 };

struct guess_arg {
	const char *key;
	int64_t limit; /* of an address; 0: reserve for an account */
	bool refund;
};

struct guess_result {
	unsigned through, limited, odd;
	int64_t started, ended;
};

static void run_guesses(struct racer *racer, void *shared, void *out)
{
	const struct guess_arg *arg = shared;
	struct guess_result *result = out;

	result->started = clock_monotonic_us();
	for (unsigned i = racer->index; i < GUESSES; i += GUESSERS) {
		struct throttle t;
		enum store_result r;

		if (arg->limit > 0)
			r = store_throttle_address(racer->store, arg->key, arg->limit, &t);
		else
			r = store_throttle_reserve(racer->store, arg->key, &t);
		result->through += r == STORE_OK;
		result->limited += r == STORE_LIMITED && t.retry_after_us > 0;
		if (r == STORE_OK && arg->refund)
			result->odd += store_throttle_refund(racer->store, arg->key) != STORE_OK;
	}
	result->ended = clock_monotonic_us();
}

static struct guess_result guess(struct guess_arg *arg, unsigned racers)
{
	struct race race_ = { .racers = racers,
			      .rounds = 1,
			      .run = run_guesses,
			      .arg = arg,
			      .result_size = sizeof(struct guess_result) };
	const struct guess_result *results = race(&race_);
	struct guess_result all = results[0];

	for (unsigned i = 1; i < racers; i++) {
		all.through += results[i].through;
		all.limited += results[i].limited;
		all.odd += results[i].odd;
		if (results[i].started < all.started)
			all.started = results[i].started;
		if (results[i].ended > all.ended)
			all.ended = results[i].ended;
	}
	return all;
}

static void test_parallel_guesses(void)
{
	struct guess_arg arg = { 0 };
	struct guess_result all;
	unsigned tries = 0;

	/* The sixth failure starts a wait of one second: only what took less says something. */
	do {
		arg.key = arena_printf(arena, "guessed %u", tries);
		all = guess(&arg, GUESSERS);
	} while (all.ended - all.started >= US_PER_SECOND && ++tries < 10);
	CU_ASSERT(tries < 10);
	CU_ASSERT_EQUAL(all.through, THROTTLE_FREE_FAILURES + 1);
	CU_ASSERT_EQUAL(all.limited, GUESSES - (THROTTLE_FREE_FAILURES + 1));
}

static void test_parallel_address(void)
{
	struct guess_arg arg = { .key = "address 192.0.2.1", .limit = 20 };
	struct guess_result all = guess(&arg, GUESSERS);

	CU_ASSERT_EQUAL(all.through, 20);
	CU_ASSERT_EQUAL(all.limited, GUESSES - 20);
}

/* No more at once than are free: each finds its place, since the others give theirs back. */
static void test_parallel_refunds(void)
{
	struct guess_arg arg = { .key = "refunded", .refund = true };
	struct guess_result all = guess(&arg, THROTTLE_FREE_FAILURES);
	struct throttle t;

	CU_ASSERT_EQUAL(all.limited, 0);
	CU_ASSERT_EQUAL(all.odd, 0);
	CU_ASSERT(all.through > 0);
	/* Nothing is left of them. */
	for (int i = 0; i <= THROTTLE_FREE_FAILURES; i++)
		CU_ASSERT(store_throttle_reserve(store, arg.key, &t) == STORE_OK);
	CU_ASSERT(store_throttle_reserve(store, arg.key, &t) == STORE_LIMITED);
}

static CU_TestInfo refresh_tests[] = {
	{ "24 refreshes with one token", test_parallel_refresh },
	CU_TEST_INFO_NULL,
};

static CU_TestInfo account_tests[] = {
	{ "12 registrations of one e-mail", test_one_email_one_account },
	CU_TEST_INFO_NULL,
};

static CU_TestInfo throttle_tests[] = {
	{ "200 guesses at once", test_parallel_guesses },
	{ "200 from one address", test_parallel_address },
	{ "refunds", test_parallel_refunds },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	SUITE("refresh", refresh_tests),
	SUITE("tasks", task_race_tests),
	SUITE("accounts", account_tests),
	SUITE("throttle", throttle_tests),
	CU_SUITE_INFO_NULL,
};

int main(void)
{
	return run_suites(suites);
}
