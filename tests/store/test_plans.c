/* Plans of the statements of a user, as the program prepares them: what they read is the user's own
 * range of an index, however many other users there are. */
#include "base/base.h"

#include "store/statements.h"
#include "store/suite.h"

enum {
	OTHERS = 1000, /* users, and how many tasks each of them has, and as many in the trash */
	TASKS_OF_EACH = 4,
	TASKS = 500, /* of the user */
	LINES_MAX = 200,
	PARAMS_MAX = 14,
};

/* The role's, whose settings are those of the program. */
static PGconn *ordinary;
static struct account account;

/* --- the tables ------------------------------------------------------------------------------ */

static const char others[] = "u.email = 'other'", alone[] = "u.email <> 'other'";

static void load_tasks(const char *users, int n)
{
	fixture_exec(admin,
		     "insert into taskcell.tasks (user_id, id, title, description, version,"
		     " created_at) select u.id, gen_random_uuid(), 'task ' || g, 'more words', g,"
		     " now() - g * interval '1 minute' from taskcell.users u,"
		     " generate_series(1, %d) g where %s;"
		     "insert into taskcell.trash (user_id, id, title, version, created_at,"
		     " updated_at, deleted_at) select u.id, gen_random_uuid(),"
		     " case g %% 2 when 0 then 'task' end, g, now(), now(),"
		     " now() - g * interval '1 hour' from taskcell.users u,"
		     " generate_series(1, %d) g where %s;"
		     "insert into taskcell.idempotency (user_id, key, digest, task_id, version)"
		     " select u.id, 'key ' || g, '', gen_random_uuid(), g from taskcell.users u,"
		     " generate_series(1, %d) g where %s",
		     n, users, n, users, n, users);
}

static int setup(void)
{
	if (suite_setup() != 0)
		return 1;
	ordinary = fixture_ordinary();
	/* What is known of the tables is up to the test. */
	fixture_exec(admin, "alter table taskcell.users set (autovacuum_enabled = off);"
			    "alter table taskcell.tasks set (autovacuum_enabled = off);"
			    "alter table taskcell.trash set (autovacuum_enabled = off);"
			    "alter table taskcell.idempotency set (autovacuum_enabled = off)");
	fixture_account(store, &account);
	fixture_exec(admin,
		     "insert into taskcell.users (id, email)"
		     " select gen_random_uuid(), 'other' from generate_series(1, %d)",
		     OTHERS);
	return 0;
}

static int teardown(void)
{
	fixture_exec(admin, "set client_min_messages = warning; truncate taskcell.users cascade");
	PQfinish(ordinary);
	return suite_teardown();
}

static void analyze(void)
{
	fixture_exec(admin, "analyze taskcell.users, taskcell.tasks, taskcell.trash,"
			    " taskcell.idempotency");
}

/* --- reading plans --------------------------------------------------------------------------- */

/* The generic plan of a statement, the same whatever the parameters are; onto the arena. */
static char *plan_of(const char *sql)
{
	char execute[sizeof("planned") + PARAMS_MAX * sizeof(", null")] = "planned";
	PGresult *res;
	char *text, *plan;
	size_t used;
	int n;

	fixture_exec(ordinary, "begin; select set_config('taskcell.user_id', '%s', true)",
		     fixture_id(&account.principal.user_id));
	res = PQprepare(ordinary, "planned", sql, 0, NULL);
	CU_ASSERT_EQUAL_FATAL(PQresultStatus(res), PGRES_COMMAND_OK);
	PQclear(res);
	res = PQdescribePrepared(ordinary, "planned");
	n = PQnparams(res);
	PQclear(res);
	CU_ASSERT_FATAL(n >= 1 && n <= PARAMS_MAX);
	used = strlen(execute);
	for (int i = 0; i < n; i++)
		used += (size_t)snprintf(execute + used, sizeof(execute) - used, "%s",
					 i == 0 ? "(null" : ", null");
	text = fixture_text(ordinary, "explain (costs off) execute %s)", execute);
	fixture_exec(ordinary, "rollback; deallocate planned");
	plan = arena_strndup(arena, text, strlen(text));
	free(text);
	return plan;
}

struct line {
	size_t indent; /* of a node; what is said of it is further in */
	bool node;
	const char *text;
};

struct plan {
	size_t n;
	struct line lines[LINES_MAX];
};

static void split(const char *text, struct plan *plan)
{
	plan->n = 0;
	while (*text != '\0') {
		struct line *line = &plan->lines[plan->n++];
		size_t len = strcspn(text, "\n"), indent = strspn(text, " ");

		CU_ASSERT_FATAL(plan->n < LINES_MAX);
		line->node = plan->n == 1 || strncmp(text + indent, "->  ", 4) == 0;
		if (strncmp(text + indent, "->  ", 4) == 0)
			indent += 4;
		line->indent = indent;
		line->text = arena_strndup(arena, text + indent, len - indent);
		text += len + (text[len] == '\n');
	}
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* Whether the node reads a table of tasks, or of users, or an index of one. */
static bool reads_a_table(const char *node)
{
	static const char *const tables[] = { "tasks", "trash", "idempotency", "users" };
	const char *on = strstr(node, "Scan") != NULL ? strstr(node, " on ") : NULL;

	for (size_t i = 0; on != NULL && i < ARRAY_LEN(tables); i++)
		if (begins(on + 4, tables[i]))
			return true;
	return false;
}

/* The index condition that is said of a node, or "". */
static const char *condition(const struct plan *plan, size_t node)
{
	for (size_t i = node + 1; i < plan->n && !plan->lines[i].node; i++)
		if (begins(plan->lines[i].text, "Index Cond: "))
			return plan->lines[i].text;
	return "";
}

/* The node that this one gives its rows to, or plan->n. */
static size_t above(const struct plan *plan, size_t node)
{
	for (size_t i = node; i-- > 0;)
		if (plan->lines[i].node && plan->lines[i].indent < plan->lines[node].indent)
			return i;
	return plan->n;
}

/* Whether more of the rows than a Limit lets through are sorted. */
static bool is_sorted(const struct plan *plan, size_t node)
{
	for (size_t i = above(plan, node); i < plan->n; i = above(plan, i)) {
		if (begins(plan->lines[i].text, "Limit"))
			return false;
		if (strstr(plan->lines[i].text, "Sort") != NULL)
			return true;
	}
	return false;
}

/* What is wrong with a plan, or NULL; `reads` counts the scans. A user's own row is found by the
 * name `id`; so are tasks, but only behind the user's id. */
static const char *flaw(const char *text, bool in_order, int *reads)
{
	static struct plan plan;

	split(text, &plan);
	for (size_t i = 0; i < plan.n; i++) {
		const char *node = plan.lines[i].text, *cond = condition(&plan, i);
		const char *key = strstr(node, " on users") != NULL ? "(id = " : "(user_id = ";

		if (!plan.lines[i].node || !reads_a_table(node))
			continue;
		++*reads;
		if (in_order && strstr(node, " on users") == NULL && is_sorted(&plan, i))
			return "what is read is sorted";
		/* The condition of this one is said of the index below it. */
		if (begins(node, "Bitmap Heap Scan"))
			continue;
		if (strstr(node, "Index") == NULL)
			return "a table is read without an index";
		/* of the owner of the rows, be it the parameter or the row that was locked by it */
		if (strstr(cond, key) == NULL || strstr(cond, "$1") == NULL)
			return "an index is read beyond the user's own range";
	}
	return NULL;
}

/* --- the tests ------------------------------------------------------------------------------- */

static bool names_a_table(const char *sql)
{
	return strstr(sql, "taskcell.tasks") != NULL || strstr(sql, "taskcell.trash") != NULL ||
	       strstr(sql, "taskcell.idempotency") != NULL;
}

/* Those whose order is an index's. */
static bool reads_in_order(size_t id)
{
	return id == STATEMENT_TASK_LIST_NEWEST || id == STATEMENT_TASK_LIST_OLDEST ||
	       id == STATEMENT_TRASH_LIST || id == STATEMENT_TASK_FEED;
}

static void expect_good_plans(const char *when)
{
	int statements_read = 0;

	for (size_t i = 0; i < STATEMENT_PREPARED; i++) {
		const struct statement *s = &statements[i];
		const char *plan, *why;
		int reads = 0;

		if (strcmp(s->scope, "user") != 0 ||
		    (!names_a_table(s->text) && i != STATEMENT_TASK_REVISION))
			continue;
		plan = plan_of(s->text);
		why = flaw(plan, reads_in_order(i), &reads);
		if (why != NULL || reads == 0) {
			fprintf(stderr, "%s, %s: %s\n%s", s->name, when,
				why != NULL ? why : "no table is read", plan);
			CU_FAIL("plan");
		}
		statements_read++;
		suite_reset();
	}
	CU_ASSERT(statements_read >= 20);
}

static void test_many_users(void)
{
	load_tasks(others, TASKS_OF_EACH);
	load_tasks(alone, TASKS);
	expect_good_plans("nothing known of the tables");
	analyze();
	expect_good_plans("after analyze");
}

/* One who has the table to himself: there an index could seem to be of no use. */
static void test_one_user(void)
{
	static const size_t lists[] = { STATEMENT_TASK_LIST_NEWEST, STATEMENT_TASK_LIST_OLDEST,
					STATEMENT_TRASH_LIST, STATEMENT_TASK_FEED };

	load_tasks(alone, OTHERS * TASKS_OF_EACH);
	for (int i = 0; i < 2; i++) {
		for (size_t l = 0; l < ARRAY_LEN(lists); l++) {
			const char *plan = plan_of(statements[lists[l]].text);
			int reads = 0;

			if (flaw(plan, true, &reads) != NULL) {
				fprintf(stderr, "%s:\n%s", statements[lists[l]].name, plan);
				CU_FAIL("plan");
			}
			CU_ASSERT(reads > 0);
		}
		analyze();
	}
}

static void expect_flaw(const char *sql, bool in_order, const char *expected)
{
	int reads = 0;
	const char *plan = plan_of(sql), *why = flaw(plan, in_order, &reads);

	CU_ASSERT_EQUAL(reads, 1);
	if (why == NULL || strcmp(why, expected) != 0) {
		fprintf(stderr, "%s instead of %s:\n%s", why, expected, plan);
		CU_FAIL("flaw");
	}
}

/* That a bad plan would be seen: the planner is told to make it. */
static void test_it_would_show(void)
{
	static const char whole[] = "a table is read without an index";
	static const char beyond[] = "an index is read beyond the user's own range";
	static const char sorted[] = "what is read is sorted";
	int reads = 0;

	load_tasks(alone, TASKS);
	analyze();
	fixture_exec(ordinary, "set enable_indexscan = off; set enable_bitmapscan = off; set "
			       "enable_indexonlyscan = off");
	expect_flaw("select from taskcell.tasks where user_id = $1::uuid", false, whole);
	expect_flaw("delete from taskcell.trash where user_id = $1::uuid", false, whole);
	expect_flaw("update taskcell.users set revision = 1 where id = $1::uuid", false, whole);
	fixture_exec(ordinary, "reset all; set enable_seqscan = off");
	expect_flaw("select from taskcell.tasks where id = $1::uuid", false, beyond);
	expect_flaw("select from taskcell.tasks where user_id <> $1::uuid order by user_id", false,
		    beyond);
	expect_flaw("select from taskcell.tasks where user_id = $1::uuid order by title limit 5",
		    true, sorted);
	/* What a limit has let through may be sorted. */
	CU_ASSERT_PTR_NULL(flaw(plan_of("select from (select title from taskcell.tasks"
					" where user_id = $1::uuid order by version limit 5) t"
					" order by title"),
				true, &reads));
	fixture_exec(ordinary, "reset all");
	fixture_exec(admin, "begin; drop index taskcell.tasks_newest_first; commit");
	CU_ASSERT_PTR_NOT_NULL(
		flaw(plan_of(statements[STATEMENT_TASK_LIST_NEWEST].text), true, &reads));
	fixture_exec(admin, "create index tasks_newest_first"
			    " on taskcell.tasks (user_id, created_at desc, id desc)");
}

static CU_TestInfo plan_tests[] = {
	{ "a user among many", test_many_users },
	CU_TEST_INFO_NULL,
};

static CU_TestInfo one_user_tests[] = {
	{ "a user alone", test_one_user },
	CU_TEST_INFO_NULL,
};

static CU_TestInfo planted_tests[] = {
	{ "a bad plan shows", test_it_would_show },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	{ "many users", setup, teardown, suite_reset, NULL, plan_tests },
	{ "one user", setup, teardown, suite_reset, NULL, one_user_tests },
	{ "planted", setup, teardown, suite_reset, NULL, planted_tests },
	CU_SUITE_INFO_NULL,
};

int main(void)
{
	return run_suites(suites);
}
