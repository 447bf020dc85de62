/* Logins beside the end of the account or another login. Orders that matter are forced with locks;
 * the storm only adds to them. */
#include "base/base.h"

#include "base/clock.h"
#include "store/suite.h"

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
			       .session = fixture_session(),
			       .client = fixture_client() };
	const struct credential_query query = { .email_key = arg->account.email_key,
						.network = "" };
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
	result->again = store_credential_find(racer->store, racer->arena, &query, &credential);
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
	CU_ASSERT_EQUAL(fixture_live_sessions(admin, &result->principal), 0);
	/* Nor does it come back when the account is opened again. */
	fixture_exec(admin,
		     "update taskcell.credentials set disabled_at = null where user_id = '%s'",
		     fixture_id(&result->principal.user_id));
	CU_ASSERT_EQUAL(fixture_live_sessions(admin, &result->principal), 0);
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
		login = fork_start(&one);
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
	login = fork_start(&one);
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
	CU_ASSERT_EQUAL(fixture_live_sessions(admin, &result->principal), 1);
	arg->rehash = arg->retry = true;
	result = race(&one);
	CU_ASSERT(result->r == STORE_NO_SESSION);
	CU_ASSERT(result->again == STORE_OK);
	CU_ASSERT_EQUAL(fixture_live_sessions(admin, &result->principal), 2);
}

static void test_two_rehash_at_once(void)
{
	enum { N = 6, TIMES = 4 };

	for (unsigned time = 0; time < TIMES; time++) {
		struct login_arg *arg = new_login_arg();
		struct race race_ = one_login(arg);
		const struct credential_query query = { .email_key = arg->account.email_key,
							.network = "" };
		const struct login_result *results;
		struct credential credential;
		unsigned ok = 0;

		race_.racers = N;
		arg->rehash = arg->retry = true;
		results = race(&race_);
		CU_ASSERT(store_credential_find(store, arena, &query, &credential) == STORE_OK);
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
		CU_ASSERT_EQUAL(fixture_live_sessions(admin, &arg->account.principal), N + 1);
	}
}

static CU_TestInfo login_tests[] = {
	{ "the end commits before the login", test_login_after_the_end },
	{ "the login commits before the end", test_login_before_the_end },
	{ "logins and ends in a storm", test_login_storm },
	{ "the hash moved on", test_hash_moved_on },
	{ "logins that rehash at once", test_two_rehash_at_once },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	SUITE("login", login_tests),
	CU_SUITE_INFO_NULL,
};

int main(void)
{
	return run_suites(suites);
}
