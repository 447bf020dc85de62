/* What is left when a session, the right to a row or a connection ends. */
#include "base/base.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "store/suite.h"
#include "store/tasks.h"

/* --- the end of a session -------------------------------------------------------------------- */

/* Every other function of a principal that lives; each has to say the same. */
static void expect_no_session(const struct principal *p, const struct uuid *other)
{
	const struct client client = fixture_client();
	/* As if the caller had read it just before. */
	int64_t epoch = fixture_int(admin,
				    "select coalesce(max(epoch), 0) from taskcell.credentials"
				    " where user_id = '%s'",
				    fixture_id(&p->user_id));
	const struct password_change password = { .principal = *p,
						  .verified_hash = "fixture-hash",
						  .new_hash = "intruded",
						  .session = fixture_session(),
						  .client = client };
	const struct email_change email = { .principal = *p,
					    .verified_hash = "fixture-hash",
					    .epoch = epoch,
					    .old_email_key = "intruded@example.org",
					    .email = "intruding@example.org",
					    .email_key = "intruding@example.org",
					    .client = client };
	const struct account_delete deletion = { .principal = *p,
						 .verified_hash = "fixture-hash",
						 .epoch = epoch,
						 .email_key = "intruded@example.org",
						 .client = client };
	struct session_list list;
	struct user user;
	struct session session;
	struct credential credential;
	struct account_export all;

	CU_ASSERT(store_session_list(store, arena, p, &list) == STORE_NO_SESSION);
	CU_ASSERT(store_session_end_own(store, p, &p->session_id, &client) == STORE_NO_SESSION);
	CU_ASSERT(store_session_end_own(store, p, other, &client) == STORE_NO_SESSION);
	CU_ASSERT(store_session_end_others(store, p, &client) == STORE_NO_SESSION);
	CU_ASSERT(store_account_get(store, arena, p, &user, &credential) == STORE_NO_SESSION);
	CU_ASSERT(store_password_change(store, arena, &password, &user, &session) ==
		  STORE_NO_SESSION);
	CU_ASSERT(store_name_change(store, arena, p, "intruded", &user) == STORE_NO_SESSION);
	CU_ASSERT(store_email_change(store, arena, &email, &user) == STORE_NO_SESSION);
	CU_ASSERT(store_account_delete(store, &deletion) == STORE_NO_SESSION);
	CU_ASSERT(store_account_export(store, arena, p, &all) == STORE_NO_SESSION);
}

/* Every function of a principal for tasks, and one besides. */
static void expect_everywhere(const struct principal *p, const struct uuid *task_id,
			      enum store_result task_result, enum store_result user_result)
{
	const struct versions any = { NULL, 0 };
	const struct task_change change = { .set_title = true, .title = "intruded" };
	const struct uuid new_id = uuid_v7();
	struct user user;
	struct session session;
	struct task task;
	size_t n;

	CU_ASSERT(store_task_get(store, arena, p, task_id, &task) == task_result);
	CU_ASSERT(store_task_change(store, arena, p, task_id, &change, &task) == task_result);
	CU_ASSERT(store_task_delete(store, arena, p, task_id, &any, &task) == task_result);
	CU_ASSERT(store_session_get(store, arena, p, &user, &session) == user_result);
	CU_ASSERT(fixture_list(store, p, &n) == user_result);
	if (user_result == STORE_OK)
		CU_ASSERT_EQUAL(n, 0);
	if (user_result != STORE_OK)
		CU_ASSERT(fixture_create(store, p, &new_id, "intruded") == user_result);
}

/* All that a user has, as text to compare; but for expired sessions, which may go at any time. */
static char *everything_of(const struct uuid *user_id)
{
	const char *id = fixture_id(user_id);

	return fixture_text(
		admin,
		"select u::text from taskcell.users u where id = '%s' union all"
		" select t::text from taskcell.tasks t where user_id = '%s' union all"
		" select c::text from taskcell.credentials c where user_id = '%s' union all"
		" select e::text from taskcell.user_emails e where user_id = '%s' union all"
		" select s::text from taskcell.sessions s where user_id = '%s'"
		"  and expires_at > now() and idle_expires_at > now() union all"
		" select a::text from taskcell.audit a where user_id = '%s' order by 1",
		id, id, id, id, id, id);
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
	const struct client client = fixture_client();

	for (size_t i = 0; i < ARRAY_LEN(how); i++) {
		struct account account;
		struct uuid task_id, other = uuid_v7();
		char *before, *after;

		fixture_account(store, &account);
		task_id = fixture_task(store, &account.principal, "mine");
		if (how[i] != NULL)
			fixture_exec(admin, how[i], fixture_id(&account.principal.user_id));
		else
			CU_ASSERT(store_session_end(store, &account.principal, &client) ==
				  STORE_OK);
		/* One that lives, unless the account is closed. */
		fixture_exec(admin,
			     "insert into taskcell.sessions"
			     " (user_id, id, epoch, key_id, idle_expires_at, expires_at, ip)"
			     " select user_id, '%s', epoch, 'k', 'infinity', 'infinity', 'x'"
			     " from taskcell.credentials where user_id = '%s'",
			     fixture_id(&other), fixture_id(&account.principal.user_id));
		before = everything_of(&account.principal.user_id);
		expect_no_session(&account.principal, &other);
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
	const struct client client = fixture_client();
	enum store_result r = STORE_OK;

	if (racer->index == 0) {
		/* Some creates first, so that all are busy. */
		for (int i = 0; i < 10; i++)
			fixture_task(racer->store, &arg->principal, "before the logout");
		result->odd +=
			store_session_end(racer->store, &arg->principal, &client) != STORE_OK;
		atomic_store(&arg->ended, true);
		return;
	}
	while (r == STORE_OK) {
		bool ended = atomic_load(&arg->ended);
		struct uuid id = uuid_v7();

		r = fixture_create(racer->store, &arg->principal, &id, "until the logout");
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
	CU_ASSERT_EQUAL(fixture_revision(admin, &b.principal), 0);
	/* Another's session opens neither. */
	mixed = (struct principal){ a.principal.user_id, b.principal.session_id };
	expect_no_session(&mixed, &a.principal.session_id);
	expect_everywhere(&mixed, &task_id, STORE_NO_SESSION, STORE_NO_SESSION);
	mixed = (struct principal){ b.principal.user_id, a.principal.session_id };
	expect_no_session(&mixed, &a.principal.session_id);
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
	atomic_uint writing; /* racers that are not through */
	atomic_uint tried;   /* writes of all of them */
};

struct storm_result {
	enum store_result r[WRITES];
	struct uuid id[WRITES];
	unsigned lost_reads, odd_reads;
	int64_t ended; /* backends, by the last racer */
};

/* One backend after the other, each when the writers have got on a little: at a mere pace it could
 * be the one that is just connecting again, for ever. */
static void terminate_at_random(struct storm_arg *arg, int64_t *ended)
{
	PGconn *conn = fixture_admin();
	int64_t deadline = clock_monotonic_us() + 25 * US_PER_SECOND;

	while (atomic_load(&arg->writing) > 0) {
		unsigned next = atomic_load(&arg->tried) + 4;

		*ended += fixture_int(conn, "select count(pg_terminate_backend(pid)) from"
					    " (select pid from pg_stat_activity where usename ="
					    " 'taskcell' order by random() limit 1) victim");
		while (atomic_load(&arg->writing) > 0 && atomic_load(&arg->tried) < next)
			fixture_poll(deadline, "for the writers to get on");
	}
	PQfinish(conn);
}

static void run_storm(struct racer *racer, void *shared, void *out)
{
	struct storm_arg *arg = shared;
	struct storm_result *result = out;
	int64_t deadline = clock_monotonic_us() + 25 * US_PER_SECOND;

	if (racer->index == WRITERS) {
		terminate_at_random(arg, &result->ended);
		return;
	}
	for (unsigned i = 0; i < WRITES; i++) {
		const struct principal *p = &arg->principal[racer->index];
		enum store_result r;
		size_t n;

		result->id[i] = uuid_v7();
		result->r[i] = fixture_create(racer->store, p, &result->id[i], "in the storm");
		/* The store sends a read again, once; the end may come to both, and to whoever
		 * connects. */
		do {
			r = fixture_list(racer->store, p, &n);
			result->lost_reads += r == STORE_UNAVAILABLE;
		} while (r == STORE_UNAVAILABLE && clock_monotonic_us() < deadline);
		result->odd_reads += r != STORE_OK;
		atomic_fetch_add(&arg->tried, 1);
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
	unsigned lost = 0, lost_reads = 0;

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
		lost_reads += results[w].lost_reads;
	}
	fprintf(stderr,
		"storm: %ld ends, %u of %d creates not acknowledged, %u reads asked again\n",
		(long)results[WRITERS].ended, lost, WRITERS * WRITES, lost_reads);
	CU_ASSERT(results[WRITERS].ended > 0);
	CU_ASSERT_EQUAL(fixture_int(admin, "select count(*) from (select user_id, version from"
					   " taskcell.tasks group by 1, 2 having count(*) > 1) d"),
			0);
}

static CU_TestInfo session_tests[] = {
	{ "an ended session is refused everywhere", test_ended_session },
	{ "logout works at once", test_logout_at_once },
	{ "two users", test_two_users },
	CU_TEST_INFO_NULL,
};

static CU_TestInfo connection_tests[] = {
	{ "a storm of ends", test_storm },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	SUITE("sessions", session_tests),
	SUITE("connections", connection_tests),
	CU_SUITE_INFO_NULL,
};

int main(void)
{
	return run_suites(suites);
}
