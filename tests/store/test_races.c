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
		waiting = fork_ready(&one);
		fixture_exec(admin, "begin; delete from taskcell.tasks where id = '%s'",
			     fixture_id(&arg->task_id));
		fork_go(waiting);
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
	bool retry;            /* when the hash was not the verified one, as a handler does */
	char throttle_key[64]; /* or empty */
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
			       .throttle_key = arg->throttle_key[0] ? arg->throttle_key : NULL,
			       .session = fixture_session() };
	struct credential credential;
	struct user user;
	struct session session;

	if (arg->rehash)
		login.new_hash = arena_printf(racer->arena, "new hash of %u", racer->index);
	result->principal = (struct principal){ login.user_id, login.session.id };
	result->again = STORE_NO_SESSION;
	result->r = store_login(racer->store, racer->arena, &login, &user, &session);
	if (!arg->retry || result->r != STORE_NO_SESSION)
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

/* The end commits first; the login began before. */
static void test_login_after_the_end(void)
{
	for (size_t i = 0; i < 2 * ARRAY_LEN(ends); i++) {
		struct login_arg *arg = new_login_arg();
		struct race one = one_login(arg);
		int64_t deadline = clock_monotonic_us() + 10 * US_PER_SECOND;
		struct fork *login;

		arg->rehash = i % 2 == 1;
		fixture_exec(admin, "begin; " END_SQL, ends[i / 2],
			     fixture_id(&arg->account.principal.user_id));
		login = fork_ready(&one);
		fork_go(login);
		while (!fork_done(login) && fixture_blocked(admin) == 0)
			fixture_poll(deadline, "for the login");
		fixture_exec(admin, "commit");
		expect_dead(fork_join(login));
	}
}

/* The login has inserted its session and waits for what `obstacle` locks; the end is asked for, and
 * commits or waits for the login; then the way is free. */
static void force_login_first(PGconn *other, struct login_arg *arg, const char *obstacle,
			      const char *end)
{
	struct race one = one_login(arg);
	int64_t deadline = clock_monotonic_us() + 10 * US_PER_SECOND;
	const char *id = fixture_id(&arg->account.principal.user_id);
	struct fork *login;
	char sql[256];

	snprintf(sql, sizeof(sql), END_SQL, end, id);
	fixture_exec(admin, obstacle, id);
	login = fork_ready(&one);
	fork_go(login);
	fixture_wait_blocked(admin, 1);
	CU_ASSERT_FATAL(PQsendQuery(other, sql) == 1);
	while (PQconsumeInput(other) == 1 && PQisBusy(other) && fixture_blocked(admin) < 2)
		fixture_poll(deadline, "for the end");
	fixture_exec(admin, "commit");
	fixture_finish(other);
	expect_dead(fork_join(login));
}

/* A lock on the user's row stops the login at the foreign key of its session, one on the throttle's
 * row where it clears the count. */
static void test_login_before_the_end(void)
{
	static const char *const obstacles[] = {
		"begin; select from taskcell.users where id = '%s' for update",
		"begin; select from taskcell.throttle where key = 'login %s' for update",
	};
	PGconn *other = fixture_admin();

	for (unsigned i = 0; i < 8; i++) {
		struct login_arg *arg = new_login_arg();
		struct throttle throttle;

		snprintf(arg->throttle_key, sizeof(arg->throttle_key), "login %s",
			 fixture_id(&arg->account.principal.user_id));
		CU_ASSERT(store_throttle_reserve(store, arg->throttle_key, &throttle) == STORE_OK);
		arg->rehash = (i & 4) != 0;
		force_login_first(other, arg, obstacles[i & 1], ends[(i >> 1) & 1]);
	}
	PQfinish(other);
}

enum { STORM_ROUNDS = 15, STORM_RACERS = 7 };

static void run_login_storm(struct racer *racer, void *shared, void *out)
{
	static PGconn *conn;
	struct login_arg *arg = (struct login_arg *)shared + racer->round;

	if (racer->index > 0) {
		run_login(racer, arg, out);
		return;
	}
	/* Connected in the first round, whose end comes late; the others are close races. */
	if (conn == NULL)
		conn = fixture_admin();
	fixture_exec(conn, END_SQL, ends[0], fixture_id(&arg->account.principal.user_id));
}

static void test_login_storm(void)
{
	struct login_arg *args = fixture_shared(STORM_ROUNDS * sizeof(*args));
	struct race race_ = { .racers = STORM_RACERS,
			      .rounds = STORM_ROUNDS,
			      .run = run_login_storm,
			      .arg = args,
			      .result_size = sizeof(struct login_result) };
	const struct login_result *results;

	for (unsigned round = 0; round < STORM_ROUNDS; round++) {
		fixture_account(store, &args[round].account);
		snprintf(args[round].verified, sizeof(args[round].verified), "%s",
			 args[round].account.password_hash);
		args[round].rehash = round % 3 == 2;
	}
	results = race(&race_);
	for (unsigned i = 0; i < STORM_ROUNDS * STORM_RACERS; i++)
		if (i % STORM_RACERS != 0)
			expect_dead(&results[i]);
}

/* Between verification and login the hash has become another, by a rehash: the session of the first
 * login stays, the second has to look again. */
static void test_hash_moved_on(void)
{
	struct login_arg *arg = new_login_arg();
	struct race one = one_login(arg);
	const struct login_result *result;

	fixture_exec(admin,
		     "update taskcell.credentials set password_hash = 'moved' where user_id = '%s'",
		     fixture_id(&arg->account.principal.user_id));
	result = race(&one);
	CU_ASSERT(result->r == STORE_NO_SESSION);
	CU_ASSERT_EQUAL(live_sessions(&result->principal), 1);
	arg->rehash = arg->retry = true;
	result = race(&one);
	CU_ASSERT(result->r == STORE_NO_SESSION);
	CU_ASSERT(result->again == STORE_OK);
	CU_ASSERT_EQUAL(live_sessions(&result->principal), 2);
}

static void test_two_rehash_at_once(void)
{
	enum { N = 6, TIMES = 4 };

	for (unsigned time = 0; time < TIMES; time++) {
		struct login_arg *arg = new_login_arg();
		struct race race_ = one_login(arg);
		const struct login_result *results;
		struct credential credential;
		unsigned ok = 0;

		race_.racers = N;
		arg->rehash = arg->retry = true;
		results = race(&race_);
		CU_ASSERT(store_credential_find(store, arena, arg->account.email_key,
						&credential) == STORE_OK);
		CU_ASSERT_EQUAL(credential.epoch, 0);
		for (unsigned i = 0; i < N; i++) {
			char hash[40];

			snprintf(hash, sizeof(hash), "new hash of %u", i);
			ok += results[i].r == STORE_OK;
			if (results[i].r == STORE_OK) {
				CU_ASSERT_STRING_EQUAL(credential.password_hash, hash);
			} else {
				CU_ASSERT(results[i].r == STORE_NO_SESSION);
				CU_ASSERT(results[i].again == STORE_OK);
			}
		}
		CU_ASSERT_EQUAL(ok, 1);
		CU_ASSERT_EQUAL(live_sessions(&arg->account.principal), N + 1);
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
	/* Nothing is left of them, and giving back too much earns nothing. */
	CU_ASSERT(store_throttle_refund(store, arg.key) == STORE_OK);
	for (int i = 0; i <= THROTTLE_FREE_FAILURES; i++)
		CU_ASSERT(store_throttle_reserve(store, arg.key, &t) == STORE_OK);
	CU_ASSERT(store_throttle_reserve(store, arg.key, &t) == STORE_LIMITED);
	CU_ASSERT(t.retry_after_us > 0 && t.retry_after_us <= US_PER_SECOND);
	/* The sixth was no failure after all. */
	CU_ASSERT(store_throttle_refund(store, arg.key) == STORE_OK);
	CU_ASSERT(store_throttle_reserve(store, arg.key, &t) == STORE_OK);
	CU_ASSERT(store_throttle_reserve(store, arg.key, &t) == STORE_LIMITED);
}

/* --- the end of a session -------------------------------------------------------------------- */

/* Every function of a principal; each has to say the same. */
static void expect_everywhere(const struct principal *p, const struct uuid *task_id,
			      enum store_result task_result, enum store_result user_result)
{
	const struct task_query query = { .limit = 10 };
	const struct versions any = { NULL, 0 };
	const struct task_change change = { .set_title = true, .title = "intruded" };
	const struct new_task create = { .id = uuid_v7(), .title = "intruded" };
	struct user user;
	struct session session;
	struct task task;
	struct task_list list;

	CU_ASSERT(store_task_get(store, arena, p, task_id, &task) == task_result);
	CU_ASSERT(store_task_change(store, arena, p, task_id, &change, &task) == task_result);
	CU_ASSERT(store_task_delete(store, arena, p, task_id, &any, &task) == task_result);
	CU_ASSERT(store_session_get(store, arena, p, &user, &session) == user_result);
	CU_ASSERT(store_task_list(store, arena, p, &query, &list) == user_result);
	if (user_result == STORE_OK)
		CU_ASSERT_EQUAL(list.n, 0);
	if (user_result != STORE_OK)
		CU_ASSERT(store_task_create(store, arena, p, &create, &task) == user_result);
}

/* All that a user has, as text to compare. */
static char *everything_of(const struct uuid *user_id)
{
	const char *id = fixture_id(user_id);

	return fixture_text(
		admin,
		"select u::text from taskcell.users u where id = '%s' union all"
		" (select t::text from taskcell.tasks t where user_id = '%s' order by id)",
		id, id);
}

static void test_ended_session(void)
{
	static const char *const how[] = {
		"update taskcell.sessions set revoked_at = now() where user_id = '%s'",
		"update taskcell.sessions set expires_at = now() where user_id = '%s'",
		"update taskcell.sessions set idle_expires_at = now() where user_id = '%s'",
		"update taskcell.credentials set disabled_at = now() where user_id = '%s'",
		"update taskcell.credentials set epoch = epoch + 1 where user_id = '%s'",
		"delete from taskcell.sessions where user_id = '%s'",
		"delete from taskcell.credentials where user_id = '%s'",
		NULL, /* store_session_end() */
	};

	for (size_t i = 0; i < ARRAY_LEN(how); i++) {
		struct account account;
		struct uuid task_id;
		char *before, *after;

		fixture_account(store, &account);
		task_id = fixture_task(store, &account.principal, "mine");
		before = everything_of(&account.principal.user_id);
		if (how[i] != NULL)
			fixture_exec(admin, how[i], fixture_id(&account.principal.user_id));
		else
			CU_ASSERT(store_session_end(store, &account.principal, -1) == STORE_OK);
		expect_everywhere(&account.principal, &task_id, STORE_NO_SESSION, STORE_NO_SESSION);
		after = everything_of(&account.principal.user_id);
		CU_ASSERT_STRING_EQUAL(before, after);
		free(before);
		free(after);
	}
}

struct logout_arg {
	struct principal principal;
	atomic_bool ended; /* set after the logout has returned */
};

struct logout_result {
	unsigned created, late, odd;
};

static void run_until_logout(struct racer *racer, void *shared, void *out)
{
	struct logout_arg *arg = shared;
	struct logout_result *result = out;
	enum store_result r = STORE_OK;

	if (racer->index == 0) {
		/* Some creates first, so that all are busy. */
		for (int i = 0; i < 10; i++)
			fixture_task(racer->store, &arg->principal, "before the logout");
		result->odd += store_session_end(racer->store, &arg->principal, -1) != STORE_OK;
		atomic_store(&arg->ended, true);
		return;
	}
	while (r == STORE_OK) {
		bool ended = atomic_load(&arg->ended);
		struct new_task create = { .id = uuid_v7(), .title = "until the logout" };
		struct task task;

		arena_reset(racer->arena);
		r = store_task_create(racer->store, racer->arena, &arg->principal, &create, &task);
		result->created += r == STORE_OK;
		result->late += r == STORE_OK && ended;
	}
	result->odd += r != STORE_NO_SESSION;
}

/* "At once": nothing that begins after the logout has returned is let in. */
static void test_logout_at_once(void)
{
	enum { N = 6 };
	struct logout_arg *arg = fixture_shared(sizeof(*arg));
	struct race race_ = { .racers = N,
			      .rounds = 1,
			      .run = run_until_logout,
			      .arg = arg,
			      .result_size = sizeof(struct logout_result) };
	const struct logout_result *results;
	struct account account;
	unsigned created = 10;

	fixture_account(store, &account);
	arg->principal = account.principal;
	results = race(&race_);
	for (unsigned i = 0; i < N; i++) {
		CU_ASSERT_EQUAL(results[i].late, 0);
		CU_ASSERT_EQUAL(results[i].odd, 0);
		created += results[i].created;
	}
	CU_ASSERT_EQUAL(fixture_int(admin,
				    "select count(*) from taskcell.tasks where user_id = '%s'",
				    fixture_id(&account.principal.user_id)),
			created);
}

/* --- isolation ------------------------------------------------------------------------------- */

static void test_two_users(void)
{
	struct account a, b;
	struct uuid task_id, nowhere = uuid_v7();
	struct principal mixed;
	char *before, *after;

	fixture_account(store, &a);
	fixture_account(store, &b);
	task_id = fixture_task(store, &a.principal, "of A");
	before = everything_of(&a.principal.user_id);
	/* Not yours and not there are the same. */
	expect_everywhere(&b.principal, &task_id, STORE_NOT_FOUND, STORE_OK);
	expect_everywhere(&b.principal, &nowhere, STORE_NOT_FOUND, STORE_OK);
	CU_ASSERT_EQUAL(revision_of(&b.principal), 0);
	/* Another's session opens neither. */
	mixed = (struct principal){ a.principal.user_id, b.principal.session_id };
	expect_everywhere(&mixed, &task_id, STORE_NO_SESSION, STORE_NO_SESSION);
	mixed = (struct principal){ b.principal.user_id, a.principal.session_id };
	expect_everywhere(&mixed, &task_id, STORE_NO_SESSION, STORE_NO_SESSION);
	mixed = (struct principal){ nowhere, nowhere };
	expect_everywhere(&mixed, &task_id, STORE_NO_SESSION, STORE_NO_SESSION);
	after = everything_of(&a.principal.user_id);
	CU_ASSERT_STRING_EQUAL(before, after);
	free(before);
	free(after);
}

/* --- lost connections ------------------------------------------------------------------------ */

enum { WRITERS = 4, WRITES = 80 };

struct storm_arg {
	struct principal principal[WRITERS];
	atomic_uint writing;
};

struct storm_result {
	enum store_result r[WRITES];
	struct uuid id[WRITES];
	unsigned reads, odd_reads;
};

static void terminate_at_random(struct storm_arg *arg)
{
	PGconn *conn = fixture_admin();
	struct timespec pace = { .tv_nsec = 10 * 1000 * 1000 };

	while (atomic_load(&arg->writing) > 0) {
		fixture_exec(conn, "select pg_terminate_backend(pid) from pg_stat_activity"
				   " where usename = 'taskcell' order by random() limit 1");
		nanosleep(&pace, NULL);
	}
	PQfinish(conn);
}

static void run_storm(struct racer *racer, void *shared, void *out)
{
	struct storm_arg *arg = shared;
	struct storm_result *result = out;
	const struct task_query query = { .limit = 5 };

	if (racer->index == WRITERS) {
		terminate_at_random(arg);
		return;
	}
	for (unsigned i = 0; i < WRITES; i++) {
		const struct principal *p = &arg->principal[racer->index];
		struct new_task create = { .id = uuid_v7(), .title = "in the storm" };
		struct task task;
		struct task_list list;
		enum store_result r;

		arena_reset(racer->arena);
		result->id[i] = create.id;
		result->r[i] = store_task_create(racer->store, racer->arena, p, &create, &task);
		r = store_task_list(racer->store, racer->arena, p, &query, &list);
		result->reads += r == STORE_OK;
		result->odd_reads += r != STORE_OK && r != STORE_UNAVAILABLE;
	}
	atomic_fetch_sub(&arg->writing, 1);
}

static void test_storm(void)
{
	struct storm_arg *arg = fixture_shared(sizeof(*arg));
	struct race race_ = { .racers = WRITERS + 1,
			      .rounds = 1,
			      .run = run_storm,
			      .arg = arg,
			      .result_size = sizeof(struct storm_result) };
	const struct storm_result *results;
	unsigned lost = 0, reads = 0;

	/* Two write for one user, so that locks are waited for as well. */
	for (unsigned i = 0; i < WRITERS; i++) {
		struct account account;

		fixture_account(store, &account);
		arg->principal[i] = i % 2 == 1 ? arg->principal[i - 1] : account.principal;
	}
	atomic_store(&arg->writing, WRITERS);
	results = race(&race_);
	for (unsigned w = 0; w < WRITERS; w++) {
		for (unsigned i = 0; i < WRITES; i++) {
			enum store_result r = results[w].r[i];
			int64_t rows = fixture_int(
				admin, "select count(*) from taskcell.tasks where id = '%s'",
				fixture_id(&results[w].id[i]));

			lost += r != STORE_OK;
			CU_ASSERT(r == STORE_OK || r == STORE_UNAVAILABLE || r == STORE_BUSY);
			if (r == STORE_OK)
				CU_ASSERT_EQUAL(rows, 1);
			if (r == STORE_BUSY)
				CU_ASSERT_EQUAL(rows, 0);
		}
		CU_ASSERT_EQUAL(results[w].odd_reads, 0);
		reads += results[w].reads;
	}
	/* Reads are sent again; two ends in a row are rare. */
	CU_ASSERT(reads >= WRITERS * WRITES * 9 / 10);
	fprintf(stderr, "storm: %u of %d creates and %u reads were not acknowledged\n", lost,
		WRITERS * WRITES, WRITERS * WRITES - reads);
	CU_ASSERT_EQUAL(fixture_int(admin, "select count(*) from (select user_id, version from"
					   " taskcell.tasks group by 1, 2 having count(*) > 1) d"),
			0);
}

/* The backends there are now; a racer may connect again at once. */
static void terminate_all(void)
{
	int64_t deadline = clock_monotonic_us() + 10 * US_PER_SECOND;
	char *now = fixture_text(admin, "select clock_timestamp()");

	fixture_exec(admin, "select pg_terminate_backend(pid) from pg_stat_activity"
			    " where usename = 'taskcell'");
	while (fixture_int(admin,
			   "select count(*) from pg_stat_activity"
			   " where usename = 'taskcell' and backend_start < '%s'",
			   now) > 0)
		fixture_poll(deadline, "for the backends to end");
	free(now);
}

/* An idle connection that was ended is noticed before it is used: nobody sees it. */
static void test_ended_while_idle(void)
{
	const struct task_query query = { .limit = 5 };
	struct account account;
	struct task_list list;
	struct task task;
	struct new_task create = { .id = uuid_v7(), .title = "after the end" };

	fixture_account(store, &account);
	terminate_all();
	CU_ASSERT(store_task_create(store, arena, &account.principal, &create, &task) == STORE_OK);
	terminate_all();
	CU_ASSERT(store_task_list(store, arena, &account.principal, &query, &list) == STORE_OK);
	CU_ASSERT_EQUAL(list.n, 1);
}

static void run_list(struct racer *racer, void *shared, void *out)
{
	const struct task_query query = { .limit = 5 };
	struct task_list list;

	*(enum store_result *)out =
		store_task_list(racer->store, racer->arena, shared, &query, &list);
}

static void run_create(struct racer *racer, void *shared, void *out)
{
	struct new_task create = { .id = uuid_v7(), .title = "ended halfway" };
	struct task task;

	*(enum store_result *)out =
		store_task_create(racer->store, racer->arena, shared, &create, &task);
}

/* Ended while it waits: a read is sent again, a write at most when nothing can have come of it. */
static void test_ended_halfway(void)
{
	struct account account;
	struct race one = { .racers = 1,
			    .rounds = 1,
			    .arg = &account.principal,
			    .result_size = sizeof(enum store_result) };
	struct fork *waiting;
	enum store_result r;

	fixture_account(store, &account);
	for (int i = 0; i < 2; i++) {
		one.run = i == 0 ? run_list : run_create;
		waiting = fork_ready(&one);
		fixture_exec(admin, "begin; lock taskcell.tasks in access exclusive mode");
		fork_go(waiting);
		fixture_wait_blocked(admin, 1);
		terminate_all();
		fixture_exec(admin, "commit");
		r = *(enum store_result *)fork_join(waiting);
		CU_ASSERT(r == STORE_OK || (i == 1 && r == STORE_UNAVAILABLE));
	}
	CU_ASSERT_EQUAL(fixture_int(admin,
				    "select count(*) from taskcell.tasks where user_id = '%s'",
				    fixture_id(&account.principal.user_id)),
			r == STORE_OK ? 1 : 0);
}

static CU_TestInfo refresh_tests[] = {
	{ "24 refreshes with one token", test_parallel_refresh },
	{ "the end of a counter that moved on", test_end_of_a_counter },
	CU_TEST_INFO_NULL,
};

static CU_TestInfo task_tests[] = {
	{ "12 changes of one version", test_change_of_one_version },
	{ "12 deletes of one task", test_one_delete_wins },
	{ "no version twice, none lost", test_no_version_twice },
	{ "nothing to change moves nothing", test_nothing_to_change },
	{ "deleted meanwhile", test_deleted_meanwhile },
	CU_TEST_INFO_NULL,
};

static CU_TestInfo login_tests[] = {
	{ "12 registrations of one e-mail", test_one_email_one_account },
	{ "the end commits before the login", test_login_after_the_end },
	{ "the login commits before the end", test_login_before_the_end },
	{ "logins and ends in a storm", test_login_storm },
	{ "the hash moved on", test_hash_moved_on },
	{ "logins that rehash at once", test_two_rehash_at_once },
	CU_TEST_INFO_NULL,
};

static CU_TestInfo throttle_tests[] = {
	{ "200 guesses at once", test_parallel_guesses },
	{ "200 from one address", test_parallel_address },
	{ "refunds", test_parallel_refunds },
	CU_TEST_INFO_NULL,
};

static CU_TestInfo session_tests[] = {
	{ "an ended session is refused everywhere", test_ended_session },
	{ "logout works at once", test_logout_at_once },
	{ "two users", test_two_users },
	CU_TEST_INFO_NULL,
};

static CU_TestInfo connection_tests[] = {
	{ "ended while idle", test_ended_while_idle },
	{ "ended halfway", test_ended_halfway },
	{ "a storm of ends", test_storm },
	CU_TEST_INFO_NULL,
};

#define SUITE(name, tests)                                                                         \
	{                                                                                          \
		name, setup, teardown, NULL, NULL, tests                                           \
	}

static CU_SuiteInfo suites[] = {
	SUITE("refresh", refresh_tests),
	SUITE("tasks", task_tests),
	SUITE("login", login_tests),
	SUITE("throttle", throttle_tests),
	SUITE("sessions", session_tests),
	SUITE("connections", connection_tests),
	CU_SUITE_INFO_NULL,
};

int main(void)
{
	return run_suites(suites);
}
