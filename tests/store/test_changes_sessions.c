/* The end of all other sessions beside logins, refreshes of the one that is kept, and itself. */
#include "base/base.h"

#include "store/test_changes.h"

/* --- ending all others ------------------------------------------------------------------------ */

static void test_login_then_end_others(void)
{
	struct account account;
	struct fork *login, *end;
	const struct outcome *began, *ended;

	fixture_account(store, &account);
	hold_user(&account);
	login = start_change(DO_LOGIN, &account);
	fixture_wait_blocked(admin, 1);
	end = start_change(DO_END_OTHERS, &account);
	fixture_wait_blocked(admin, 2);
	fixture_exec(admin, "commit");
	began = fork_join(login);
	ended = fork_join(end);
	CU_ASSERT(began->r == STORE_OK && ended->r == STORE_OK);
	CU_ASSERT(!lives(&began->principal));
	CU_ASSERT(lives(&account.principal));
}

/* A login behind it is one more, of the new epoch. */
static void test_end_others_then_login(void)
{
	struct account account;
	struct fork *login, *end;
	const struct outcome *began, *ended;

	fixture_account(store, &account);
	fixture_exec(admin, "begin; select from taskcell.sessions where id = '%s' for update",
		     fixture_id(&account.principal.session_id));
	end = start_change(DO_END_OTHERS, &account);
	fixture_wait_blocked(admin, 1);
	login = start_change(DO_LOGIN, &account);
	fixture_wait_blocked(admin, 2);
	fixture_exec(admin, "commit");
	ended = fork_join(end);
	began = fork_join(login);
	CU_ASSERT(ended->r == STORE_OK && began->r == STORE_OK);
	CU_ASSERT(lives(&account.principal));
	CU_ASSERT(lives(&began->principal));
}

/* Two of one session are both right; of two sessions one ends the other, and that is refused. */
static void test_end_others_twice(void)
{
	for (int i = 0; i < 2; i++) {
		struct account account, second;
		struct fork *one, *two;
		const struct outcome *first;
		struct principal other;

		fixture_account(store, &account);
		second = account;
		if (i == 1) {
			struct fork *login = start_change(DO_LOGIN, &account);

			second.principal = ((struct outcome *)fork_join(login))->principal;
		}
		other = second.principal;
		fixture_exec(
			admin,
			"begin; select from taskcell.sessions where user_id = '%s' and id = '%s'"
			" for update",
			fixture_id(&account.principal.user_id),
			fixture_id(&account.principal.session_id));
		one = start_change(DO_END_OTHERS, &account);
		fixture_wait_blocked(admin, 1);
		two = start_change(DO_END_OTHERS, &second);
		fixture_wait_blocked(admin, 2);
		fixture_exec(admin, "commit");
		first = fork_join(one);
		CU_ASSERT(first->r == STORE_OK);
		/* Its fence may have been opened before the first had ended. */
		CU_ASSERT_EQUAL(((struct outcome *)fork_join(two))->r,
				i == 0 ? STORE_OK : STORE_NO_SESSION);
		CU_ASSERT(lives(&account.principal));
		CU_ASSERT_EQUAL(lives(&other), i == 0);
		CU_ASSERT_EQUAL(fixture_events(admin, &other.user_id, "sessions_ended"), 2 - i);
	}
}

static void run_end_storm(struct racer *racer, void *shared, void *out)
{
	const struct changes *changes = (struct changes *)shared + racer->round;

	run_change(racer, racer->index == 0 ? DO_END_OTHERS : DO_LOGIN, &changes->account, out);
}

static void test_end_storm(void)
{
	struct changes *changes = fixture_shared(STORM_ROUNDS * sizeof(*changes));
	struct race race_ = { .racers = STORM_RACERS,
			      .rounds = STORM_ROUNDS,
			      .run = run_end_storm,
			      .arg = changes,
			      .result_size = sizeof(struct outcome) };
	const struct outcome *outcomes;

	for (unsigned i = 0; i < STORM_ROUNDS; i++)
		fixture_account(store, &changes[i].account);
	outcomes = race(&race_);
	for (unsigned i = 0; i < STORM_ROUNDS; i++) {
		const struct principal *me = &changes[i].account.principal;

		CU_ASSERT(lives(me));
		for (unsigned j = 0; j < STORM_RACERS; j++)
			CU_ASSERT(outcomes[i * STORM_RACERS + j].r == STORE_OK);
		/* Those before it are of the old epoch and dead; the others live. */
		CU_ASSERT_EQUAL(fixture_live_sessions(admin, me),
				fixture_int(admin,
					    "select count(*) from taskcell.sessions where user_id ="
					    " '%s' and epoch = 1",
					    fixture_id(&me->user_id)));
	}
}

/* --- the session that is kept, and its refresh ------------------------------------------------ */

/* The ending has written the rows; the refresh has seen them as they were. */
static void test_refresh_behind_end_others(void)
{
	struct account account;
	struct uuid act = uuid_v7();
	PGconn *other = fixture_ordinary();
	struct fork *refresh;
	const struct outcome *got;

	fixture_account(store, &account);
	fixture_exec(other, "begin");
	CU_ASSERT_EQUAL(run_statement(other, STATEMENT_SESSION_END_OTHERS,
				      (const char *[]){ fixture_id(&account.principal.user_id),
							fixture_id(&account.principal.session_id),
							fixture_id(&act), "sessions_ended", "",
							NULL, "r", NULL, NULL }),
			1);
	refresh = start_change(DO_REFRESH, &account);
	fixture_wait_blocked(admin, 1);
	fixture_exec(other, "commit");
	got = fork_join(refresh);
	CU_ASSERT(got->r == STORE_OK);
	CU_ASSERT(got->state.found && got->state.advanced && !got->state.revoked);
	CU_ASSERT_EQUAL(got->state.session.counter, 1);
	CU_ASSERT(uuid_equal(&got->state.user.id, &account.principal.user_id));
	CU_ASSERT(lives(&account.principal));
	PQfinish(other);
}

static void test_end_others_behind_refresh(void)
{
	struct account account;
	PGconn *other = fixture_ordinary();
	struct fork *end;

	fixture_account(store, &account);
	fixture_exec(other, "begin");
	CU_ASSERT_EQUAL(run_statement(other, STATEMENT_SESSION_REFRESH,
				      (const char *[]){ fixture_id(&account.principal.user_id),
							fixture_id(&account.principal.session_id),
							"0", "60", "k2" }),
			1);
	end = start_change(DO_END_OTHERS, &account);
	fixture_wait_blocked(admin, 1);
	fixture_exec(other, "commit");
	CU_ASSERT(((struct outcome *)fork_join(end))->r == STORE_OK);
	CU_ASSERT(lives(&account.principal));
	CU_ASSERT_EQUAL(fixture_int(admin, "select counter from taskcell.sessions where id = '%s'",
				    fixture_id(&account.principal.session_id)),
			1);
	PQfinish(other);
}

/* A logout that waits for the row of a kept session ends it, and is in the audit. */
static void run_logout(struct racer *racer, void *shared, void *out)
{
	const struct account *account = shared;
	const struct client client = fixture_client();

	*(enum store_result *)out = store_session_end(racer->store, &account->principal, &client);
}

static void test_logout_behind_end_others(void)
{
	struct account *account = fixture_shared(sizeof(*account));
	struct race one = { .racers = 1,
			    .rounds = 1,
			    .run = run_logout,
			    .arg = account,
			    .result_size = sizeof(enum store_result) };
	struct uuid act = uuid_v7();
	PGconn *other = fixture_ordinary();
	struct fork *logout;

	fixture_account(store, account);
	fixture_exec(other, "begin");
	CU_ASSERT_EQUAL(run_statement(other, STATEMENT_SESSION_END_OTHERS,
				      (const char *[]){ fixture_id(&account->principal.user_id),
							fixture_id(&account->principal.session_id),
							fixture_id(&act), "sessions_ended", "",
							NULL, "r", NULL, NULL }),
			1);
	logout = fork_start(&one);
	fixture_wait_blocked(admin, 1);
	fixture_exec(other, "commit");
	CU_ASSERT(*(enum store_result *)fork_join(logout) == STORE_OK);
	CU_ASSERT(!lives(&account->principal));
	CU_ASSERT_EQUAL(fixture_events(admin, &account->principal.user_id, "logout"), 1);
	PQfinish(other);
}

enum { REFRESHES = 60 };

struct refreshes {
	unsigned ok, ended_ok;
};

static void run_refreshes(struct racer *racer, void *shared, void *out)
{
	const struct account *account = shared;
	const struct client client = fixture_client();
	struct refreshes *result = out;
	struct session_refresh refresh = { .principal = account->principal,
					   .idle_s = FIXTURE_IDLE_S,
					   .key_id = "k" };

	for (int i = 0; i < REFRESHES; i++) {
		struct session_state state;

		arena_reset(racer->arena);
		if (racer->index > 0) {
			result->ended_ok +=
				store_session_end_others(racer->store, &account->principal,
							 &client) == STORE_OK;
			continue;
		}
		refresh.counter = i;
		result->ok += store_session_refresh(racer->store, racer->arena, &refresh, &state) ==
				      STORE_OK &&
			      state.advanced && !state.revoked && state.user.email != NULL &&
			      state.session.counter == i + 1;
	}
}

/* Never a wrongful end, nor one that is only believed. */
static void test_refresh_storm(void)
{
	enum { N = 3 };
	struct account *account = fixture_shared(sizeof(*account));
	struct race race_ = { .racers = N,
			      .rounds = 1,
			      .run = run_refreshes,
			      .arg = account,
			      .result_size = sizeof(struct refreshes) };
	const struct refreshes *results;

	fixture_account(store, account);
	results = race(&race_);
	CU_ASSERT_EQUAL(results[0].ok, REFRESHES);
	for (int i = 1; i < N; i++)
		CU_ASSERT_EQUAL(results[i].ended_ok, REFRESHES);
	CU_ASSERT(lives(&account->principal));
	CU_ASSERT_EQUAL(fixture_events(admin, &account->principal.user_id, "sessions_ended"),
			(N - 1) * REFRESHES);
}

CU_TestInfo end_race_tests[] = {
	{ "the login is first", test_login_then_end_others },
	{ "the end is first", test_end_others_then_login },
	{ "two at once", test_end_others_twice },
	{ "a storm", test_end_storm },
	CU_TEST_INFO_NULL,
};

CU_TestInfo refresh_race_tests[] = {
	{ "behind the end of the others", test_refresh_behind_end_others },
	{ "before it", test_end_others_behind_refresh },
	{ "logout behind it", test_logout_behind_end_others },
	{ "a storm", test_refresh_storm },
	CU_TEST_INFO_NULL,
};
