/* What a database that is split by user asks of the statements: each goes to one place. PostgreSQL
 * itself stands in for such a database, with every table of persons in partitions by its key. */
#include "base/base.h"

#include "base/log.h"
#include "store/migrate.h"
#include "store/statements.h"
#include "store/suite.h"

enum { PARTITIONS = 8 };

static PGconn *owner;

/* --- the schema, partitioned ----------------------------------------------------------------- */

/* Global tables stay in one piece. NULL: not a table to split. */
static const char *key_of(const char *table, size_t len)
{
	static const struct {
		const char *table, *key;
	} others[] = {
		{ "users", "id" },
		{ "user_emails", "email" },
		{ "throttle", NULL },
		{ "invites", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (strlen(others[i].table) == len && memcmp(others[i].table, table, len) == 0)
			return others[i].key;
	return "user_id";
}

/* The migration's own text; each `create table` gets a key, and partitions behind it. */
static const char *split(const char *sql)
{
	static const char create[] = "create table taskcell.";
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	const char *copy;

	if (out == NULL)
		fatal("out of memory");
	for (const char *p; (p = strstr(sql, create)) != NULL;) {
		const char *name = p + strlen(create);
		int name_len = (int)strcspn(name, " (");
		const char *end = strstr(name, "\n);");
		const char *key = key_of(name, (size_t)name_len);

		if (end == NULL)
			fatal("no end of table %.*s", name_len, name);
		fprintf(out, "%.*s)", (int)(end + 1 - sql), sql);
		if (key != NULL) {
			fprintf(out, " partition by hash (%s)", key);
			for (int i = 0; i < PARTITIONS; i++)
				fprintf(out,
					";\ncreate table taskcell.%.*s_p%d partition of"
					" taskcell.%.*s for values with (modulus %d, remainder %d)",
					name_len, name, i, name_len, name, PARTITIONS, i);
		}
		sql = end + 2;
	}
	fputs(sql, out);
	fclose(out);
	copy = arena_strndup(arena, text, len);
	free(text);
	return copy;
}

static int setup(void)
{
	PGresult *res;

	/* Not fixture_setup(): that would make the schema as it is. */
	arena = arena_new(16 * 1024 * 1024);
	if (getenv("DATABASE_URL") == NULL)
		fatal("no database: run this behind tests/with-postgres");
	owner = PQconnectdb(getenv("DATABASE_URL"));
	fixture_exec(owner, "create schema taskcell");
	for (size_t i = 0; i < migrations_count; i++) {
		res = PQexec(owner, split(migrations[i].sql));
		if (PQresultStatus(res) != PGRES_COMMAND_OK)
			fatal("%s: %s", migrations[i].name, PQerrorMessage(owner));
		PQclear(res);
	}
	fixture_exec(owner, "set plan_cache_mode = force_custom_plan");
	return 0;
}

static int teardown(void)
{
	PQfinish(owner);
	arena_free(arena);
	return 0;
}

static void test_every_table_is_split(void)
{
	char *tables =
		fixture_text(owner, "select relname || case relkind when 'p' then ' ' ||"
				    " (select count(*) from pg_inherits where inhparent = c.oid)"
				    " else '' end from pg_class c"
				    " where relnamespace = 'taskcell'::regnamespace"
				    " and relkind in ('r', 'p') and not relispartition"
				    " order by 1");

	CU_ASSERT_STRING_EQUAL(tables,
			       "audit 8\ncredentials 8\nidempotency 8\ninvites\nsessions 8\n"
			       "tasks 8\nthrottle\ntrash 8\nuser_emails 8\nusers 8\n");
	free(tables);
}

/* db/citus.sql does to the tables what split() does here, with functions of Citus. */
static void test_citus(void)
{
	const char *srcdir = getenv("srcdir");
	char text[8192];
	FILE *in = fopen(arena_printf(arena, "%s/db/citus.sql", srcdir ? srcdir : "."), "r");
	char *left;

	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
	fclose(in);
	fixture_exec(owner, "create schema citus; set search_path = citus, pg_catalog;"
			    "create table citus.told (relation regclass primary key, key text);"
			    "create function citus.create_distributed_table(regclass, text,"
			    " colocate_with text) returns void language sql"
			    " as 'insert into citus.told values ($1, $2)'");
	fixture_exec(owner, "%s", text);
	left = fixture_text(owner, "select relation, 'HASH (' || key || ')' from citus.told"
				   " except select partrelid, pg_get_partkeydef(partrelid)"
				   " from pg_partitioned_table");
	CU_ASSERT_STRING_EQUAL(left, "");
	CU_ASSERT_EQUAL(fixture_int(owner, "select count(*) from citus.told"),
			fixture_int(owner, "select count(*) from pg_partitioned_table"));
	free(left);
	fixture_exec(owner, "reset search_path; set client_min_messages = warning;"
			    "drop schema citus cascade");
}

/* --- plans ----------------------------------------------------------------------------------- */

/* A literal of that type, for the n-th parameter: $1 is the person, other ids are others. */
static const char *plausible(Oid type, int n)
{
	enum {
		BOOL = 16,
		INT8 = 20,
		TEXT = 25,
		TEXT_ARRAY = 1009,
		INT8_ARRAY = 1016,
		TIMESTAMPTZ = 1184,
		UUID = 2950
	};

	switch (type) {
	case BOOL:
		return "true";
	case INT8:
		return "3";
	case TEXT:
		return n == 0 ? "a text" : "another text";
	case TEXT_ARRAY:
	case INT8_ARRAY:
		return "{2,3}";
	case TIMESTAMPTZ:
		return "2026-01-01 00:00:00Z";
	case UUID:
		return n == 0 ? "01900000-0000-7000-8000-000000000001"
			      : "01900000-0000-7000-8000-00000000abcd";
	default:
		fatal("no value of type %u", type);
	}
}

/* The plan that parameters of these values get. */
static char *plan_of(const char *sql)
{
	PGresult *res = PQprepare(owner, "planned", sql, 0, NULL);
	char execute[1024] = "planned";
	size_t used = strlen(execute);
	char *plan;

	if (PQresultStatus(res) != PGRES_COMMAND_OK)
		fatal("%s: %s", sql, PQerrorMessage(owner));
	PQclear(res);
	res = PQdescribePrepared(owner, "planned");
	for (int i = 0; i < PQnparams(res); i++) {
		used += (size_t)snprintf(execute + used, sizeof(execute) - used, "%s'%s'%s",
					 i == 0 ? " (" : ", ", plausible(PQparamtype(res, i), i),
					 i + 1 == PQnparams(res) ? ")" : "");
		CU_ASSERT_FATAL(used < sizeof(execute));
	}
	PQclear(res);
	plan = fixture_text(owner, "explain (verbose, costs off) execute %s", execute);
	fixture_exec(owner, "deallocate planned");
	return plan;
}

/* How many partitions of a table the plan has, under the table's name. */
static int partitions_in(const char *plan, const char *table)
{
	int found = 0;

	for (int i = 0; i < PARTITIONS; i++)
		found += strstr(plan, arena_printf(arena, " taskcell.%s_p%d", table, i)) != NULL;
	return found;
}

static const char *const split_tables[] = { "users", "user_emails", "credentials", "sessions",
					    "tasks", "audit",       "trash",       "idempotency" };

/* That more than one would be seen. */
static void test_it_would_show(void)
{
	static const struct {
		const char *sql;
		int tasks, users;
	} cases[] = {
		{ "select 1 from taskcell.tasks where id = $1::uuid", PARTITIONS, 0 },
		{ "select 1 from taskcell.tasks where user_id = $1::uuid", 1, 0 },
		{ "delete from taskcell.tasks where id = $1::uuid", PARTITIONS, 0 },
		{ "select 1 from taskcell.tasks t join taskcell.users u on u.id = t.user_id"
		  " where t.id = $1::uuid",
		  PARTITIONS, PARTITIONS },
		{ "update taskcell.users set revision = 1 where id = (select $1::uuid)", 0,
		  PARTITIONS },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *plan = plan_of(cases[i].sql);

		CU_ASSERT_EQUAL(partitions_in(plan, "tasks"), cases[i].tasks);
		CU_ASSERT_EQUAL(partitions_in(plan, "users"), cases[i].users);
		free(plan);
	}
}

static void test_one_partition(void)
{
	int total = 0;

	/* What taskcellctl does may go everywhere. */
	for (size_t i = 0; i < STATEMENT_PREPARED; i++) {
		const struct statement *s = &statements[i];
		char *plan;

		if (strcmp(s->scope, "service") == 0)
			continue;
		plan = plan_of(s->text);
		for (size_t t = 0; t < ARRAY_LEN(split_tables); t++) {
			int n = partitions_in(plan, split_tables[t]);

			if (n > 1) {
				fprintf(stderr, "%s: %d partitions of %s\n%s", s->name, n,
					split_tables[t], plan);
				CU_FAIL("statement");
			}
			total += n;
		}
		free(plan);
	}
	CU_ASSERT(total > STATEMENT_PREPARED / 2);
}

static CU_TestInfo partition_tests[] = {
	{ "every table of persons is split", test_every_table_is_split },
	{ "db/citus.sql splits the same", test_citus },
	{ "what goes to all partitions shows", test_it_would_show },
	{ "a statement goes to one", test_one_partition },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ "partitions", setup, teardown, NULL, NULL, partition_tests },
	CU_SUITE_INFO_NULL,
};

int main(void)
{
	return run_suites(suites);
}
