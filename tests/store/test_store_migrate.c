#include "base/base.h"

#include "store/test_store.h"

#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "store/migrate.h"

static char report_text[4096];

static void report(void *arg, const char *line)
{
	size_t used = strlen(report_text);

	(void)arg;
	snprintf(report_text + used, sizeof(report_text) - used, "%s\n", line);
}

static enum store_result migrated(const char *conninfo)
{
	struct store_options options = fixture_options;

	options.conninfo = conninfo;
	report_text[0] = '\0';
	return migrate(&options, false, report, NULL);
}

static enum store_result foreseen(const char *conninfo)
{
	struct store_options options = fixture_options;

	options.conninfo = conninfo;
	report_text[0] = '\0';
	return migrate(&options, true, report, NULL);
}

/* A new empty database and how the ordinary role gets there. */
static const char *database(const char *name, const char *owner)
{
	fixture_exec(admin, "create database %s owner %s", name, owner);
	return arena_printf(arena, "host=%s port=%s dbname=%s user=taskcell", PQhost(admin),
			    PQport(admin), name);
}

static void test_fresh_database(void)
{
	struct store_options options = fixture_options;
	struct store *fresh;

	options.conninfo = database("fresh", "taskcell");
	fresh = store_open(&options);
	log_start();
	CU_ASSERT(store_check(fresh) == STORE_UNFIT);
	CU_ASSERT_EQUAL(occurrences(log_read(), "taskcellctl migrate"), 1);
	log_stop();
	CU_ASSERT(migrated(options.conninfo) == STORE_OK);
	CU_ASSERT_STRING_EQUAL(report_text, "0001_accounts_and_tasks applied\n"
					    "0002_audit_and_invitations applied\n"
					    "0003_tasks_that_cannot_be_lost applied\n"
					    "up to date\n");
	CU_ASSERT(store_ready(fresh) == STORE_OK);
	CU_ASSERT(migrated(options.conninfo) == STORE_OK);
	CU_ASSERT_STRING_EQUAL(report_text, "up to date\n");
	store_close(fresh);
}

/* The role may own nothing but a schema that somebody made for it. */
static void test_given_schema(void)
{
	const char *conninfo = database("given", "postgres");
	PGconn *owner;

	CU_ASSERT(migrated(conninfo) == STORE_FAILED);
	CU_ASSERT_EQUAL(occurrences(report_text, "42501"), 1);
	owner = PQconnectdb(arena_printf(arena, "host=%s port=%s dbname=given user=%s",
					 PQhost(admin), PQport(admin), PQuser(admin)));
	fixture_exec(owner, "create schema taskcell authorization taskcell");
	PQfinish(owner);
	CU_ASSERT(migrated(conninfo) == STORE_OK);
}

/* The exit status of taskcellctl, which the same build has made. */
static int dry_run(const char *conninfo)
{
	char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) / 2);
	int status;
	pid_t pid;

	CU_ASSERT_FATAL(len > 0 && (size_t)len < sizeof(path) / 2);
	path[len] = '\0';
	*strrchr(path, '/') = '\0';
	snprintf(path + strlen(path), sizeof(path) / 2, "/../../taskcellctl");
	fflush(NULL);
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid == 0) {
		setenv("TASKCELL_DATABASE", conninfo, 1);
		execl(path, path, "-c", "/dev/null", "migrate", "--dry-run", (char *)NULL);
		_exit(127);
	}
	CU_ASSERT_FATAL(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_dry_run(void)
{
	static const char nothing[] =
		"select (select count(*) from pg_namespace where nspname = 'taskcell')"
		" + (select count(*) from pg_db_role_setting join pg_database d on d.oid ="
		" setdatabase where datname = current_database())";
	const char *conninfo = database("foreseen", "taskcell");
	PGconn *conn = PQconnectdb(conninfo);

	CU_ASSERT(foreseen(conninfo) == STORE_STALE);
	CU_ASSERT_STRING_EQUAL(report_text,
			       "0001_accounts_and_tasks would be applied\n"
			       "0002_audit_and_invitations would be applied\n"
			       "0003_tasks_that_cannot_be_lost would be applied\n"
			       "role setting lock_timeout would become 2s\n"
			       "role setting idle_in_transaction_session_timeout would become 10s\n"
			       "role setting client_connection_check_interval would become 1s\n"
			       "role setting default_transaction_isolation would become"
			       " read committed\n"
			       "role setting plan_cache_mode would become force_generic_plan\n"
			       "role setting enable_sort would become off\n"
			       "role setting jit would become off\n");
	CU_ASSERT_EQUAL(dry_run(conninfo), 2);
	CU_ASSERT_EQUAL(fixture_int(conn, nothing), 0);
	CU_ASSERT(migrated(conninfo) == STORE_OK);
	CU_ASSERT(foreseen(conninfo) == STORE_OK);
	CU_ASSERT_STRING_EQUAL(report_text, "up to date\n");
	CU_ASSERT_EQUAL(dry_run(conninfo), 0);
	/* Only what differs, and it stays as it is. */
	fixture_exec(conn, "alter role taskcell in database foreseen set lock_timeout = '3s'");
	CU_ASSERT(foreseen(conninfo) == STORE_STALE);
	CU_ASSERT_STRING_EQUAL(report_text, "role setting lock_timeout would become 2s\n");
	CU_ASSERT(foreseen(conninfo) == STORE_STALE);
	fixture_exec(conn, "update taskcell.migrations set checksum = 'x' where version = 1");
	CU_ASSERT(foreseen(conninfo) == STORE_UNFIT);
	CU_ASSERT_EQUAL(occurrences(report_text, "was changed"), 1);
	CU_ASSERT_EQUAL(dry_run(conninfo), 1);
	CU_ASSERT_EQUAL(dry_run("host=/nowhere user=none"), 1);
	PQfinish(conn);
}

static void run_migrate(struct racer *racer, void *arg, void *result)
{
	(void)racer;
	*(enum store_result *)result = migrated(arg);
}

static void test_racing_runners(void)
{
	enum { N = 6 };
	const char *conninfo = database("raced", "taskcell");
	char *shared = fixture_shared(strlen(conninfo) + 1);
	struct race race_ = { .racers = N,
			      .rounds = 1,
			      .run = run_migrate,
			      .arg = shared,
			      .result_size = sizeof(enum store_result) };
	const enum store_result *results;
	PGconn *conn;

	memcpy(shared, conninfo, strlen(conninfo));
	results = race(&race_);
	for (unsigned i = 0; i < N; i++)
		CU_ASSERT(results[i] == STORE_OK);
	conn = PQconnectdb(conninfo);
	CU_ASSERT_EQUAL(fixture_int(conn, "select count(*) from taskcell.migrations"),
			(int64_t)migrations_count);
	PQfinish(conn);
}

static void test_refusals(void)
{
	const char *conninfo = fixture_options.conninfo;

	fixture_exec(admin, "update taskcell.migrations set checksum = 'x' || checksum"
			    " where version = 1");
	CU_ASSERT(migrated(conninfo) == STORE_UNFIT);
	CU_ASSERT_EQUAL(occurrences(report_text, "0001_accounts_and_tasks was changed"), 1);
	fixture_exec(admin, "update taskcell.migrations set checksum = substr(checksum, 2)"
			    " where version = 1");
	fixture_exec(admin, "insert into taskcell.migrations values (1000, '1000_later', 'x')");
	CU_ASSERT(migrated(conninfo) == STORE_UNFIT);
	CU_ASSERT_EQUAL(occurrences(report_text, "1000_later"), 1);
	CU_ASSERT_EQUAL(occurrences(report_text, "unknown"), 1);
	fixture_exec(admin, "delete from taskcell.migrations where version = 1000");
	CU_ASSERT(migrated(conninfo) == STORE_OK);

	CU_ASSERT(migrated(getenv("DATABASE_ADMIN_URL")) == STORE_UNFIT);
	CU_ASSERT_EQUAL(occurrences(report_text, "SUPERUSER"), 1);
	fixture_exec(admin, "alter role taskcell bypassrls");
	CU_ASSERT(migrated(conninfo) == STORE_UNFIT);
	fixture_exec(admin, "alter role taskcell nobypassrls");
	CU_ASSERT(migrated("host=/nowhere user=none") == STORE_UNAVAILABLE);
	CU_ASSERT_EQUAL(occurrences(report_text, "\n"), 1);
}

/* What fails leaves nothing behind. */
static void test_failing_migration(void)
{
	const char *conninfo = database("failing", "taskcell");
	PGconn *conn = PQconnectdb(conninfo);

	fixture_exec(conn, "create schema taskcell; create table taskcell.throttle (other int)");
	CU_ASSERT(migrated(conninfo) == STORE_FAILED);
	CU_ASSERT_EQUAL(occurrences(report_text, "0001_accounts_and_tasks: "), 1);
	CU_ASSERT_EQUAL(occurrences(report_text, "42P07"), 1);
	CU_ASSERT_EQUAL(fixture_int(conn, "select count(*) from pg_tables"
					  " where schemaname = 'taskcell'"),
			1);
	fixture_exec(conn, "drop table taskcell.throttle");
	PQfinish(conn);
	CU_ASSERT(migrated(conninfo) == STORE_OK);
}

CU_TestInfo migrate_tests[] = {
	{ "fresh database", test_fresh_database },
	{ "given schema", test_given_schema },
	{ "racing runners", test_racing_runners },
	{ "refusals", test_refusals },
	{ "failing migration", test_failing_migration },
	{ "dry run", test_dry_run },
	CU_TEST_INFO_NULL,
};
