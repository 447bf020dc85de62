/* What is counted against guessing, and how it is forgotten. */
#include "base/base.h"

#include "store/test_store.h"

/* Makes it `seconds` later for a key. */
static void pass(const char *key, int seconds)
{
	fixture_exec(admin,
		     "update taskcell.throttle set counted_at = counted_at - interval '%d s',"
		     " ends_at = ends_at - interval '%d s' where key = '%s'",
		     seconds, seconds, key);
}

static int64_t hits_of(const char *key)
{
	return fixture_int(admin, "select hits from taskcell.throttle where key = '%s'", key);
}

static void expect_limited(const char *key, int64_t seconds)
{
	struct throttle throttle;

	CU_ASSERT(store_throttle_reserve(store, key, &throttle) == STORE_LIMITED);
	CU_ASSERT(throttle.retry_after_us > (seconds - 1) * US_PER_SECOND / 2);
	CU_ASSERT(throttle.retry_after_us <= seconds * US_PER_SECOND);
}

static void test_throttle_account(void)
{
	static const int waits[] = { 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900 };
	const char *key = "account:waits@example.org";
	struct throttle throttle;

	for (int i = 0; i < THROTTLE_FREE_FAILURES; i++)
		CU_ASSERT(store_throttle_reserve(store, key, &throttle) == STORE_OK);
	for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
		int64_t wait;

		CU_ASSERT(store_throttle_reserve(store, key, &throttle) == STORE_OK);
		wait = fixture_int(admin,
				   "select extract(epoch from ends_at - counted_at)"
				   " from taskcell.throttle where key = '%s'",
				   key);
		CU_ASSERT_EQUAL(wait, waits[i]);
		if (waits[i] >= 64)
			expect_limited(key, waits[i]);
		pass(key, waits[i]);
	}
	/* What was refused was not counted, and a day forgets. */
	CU_ASSERT_EQUAL(hits_of(key), THROTTLE_FREE_FAILURES + (int64_t)ARRAY_LEN(waits));
	pass(key, 24 * 3600);
	CU_ASSERT(store_throttle_reserve(store, key, &throttle) == STORE_OK);
	CU_ASSERT_EQUAL(hits_of(key), 1);
}

static void test_throttle_refund(void)
{
	const char *key = "account:refund@example.org";
	struct store *other = fixture_store();
	struct throttle throttle;

	CU_ASSERT(store_throttle_refund(store, "account:never@example.org") == STORE_OK);
	for (int i = 0; i < THROTTLE_FREE_FAILURES; i++)
		CU_ASSERT(store_throttle_reserve(store, key, &throttle) == STORE_OK);
	/* The sixth, given back, leaves no wait: again and again. */
	for (int i = 0; i < 3; i++) {
		CU_ASSERT(store_throttle_reserve(store, key, &throttle) == STORE_OK);
		CU_ASSERT(store_throttle_refund(store, key) == STORE_OK);
	}
	/* The wait of another's later failure stays. */
	CU_ASSERT(store_throttle_reserve(store, key, &throttle) == STORE_OK);
	pass(key, 1);
	CU_ASSERT(store_throttle_reserve(other, key, &throttle) == STORE_OK);
	fixture_exec(admin, "update taskcell.throttle set ends_at = ends_at + interval '1 h'"
			    " where key = 'account:refund@example.org'");
	CU_ASSERT(store_throttle_refund(store, key) == STORE_OK);
	expect_limited(key, 3602);
	CU_ASSERT_EQUAL(hits_of(key), THROTTLE_FREE_FAILURES + 1);
	store_close(other);
}

static void test_login_clears_throttle(void)
{
	struct account account;
	struct login login;
	struct user user;
	struct session session;
	struct throttle throttle;

	fixture_account(store, &account);
	login = login_of(&account);
	login.throttle_key = account.email_key;
	for (int i = 0; i <= THROTTLE_FREE_FAILURES; i++)
		CU_ASSERT(store_throttle_reserve(store, account.email_key, &throttle) == STORE_OK);
	login.verified_hash = "changed meanwhile";
	CU_ASSERT(store_login(store, arena, &login, &user, &session) == STORE_NO_SESSION);
	CU_ASSERT_EQUAL(hits_of(account.email_key), THROTTLE_FREE_FAILURES + 1);
	login.verified_hash = account.password_hash;
	CU_ASSERT(store_login(store, arena, &login, &user, &session) == STORE_OK);
	CU_ASSERT(store_throttle_reserve(store, account.email_key, &throttle) == STORE_OK);
	CU_ASSERT_EQUAL(hits_of(account.email_key), 1);
}

static void test_throttle_address(void)
{
	const char *key = "address:192.0.2.1";
	struct throttle throttle;

	for (int i = 0; i < 3; i++)
		CU_ASSERT(store_throttle_address(store, key, 3, &throttle) == STORE_OK);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT(store_throttle_address(store, key, 3, &throttle) == STORE_LIMITED);
		CU_ASSERT(throttle.retry_after_us > 0);
		CU_ASSERT(throttle.retry_after_us <= THROTTLE_WINDOW_S * US_PER_SECOND);
	}
	CU_ASSERT_EQUAL(hits_of(key), 3);
	CU_ASSERT(store_throttle_address(store, "address:192.0.2.2", 3, &throttle) == STORE_OK);
	pass(key, THROTTLE_WINDOW_S);
	CU_ASSERT(store_throttle_address(store, key, 3, &throttle) == STORE_OK);
	CU_ASSERT_EQUAL(hits_of(key), 1);
	CU_ASSERT(store_throttle_address(store, "\xc0\x80", 3, &throttle) == STORE_REFUSED);
}

/* Rows of nobody, as they are that long after their last count. */
static void leave(const char *name, int n, const char *ago, const char *ends_at)
{
	fixture_exec(admin,
		     "insert into taskcell.throttle (key, hits, counted_at, ends_at)"
		     " select '%s ' || i, 7, now() - interval '%s', %s"
		     " from generate_series(1, %d) i",
		     name, ago, ends_at, n);
}

static int64_t left(const char *name)
{
	return fixture_int(admin, "select count(*) from taskcell.throttle where key like '%s %%'",
			   name);
}

static void test_throttle_sweep(void)
{
	const char *key = "sweeping";
	struct throttle throttle;

	fixture_exec(admin, "delete from taskcell.throttle");
	leave("old", 25, "24 h 1 s", "'-infinity'");
	leave("old window", 1, "25 h", "now() - interval '24 h 59 min'");
	leave("counts", 3, "23 h 59 min", "'-infinity'");
	leave("waited", 3, "23 h 59 min", "now() - interval '23 h'");
	leave("waits", 3, "25 h", "now() + interval '1 min'");
	CU_ASSERT(store_throttle_reserve(store, key, &throttle) == STORE_OK);
	CU_ASSERT_EQUAL(left("old"), 16);
	CU_ASSERT(store_throttle_address(store, "sweeping address", 1, &throttle) == STORE_OK);
	CU_ASSERT_EQUAL(left("old"), 6);
	/* Also one that is refused. */
	CU_ASSERT(store_throttle_address(store, "sweeping address", 1, &throttle) == STORE_LIMITED);
	CU_ASSERT_EQUAL(left("old"), 0);
	CU_ASSERT(store_throttle_reserve(store, key, &throttle) == STORE_OK);
	CU_ASSERT_EQUAL(left("counts"), 3);
	CU_ASSERT_EQUAL(left("waited"), 3);
	CU_ASSERT_EQUAL(left("waits"), 3);
	/* What was left still counts. */
	CU_ASSERT(store_throttle_reserve(store, "counts 1", &throttle) == STORE_OK);
	CU_ASSERT_EQUAL(hits_of("counts 1"), 8);
	CU_ASSERT(store_throttle_reserve(store, "counts 1", &throttle) == STORE_LIMITED);
}

/* One that another is just counting is neither waited for nor removed. */
static void test_throttle_sweep_beside(void)
{
	PGconn *other = fixture_admin();
	struct throttle throttle;

	fixture_exec(admin, "delete from taskcell.throttle");
	leave("old", 2, "25 h", "'-infinity'");
	fixture_exec(other, "begin; update taskcell.throttle set hits = 1, counted_at = now()"
			    " where key = 'old 1'");
	CU_ASSERT(store_throttle_reserve(store, "beside", &throttle) == STORE_OK);
	CU_ASSERT_EQUAL(left("old"), 1);
	fixture_exec(other, "commit");
	CU_ASSERT(store_throttle_reserve(store, "beside", &throttle) == STORE_OK);
	CU_ASSERT_EQUAL(hits_of("old 1"), 1);
	PQfinish(other);
}

CU_TestInfo throttle_tests[] = {
	{ "account", test_throttle_account },
	{ "refund", test_throttle_refund },
	{ "login clears", test_login_clears_throttle },
	{ "address", test_throttle_address },
	{ "sweep", test_throttle_sweep },
	{ "sweep beside a count", test_throttle_sweep_beside },
	CU_TEST_INFO_NULL,
};
