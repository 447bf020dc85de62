/* What happens when several processes want the same row. */
#include "base/base.h"

#include "base/clock.h"
#include "cunit.h"
#include "store/fixture.h"

static struct store *store;
static struct arena *arena;
static PGconn *admin;

static int setup(void)
{
	fixture_setup();
	store = fixture_store();
	arena = arena_new(16 * 1024 * 1024);
	admin = fixture_admin();
	return 0;
}

static int teardown(void)
{
	PQfinish(admin);
	arena_free(arena);
	store_close(store);
	return 0;
}

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

/* --- one task, many writers ------------------------------------------------------------------ */

struct task_arg {
	struct principal principal;
	struct uuid task_id;
	int64_t expected;
};

struct task_result {
	enum store_result r;
	int64_t version;
	char title[40];
	bool completed;
};

static void keep_task(struct task_result *result, const struct task *task)
{
	if (result->r != STORE_OK && result->r != STORE_STALE)
		return;
	result->version = task->version;
	result->completed = task->completed;
	snprintf(result->title, sizeof(result->title), "%s", task->title);
}

static struct task_arg *new_task_arg(void)
{
	struct task_arg *arg = fixture_shared(sizeof(*arg));
	struct account account;

	fixture_account(store, &account);
	arg->principal = account.principal;
	arg->task_id = fixture_task(store, &account.principal, "at first");
	return arg;
}

static void read_version(unsigned round, void *shared)
{
	struct task_arg *arg = shared;
	struct task task;

	(void)round;
	CU_ASSERT_FATAL(store_task_get(store, arena, &arg->principal, &arg->task_id, &task) ==
			STORE_OK);
	arg->expected = task.version;
}

static void run_expected_change(struct racer *racer, void *shared, void *out)
{
	const struct task_arg *arg = shared;
	struct task_result *result = out;
	struct task task;
	struct task_change change = { .expected = { &arg->expected, 1 }, .set_title = true };

	change.title = arena_printf(racer->arena, "%u of round %u", racer->index, racer->round);
	result->r = store_task_change(racer->store, racer->arena, &arg->principal, &arg->task_id,
				      &change, &task);
	keep_task(result, &task);
}

static void check_one_winner(const struct task_result *round, unsigned n, int64_t *version)
{
	const struct task_result *winner = NULL;

	for (unsigned i = 0; i < n; i++)
		if (round[i].r == STORE_OK) {
			CU_ASSERT(winner == NULL);
			winner = &round[i];
		}
	CU_ASSERT_FATAL(winner != NULL);
	CU_ASSERT(winner->version > *version);
	*version = winner->version;
	for (unsigned i = 0; i < n; i++) {
		CU_ASSERT(&round[i] == winner || round[i].r == STORE_STALE);
		CU_ASSERT_EQUAL(round[i].version, winner->version);
		CU_ASSERT_STRING_EQUAL(round[i].title, winner->title);
	}
}

static void test_change_of_one_version(void)
{
	enum { N = 12, ROUNDS = 20 };
	struct task_arg *arg = new_task_arg();
	struct race race_ = { .racers = N,
			      .rounds = ROUNDS,
			      .before = read_version,
			      .run = run_expected_change,
			      .arg = arg,
			      .result_size = sizeof(struct task_result) };
	int64_t version = fixture_revision(admin, &arg->principal);
	const struct task_result *results = race(&race_);

	for (unsigned round = 0; round < ROUNDS; round++)
		check_one_winner(results + round * N, N, &version);
	CU_ASSERT_EQUAL(fixture_revision(admin, &arg->principal), version);
}

static void run_delete(struct racer *racer, void *shared, void *out)
{
	const struct task_arg *arg = shared;
	const struct versions any = { NULL, 0 };
	struct task_result *result = out;
	struct task task;

	result->r = store_task_delete(racer->store, racer->arena, &arg->principal, &arg->task_id,
				      &any, &task);
}

static void test_one_delete_wins(void)
{
	enum { N = 12 };
	struct task_arg *arg = new_task_arg();
	struct race race_ = { .racers = N,
			      .rounds = 1,
			      .run = run_delete,
			      .arg = arg,
			      .result_size = sizeof(struct task_result) };
	const struct task_result *results = race(&race_);
	unsigned ok = 0;

	for (unsigned i = 0; i < N; i++) {
		ok += results[i].r == STORE_OK;
		CU_ASSERT(results[i].r == STORE_OK || results[i].r == STORE_NOT_FOUND);
	}
	CU_ASSERT_EQUAL(ok, 1);
}

/* Even racers change the one task, odd ones make tasks of their own. */
static void run_any_write(struct racer *racer, void *shared, void *out)
{
	const struct task_arg *arg = shared;
	struct task_result *result = out;
	struct task task;
	struct task_change change = { .set_title = true };
	struct new_task create = { .id = uuid_v7() };

	change.title = arena_printf(racer->arena, "%u of round %u", racer->index, racer->round);
	create.title = change.title;
	if (racer->index % 2 == 0)
		result->r = store_task_change(racer->store, racer->arena, &arg->principal,
					      &arg->task_id, &change, &task);
	else
		result->r = store_task_create(racer->store, racer->arena, &arg->principal, &create,
					      &task);
	keep_task(result, &task);
}

static int by_version(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void test_no_version_twice(void)
{
	enum { N = 10, ROUNDS = 20 };
	struct task_arg *arg = new_task_arg();
	struct race race_ = { .racers = N,
			      .rounds = ROUNDS,
			      .run = run_any_write,
			      .arg = arg,
			      .result_size = sizeof(struct task_result) };
	int64_t first = fixture_revision(admin, &arg->principal);
	const struct task_result *results = race(&race_);
	int64_t versions[N * ROUNDS];

	for (unsigned i = 0; i < N * ROUNDS; i++) {
		CU_ASSERT(results[i].r == STORE_OK);
		/* A round begins after all of the round before have committed. */
		for (unsigned j = 0; i >= N && j < N; j++)
			CU_ASSERT(results[i].version > results[(i / N - 1) * N + j].version);
		versions[i] = results[i].version;
	}
	qsort(versions, N * ROUNDS, sizeof(versions[0]), by_version);
	CU_ASSERT(versions[0] > first);
	for (unsigned i = 1; i < N * ROUNDS; i++)
		CU_ASSERT(versions[i] > versions[i - 1]);
	CU_ASSERT_EQUAL(fixture_revision(admin, &arg->principal), versions[N * ROUNDS - 1]);
	CU_ASSERT_EQUAL(fixture_int(admin,
				    "select max(version) from taskcell.tasks where user_id = '%s'",
				    fixture_id(&arg->principal.user_id)),
			versions[N * ROUNDS - 1]);
}

static void run_complete(struct racer *racer, void *shared, void *out)
{
	const struct task_arg *arg = shared;
	struct task_result *result = out;
	struct task task;
	struct task_change change = { .completed = COMPLETED_SET };

	result->r = store_task_change(racer->store, racer->arena, &arg->principal, &arg->task_id,
				      &change, &task);
	keep_task(result, &task);
}

/* Of racers who want the same, one changes something and the others find it done. */
static void test_nothing_to_change(void)
{
	enum { N = 12, ROUNDS = 2 };
	struct task_arg *arg = new_task_arg();
	struct race race_ = { .racers = N,
			      .rounds = ROUNDS,
			      .run = run_complete,
			      .arg = arg,
			      .result_size = sizeof(struct task_result) };
	int64_t before = fixture_revision(admin, &arg->principal);
	const struct task_result *results = race(&race_);
	int64_t after = fixture_revision(admin, &arg->principal);
	struct task_change same = { .set_title = true,
				    .title = "at first",
				    .set_description = true,
				    .completed = COMPLETED_SET };
	struct task task;

	CU_ASSERT(after > before);
	for (unsigned i = 0; i < N * ROUNDS; i++) {
		CU_ASSERT(results[i].r == STORE_OK);
		CU_ASSERT(results[i].completed);
		CU_ASSERT_EQUAL(results[i].version, after);
	}
	CU_ASSERT(store_task_change(store, arena, &arg->principal, &arg->task_id, &same, &task) ==
		  STORE_OK);
	CU_ASSERT_EQUAL(task.version, after);
	CU_ASSERT_EQUAL(fixture_revision(admin, &arg->principal), after);
}

/* The row goes while the statement waits for it. */
static void test_deleted_meanwhile(void)
{
	static void (*const runs[])(struct racer *, void *, void *) = { run_expected_change,
									run_any_write, run_delete };

	for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
		struct task_arg *arg = new_task_arg();
		struct race one = { .racers = 1,
				    .rounds = 1,
				    .run = runs[i],
				    .arg = arg,
				    .result_size = sizeof(struct task_result) };
		int64_t before = fixture_revision(admin, &arg->principal);
		const struct task_result *result;
		struct fork *waiting;

		read_version(0, arg);
		waiting = fork_ready(&one);
		fixture_exec(admin, "begin; delete from taskcell.tasks where id = '%s'",
			     fixture_id(&arg->task_id));
		fork_go(waiting);
		fixture_wait_blocked(admin, 1);
		fixture_exec(admin, "commit");
		result = fork_join(waiting);
		CU_ASSERT(result->r == STORE_NOT_FOUND);
		CU_ASSERT_EQUAL(fixture_revision(admin, &arg->principal), before);
	}
}

/* Users before tasks: who waits for the user's row holds none of the tasks. */
static void test_lock_order(void)
{
	static void (*const runs[])(struct racer *, void *, void *) = { run_any_write, run_delete };
	PGconn *other = fixture_admin();

	for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
		struct task_arg *arg = new_task_arg();
		struct race one = { .racers = 1,
				    .rounds = 1,
				    .run = runs[i],
				    .arg = arg,
				    .result_size = sizeof(struct task_result) };
		struct fork *waiting = fork_ready(&one);
		const struct task_result *result;

		fixture_exec(admin,
			     "begin; select from taskcell.users where id = '%s' for no key update",
			     fixture_id(&arg->principal.user_id));
		fork_go(waiting);
		fixture_wait_blocked(admin, 1);
		CU_ASSERT_STRING_EQUAL(
			fixture_try(other,
				    "select from taskcell.tasks where id = '%s' for update nowait",
				    fixture_id(&arg->task_id)),
			"00000");
		fixture_exec(admin, "commit");
		result = fork_join(waiting);
		CU_ASSERT(result->r == STORE_OK);
	}
	PQfinish(other);
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
				      .session = fixture_session() };
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
		result->limited += r == STORE_LIMITED && t.retry_after_us > 0 && t.remaining == 0;
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

static CU_TestInfo task_tests[] = {
	{ "12 changes of one version", test_change_of_one_version },
	{ "12 deletes of one task", test_one_delete_wins },
	{ "no version twice, none lost", test_no_version_twice },
	{ "nothing to change moves nothing", test_nothing_to_change },
	{ "deleted meanwhile", test_deleted_meanwhile },
	{ "users before tasks", test_lock_order },
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
	{ "refresh", setup, teardown, NULL, NULL, refresh_tests },
	{ "tasks", setup, teardown, NULL, NULL, task_tests },
	{ "accounts", setup, teardown, NULL, NULL, account_tests },
	{ "throttle", setup, teardown, NULL, NULL, throttle_tests },
	CU_SUITE_INFO_NULL,
};

int main(void)
{
	return run_suites(suites);
}
