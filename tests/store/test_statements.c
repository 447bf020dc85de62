/* The statements of the program and the tables they run on, read as data: what must hold for each
 * of them holds for the next one as well. */
#include "base/base.h"

#include "store/test_statements.h"

PGconn *ordinary;
struct account a, b;
struct uuid task_id, old_id, trashed_id;

/* In the trash: what can be restored, what cannot, and what will be forgotten. A key, and an old
 * one. */
static void load_what_passes(const struct uuid *user_id)
{
	const char *id = fixture_id(user_id);

	fixture_exec(admin,
		     "insert into taskcell.trash"
		     " (user_id, id, title, version, created_at, updated_at, deleted_at)"
		     " select '%s', id::uuid, title, v, now(), now(), now() - days * interval '1 d'"
		     " from (values ('%s', 'of late', 7, 0), ('%s', 'old', 6, 40),"
		     " ('%s', null, 5, 100)) t (id, title, v, days)",
		     id, fixture_id(&trashed_id), fixture_id(&old_id),
		     fixture_id(&a.principal.session_id));
	fixture_exec(
		admin,
		"insert into taskcell.idempotency (user_id, key, digest, task_id, version,"
		" created_at) select '%s', key, 'digest', '%s', 1, now() - days * interval '1 d'"
		" from (values ('key', 0), ('past', 2)) k (key, days)",
		id, fixture_id(&task_id));
}

/* Two users whose rows have the same ids, so that a forgotten owner shows. */
static void load_two_users(void)
{
	fixture_account(store, &a);
	fixture_account(store, &b);
	task_id = fixture_task(store, &a.principal, "of A");
	fixture_exec(admin,
		     "insert into taskcell.tasks (user_id, id, title, version)"
		     " values ('%s', '%s', 'of B', 1)",
		     fixture_id(&b.principal.user_id), fixture_id(&task_id));
	fixture_exec(
		admin,
		"update taskcell.tasks set completed = true, completed_at = now(), priority = 1,"
		" due_date = 'now', due_at = now(), tags = '{b,two words}' where id = '%s'",
		fixture_id(&task_id));
	/* One of A's is of an epoch that is past. */
	old_id = uuid_v7();
	trashed_id = uuid_v7();
	fixture_exec(admin,
		     "insert into taskcell.sessions"
		     " (user_id, id, epoch, key_id, idle_expires_at, expires_at, ip)"
		     " select '%s', '%s', -1, 'k', now() + interval '1 h', now() + interval '1 h',"
		     " '192.0.2.1'",
		     fixture_id(&a.principal.user_id), fixture_id(&old_id));
	/* The one that lives does so for B as well; the other is over for both. */
	fixture_exec(admin,
		     "insert into taskcell.sessions"
		     " (user_id, id, epoch, key_id, idle_expires_at, expires_at, ip)"
		     " select '%s', '%s', 0, 'k', now() + interval '1 h', now() + interval '1 h',"
		     " '192.0.2.1'",
		     fixture_id(&b.principal.user_id), fixture_id(&a.principal.session_id));
	for (int i = 0; i < 2; i++) {
		const struct uuid *user_id = i == 0 ? &a.principal.user_id : &b.principal.user_id;

		fixture_exec(admin,
			     "insert into taskcell.sessions"
			     " (user_id, id, epoch, key_id, idle_expires_at, expires_at, ip)"
			     " select '%s', '%s', 0, 'k', now(), now(), '192.0.2.1'",
			     fixture_id(user_id), fixture_id(&task_id));
		fixture_exec(admin,
			     "insert into taskcell.audit (user_id, id, event)"
			     " values ('%s', '%s', 'known')",
			     fixture_id(user_id), fixture_id(&task_id));
		load_what_passes(user_id);
	}
}

static int setup(void)
{
	if (suite_setup() != 0)
		return 1;
	ordinary = fixture_ordinary();
	load_two_users();
	return 0;
}

static int teardown(void)
{
	PQfinish(ordinary);
	return suite_teardown();
}

void fail_statement(const struct statement *s, const char *what)
{
	fprintf(stderr, "%s: %s\n", s->name, what);
	CU_FAIL("statement");
}

/* --- all statements -------------------------------------------------------------------------- */

static void test_prepare(void)
{
	for (size_t i = 0; i < STATEMENT_COUNT; i++) {
		const struct statement *s = &statements[i];
		PGresult *res;

		if (strcmp(s->scope, "foreign") == 0)
			continue;
		res = PQprepare(ordinary, s->name, s->text, 0, NULL);
		if (PQresultStatus(res) != PGRES_COMMAND_OK)
			fail_statement(s, PQerrorMessage(ordinary));
		PQclear(res);
		res = PQdescribePrepared(ordinary, s->name);
		if (PQnparams(res) != s->params)
			fail_statement(s, "number of parameters");
		PQclear(res);
	}
	CU_ASSERT(STATEMENT_COUNT > 0);
}

static void test_scopes(void)
{
	for (size_t i = 0; i < STATEMENT_COUNT; i++) {
		static const char *const scopes[] = { "user", "pre_user", "service", "admin",
						      "foreign" };
		const struct statement *s = &statements[i];
		size_t scope = 0;

		while (scope < ARRAY_LEN(scopes) && strcmp(s->scope, scopes[scope]) != 0)
			scope++;
		if (scope == ARRAY_LEN(scopes))
			fail_statement(s, "unknown scope");
		/* What opens every row is never there to be run by its name. */
		if ((scope < 3) != (i < STATEMENT_PREPARED))
			fail_statement(s, "prepared by the server, or not");
		/* The service asks whether it is on. */
		if (strcmp(s->scope, "admin") != 0 && strstr(s->text, "taskcell.admin") != NULL &&
		    (strcmp(s->scope, "service") != 0 || strstr(s->text, "set_config") != NULL))
			fail_statement(s, "names taskcell.admin");
		if (strcmp(s->scope, "user") == 0 && strstr(s->text, "set_config") != NULL)
			fail_statement(s, "moves the fence");
	}
}

/* No policy watches these: each name here is a statement that somebody has read for it. */
static const char *const unfenced[] = {
	"account_delete",     "account_export",    "audit_erase",
	"audit_failure",      "audit_list",        "audit_prune",
	"audit_unknown",      "credential_get",    "credential_insert",
	"credential_lock",    "credential_rehash", "fitness",
	"invite_find",        "invite_lock",       "invite_use",
	"password_change",    "session_create",    "session_end",
	"session_end_others", "session_end_own",   "session_enter",
	"session_export",     "session_get",       "session_list",
	"session_prune",      "session_read",      "session_refresh",
	"throttle_address",   "throttle_clear",    "throttle_refund",
	"throttle_reserve",   "throttle_sweep",    "throttle_wait",
	"user_change",        "user_email_claim",  "user_email_drop",
	"user_email_find",    "user_email_insert", "user_email_insert_invited",
	"user_insert",
};

static bool touches_unfenced(const struct statement *s)
{
	static const char *const tables[] = { "taskcell.user_emails", "taskcell.credentials",
					      "taskcell.sessions",    "taskcell.throttle",
					      "taskcell.migrations",  "taskcell.audit",
					      "taskcell.invites" };

	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		if (strstr(s->text, tables[i]) != NULL)
			return true;
	return false;
}

static void test_unfenced(void)
{
	size_t listed = 0;

	/* Those of taskcellctl see everything anyhow. */
	for (size_t i = 0; i < STATEMENT_PREPARED; i++) {
		bool in_list = false;

		for (size_t j = 0; j < ARRAY_LEN(unfenced); j++)
			in_list |= strcmp(statements[i].name, unfenced[j]) == 0;
		listed += in_list;
		if (touches_unfenced(&statements[i]) != in_list)
			fail_statement(&statements[i],
				       in_list ? "touches only fenced tables"
					       : "touches a table without a policy");
	}
	CU_ASSERT_EQUAL(listed, ARRAY_LEN(unfenced));
}

/* --- the fence ------------------------------------------------------------------------------- */

/* What the ordinary role sees, and what it changes, with the settings there are. */
static void expect_closed(void)
{
	CU_ASSERT_EQUAL(fixture_int(ordinary, "select count(*) from taskcell.users"), 0);
	CU_ASSERT_EQUAL(fixture_int(ordinary, "select count(*) from taskcell.tasks"), 0);
	CU_ASSERT_EQUAL(fixture_int(ordinary, "select count(*) from taskcell.trash"), 0);
	CU_ASSERT_EQUAL(fixture_int(ordinary, "select count(*) from taskcell.idempotency"), 0);
	CU_ASSERT_EQUAL(
		fixture_int(ordinary,
			    "with w as (update taskcell.users set revision = 99 returning 1)"
			    " select count(*) from w"),
		0);
	CU_ASSERT_EQUAL(fixture_int(ordinary, "with w as (delete from taskcell.tasks returning 1)"
					      " select count(*) from w"),
			0);
}

static const char *try_insert_user(void)
{
	struct uuid id = uuid_v7();

	return fixture_try(ordinary, "insert into taskcell.users (id, email) values ('%s', 'x@y')",
			   fixture_id(&id));
}

static const char *try_insert_task(const struct account *account)
{
	struct uuid id = uuid_v7();

	return fixture_try(ordinary,
			   "insert into taskcell.tasks (user_id, id, title, version)"
			   " values ('%s', '%s', 'intruded', 1)",
			   fixture_id(&account->principal.user_id), fixture_id(&id));
}

static void test_fence(void)
{
	static const char denied[] = "42501";

	CU_ASSERT(fixture_int(admin, "select count(*) from taskcell.users") >= 2);
	CU_ASSERT(fixture_int(admin, "select count(*) from taskcell.tasks") >= 2);
	/* Unset, and empty as it is after the first transaction that set it. */
	for (int i = 0; i < 2; i++) {
		expect_closed();
		CU_ASSERT_STRING_EQUAL(try_insert_user(), denied);
		CU_ASSERT_STRING_EQUAL(try_insert_task(&a), denied);
		fixture_exec(ordinary, "begin; select set_config('taskcell.user_id', '%s', true)",
			     fixture_id(&a.principal.user_id));
		CU_ASSERT_EQUAL(fixture_int(ordinary, "select count(*) from taskcell.users"), 1);
		CU_ASSERT_EQUAL(fixture_int(ordinary, "select count(*) from taskcell.tasks"), 1);
		CU_ASSERT_STRING_EQUAL(try_insert_task(&a), "00000");
		CU_ASSERT_STRING_EQUAL(try_insert_task(&b), denied);
		fixture_exec(ordinary, "rollback; begin; set local taskcell.user_id = '%s'",
			     fixture_id(&a.principal.user_id));
		/* Nor can a row be given away. */
		CU_ASSERT_STRING_EQUAL(
			fixture_try(ordinary, "update taskcell.tasks set user_id = '%s', id = '%s'",
				    fixture_id(&b.principal.user_id),
				    fixture_id(&a.principal.user_id)),
			denied);
		fixture_exec(ordinary, "rollback");
	}
}

/* The setting is of one transaction: nothing of it is in the next, which is another user's. */
static void test_nothing_leaks(void)
{
	static const char *const ends[] = { "commit", "rollback" };

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		fixture_exec(ordinary, "begin; select set_config('taskcell.user_id', '%s', true)",
			     fixture_id(&a.principal.user_id));
		CU_ASSERT_EQUAL(fixture_int(ordinary, "select count(*) from taskcell.tasks"), 1);
		fixture_exec(ordinary, "%s", ends[i]);
		CU_ASSERT_EQUAL(fixture_int(ordinary, "select coalesce(length(current_setting("
						      "'taskcell.user_id', true)), 0)"),
				0);
		expect_closed();
	}
}

static CU_TestInfo statement_tests[] = {
	{ "prepared on the migrated schema", test_prepare },
	{ "scopes", test_scopes },
	{ "tables without a policy", test_unfenced },
	CU_TEST_INFO_NULL,
};

static CU_TestInfo fence_tests[] = {
	{ "closed without the setting", test_fence },
	{ "nothing leaks", test_nothing_leaks },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ "statements", setup, teardown, NULL, NULL, statement_tests },
	{ "statements of a user", setup, teardown, NULL, NULL, user_statement_tests },
	SUITE("catalogue", catalogue_tests),
	{ "fence", setup, teardown, NULL, NULL, fence_tests },
	CU_SUITE_INFO_NULL,
};

int main(void)
{
	return run_suites(suites);
}
