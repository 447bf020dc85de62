/* The statements of the program and the tables they run on, read as data: what must hold for each
 * of them holds for the next one as well. */
#include "base/base.h"

#include "store/statements.h"
#include "store/suite.h"

static PGconn *ordinary;
static struct account a, b;
static struct uuid task_id;

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
	for (int i = 0; i < 2; i++)
		fixture_exec(admin,
			     "insert into taskcell.sessions"
			     " (user_id, id, epoch, key_id, idle_expires_at, expires_at, ip) select"
			     " '%s', '%s', 0, 'k', now() + interval '%d h', now(), '192.0.2.1'",
			     fixture_id(&b.principal.user_id),
			     fixture_id(i == 0 ? &a.principal.session_id : &task_id), i);
	fixture_exec(admin,
		     "insert into taskcell.sessions"
		     " (user_id, id, epoch, key_id, idle_expires_at, expires_at, ip) select"
		     " '%s', '%s', 0, 'k', now(), now(), '192.0.2.1'",
		     fixture_id(&a.principal.user_id), fixture_id(&task_id));
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

/* A query that lists what should not be: its rows are the message. */
static void expect_rows(const char *sql, const char *rows)
{
	char *found = fixture_text(admin, "%s", sql);

	CU_ASSERT_STRING_EQUAL(found, rows);
	if (strcmp(found, rows) != 0)
		fprintf(stderr, "found:\n%snot:\n%s", found, rows);
	free(found);
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
		PGresult *res = PQprepare(ordinary, s->name, s->text, 0, NULL);

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
		const struct statement *s = &statements[i];

		if (strcmp(s->scope, "user") != 0 && strcmp(s->scope, "pre_user") != 0 &&
		    strcmp(s->scope, "admin") != 0)
			fail_statement(s, "unknown scope");
		if (strcmp(s->scope, "admin") != 0 && strstr(s->text, "taskcell.admin") != NULL)
			fail_statement(s, "names taskcell.admin");
		if (strcmp(s->scope, "user") == 0 && strstr(s->text, "set_config") != NULL)
			fail_statement(s, "moves the fence");
	}
}

/* No policy watches these: each name here is a statement that somebody has read for it. */
static const char *const unfenced[] = {
	"user_email_insert", "user_insert",       "credential_insert", "user_email_find",
	"credential_get",    "credential_rehash", "fitness",           "session_enter",
	"session_create",    "session_get",       "session_refresh",   "session_read",
	"session_end",       "session_prune",     "throttle_address",  "throttle_reserve",
	"throttle_wait",     "throttle_refund",   "throttle_clear",
};

static bool touches_unfenced(const struct statement *s)
{
	static const char *const tables[] = { "taskcell.user_emails", "taskcell.credentials",
					      "taskcell.sessions", "taskcell.throttle",
					      "taskcell.migrations" };

	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		if (strstr(s->text, tables[i]) != NULL)
			return true;
	return false;
}

static void test_unfenced(void)
{
	size_t listed = 0;

	for (size_t i = 0; i < STATEMENT_COUNT; i++) {
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
	V_TASK,
	V_NEW,
	V_NULL,
	V_TEXT,
	V_TRUE,
	V_FALSE,
	V_LATE,
	V_LAST_ID,
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
			     "select (id, name, revision)::text from taskcell.users"
			     " where id = '%s' union all select (id, title, completed, version)"
			     "::text from taskcell.tasks where user_id = '%s' union all"
			     " select (id, counter, revoked_at)::text from taskcell.sessions"
			     " where user_id = '%s' order by 1",
			     id, id, id);

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

/* --- the catalogue --------------------------------------------------------------------------- */

#define OURS "'taskcell'::regnamespace"

static void test_tables(void)
{
	expect_rows(
		"select relname || case when relrowsecurity and relforcerowsecurity"
		"  then ' fenced' when relrowsecurity or relforcerowsecurity then ' half' else ''"
		"  end from pg_class where relnamespace = " OURS
		" and relkind not in ('i', 'I') order by 1",
		"credentials\nmigrations\nsessions\ntasks fenced\nthrottle\nuser_emails\n"
		"users fenced\n");
	expect_rows("select polrelid::regclass || ' ' || count(*) || ' ' || bool_and(polpermissive"
		    " and polcmd = '*' and polroles = '{0}') from pg_policy group by polrelid"
		    " order by 1",
		    "taskcell.tasks 2 true\ntaskcell.users 2 true\n");
	expect_rows("select relname from pg_class where relnamespace = " OURS
		    " and relpersistence <> 'p'",
		    "");
	expect_rows("select tgname from pg_trigger join pg_class c on c.oid = tgrelid"
		    " where relnamespace = " OURS " and not tgisinternal",
		    "");
	expect_rows("select proname from pg_proc where pronamespace = " OURS, "");
}

/* The key over all users, and what belongs to nobody. */
#define GLOBAL "('user_emails', 'throttle', 'migrations')"

static void test_keys(void)
{
	expect_rows("select i.indexrelid::regclass from pg_index i"
		    " join pg_class c on c.oid = i.indrelid"
		    " left join pg_attribute f on f.attrelid = c.oid and f.attnum = i.indkey[0]"
		    " where relnamespace = " OURS " and (indisunique or indisexclusion)"
		    " and relname not in " GLOBAL " and f.attname is distinct from"
		    " case relname when 'users' then 'id' else 'user_id' end",
		    "");
	expect_rows("select c.relname from pg_class c where relnamespace = " OURS
		    " and relkind in ('r', 'p') and not exists"
		    " (select from pg_index where indrelid = c.oid and indisprimary)",
		    "");
	/* Every table of a person hangs on users, by the user's id alone, and goes with it. */
	expect_rows("select conrelid::regclass || ' ' || pg_get_constraintdef(oid)"
		    " from pg_constraint where connamespace = " OURS
		    " and contype = 'f' order by 1",
		    "taskcell.credentials FOREIGN KEY (user_id) REFERENCES taskcell.users(id)"
		    " ON DELETE CASCADE\n"
		    "taskcell.sessions FOREIGN KEY (user_id) REFERENCES taskcell.users(id)"
		    " ON DELETE CASCADE\n"
		    "taskcell.tasks FOREIGN KEY (user_id) REFERENCES taskcell.users(id)"
		    " ON DELETE CASCADE\n");
}

static void test_comments(void)
{
	expect_rows("select relname || '.' || coalesce(attname, '*') from pg_class c left join"
		    " (select attrelid, attname, attnum from pg_attribute"
		    "  where attnum > 0 and not attisdropped union all"
		    "  select oid, null, 0 from pg_class) f on attrelid = c.oid"
		    " where relnamespace = " OURS " and relkind not in ('i', 'I')"
		    " and coalesce(col_description(c.oid, nullif(attnum, 0)),"
		    "  case attnum when 0 then obj_description(c.oid, 'pg_class') end, '') = ''"
		    " order by 1",
		    "");
}

static void test_owner(void)
{
	expect_rows("select distinct pg_get_userbyid(owner) || ' ' || rolsuper || ' ' ||"
		    " rolbypassrls || ' ' || rolcreaterole from (select relowner as owner from"
		    " pg_class where relnamespace = " OURS " union all select nspowner from"
		    " pg_namespace where nspname = 'taskcell') o join pg_roles r on r.oid = owner",
		    "taskcell false false false\n");
	expect_rows("select grantee::regrole from pg_class c, aclexplode(relacl)"
		    " where relnamespace = " OURS " and grantee <> relowner",
		    "");
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

static CU_TestInfo catalogue_tests[] = {
	{ "tables and policies", test_tables },
	{ "keys", test_keys },
	{ "comments", test_comments },
	{ "owner", test_owner },
	CU_TEST_INFO_NULL,
};

static CU_TestInfo fence_tests[] = {
	{ "closed without the setting", test_fence },
	{ "nothing leaks", test_nothing_leaks },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ "statements", setup, teardown, NULL, NULL, statement_tests },
	{ "catalogue", setup, teardown, NULL, NULL, catalogue_tests },
	{ "fence", setup, teardown, NULL, NULL, fence_tests },
	CU_SUITE_INFO_NULL,
};

int main(void)
{
	return run_suites(suites);
}
