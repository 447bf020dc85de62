/* The tables as the catalogue has them: what must hold for each holds for the next one as well. */
#include "base/base.h"

#include "store/suite.h"

extern CU_TestInfo catalogue_tests[]; /* for test_statements.c */

/* A query that lists what should not be: its rows are the message. */
static void expect_rows(const char *sql, const char *rows)
{
	char *found = fixture_text(admin, "%s", sql);

	CU_ASSERT_STRING_EQUAL(found, rows);
	if (strcmp(found, rows) != 0)
		fprintf(stderr, "found:\n%snot:\n%s", found, rows);
	free(found);
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
		"audit\ncredentials\nidempotency fenced\ninvites\nmigrations\nsessions\n"
		"tasks fenced\nthrottle\ntrash fenced\nuser_emails\nusers fenced\n");
	expect_rows("select polrelid::regclass || ' ' || count(*) || ' ' || bool_and(polpermissive"
		    " and polcmd = '*' and polroles = '{0}') from pg_policy group by polrelid"
		    " order by 1",
		    "taskcell.idempotency 2 true\ntaskcell.tasks 2 true\ntaskcell.trash 2 true\n"
		    "taskcell.users 2 true\n");
	expect_rows("select relname from pg_class where relnamespace = " OURS
		    " and relpersistence <> 'p'",
		    "");
	expect_rows("select tgname from pg_trigger join pg_class c on c.oid = tgrelid"
		    " where relnamespace = " OURS " and not tgisinternal",
		    "");
	expect_rows("select proname from pg_proc where pronamespace = " OURS, "");
}

/* The key over all users, and what belongs to nobody. */
#define GLOBAL "('user_emails', 'throttle', 'migrations', 'invites')"

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
		    "taskcell.idempotency FOREIGN KEY (user_id) REFERENCES taskcell.users(id)"
		    " ON DELETE CASCADE\n"
		    "taskcell.sessions FOREIGN KEY (user_id) REFERENCES taskcell.users(id)"
		    " ON DELETE CASCADE\n"
		    "taskcell.tasks FOREIGN KEY (user_id) REFERENCES taskcell.users(id)"
		    " ON DELETE CASCADE\n"
		    "taskcell.trash FOREIGN KEY (user_id) REFERENCES taskcell.users(id)"
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

CU_TestInfo catalogue_tests[] = {
	{ "tables and policies", test_tables },
	{ "keys", test_keys },
	{ "comments", test_comments },
	{ "owner", test_owner },
	CU_TEST_INFO_NULL,
};
