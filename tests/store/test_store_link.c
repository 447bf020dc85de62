/* What errors mean, and what becomes of a call when the connection is lost, late or unfit. */
#include "base/base.h"

#include "store/test_store.h"

#include <signal.h>

#include "base/clock.h"
#include "store/migrate.h"

static struct account account;

static enum store_result create_in(struct store *s, const char *title)
{
	struct uuid id = uuid_v7();

	return fixture_create(s, &account.principal, &id, title);
}

static int64_t tasks_named(const char *title)
{
	return fixture_int(admin, "select count(*) from taskcell.tasks where title = '%s'", title);
}

/* --- outcomes -------------------------------------------------------------------------------- */

/* Inserts of tasks fail `times` times with this SQLSTATE. Sequences do not roll back. */
static void fault(const char *state, int times)
{
	fixture_exec(admin,
		     "create sequence public.faults; grant usage on public.faults to public;"
		     "create function public.fault() returns trigger language plpgsql as $$ begin"
		     " if nextval('public.faults') <= %d then"
		     "  raise exception 'wanted' using errcode = '%s', detail = new.title;"
		     " end if; return new; end $$;"
		     "create trigger fault before insert on taskcell.tasks"
		     " for each row execute function public.fault()",
		     times, state);
}

static void no_fault(void)
{
	fixture_exec(admin, "drop trigger fault on taskcell.tasks; drop function public.fault;"
			    "drop sequence public.faults");
}

static void test_sqlstates(void)
{
	static const struct {
		const char *state;
		enum store_result result;
		unsigned logged;
	} cases[] = {
		{ "40001", STORE_BUSY, 0 },        { "40P01", STORE_BUSY, 0 },
		{ "55P03", STORE_BUSY, 0 },        { "57014", STORE_BUSY, 0 },
		{ "22021", STORE_REFUSED, 0 },     { "22003", STORE_REFUSED, 0 },
		{ "22008", STORE_REFUSED, 0 },     { "23503", STORE_NO_SESSION, 0 },
		{ "23505", STORE_FAILED, 1 },      { "P0001", STORE_FAILED, 1 },
		{ "22P02", STORE_FAILED, 1 },      { "08006", STORE_UNAVAILABLE, 0 },
		{ "57P01", STORE_UNAVAILABLE, 0 }, { "25006", STORE_UNAVAILABLE, 0 },
	};

	fixture_account(store, &account);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *log;

		fault(cases[i].state, 1000);
		log_start();
		CU_ASSERT_EQUAL(create_in(store, "secret title"), cases[i].result);
		log = log_read();
		CU_ASSERT_EQUAL(occurrences(log, "event=statement_failed"), cases[i].logged);
		CU_ASSERT_EQUAL(occurrences(log, "statement=task_create"), cases[i].logged);
		CU_ASSERT_EQUAL(occurrences(log, cases[i].state), cases[i].logged);
		CU_ASSERT_EQUAL(occurrences(log, "secret"), 0);
		log_stop();
		no_fault();
		CU_ASSERT(create_in(store, "after a fault") == STORE_OK);
	}
	CU_ASSERT_EQUAL(tasks_named("secret title"), 0);
}

/* Once a prepared statement is not there, the next may be another's: this store is done with
 * them. */
static void test_statement_gone(void)
{
	struct store *doomed = fixture_store();
	const char *log;
	const bool on = fixture_options.prepared_statements;

	fixture_account(store, &account);
	fault("26000", 1);
	log_start();
	CU_ASSERT_EQUAL(create_in(doomed, "gone"), on ? STORE_UNFIT : STORE_FAILED);
	no_fault();
	CU_ASSERT_EQUAL(create_in(doomed, "gone"), on ? STORE_UNFIT : STORE_OK);
	CU_ASSERT_EQUAL(store_ready(doomed), on ? STORE_UNFIT : STORE_OK);
	log = log_read();
	CU_ASSERT_EQUAL(occurrences(log, "event="), 1);
	CU_ASSERT_EQUAL(occurrences(log, "set prepared_statements = off"), on);
	log_stop();
	CU_ASSERT_EQUAL(tasks_named("gone"), !on);
	store_close(doomed);
}

static void test_reruns(void)
{
	fixture_account(store, &account);
	fault("40001", 2);
	CU_ASSERT(create_in(store, "at the third try") == STORE_OK);
	CU_ASSERT_EQUAL(tasks_named("at the third try"), 1);
	no_fault();
	fault("40P01", 3);
	CU_ASSERT(create_in(store, "never") == STORE_BUSY);
	CU_ASSERT_EQUAL(fixture_int(admin, "select last_value from public.faults"), 3);
	no_fault();
	/* 55P03 has waited long enough already. */
	fault("55P03", 1);
	CU_ASSERT(create_in(store, "never") == STORE_BUSY);
	no_fault();
	/* A server that has turned read-only: once more, where there may be another. */
	fault("25006", 1);
	CU_ASSERT(create_in(store, "at the other server") == STORE_OK);
	CU_ASSERT_EQUAL(tasks_named("at the other server"), 1);
	no_fault();
	fault("25006", 2);
	CU_ASSERT(create_in(store, "never") == STORE_UNAVAILABLE);
	CU_ASSERT_EQUAL(fixture_int(admin, "select last_value from public.faults"), 2);
	no_fault();
}

/* The row comes, and then the commit fails: that is no success. */
static void test_failed_commit(void)
{
	const char *log;

	fixture_account(store, &account);
	fixture_exec(admin, "delete from taskcell.tasks");
	fixture_exec(admin, "alter table taskcell.tasks add constraint once unique (user_id, title)"
			    " deferrable initially deferred");
	CU_ASSERT(create_in(store, "only one secret") == STORE_OK);
	log_start();
	CU_ASSERT(create_in(store, "only one secret") == STORE_FAILED);
	log = log_read();
	CU_ASSERT_EQUAL(occurrences(log, "statement=commit"), 1);
	CU_ASSERT_EQUAL(occurrences(log, "23505"), 1);
	CU_ASSERT_EQUAL(occurrences(log, "secret"), 0);
	log_stop();
	CU_ASSERT_EQUAL(tasks_named("only one secret"), 1);
	CU_ASSERT(create_in(store, "another one") == STORE_OK);
	fixture_exec(admin, "alter table taskcell.tasks drop constraint once");
}

/* --- the connection -------------------------------------------------------------------------- */

/* The backends of the ordinary role, for a SQL condition. */
#define OURS "from pg_stat_activity where usename = 'taskcell'"

static void end_backends(void)
{
	int64_t deadline = clock_monotonic_us() + 10 * US_PER_SECOND;

	fixture_int(admin, "select count(pg_terminate_backend(pid)) " OURS);
	/* A transaction that is open would go on seeing them. */
	while (fixture_exec(admin, "select pg_stat_clear_snapshot()"),
	       fixture_int(admin, "select count(*) " OURS) != 0)
		fixture_poll(deadline, "for backends to end");
}

static void test_lost_while_idle(void)
{
	const char *log;

	fixture_account(store, &account);
	log_start();
	for (int i = 0; i < 3; i++) {
		end_backends();
		CU_ASSERT(create_in(store, "after a loss") == STORE_OK);
	}
	CU_ASSERT_EQUAL(tasks_named("after a loss"), 3);
	log = log_read();
	CU_ASSERT_EQUAL(occurrences(log, "event=database_lost"), 3);
	CU_ASSERT_EQUAL(occurrences(log, "event=database_found"), 3);
	log_stop();
	end_backends();
	CU_ASSERT(store_check(store) == STORE_OK);
	end_backends();
	CU_ASSERT(store_ready(store) == STORE_OK);
}

static void run_create(struct racer *racer, void *arg, void *result)
{
	struct uuid id = uuid_v7();

	*(enum store_result *)result = fixture_create(racer->store, &account.principal, &id, arg);
}

static void run_list(struct racer *racer, void *arg, void *result)
{
	size_t n;

	(void)arg;
	*(enum store_result *)result = fixture_list(racer->store, &account.principal, &n);
}

static void lock(const char *sql)
{
	fixture_exec(admin, "begin");
	fixture_exec(admin, sql, fixture_id(&account.principal.user_id));
}

static const char user_lock[] = "select from taskcell.users where id = '%s' for update";

static void test_lost_in_a_write(void)
{
	char title[] = "lost on its way";
	struct race one = { .racers = 1,
			    .rounds = 1,
			    .run = run_create,
			    .arg = title,
			    .result_size = sizeof(enum store_result) };
	struct fork *writer;

	fixture_account(store, &account);
	writer = fork_ready(&one);
	lock(user_lock);
	fork_go(writer);
	fixture_wait_blocked(admin, 1);
	end_backends();
	fixture_exec(admin, "rollback");
	/* Never sent again. */
	CU_ASSERT(*(enum store_result *)fork_join(writer) == STORE_UNAVAILABLE);
	CU_ASSERT_EQUAL(tasks_named(title), 0);
}

static void test_lost_in_a_read(void)
{
	struct race one = {
		.racers = 1, .rounds = 1, .run = run_list, .result_size = sizeof(enum store_result)
	};
	struct fork *reader;

	fixture_account(store, &account);
	reader = fork_ready(&one);
	lock("lock table taskcell.tasks; select '%s'");
	fork_go(reader);
	fixture_wait_blocked(admin, 1);
	fixture_int(admin, "select count(pg_terminate_backend(pid)) " OURS
			   " and wait_event_type = 'Lock'");
	fixture_exec(admin, "rollback");
	CU_ASSERT(*(enum store_result *)fork_join(reader) == STORE_OK);
}

static void test_lock_timeout(void)
{
	fixture_account(store, &account);
	lock(user_lock);
	CU_ASSERT(create_in(store, "kept waiting") == STORE_BUSY);
	fixture_exec(admin, "rollback");
	CU_ASSERT_EQUAL(tasks_named("kept waiting"), 0);
	CU_ASSERT(create_in(store, "kept waiting") == STORE_OK);
}

static struct store *hasty_store(int ms)
{
	struct store_options options = fixture_options;

	options.statement_timeout_ms = ms;
	return store_open(&options);
}

static void test_deadline(void)
{
	struct store *hasty = hasty_store(200);
	int64_t began, took;

	fixture_account(store, &account);
	CU_ASSERT_FATAL(store_check(hasty) == STORE_OK);
	lock(user_lock);
	began = clock_monotonic_us();
	CU_ASSERT(create_in(hasty, "too late") == STORE_UNAVAILABLE);
	took = clock_monotonic_us() - began;
	CU_ASSERT(took >= 200 * 1000 && took < 1500 * 1000);
	fixture_exec(admin, "rollback");
	CU_ASSERT(store_check(hasty) == STORE_OK);
	store_close(hasty);
}

/* A server that is frozen acknowledges everything and answers nothing. */
static void test_frozen_server(void)
{
	struct store *hasty = hasty_store(300);
	size_t n;
	pid_t backend;
	int64_t began;

	fixture_account(store, &account);
	store_close(store);
	CU_ASSERT_FATAL(store_check(hasty) == STORE_OK);
	while (fixture_int(admin, "select count(*) " OURS) != 1)
		fixture_poll(clock_monotonic_us() + US_PER_SECOND, "for one backend");
	backend = (pid_t)fixture_int(admin, "select pid " OURS);
	CU_ASSERT_FATAL(kill(backend, SIGSTOP) == 0);
	began = clock_monotonic_us();
	CU_ASSERT(fixture_list(hasty, &account.principal, &n) == STORE_UNAVAILABLE);
	CU_ASSERT(clock_monotonic_us() - began < 1500 * 1000);
	CU_ASSERT(store_check(hasty) == STORE_OK);
	CU_ASSERT(kill(backend, SIGCONT) == 0);
	store_close(hasty);
	store = fixture_store();
}

static void test_no_server(void)
{
	struct store_options options = fixture_options;
	struct store *lost;
	size_t n;

	options.conninfo = "host=/nowhere dbname=none user=none";
	lost = store_open(&options);
	fixture_account(store, &account);
	log_start();
	CU_ASSERT(store_check(lost) == STORE_UNAVAILABLE);
	CU_ASSERT(store_ready(lost) == STORE_UNAVAILABLE);
	CU_ASSERT(create_in(lost, "nowhere") == STORE_UNAVAILABLE);
	CU_ASSERT(fixture_list(lost, &account.principal, &n) == STORE_UNAVAILABLE);
	/* Once, not for each call. */
	CU_ASSERT_EQUAL(occurrences(log_read(), "event=database_"), 1);
	log_stop();
	store_close(lost);
	/* A password with a blank that was not quoted: libpq's own message has the rest of it. */
	options.conninfo = "dbname=none user=none password=open sesame";
	lost = store_open(&options);
	log_start();
	CU_ASSERT(store_check(lost) == STORE_UNAVAILABLE);
	CU_ASSERT_EQUAL(occurrences(log_read(), "cannot be read"), 1);
	CU_ASSERT_EQUAL(occurrences(log_read(), "sesame"), 0);
	log_stop();
	store_close(lost);
}

/* --- fitness --------------------------------------------------------------------------------- */

static void expect_unfit(struct store *s, const char *message)
{
	log_start();
	CU_ASSERT(store_check(s) == STORE_UNFIT);
	CU_ASSERT_EQUAL(occurrences(log_read(), "event=database_unfit"), 1);
	CU_ASSERT_EQUAL(occurrences(log_read(), message), 1);
	/* Calls say so, too, and nobody repeats it in the log. */
	CU_ASSERT(create_in(s, "unfit") == STORE_UNFIT);
	CU_ASSERT(store_ready(s) == STORE_UNFIT);
	CU_ASSERT_EQUAL(occurrences(log_read(), "event="), 1);
	log_stop();
}

static void test_strong_roles(void)
{
	struct store_options options = fixture_options;
	struct store *strong;

	fixture_account(store, &account);
	options.conninfo = getenv("DATABASE_ADMIN_URL");
	strong = store_open(&options);
	log_start();
	CU_ASSERT(store_check(strong) == STORE_UNFIT);
	CU_ASSERT_EQUAL(occurrences(log_read(), "SUPERUSER"), 1);
	log_stop();
	store_close(strong);

	CU_ASSERT(store_check(store) == STORE_OK);
	fixture_exec(admin, "alter role taskcell bypassrls");
	expect_unfit(store, "BYPASSRLS");
	fixture_exec(admin, "alter role taskcell nobypassrls");
	CU_ASSERT(create_in(store, "fit again") == STORE_OK);
}

static void test_unfit_settings(void)
{
	static const struct {
		const char *sql, *undo, *message;
	} cases[] = {
		{ "lock_timeout = 0", "lock_timeout = '2s'", "lock_timeout" },
		{ "idle_in_transaction_session_timeout = 0",
		  "idle_in_transaction_session_timeout = '10s'", "idle_in_transaction" },
		{ "client_connection_check_interval = 0", "client_connection_check_interval = '1s'",
		  "client_connection_check_interval" },
		{ "default_transaction_isolation = serializable",
		  "default_transaction_isolation = 'read committed'",
		  "default_transaction_isolation" },
		{ "row_security = off", "row_security = on", "row-level security" },
		{ "taskcell.admin = 'on'", "taskcell.admin = ''", "taskcell.admin" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct store *fresh = fixture_store();

		fixture_exec(admin, "alter role taskcell in database taskcell set %s",
			     cases[i].sql);
		expect_unfit(fresh, cases[i].message);
		fixture_exec(admin, "alter role taskcell in database taskcell set %s",
			     cases[i].undo);
		CU_ASSERT(store_check(fresh) == STORE_OK);
		store_close(fresh);
	}
}

static void test_unfit_schema(void)
{
	static const struct {
		const char *sql, *undo, *message;
	} cases[] = {
		{ "update taskcell.migrations set checksum = 'x' || checksum where version = 3",
		  "update taskcell.migrations set checksum = substr(checksum, 2) where version = 3",
		  "schema" },
		{ "insert into taskcell.migrations values (1000, '1000_later', 'x')",
		  "delete from taskcell.migrations where version = 1000", "schema" },
		{ "alter table taskcell.tasks no force row level security",
		  "alter table taskcell.tasks force row level security", "row-level" },
		{ "alter table taskcell.users disable row level security",
		  "alter table taskcell.users enable row level security", "row-level" },
		{ "alter table taskcell.trash no force row level security",
		  "alter table taskcell.trash force row level security", "row-level" },
		{ "alter table taskcell.idempotency no force row level security",
		  "alter table taskcell.idempotency force row level security", "row-level" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		CU_ASSERT(store_check(store) == STORE_OK);
		fixture_exec(admin, "%s", cases[i].sql);
		expect_unfit(store, cases[i].message);
		fixture_exec(admin, "%s", cases[i].undo);
	}
	CU_ASSERT(store_ready(store) == STORE_OK);
	if (!fixture_options.prepared_statements)
		return;
	/* A column that is gone shows when statements are prepared, not when a person comes. */
	fixture_exec(admin, "alter table taskcell.throttle rename hits to strikes");
	end_backends();
	log_start();
	CU_ASSERT(store_check(store) == STORE_UNFIT);
	CU_ASSERT_EQUAL(occurrences(log_read(), "event=database_unfit"), 1);
	CU_ASSERT_EQUAL(occurrences(log_read(), "statement=throttle_address"), 1);
	log_stop();
	fixture_exec(admin, "alter table taskcell.throttle rename strikes to hits");
	CU_ASSERT(store_check(store) == STORE_OK);
}

CU_TestInfo outcome_tests[] = {
	{ "SQLSTATEs", test_sqlstates },
	{ "a prepared statement is gone", test_statement_gone },
	{ "reruns", test_reruns },
	{ "failed commit", test_failed_commit },
	CU_TEST_INFO_NULL,
};

CU_TestInfo link_tests[] = {
	{ "lost while idle", test_lost_while_idle },
	{ "lost in a write", test_lost_in_a_write },
	{ "lost in a read", test_lost_in_a_read },
	{ "lock timeout", test_lock_timeout },
	{ "deadline", test_deadline },
	{ "frozen server", test_frozen_server },
	{ "no server", test_no_server },
	{ "strong roles", test_strong_roles },
	{ "unfit settings", test_unfit_settings },
	{ "unfit schema", test_unfit_schema },
	CU_TEST_INFO_NULL,
};
