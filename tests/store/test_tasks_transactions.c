/* Several calls as one: all of it or nothing, and what becomes of it when the link is lost. */
#include "base/base.h"

#include "base/clock.h"
#include "store/test_tasks.h"

static enum store_result try_create(const char *title)
{
	struct uuid id = uuid_v7();

	return fixture_create(store, &account.principal, &id, title);
}

static void begin(bool snapshot)
{
	CU_ASSERT_FATAL(store_begin(store, snapshot) == STORE_OK);
}

/* Of this program's role, all gone when it returns. */
static void end_backends(void)
{
	static const char ours[] = "from pg_stat_activity where usename = 'taskcell'";
	int64_t deadline = clock_monotonic_us() + 10 * US_PER_SECOND;

	fixture_exec(admin, "select pg_terminate_backend(pid) %s", ours);
	while (fixture_int(admin, "select count(*) %s", ours) > 0)
		fixture_poll(deadline, "for backends to end");
}

/* The next call is one of its own again. */
static void expect_usable(void)
{
	int64_t before = rows_in("tasks", "true");

	CU_ASSERT(try_create("afterwards") == STORE_OK);
	CU_ASSERT_EQUAL(rows_in("tasks", "true"), before + 1);
	begin(false);
	CU_ASSERT(store_end(store, true) == STORE_OK);
}

static void test_all_or_nothing(void)
{
	for (int commit = 0; commit < 2; commit++) {
		struct task task;

		new_account();
		begin(false);
		CU_ASSERT(try_create("one") == STORE_OK);
		task = make_titled("two");
		(void)delete_task(&task.id);
		CU_ASSERT(look(&task.id) == STORE_NOT_FOUND);
		CU_ASSERT_EQUAL(rows_in("tasks", "true") + rows_in("trash", "true"), 0);
		CU_ASSERT(store_end(store, commit) == STORE_OK);
		CU_ASSERT_EQUAL(rows_in("tasks", "true"), commit);
		CU_ASSERT_EQUAL(rows_in("trash", "true"), commit);
		CU_ASSERT_EQUAL(revision(), commit ? 3 : 0);
		expect_usable();
	}
}

/* Answers that say what there is are no failures. */
static void test_refusals_that_do_not_fail(void)
{
	const int64_t wrong = 99;
	const struct versions stale = { &wrong, 1 };
	struct uuid absent = uuid_v7();
	struct task task;
	struct task_change change = { .expected = stale, .set_title = true, .title = "x" };

	new_account();
	begin(false);
	task = make_titled("there");
	CU_ASSERT(fixture_create(store, &account.principal, &task.id, "x") == STORE_CONFLICT);
	CU_ASSERT(store_task_change(store, arena, &account.principal, &task.id, &change, &task) ==
		  STORE_STALE);
	CU_ASSERT(look(&absent) == STORE_NOT_FOUND);
	CU_ASSERT(store_trash_restore(store, arena, &account.principal, &task.id, &task) ==
		  STORE_NOT_FOUND);
	CU_ASSERT(store_end(store, true) == STORE_OK);
	CU_ASSERT_EQUAL(rows_in("tasks", "true"), 1);
	CU_ASSERT_EQUAL(revision(), 1);
}

/* What fails in the database takes the rest along, and all answer alike. */
static void test_failure(void)
{
	for (int commit = 0; commit < 2; commit++) {
		new_account();
		begin(false);
		CU_ASSERT(try_create("before") == STORE_OK);
		CU_ASSERT(try_create("\xff") == STORE_REFUSED);
		CU_ASSERT(try_create("behind") == STORE_REFUSED);
		CU_ASSERT(store_end(store, commit) == (commit ? STORE_REFUSED : STORE_OK));
		CU_ASSERT_EQUAL(rows_in("tasks", "true"), 0);
		expect_usable();
	}
}

static void test_session_ends_inside(void)
{
	const struct client client = fixture_client();
	struct account_export all;
	struct store *other = fixture_store();

	new_account();
	begin(false);
	CU_ASSERT(try_create("in time") == STORE_OK);
	CU_ASSERT(store_session_end(other, &account.principal, &client) == STORE_OK);
	/* The fence is open still, by the call before: so nothing of this may last. */
	CU_ASSERT(try_create("too late") == STORE_NO_SESSION);
	CU_ASSERT(store_account_export(store, arena, &account.principal, &all) == STORE_NO_SESSION);
	CU_ASSERT(store_end(store, true) == STORE_NO_SESSION);
	CU_ASSERT_EQUAL(rows_in("tasks", "true"), 0);
	store_close(other);
}

static void test_lost(void)
{
	for (int commit = 0; commit < 2; commit++) {
		new_account();
		begin(false);
		CU_ASSERT(try_create("before") == STORE_OK);
		end_backends();
		/* On a new connection these would be alone. */
		CU_ASSERT(try_create("behind") == STORE_UNAVAILABLE);
		CU_ASSERT(try_create("behind") == STORE_UNAVAILABLE);
		CU_ASSERT(store_end(store, commit) == STORE_UNAVAILABLE);
		CU_ASSERT_EQUAL(rows_in("tasks", "true"), 0);
		expect_usable();
		/* And when the end of it is what finds out. */
		begin(false);
		CU_ASSERT(try_create("before") == STORE_OK);
		end_backends();
		CU_ASSERT(store_end(store, commit) == STORE_UNAVAILABLE);
		CU_ASSERT_EQUAL(rows_in("tasks", "title = 'before'"), 0);
		expect_usable();
	}
	/* Before it has begun nothing is lost. */
	end_backends();
	begin(false);
	CU_ASSERT(try_create("begun anew") == STORE_OK);
	CU_ASSERT(store_end(store, true) == STORE_OK);
	CU_ASSERT_EQUAL(rows_in("tasks", "title = 'begun anew'"), 1);
}

/* A handler forgot it: it neither lasts nor holds its locks. */
static void test_left_open(void)
{
	static const char lock[] =
		"begin; select from taskcell.users where id = '%s' for no key update nowait;"
		" rollback";

	new_account();
	begin(false);
	CU_ASSERT(try_create("forgotten") == STORE_OK);
	CU_ASSERT_STRING_EQUAL(fixture_try(admin, lock, fixture_id(&account.principal.user_id)),
			       "55P03");
	fixture_exec(admin, "rollback");
	store_reset(store);
	CU_ASSERT_STRING_EQUAL(fixture_try(admin, lock, fixture_id(&account.principal.user_id)),
			       "00000");
	CU_ASSERT_EQUAL(rows_in("tasks", "true"), 0);
	expect_usable();
	begin(false);
	end_backends();
	store_reset(store);
	expect_usable();
	/* One that has failed, and one whose request is past its time. */
	begin(false);
	CU_ASSERT(try_create("\xff") == STORE_REFUSED);
	store_reset(store);
	expect_usable();
	begin(false);
	store_limit(store, 1);
	store_reset(store);
	store_limit(store, 0);
	expect_usable();
	/* A limit alone leaves it open. */
	begin(false);
	store_limit(store, clock_monotonic_us() + 20 * US_PER_SECOND);
	CU_ASSERT(try_create("in time") == STORE_OK);
	store_limit(store, 0);
	CU_ASSERT(store_end(store, true) == STORE_OK);
	CU_ASSERT_EQUAL(rows_in("tasks", "title = 'in time'"), 1);
}

/* The time runs out while it waits for a lock. */
static void test_late(void)
{
	new_account();
	fixture_exec(admin, "begin; select from taskcell.users where id = '%s' for update",
		     fixture_id(&account.principal.user_id));
	store_limit(store, clock_monotonic_us() + US_PER_SECOND / 5);
	begin(false);
	CU_ASSERT(try_create("never") == STORE_UNAVAILABLE);
	CU_ASSERT(store_end(store, true) == STORE_UNAVAILABLE);
	store_limit(store, 0);
	fixture_exec(admin, "rollback");
	CU_ASSERT_EQUAL(rows_in("tasks", "true"), 0);
	expect_usable();
}

/* Outside, a deadlock would be run again; inside, what was before would be missing. */
static void test_no_rerun(void)
{
	new_account();
	fixture_exec(admin, "create sequence public.faults; grant usage on public.faults to public;"
			    "create function public.fault() returns trigger language plpgsql as $$"
			    " begin if new.title = 'deadlock' and nextval('public.faults') = 1 then"
			    "  raise exception 'wanted' using errcode = '40P01';"
			    " end if; return new; end $$;"
			    "create trigger fault before insert on taskcell.tasks"
			    " for each row execute function public.fault()");
	begin(false);
	CU_ASSERT(try_create("before") == STORE_OK);
	CU_ASSERT(try_create("deadlock") == STORE_BUSY);
	CU_ASSERT(try_create("behind") == STORE_BUSY);
	CU_ASSERT(store_end(store, true) == STORE_BUSY);
	CU_ASSERT_EQUAL(rows_in("tasks", "true"), 0);
	CU_ASSERT(try_create("deadlock") == STORE_OK);
	fixture_exec(admin, "drop trigger fault on taskcell.tasks; drop function public.fault;"
			    "drop sequence public.faults");
	expect_usable();
}

/* All pages are of the moment of the first. */
static void test_snapshot(void)
{
	struct store *other = fixture_store();
	struct task_query query = { .priority = -1, .limit = 2, .known = -1, .count = true };
	struct task_page page;
	struct changes changes;
	struct task_list trash;
	struct task first;

	new_account();
	first = make_titled("1");
	(void)make_titled("2");
	(void)make_titled("3");
	begin(true);
	CU_ASSERT(store_task_list(store, arena, &account.principal, &query, &page) == STORE_OK);
	CU_ASSERT(page.list.n == 2 && page.revision == 3);
	(void)fixture_task(other, &account.principal, "4");
	CU_ASSERT(store_task_delete(other, arena, &account.principal, &first.id,
				    &(struct versions){ 0 }, &first) == STORE_OK);
	query.after = &page.last;
	CU_ASSERT(store_task_list(store, arena, &account.principal, &query, &page) == STORE_OK);
	CU_ASSERT(page.list.n == 1 && page.revision == 3 && page.count == 3);
	CU_ASSERT_STRING_EQUAL(page.list.tasks[0].title, "3");
	CU_ASSERT(look(&first.id) == STORE_OK);
	CU_ASSERT(store_changes(store, arena, &account.principal, NULL, 10, &changes) == STORE_OK);
	CU_ASSERT(changes.n == 3 && changes.next.start == 3);
	CU_ASSERT(store_trash_list(store, arena, &account.principal,
				   &(struct trash_query){ .limit = 10 }, &trash) == STORE_OK);
	CU_ASSERT_EQUAL(trash.n, 0);
	CU_ASSERT(store_end(store, true) == STORE_OK);
	CU_ASSERT(look(&first.id) == STORE_NOT_FOUND);
	/* It is for reading. */
	begin(true);
	CU_ASSERT(try_create("5") != STORE_OK);
	CU_ASSERT(store_end(store, true) != STORE_OK);
	CU_ASSERT_EQUAL(rows_in("tasks", "true"), 3);
	expect_usable();
	store_close(other);
}

static void test_nowhere(void)
{
	struct store_options options = fixture_options;
	struct store *nowhere;

	options.conninfo = "host=/nowhere dbname=none user=none";
	nowhere = store_open(&options);
	CU_ASSERT(store_begin(nowhere, false) == STORE_UNAVAILABLE);
	store_limit(nowhere, 0);
	CU_ASSERT(store_begin(nowhere, true) == STORE_UNAVAILABLE);
	store_close(nowhere);
}

CU_TestInfo transaction_tests[] = {
	{ "all or nothing", test_all_or_nothing },
	{ "answers that are no failures", test_refusals_that_do_not_fail },
	{ "a failure", test_failure },
	{ "the session ends inside", test_session_ends_inside },
	{ "the connection is lost", test_lost },
	{ "left open", test_left_open },
	{ "the time runs out", test_late },
	{ "nothing is run again", test_no_rerun },
	{ "a snapshot", test_snapshot },
	{ "no database", test_nowhere },
	CU_TEST_INFO_NULL,
};
