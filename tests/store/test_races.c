/* What happens when several processes want the same row, and when a session, an account or a
 * connection ends meanwhile. Orders that matter are forced with locks; storms only add to them. */
#include "base/base.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <unistd.h>

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

static int64_t revision_of(const struct principal *p)
{
	return fixture_int(admin, "select revision from taskcell.users where id = '%s'",
			   fixture_id(&p->user_id));
}

/* Sessions of the user that would let a request in. */
static int64_t live_sessions(const struct principal *p)
{
	return fixture_int(admin,
			   "select count(*) from taskcell.sessions s"
			   " join taskcell.credentials c using (user_id, epoch)"
			   " where user_id = '%s' and revoked_at is null and expires_at > now()"
			   " and idle_expires_at > now() and disabled_at is null",
			   fixture_id(&p->user_id));
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
	CU_ASSERT_EQUAL(live_sessions(&account.principal), 1);
	CU_ASSERT_EQUAL(fixture_int(admin,
				    "select count(*) from taskcell.sessions where user_id = '%s'",
				    fixture_id(&account.principal.user_id)),
			1);
}

/* Ending on theft says "where the counter is what I saw": one that has moved on stays. */
static void test_end_of_a_counter(void)
{
	struct account account;
	struct session_refresh refresh = { .idle_s = FIXTURE_IDLE_S, .key_id = "k1" };
	struct session_state state;
	struct user user;
	struct session session;

	fixture_account(store, &account);
	refresh.principal = account.principal;
	CU_ASSERT(store_session_get(store, arena, &account.principal, &user, &session) == STORE_OK);
	refresh.counter = session.counter;
	CU_ASSERT(store_session_refresh(store, arena, &refresh, &state) == STORE_OK);
	CU_ASSERT(state.advanced);
	CU_ASSERT(store_session_end(store, &account.principal, session.counter) == STORE_OK);
	CU_ASSERT_EQUAL(live_sessions(&account.principal), 1);
	CU_ASSERT(store_session_end(store, &account.principal, session.counter + 1) == STORE_OK);
	CU_ASSERT_EQUAL(live_sessions(&account.principal), 0);
	refresh.counter = session.counter + 1;
	CU_ASSERT(store_session_refresh(store, arena, &refresh, &state) == STORE_OK);
	CU_ASSERT(state.found);
	CU_ASSERT(state.revoked);
	CU_ASSERT(!state.advanced);
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
	int64_t version = revision_of(&arg->principal);
	const struct task_result *results = race(&race_);

	for (unsigned round = 0; round < ROUNDS; round++)
		check_one_winner(results + round * N, N, &version);
	CU_ASSERT_EQUAL(revision_of(&arg->principal), version);
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
	int64_t first = revision_of(&arg->principal);
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
	CU_ASSERT_EQUAL(revision_of(&arg->principal), versions[N * ROUNDS - 1]);
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
	int64_t before = revision_of(&arg->principal);
	const struct task_result *results = race(&race_);
	int64_t after = revision_of(&arg->principal);
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
	CU_ASSERT_EQUAL(revision_of(&arg->principal), after);
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
		int64_t before = revision_of(&arg->principal);
		const struct task_result *result;
		struct fork *waiting;

		read_version(0, arg);
		fixture_exec(admin, "begin; delete from taskcell.tasks where id = '%s'",
			     fixture_id(&arg->task_id));
		waiting = fork_start(&one);
		fixture_wait_blocked(admin, 1);
		fixture_exec(admin, "commit");
		result = fork_join(waiting);
		CU_ASSERT(result->r == STORE_NOT_FOUND);
		CU_ASSERT_EQUAL(revision_of(&arg->principal), before);
	}
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

/* --- login ----------------------------------------------------------------------------------- */

struct login_arg {
	struct account account;
	char verified[40];
	bool rehash;
	const char *throttle_key;
};

struct login_result {
	enum store_result r;
	enum store_result again; /* after reading the credential once more */
	struct principal principal;
	enum store_result session; /* of that session, at once */
};

static struct login_arg *new_login_arg(void)
{
	struct login_arg *arg = fixture_shared(sizeof(*arg));

	fixture_account(store, &arg->account);
	snprintf(arg->verified, sizeof(arg->verified), "%s", arg->account.password_hash);
	return arg;
}

static void run_login(struct racer *racer, void *shared, void *out)
{
	const struct login_arg *arg = shared;
	struct login_result *result = out;
	struct login login = { .user_id = arg->account.principal.user_id,
			       .verified_hash = arg->verified,
			       .throttle_key = arg->throttle_key,
			       .session = fixture_session() };
	struct credential credential;
	struct user user;
	struct session session;

	if (arg->rehash)
		login.new_hash = arena_printf(racer->arena, "new hash of %u", racer->index);
	result->principal = (struct principal){ login.user_id, login.session.id };
	result->again = STORE_NO_SESSION;
	result->r = store_login(racer->store, racer->arena, &login, &user, &session);
	if (!arg->rehash || result->r != STORE_NO_SESSION)
		return;
	result->again = store_credential_find(racer->store, racer->arena, arg->account.email_key,
					      &credential);
	if (result->again != STORE_OK)
		return;
	login.verified_hash = credential.password_hash;
	login.new_hash = NULL;
	result->again = store_login(racer->store, racer->arena, &login, &user, &session);
}

static struct race one_login(struct login_arg *arg)
{
	return (struct race){ .racers = 1,
			      .rounds = 1,
			      .run = run_login,
			      .arg = arg,
			      .result_size = sizeof(struct login_result) };
}

static void expect_dead(const struct login_result *result)
{
	struct user user;
	struct session session;

	CU_ASSERT(result->r == STORE_OK || result->r == STORE_NO_SESSION);
	CU_ASSERT(store_session_get(store, arena, &result->principal, &user, &session) ==
		  STORE_NO_SESSION);
	CU_ASSERT_EQUAL(live_sessions(&result->principal), 0);
	/* Nor does it come back when the account is opened again. */
	fixture_exec(admin,
		     "update taskcell.credentials set disabled_at = null where user_id = '%s'",
		     fixture_id(&result->principal.user_id));
	CU_ASSERT_EQUAL(live_sessions(&result->principal), 0);
}

#define END_SQL "update taskcell.credentials set %s, epoch = epoch + 1 where user_id = '%s'"
static const char *const ends[] = { "disabled_at = now()", "password_hash = 'another'" };

/* Until the one login is over or waits for a lock: what an order needs. */
static void await_login(struct fork *login)
{
	int64_t deadline = clock_monotonic_us() + 10 * US_PER_SECOND;

	while (!fork_done(login) && fixture_blocked(admin) == 0)
		fixture_poll(deadline, "for the login");
}

/* The end commits first; the login began before. */
static void test_login_after_the_end(void)
{
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct login_arg *arg = new_login_arg();
		struct race one = one_login(arg);
		struct fork *login;

		fixture_exec(admin, "begin; " END_SQL, ends[i],
			     fixture_id(&arg->account.principal.user_id));
		login = fork_start(&one);
		await_login(login);
		fixture_exec(admin, "commit");
		expect_dead(fork_join(login));
	}
}

/* The login has read the credential and waits, its session inserted or about to be; the end is
 * asked for; the login commits. A lock on the user's row stops it at the foreign key, one on the
 * throttle's row where it clears the count. */
static void test_login_before_the_end(void)
{
	static const char *const obstacles[] = {
		"begin; select from taskcell.users where id = '%s' for update",
		"begin; select from taskcell.throttle where '%s' <> '' for update",
	};
	PGconn *other = fixture_admin();

	for (size_t i = 0; i < ARRAY_LEN(ends) * ARRAY_LEN(obstacles); i++) {
		struct login_arg *arg = new_login_arg();
		struct race one = one_login(arg);
		char key[64];
		char sql[256];
		struct throttle throttle;
		struct fork *login;
		const char *id = fixture_id(&arg->account.principal.user_id);

		snprintf(key, sizeof(key), "login %s", id);
		arg->throttle_key = key;
		CU_ASSERT(store_throttle_reserve(store, key, &throttle) == STORE_OK);
		fixture_exec(admin, obstacles[i / ARRAY_LEN(ends)], id);
		login = fork_start(&one);
		fixture_wait_blocked(admin, 1);
		snprintf(sql, sizeof(sql), END_SQL, ends[i % ARRAY_LEN(ends)], id);
		CU_ASSERT_FATAL(PQsendQuery(other, sql) == 1);
		await_end(other);
		fixture_exec(admin, "commit");
		finish(other);
		expect_dead(fork_join(login));
	}
	PQfinish(other);
}
