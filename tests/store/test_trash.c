/* The trash: out of it, for good, and what goes by itself. */
#include "base/base.h"

#include "store/test_tasks.h"

#include "store/admin.h"

static struct task_list trash_list(const struct trash_place *before, int32_t limit)
{
	struct task_list list;

	CU_ASSERT_FATAL(store_trash_list(store, arena, &account.principal,
					 &(struct trash_query){ .before = before, .limit = limit },
					 &list) == STORE_OK);
	return list;
}

static enum store_result restore(const struct uuid *id, struct task *task)
{
	return store_trash_restore(store, arena, &account.principal, id, task);
}

static void test_there_and_back(void)
{
	struct new_task new = full_task("there and back");
	struct task first, deleted, task;
	struct task_list list;

	new_account();
	first = make(&new);
	deleted = delete_task(&new.id);
	expect_content(&deleted, &new);
	CU_ASSERT(deleted.version == 2 && deleted.created_at == first.created_at);
	CU_ASSERT(deleted.updated_at == first.updated_at);
	CU_ASSERT(look(&new.id) == STORE_NOT_FOUND);
	list = trash_list(NULL, 10);
	CU_ASSERT_EQUAL_FATAL(list.n, 1);
	expect_content(&list.tasks[0], &new);
	CU_ASSERT(list.tasks[0].version == 2 && list.tasks[0].completed_at == first.completed_at);
	CU_ASSERT(list.tasks[0].deleted_at == deleted.deleted_at && deleted.deleted_at != 0);
	CU_ASSERT(restore(&new.id, &task) == STORE_OK);
	expect_content(&task, &new);
	CU_ASSERT(task.version == 3 && task.created_at == first.created_at);
	CU_ASSERT(task.completed_at == first.completed_at && task.updated_at > first.updated_at);
	CU_ASSERT_EQUAL(task.deleted_at, 0);
	CU_ASSERT_EQUAL(trash_list(NULL, 10).n, 0);
	CU_ASSERT(restore(&new.id, &task) == STORE_NOT_FOUND);
	CU_ASSERT_EQUAL(revision(), 3);
}

static void test_pages(void)
{
	struct task task;
	struct task_list list;
	struct trash_place place = { 0 };
	size_t found = 0;

	new_account();
	for (int i = 0; i < 7; i++) {
		task = make_titled("one of seven");
		(void)delete_task(&task.id);
	}
	/* Equal times, so that the id decides. */
	fixture_exec(admin,
		     "update taskcell.trash set deleted_at = now() where user_id = '%s'"
		     " and version < 12",
		     fixture_id(&account.principal.user_id));
	for (;;) {
		list = trash_list(found == 0 ? NULL : &place, 3);
		if (list.n == 0)
			break;
		for (size_t i = 0; i < list.n; i++) {
			CU_ASSERT(found == 0 || list.tasks[i].deleted_at < place.deleted_at ||
				  memcmp(list.tasks[i].id.bytes, place.id.bytes, 16) < 0);
			place = (struct trash_place){ list.tasks[i].deleted_at, list.tasks[i].id };
			found++;
		}
		CU_ASSERT_FATAL(found <= 7);
	}
	CU_ASSERT_EQUAL(found, 7);
	place.deleted_at = INT64_MIN + 1;
	CU_ASSERT_EQUAL(trash_list(&place, 3).n, 0);
}

static void test_for_good(void)
{
	struct new_task new = full_task("for good");
	struct account mine;
	struct task task;

	new_account();
	(void)make(&new);
	CU_ASSERT(store_trash_delete(store, &account.principal, &new.id) == STORE_NOT_FOUND);
	(void)delete_task(&new.id);
	mine = account;
	new_account();
	CU_ASSERT(store_trash_delete(store, &account.principal, &new.id) == STORE_NOT_FOUND);
	CU_ASSERT(restore(&new.id, &task) == STORE_NOT_FOUND);
	CU_ASSERT_EQUAL(trash_list(NULL, 10).n, 0);
	account = mine;
	CU_ASSERT(store_trash_delete(store, &account.principal, &new.id) == STORE_OK);
	CU_ASSERT(store_trash_delete(store, &account.principal, &new.id) == STORE_NOT_FOUND);
	CU_ASSERT(restore(&new.id, &task) == STORE_NOT_FOUND);
	CU_ASSERT_EQUAL(trash_list(NULL, 10).n, 0);
	/* Of the content nothing is left. */
	CU_ASSERT_EQUAL(rows_in("trash", "title is null and description is null and not completed"
					 " and completed_at is null and priority = 0"
					 " and due_date is null and due_at = 'infinity'"
					 " and tags = '{}' and version = 2"),
			1);
	CU_ASSERT_EQUAL(revision(), 2);
}

/* On the last day it can be restored, on the next it cannot. */
static void test_thirty_days(void)
{
	struct task task, other;
	struct task_list all;

	new_account();
	for (int over = 0; over < 2; over++) {
		task = make_titled("a month old");
		(void)delete_task(&task.id);
		fixture_exec(admin,
			     "update taskcell.trash set deleted_at = now() - interval '%d days'"
			     " + %d * interval '1 minute' where user_id = '%s'",
			     TRASH_KEEP_DAYS, over ? -1 : 1,
			     fixture_id(&account.principal.user_id));
		CU_ASSERT_EQUAL(trash_list(NULL, 10).n, (size_t)!over);
		CU_ASSERT(store_trash_list(store, arena, &account.principal,
					   &(struct trash_query){ .limit = 10, .expired = true },
					   &all) == STORE_OK);
		CU_ASSERT_EQUAL(all.n, 1);
		if (over)
			CU_ASSERT(store_trash_delete(store, &account.principal, &task.id) ==
				  STORE_NOT_FOUND);
		CU_ASSERT(restore(&task.id, &other) == (over ? STORE_NOT_FOUND : STORE_OK));
	}
}

/* Later deletions take along what is over. */
static void test_what_passes(void)
{
	struct task task, living;
	int64_t deleted;

	new_account();
	for (int i = 0; i < 3; i++) {
		task = make_titled("soon past");
		(void)delete_task(&task.id);
	}
	living = make_titled("stays");
	age_trash(TRASH_KEEP_DAYS);
	CU_ASSERT_EQUAL(rows_in("trash", "title is null"), 0);
	/* A deletion that finds nothing will do. */
	CU_ASSERT(store_task_delete(store, arena, &account.principal, &task.id,
				    &(struct versions){ 0 }, &task) == STORE_NOT_FOUND);
	CU_ASSERT_EQUAL(rows_in("trash", "title is null"), 3);
	age_trash(TOMBSTONE_KEEP_DAYS - TRASH_KEEP_DAYS);
	fixture_exec(admin,
		     "update taskcell.trash set deleted_at = deleted_at + interval '1 hour'"
		     " where user_id = '%s' and version = 6",
		     fixture_id(&account.principal.user_id));
	CU_ASSERT_EQUAL(rows_in("trash", "true"), 3);
	CU_ASSERT(store_task_clear_completed(store, &account.principal, &deleted) == STORE_OK);
	CU_ASSERT_EQUAL(deleted, 0);
	CU_ASSERT_EQUAL(rows_in("trash", "version = 6"), 1);
	CU_ASSERT_EQUAL(rows_in("trash", "true"), 1);
	CU_ASSERT_EQUAL(fixture_int(admin, "select feed_floor from taskcell.users where id = '%s'",
				    fixture_id(&account.principal.user_id)),
			4);
	CU_ASSERT_EQUAL(revision(), 7);
	CU_ASSERT(look(&living.id) == STORE_OK);
	/* What nobody remembers, nobody holds. */
	age_trash(1);
	(void)delete_task(&living.id);
	CU_ASSERT_EQUAL(rows_in("trash", "true"), 1);
	task = make(&(struct new_task){ .id = task.id, .title = "anew" });
}

/* A hundred with each deletion, so that none of them takes long. */
static void test_what_passes_bounded(void)
{
	struct task task;

	new_account();
	fixture_exec(admin,
		     "insert into taskcell.trash"
		     " (user_id, id, title, version, created_at, updated_at, deleted_at)"
		     " select '%s', gen_random_uuid(), case when i > 150 then 'old' end, i, now(),"
		     " now(), now() - interval '100 d' from generate_series(1, 300) i",
		     fixture_id(&account.principal.user_id));
	for (int i = 1; i <= 4; i++) {
		task = make_titled("and a new one");
		(void)delete_task(&task.id);
		/* First it loses its content, then it is forgotten. */
		CU_ASSERT_EQUAL(rows_in("trash", "title = 'old'"), i == 1 ? 50 : 0);
		CU_ASSERT_EQUAL(rows_in("trash", "true"), (i < 3 ? 300 - 100 * i : 0) + i);
	}
}

/* --- taskcellctl sweep ----------------------------------------------------------------------- */

static enum store_result sweep(struct store *s)
{
	struct swept swept;
	bool more = true;
	enum store_result r = STORE_OK;

	while (r == STORE_OK && more)
		r = admin_sweep(s, 86400, &swept, &more);
	return r;
}

/* A row of the trash that was deleted so long ago. */
static void put_trash(const char *title, int version, const char *age)
{
	fixture_exec(admin,
		     "insert into taskcell.trash"
		     " (user_id, id, title, version, created_at, updated_at, deleted_at)"
		     " values ('%s', gen_random_uuid(), nullif('%s', ''), %d, now(), now(),"
		     " now() - interval '%s')",
		     fixture_id(&account.principal.user_id), title, version, age);
}

static int64_t feed_floor(void)
{
	return fixture_int(admin, "select feed_floor from taskcell.users where id = '%s'",
			   fixture_id(&account.principal.user_id));
}

static void test_sweep(void)
{
	new_account();
	put_trash("old", 1, "90 d 1 min");
	put_trash("", 2, "90 d 1 min");
	put_trash("old", 3, "89 d 23 h 59 min");
	put_trash("", 4, "31 d");
	put_trash("old", 5, "30 d 1 min");
	put_trash("young", 6, "29 d 23 h 59 min");
	CU_ASSERT(sweep(store) == STORE_OK);
	CU_ASSERT_EQUAL(rows_in("trash", "version < 3"), 0);
	CU_ASSERT_EQUAL(rows_in("trash", "title is null and version between 3 and 5"), 3);
	CU_ASSERT_EQUAL(rows_in("trash", "title = 'young' and version = 6"), 1);
	CU_ASSERT_EQUAL(feed_floor(), 2);
	/* It never sinks. */
	put_trash("", 1, "91 d");
	CU_ASSERT(sweep(store) == STORE_OK);
	CU_ASSERT_EQUAL(rows_in("trash", "version = 1"), 0);
	CU_ASSERT_EQUAL(feed_floor(), 2);
}

static void run_sweep(struct racer *racer, void *arg, void *result)
{
	(void)arg;
	*(enum store_result *)result = sweep(racer->store);
}

/* It waits for whoever writes for the user, and holds none of the rows that he may want. */
static void test_sweep_beside_a_writer(void)
{
	const struct race beside = {
		.racers = 1, .rounds = 1, .run = run_sweep, .result_size = sizeof(enum store_result)
	};
	PGconn *writer = fixture_admin();
	struct fork *sweeper;
	enum store_result *r;

	new_account();
	CU_ASSERT(sweep(store) == STORE_OK);
	put_trash("taken", 1, "100 d");
	put_trash("", 2, "100 d");
	fixture_exec(writer, "begin; update taskcell.users set revision = 7 where id = '%s'",
		     fixture_id(&account.principal.user_id));
	sweeper = fork_start(&beside);
	fixture_wait_blocked(admin, 1);
	fixture_exec(writer,
		     "delete from taskcell.trash where user_id = '%s' and version = 1; commit",
		     fixture_id(&account.principal.user_id));
	r = fork_join(sweeper);
	CU_ASSERT(*r == STORE_OK);
	CU_ASSERT_EQUAL(rows_in("trash", "true"), 0);
	CU_ASSERT(feed_floor() == 2 && revision() == 7);
	PQfinish(writer);
}

static void test_clear_completed(void)
{
	struct new_task done = full_task("done");
	struct account mine, other;
	int64_t deleted = -1;
	struct task_list list;

	new_account();
	(void)make(&done);
	other = account;
	new_account();
	mine = account;
	CU_ASSERT(store_task_clear_completed(store, &account.principal, &deleted) == STORE_OK);
	CU_ASSERT_EQUAL(deleted, 0);
	CU_ASSERT_EQUAL(revision(), 0);
	for (int i = 0; i < 5; i++) {
		(void)make_titled("to do");
		done.id = uuid_v7();
		(void)make(&done);
	}
	CU_ASSERT(store_task_clear_completed(store, &account.principal, &deleted) == STORE_OK);
	CU_ASSERT_EQUAL(deleted, 5);
	CU_ASSERT_EQUAL(revision(), 15);
	CU_ASSERT_EQUAL(rows_in("tasks", "true"), 5);
	CU_ASSERT_EQUAL(rows_in("tasks", "not completed"), 5);
	/* Each has a version of its own, in the order they were made. */
	CU_ASSERT_EQUAL(fixture_int(admin,
				    "select count(distinct version) from taskcell.trash where"
				    " user_id = '%s' and version between 11 and 15",
				    fixture_id(&account.principal.user_id)),
			5);
	list = trash_list(NULL, 10);
	CU_ASSERT_EQUAL_FATAL(list.n, 5);
	for (size_t i = 0; i < list.n; i++) {
		done.id = list.tasks[i].id;
		expect_content(&list.tasks[i], &done);
	}
	account = other;
	CU_ASSERT_EQUAL(rows_in("tasks", "completed"), 1);
	account = mine;
	account.principal.session_id = other.principal.session_id;
	CU_ASSERT(store_task_clear_completed(store, &account.principal, &deleted) ==
		  STORE_NO_SESSION);
}

CU_TestInfo trash_tests[] = {
	{ "there and back", test_there_and_back },
	{ "pages", test_pages },
	{ "for good", test_for_good },
	{ "thirty days", test_thirty_days },
	{ "what passes", test_what_passes },
	{ "what passes, in portions", test_what_passes_bounded },
	{ "sweep", test_sweep },
	{ "sweep beside a writer", test_sweep_beside_a_writer },
	{ "clear completed", test_clear_completed },
	CU_TEST_INFO_NULL,
};
