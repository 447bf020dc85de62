/* The statements of the program and the tables they run on, read as data: what must hold for each
 * of them holds for the next one as well. */
#include "base/base.h"

#include "store/statements.h"
#include "store/suite.h"

extern CU_TestInfo catalogue_tests[]; /* test_statements_catalogue.c */

static PGconn *ordinary;
static struct account a, b;
static struct uuid task_id, old_id;

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
	/* One of A's is of an epoch that is past. */
	old_id = uuid_v7();
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

static void fail_statement(const struct statement *s, const char *what)
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
	"account_delete",
	"account_export",
	"audit_erase",
	"audit_failure",
	"audit_prune",
	"audit_unknown",
	"credential_get",
	"credential_insert",
	"credential_lock",
	"credential_rehash",
	"fitness",
	"invite_find",
	"invite_lock",
	"invite_use",
	"password_change",
	"session_create",
	"session_end",
	"session_end_others",
	"session_end_own",
	"session_enter",
	"session_get",
	"session_list",
	"session_prune",
	"session_read",
	"session_refresh",
	"throttle_address",
	"throttle_clear",
	"throttle_refund",
	"throttle_reserve",
	"throttle_sweep",
	"throttle_wait",
	"user_change",
	"user_email_claim",
	"user_email_drop",
	"user_email_find",
	"user_email_insert",
	"user_email_insert_invited",
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

/* --- statements of a user -------------------------------------------------------------------- */

/* What each statement of scope user is run with. The first parameter is always A's id. */
enum value {
	V_END,
	V_SESSION,
	V_TASK, /* also of a session that is over, and of a row of the audit */
	V_OLD,  /* a session of a former epoch */
	V_NEW,
	V_HASH,
	V_NULL,
	V_TEXT,
	V_TRUE,
	V_FALSE,
	V_LATE,
	V_LAST_ID,
	V_ZERO,
	V_TEN
};

struct user_case {
	enum statement_id id;
	enum value values[10];
	int rows; /* given back, or written when it gives none */
};

static const struct user_case user_cases[] = {
	{ STATEMENT_USER_GET, { V_END }, 1 },
	{ STATEMENT_SESSION_GET, { V_SESSION }, 1 },
	{ STATEMENT_USER_CHANGE, { V_TEXT, V_TRUE, V_TEXT, V_TASK }, 1 },
	{ STATEMENT_USER_CHANGE, { V_NULL, V_TRUE, V_NULL, V_NULL }, 1 },
	{ STATEMENT_USER_CHANGE, { V_TEXT, V_TRUE, V_TEXT, V_NEW }, 0 },
	{ STATEMENT_CREDENTIAL_LOCK, { V_END }, 1 },
	{ STATEMENT_PASSWORD_CHANGE, { V_SESSION, V_HASH, V_TEXT }, 1 },
	{ STATEMENT_PASSWORD_CHANGE, { V_SESSION, V_TEXT, V_TEXT }, 0 },
	{ STATEMENT_PASSWORD_CHANGE, { V_TASK, V_HASH, V_TEXT }, 0 },
	{ STATEMENT_PASSWORD_CHANGE, { V_OLD, V_HASH, V_TEXT }, 0 },
	{ STATEMENT_ACCOUNT_DELETE, { V_SESSION, V_HASH, V_ZERO, V_NEW, V_TEXT }, 1 },
	{ STATEMENT_ACCOUNT_DELETE, { V_SESSION, V_HASH, V_TEN, V_NEW, V_TEXT }, 0 },
	{ STATEMENT_ACCOUNT_DELETE, { V_SESSION, V_TEXT, V_ZERO, V_NEW, V_TEXT }, 0 },
	{ STATEMENT_ACCOUNT_DELETE, { V_TASK, V_HASH, V_ZERO, V_NEW, V_TEXT }, 0 },
	{ STATEMENT_ACCOUNT_DELETE, { V_OLD, V_HASH, V_ZERO, V_NEW, V_TEXT }, 0 },
	/* the account, three sessions, a task, `registered` and `known` */
	{ STATEMENT_ACCOUNT_EXPORT, { V_END }, 7 },
	{ STATEMENT_AUDIT_ERASE, { V_TASK }, 1 },
	{ STATEMENT_AUDIT_ERASE, { V_NEW }, 0 },
	{ STATEMENT_SESSION_LIST, { V_END }, 1 },
	{ STATEMENT_SESSION_END_OWN, { V_SESSION, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_SESSION }, 1 },
	{ STATEMENT_SESSION_END_OWN, { V_TASK, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_SESSION }, 0 },
	{ STATEMENT_SESSION_END_OWN, { V_SESSION, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_TASK }, 0 },
	{ STATEMENT_SESSION_END_OWN, { V_OLD, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_SESSION }, 0 },
	{ STATEMENT_SESSION_END_OWN, { V_SESSION, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_OLD }, 0 },
	{ STATEMENT_SESSION_END_OTHERS,
	  { V_SESSION, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_TEXT, V_NULL, V_NULL },
	  1 },
	{ STATEMENT_SESSION_END_OTHERS,
	  { V_OLD, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_TEXT, V_NULL, V_NULL },
	  0 },
	{ STATEMENT_SESSION_END_OTHERS,
	  { V_SESSION, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_TEXT, V_HASH, V_ZERO },
	  1 },
	{ STATEMENT_SESSION_END_OTHERS,
	  { V_SESSION, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_TEXT, V_TEXT, V_ZERO },
	  0 },
	{ STATEMENT_SESSION_END_OTHERS,
	  { V_SESSION, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_TEXT, V_HASH, V_TEN },
	  0 },
	{ STATEMENT_SESSION_END_OTHERS,
	  { V_TASK, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_TEXT, V_NULL, V_NULL },
	  0 },
	{ STATEMENT_SESSION_PRUNE, { V_END }, 1 },
	{ STATEMENT_TASK_LIST, { V_LATE, V_LAST_ID, V_NULL, V_TEN }, 1 },
	{ STATEMENT_TASK_GET, { V_TASK }, 1 },
	{ STATEMENT_TASK_CREATE, { V_NEW, V_TEXT, V_TEXT, V_TRUE }, 1 },
	{ STATEMENT_TASK_CHANGE,
	  { V_TASK, V_NULL, V_TRUE, V_TEXT, V_TRUE, V_TEXT, V_TRUE, V_FALSE },
	  1 },
	{ STATEMENT_TASK_DELETE, { V_TASK, V_NULL }, 1 },
};

static const char *value_text(enum value value)
{
	switch (value) {
	case V_SESSION:
		return fixture_id(&a.principal.session_id);
	case V_TASK:
		return fixture_id(&task_id);
	case V_NEW:
		return "01234567-89ab-7def-8123-456789abcdef";
	case V_OLD:
		return fixture_id(&old_id);
	case V_HASH:
		return a.password_hash;
	case V_TEXT:
		return "some text";
	case V_TRUE:
		return "true";
	case V_FALSE:
		return "false";
	case V_LATE:
		return "infinity";
	case V_LAST_ID:
		return "ffffffff-ffff-ffff-ffff-ffffffffffff";
	case V_ZERO:
		return "0";
	case V_TEN:
		return "10";
	case V_END:
	case V_NULL:
		break;
	}
	return NULL;
}

static void add_result(FILE *out, const PGresult *res)
{
	enum { TIMESTAMPTZ = 1184 };

	fprintf(out, "%s %s rows\n", PQcmdStatus((PGresult *)res),
		PQresStatus(PQresultStatus(res)));
	for (int row = 0; row < PQntuples(res); row++)
		for (int column = 0; column < PQnfields(res); column++)
			/* Each run has its own now(). */
			if (PQftype(res, column) != TIMESTAMPTZ)
				fprintf(out, "%s\n", PQgetvalue(res, row, column));
}

/* What a user has behind the statement, without the times. */
static void add_rows(FILE *out, PGconn *conn, const struct uuid *user_id)
{
	const char *id = fixture_id(user_id);
	char *rows =
		fixture_text(conn,
			     "select (id, email, name, revision)::text from taskcell.users"
			     " where id = '%s' union all select (id, title, completed, version)"
			     "::text from taskcell.tasks where user_id = '%s' union all"
			     " select (id, epoch, counter, revoked_at is null)::text"
			     " from taskcell.sessions where user_id = '%s' union all"
			     " select (password_hash, epoch)::text from taskcell.credentials"
			     " where user_id = '%s' union all select (id, event, session_id, ip,"
			     " user_agent, request_id)::text from taskcell.audit"
			     " where user_id = '%s' order by 1",
			     id, id, id, id, id);

	fputs(rows, out);
	free(rows);
}

/* Runs it and takes it back; returns what it gave and did. */
static char *run_case(PGconn *conn, const struct user_case *c)
{
	const struct statement *s = &statements[c->id];
	const char *params[11] = { fixture_id(&a.principal.user_id) };
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	PGresult *res;

	CU_ASSERT_FATAL(out != NULL && s->params >= 1 && s->params <= 11);
	for (int i = 1; i < s->params; i++)
		params[i] = value_text(c->values[i - 1]);
	fixture_exec(conn, "begin");
	if (conn == ordinary)
		fixture_int(conn, "select length(set_config('taskcell.user_id', '%s', true))",
			    params[0]);
	res = PQexecParams(conn, s->text, s->params, NULL, params, NULL, NULL, 0);
	if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK)
		fail_statement(s, PQerrorMessage(conn));
	if (strtol(PQcmdTuples(res), NULL, 10) != c->rows)
		fail_statement(s, "number of rows");
	add_result(out, res);
	PQclear(res);
	add_rows(out, conn, &a.principal.user_id);
	fclose(out);
	return text;
}

/* The policies change nothing: the statement itself names the owner. And the owner only: under
 * nobody's eyes it leaves the other user as it was. */
static void test_owner_in_the_statement(void)
{
	char *before = NULL, *after = NULL;
	size_t len;
	FILE *out = open_memstream(&before, &len);

	CU_ASSERT_FATAL(out != NULL);
	add_rows(out, admin, &b.principal.user_id);
	fclose(out);
	for (size_t i = 0; i < ARRAY_LEN(user_cases); i++) {
		const struct user_case *c = &user_cases[i];
		char *fenced = run_case(ordinary, c);
		char *free_of_it;

		fixture_exec(ordinary, "rollback");
		free_of_it = run_case(admin, c);
		if (strcmp(fenced, free_of_it) != 0)
			fail_statement(&statements[c->id], "differs without the policies");
		out = open_memstream(&after, &len);
		CU_ASSERT_FATAL(out != NULL);
		add_rows(out, admin, &b.principal.user_id);
		fclose(out);
		if (strcmp(before, after) != 0)
			fail_statement(&statements[c->id], "reaches another user");
		fixture_exec(admin, "rollback");
		free(fenced);
		free(free_of_it);
		free(after);
	}
	free(before);
}

static void test_every_user_statement_runs(void)
{
	for (size_t i = 0; i < STATEMENT_COUNT; i++) {
		bool run = false;

		for (size_t j = 0; j < ARRAY_LEN(user_cases); j++)
			run |= user_cases[j].id == i;
		if (run != (strcmp(statements[i].scope, "user") == 0))
			fail_statement(&statements[i], "user_cases and the scope disagree");
	}
}

/* --- the fence ------------------------------------------------------------------------------- */

/* What the ordinary role sees, and what it changes, with the settings there are. */
static void expect_closed(void)
{
	CU_ASSERT_EQUAL(fixture_int(ordinary, "select count(*) from taskcell.users"), 0);
	CU_ASSERT_EQUAL(fixture_int(ordinary, "select count(*) from taskcell.tasks"), 0);
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
	{ "the owner is in the statement", test_owner_in_the_statement },
	{ "every statement of a user is run", test_every_user_statement_runs },
	CU_TEST_INFO_NULL,
};

static CU_TestInfo fence_tests[] = {
	{ "closed without the setting", test_fence },
	{ "nothing leaks", test_nothing_leaks },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ "statements", setup, teardown, NULL, NULL, statement_tests },
	SUITE("catalogue", catalogue_tests),
	{ "fence", setup, teardown, NULL, NULL, fence_tests },
	CU_SUITE_INFO_NULL,
};

int main(void)
{
	return run_suites(suites);
}
