/* Changes of an account beside logins, refreshes and each other. Orders that matter are forced with
 * locks; the storms only add to them. */
#include "base/base.h"

#include "store/test_changes.h"

#include "base/clock.h"
#include "base/log.h"

int run_statement(PGconn *conn, enum statement_id id, const char *const *params)
{
	PGresult *res = PQexecParams(conn, statements[id].text, statements[id].params, NULL, params,
				     NULL, NULL, 0);
	int rows = PQntuples(res);

	if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK)
		fatal("%s: %s", statements[id].name, PQerrorMessage(conn));
	PQclear(res);
	return rows;
}

void wait_blocked_or_done(const struct fork *f, unsigned n)
{
	int64_t deadline = clock_monotonic_us() + 10 * US_PER_SECOND;

	while (!fork_done(f) && fixture_blocked(admin) < n)
		fixture_poll(deadline, "for a statement that blocks, or its end");
}

/* --- what the racers do ----------------------------------------------------------------------- */

void run_change(struct racer *racer, enum change what, const struct account *account,
		struct outcome *out)
{
	const struct principal *me = &account->principal;
	struct client client = fixture_client();
	struct login login = { .user_id = me->user_id,
			       .verified_hash = account->password_hash,
			       .session = fixture_session(),
			       .client = client };
	struct password_change change = { .principal = *me,
					  .verified_hash = account->password_hash,
					  .new_hash = "chosen anew",
					  .session = fixture_session(),
					  .client = client };
	struct session_refresh refresh = { .principal = *me,
					   .idle_s = FIXTURE_IDLE_S,
					   .key_id = "k" };
	struct user user;
	struct session session;

	switch (what) {
	case DO_LOGIN_REHASH:
		login.new_hash = arena_printf(racer->arena, "rehash %u", racer->index);
		/* fall through */
	case DO_LOGIN:
		out->principal = (struct principal){ me->user_id, login.session.id };
		out->r = store_login(racer->store, racer->arena, &login, &user, &session);
		break;
	case DO_PASSWORD:
		out->principal = (struct principal){ me->user_id, change.session.id };
		out->r =
			store_password_change(racer->store, racer->arena, &change, &user, &session);
		break;
	case DO_END_OTHERS:
		out->r = store_session_end_others(racer->store, me, &client);
		break;
	case DO_REFRESH:
		out->r = store_session_refresh(racer->store, racer->arena, &refresh, &out->state);
		break;
	}
}

static void run_alone(struct racer *racer, void *shared, void *out)
{
	const struct changes *changes = shared;

	run_change(racer, changes->change, &changes->account, out);
}

struct fork *start_change(enum change change, const struct account *account)
{
	struct changes *changes = fixture_shared(sizeof(*changes));
	struct race one = { .racers = 1,
			    .rounds = 1,
			    .run = run_alone,
			    .arg = changes,
			    .result_size = sizeof(struct outcome) };

	*changes = (struct changes){ *account, change };
	return fork_start(&one);
}

bool lives(const struct principal *p)
{
	struct user user;
	struct session session;
	enum store_result r = store_session_get(store, arena, p, &user, &session);

	CU_ASSERT(r == STORE_OK || r == STORE_NO_SESSION);
	return r == STORE_OK;
}

void hold_user(const struct account *account)
{
	fixture_exec(admin, "begin; select from taskcell.users where id = '%s' for update",
		     fixture_id(&account->principal.user_id));
}

/* --- password change and login ---------------------------------------------------------------- */

static void test_login_then_password(void)
{
	static const enum change logins[] = { DO_LOGIN, DO_LOGIN_REHASH };

	for (size_t i = 0; i < ARRAY_LEN(logins); i++) {
		struct account account;
		struct fork *login, *change;
		const struct outcome *began, *changed;

		fixture_account(store, &account);
		hold_user(&account);
		login = start_change(logins[i], &account);
		fixture_wait_blocked(admin, 1);
		change = start_change(DO_PASSWORD, &account);
		fixture_wait_blocked(admin, 2);
		fixture_exec(admin, "commit");
		began = fork_join(login);
		changed = fork_join(change);
		CU_ASSERT(began->r == STORE_OK);
		/* Verified against a hash that is no more: to be read once more. */
		CU_ASSERT_EQUAL(changed->r, i == 0 ? STORE_OK : STORE_STALE);
		CU_ASSERT_EQUAL(lives(&began->principal), i == 1);
		CU_ASSERT_EQUAL(lives(&account.principal), i == 1);
		CU_ASSERT_EQUAL(lives(&changed->principal), i == 0);
		CU_ASSERT_EQUAL(fixture_events(admin, &account.principal.user_id, NULL),
				3 - (int)i);
	}
}

static void test_password_then_login(void)
{
	static const enum change logins[] = { DO_LOGIN, DO_LOGIN_REHASH };

	for (size_t i = 0; i < ARRAY_LEN(logins); i++) {
		struct account account;
		struct fork *login, *change;
		const struct outcome *began, *changed;
		const struct uuid *user_id = &account.principal.user_id;

		fixture_account(store, &account);
		hold_user(&account);
		change = start_change(DO_PASSWORD, &account);
		fixture_wait_blocked(admin, 1);
		login = start_change(logins[i], &account);
		fixture_wait_blocked(admin, 2);
		fixture_exec(admin, "commit");
		changed = fork_join(change);
		began = fork_join(login);
		CU_ASSERT(changed->r == STORE_OK);
		CU_ASSERT(began->r == STORE_NO_SESSION);
		CU_ASSERT(lives(&changed->principal));
		CU_ASSERT_EQUAL(fixture_live_sessions(admin, &account.principal), 1);
		CU_ASSERT_EQUAL(fixture_events(admin, user_id, "login"), 0);
		CU_ASSERT_EQUAL(
			fixture_int(admin,
				    "select count(*) from taskcell.credentials where user_id"
				    " = '%s' and password_hash = 'chosen anew'",
				    fixture_id(user_id)),
			1);
	}
}

static void run_password_storm(struct racer *racer, void *shared, void *out)
{
	const struct changes *changes = (struct changes *)shared + racer->round;

	run_change(racer, racer->index == 0 ? DO_PASSWORD : changes->change, &changes->account,
		   out);
}

/* With rehashing the change may find another hash than it verified; then nothing has changed. */
static void test_password_storm(void)
{
	struct changes *changes = fixture_shared(STORM_ROUNDS * sizeof(*changes));
	struct race race_ = { .racers = STORM_RACERS,
			      .rounds = STORM_ROUNDS,
			      .run = run_password_storm,
			      .arg = changes,
			      .result_size = sizeof(struct outcome) };
	const struct outcome *outcomes;

	for (unsigned i = 0; i < STORM_ROUNDS; i++) {
		fixture_account(store, &changes[i].account);
		changes[i].change = i % 2 == 0 ? DO_LOGIN : DO_LOGIN_REHASH;
	}
	outcomes = race(&race_);
	for (unsigned i = 0; i < STORM_ROUNDS; i++) {
		const struct outcome *got = outcomes + (size_t)i * STORM_RACERS;
		const struct principal *me = &changes[i].account.principal;
		bool changed = got[0].r == STORE_OK;
		int64_t logins = 0;

		CU_ASSERT(changed ||
			  (got[0].r == STORE_STALE && changes[i].change == DO_LOGIN_REHASH));
		CU_ASSERT_EQUAL(lives(&got[0].principal), changed);
		CU_ASSERT_EQUAL(lives(me), !changed);
		for (unsigned j = 1; j < STORM_RACERS; j++) {
			CU_ASSERT(got[j].r == STORE_OK || got[j].r == STORE_NO_SESSION);
			CU_ASSERT_EQUAL(lives(&got[j].principal), !changed && got[j].r == STORE_OK);
			logins += got[j].r == STORE_OK;
		}
		CU_ASSERT_EQUAL(fixture_events(admin, &me->user_id, "login"), logins);
		CU_ASSERT_EQUAL(fixture_events(admin, &me->user_id, "password_changed"), changed);
	}
}

static CU_TestInfo password_race_tests[] = {
	{ "the login is first", test_login_then_password },
	{ "the change is first", test_password_then_login },
	{ "a storm", test_password_storm },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	SUITE("password and login", password_race_tests),
	SUITE("end of all others and login", end_race_tests),
	SUITE("refresh of the session that is kept", refresh_race_tests),
	SUITE("e-mail", email_race_tests),
	SUITE("invitations", invite_race_tests),
	SUITE("deletion", deletion_race_tests),
	CU_SUITE_INFO_NULL,
};

int main(void)
{
	return run_suites(suites);
}
