#include "base/base.h"

#include "store/tasks.h"
#include "store/test_store.h"

static struct account account;

static struct task created(const char *title)
{
	struct uuid id = fixture_task(store, &account.principal, title);
	struct task task;

	CU_ASSERT_FATAL(store_task_get(store, arena, &account.principal, &id, &task) == STORE_OK);
	return task;
}

static int64_t revision(void)
{
	return fixture_int(admin, "select revision from taskcell.users where id = '%s'",
			   fixture_id(&account.principal.user_id));
}

static void test_create_and_get(void)
{
	struct new_task create = { .id = uuid_v7(),
				   .title = "\xe2\x80\xae \\ ' \" \x01",
				   .description = "",
				   .completed = true };
	struct task task, got;
	struct uuid other = uuid_v7();
	enum created made;

	fixture_account(store, &account);
	CU_ASSERT_FATAL(store_task_create(store, arena, &account.principal, &create, NULL, &task,
					  &made) == STORE_OK);
	CU_ASSERT(uuid_equal(&task.id, &create.id));
	CU_ASSERT(uuid_equal(&task.user_id, &account.principal.user_id));
	CU_ASSERT_STRING_EQUAL(task.title, create.title);
	CU_ASSERT_STRING_EQUAL(task.description, "");
	CU_ASSERT(task.completed && task.completed_at == task.created_at);
	CU_ASSERT_EQUAL(task.version, 1);
	CU_ASSERT_EQUAL(task.updated_at, task.created_at);
	CU_ASSERT_FATAL(store_task_get(store, arena, &account.principal, &create.id, &got) ==
			STORE_OK);
	CU_ASSERT_STRING_EQUAL(got.title, create.title);
	CU_ASSERT_EQUAL(got.completed_at, task.completed_at);
	CU_ASSERT(store_task_get(store, arena, &account.principal, &other, &got) ==
		  STORE_NOT_FOUND);
	got = created("plain");
	CU_ASSERT(!got.completed && got.description == NULL && got.version == 2);

	create.id = uuid_v7();
	create.title = "cut \xe2\x82";
	CU_ASSERT(store_task_create(store, arena, &account.principal, &create, NULL, &task,
				    &made) == STORE_REFUSED);
	CU_ASSERT_EQUAL(revision(), 2);
}

static void expect_spent(unsigned round_trips, const char *slowest)
{
	struct store_spent spent;
	char names[STORE_NAMES_MAX];

	store_spent(store, &spent);
	store_slowest(store, names);
	CU_ASSERT_EQUAL(spent.round_trips, round_trips);
	CU_ASSERT_STRING_EQUAL(names, slowest);
	CU_ASSERT(spent.us >= spent.slowest_us && (spent.slowest_us > 0) == (round_trips > 0));
}

/* What calls have taken, and under which name PostgreSQL sees them; a name changes no answer. */
static void test_spent_and_traced(void)
{
	static const char now[] = "select count(*) from pg_stat_activity "
				  "where application_name = 'a''b \\ x'";
	struct principal nobody = { uuid_v7(), uuid_v7() };
	struct uuid id, other = uuid_v7();
	struct task task;

	fixture_account(store, &account);
	id = fixture_task(store, &account.principal, "x");
	for (int traced = 0; traced < 2; traced++) {
		store_trace(store, traced ? "a'b \\ x" : "");
		store_reset(store);
		expect_spent(0, "");
		CU_ASSERT(store_task_get(store, arena, &account.principal, &id, &task) == STORE_OK);
		expect_spent(1, "session_enter+task_get");
		CU_ASSERT(store_task_get(store, arena, &account.principal, &other, &task) ==
			  STORE_NOT_FOUND);
		CU_ASSERT(store_task_get(store, arena, &nobody, &id, &task) == STORE_NO_SESSION);
		expect_spent(3, "session_enter+task_get");
		for (int snapshot = 0; snapshot < 2; snapshot++) {
			CU_ASSERT(store_begin(store, snapshot) == STORE_OK);
			CU_ASSERT(store_task_get(store, arena, &account.principal, &id, &task) ==
				  STORE_OK);
			CU_ASSERT(fixture_int(admin, now) == traced);
			CU_ASSERT(store_end(store, snapshot) == STORE_OK);
		}
		/* an error in the middle of the pipeline is its statement's */
		CU_ASSERT(fixture_create(store, &account.principal, &other, "cut \xe2\x82") ==
			  STORE_REFUSED);
		CU_ASSERT(fixture_int(admin, now) == 0);
	}
	store_trace(store, "");
	store_reset(store);
	expect_spent(0, "");
}

static enum store_result changed(struct task *task, const struct task_change *change)
{
	struct uuid id = task->id;

	return store_task_change(store, arena, &account.principal, &id, change, task);
}

static void test_change_fields(void)
{
	struct task task, before;
	struct task_change title = { .set_title = true, .title = "new", .description = "ignored" };
	struct task_change text = { .set_description = true, .description = "text", .title = "no" };
	struct task_change none = { .completed = COMPLETED_KEEP };

	fixture_account(store, &account);
	task = before = created("old");
	CU_ASSERT(changed(&task, &title) == STORE_OK);
	CU_ASSERT_STRING_EQUAL(task.title, "new");
	CU_ASSERT_PTR_NULL(task.description);
	CU_ASSERT_EQUAL(task.version, 2);
	CU_ASSERT_EQUAL(task.created_at, before.created_at);
	CU_ASSERT(task.updated_at > before.updated_at);
	CU_ASSERT(changed(&task, &text) == STORE_OK);
	CU_ASSERT_STRING_EQUAL(task.title, "new");
	CU_ASSERT_STRING_EQUAL(task.description, "text");
	CU_ASSERT_EQUAL(task.version, 3);
	before = task;
	CU_ASSERT(changed(&task, &text) == STORE_OK);
	CU_ASSERT(changed(&task, &title) == STORE_OK);
	CU_ASSERT(changed(&task, &none) == STORE_OK);
	CU_ASSERT(task.version == 3 && task.updated_at == before.updated_at);
	CU_ASSERT_EQUAL(revision(), 3);
	text.description = NULL;
	CU_ASSERT(changed(&task, &text) == STORE_OK);
	CU_ASSERT(task.description == NULL && task.version == 4);
	title.title = "\xed\xa0\x80";
	CU_ASSERT(changed(&task, &title) == STORE_REFUSED);
	CU_ASSERT_EQUAL(revision(), 4);
}

static void test_change_completed(void)
{
	static const struct {
		enum completed_change change;
		bool completed;
		int64_t version;
		bool keeps_time;
	} steps[] = {
		{ COMPLETED_CLEAR, false, 1, false }, { COMPLETED_SET, true, 2, false },
		{ COMPLETED_SET, true, 2, true },     { COMPLETED_FLIP, false, 3, false },
		{ COMPLETED_FLIP, true, 4, false },   { COMPLETED_KEEP, true, 4, true },
		{ COMPLETED_CLEAR, false, 5, false },
	};
	struct task_change retitle = { .set_title = true, .title = "done and renamed" };
	struct task task;
	int64_t since;

	fixture_account(store, &account);
	task = created("to do");
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct task_change change = { .completed = steps[i].change };

		since = task.completed_at;
		CU_ASSERT(changed(&task, &change) == STORE_OK);
		CU_ASSERT_EQUAL(task.completed, steps[i].completed);
		CU_ASSERT_EQUAL(task.version, steps[i].version);
		CU_ASSERT_EQUAL(task.completed_at != 0, task.completed);
		if (task.completed && !steps[i].keeps_time)
			CU_ASSERT_EQUAL(task.completed_at, task.updated_at);
		if (steps[i].keeps_time)
			CU_ASSERT_EQUAL(task.completed_at, since);
	}
	CU_ASSERT(changed(&task, &(struct task_change){ .completed = COMPLETED_SET }) == STORE_OK);
	since = task.completed_at;
	CU_ASSERT(changed(&task, &retitle) == STORE_OK);
	CU_ASSERT(task.completed_at == since && task.updated_at > since);
}

static void test_preconditions(void)
{
	struct account stranger;
	const int64_t none[] = { 0 }, wrong[] = { 7, -1, INT64_MAX, INT64_MIN };
	const int64_t right[] = { INT64_MIN, 1, INT64_MAX };
	struct versions empty = { none, 0 }, stale = { wrong, 4 }, fresh = { right, 3 };
	struct task_change change = { .set_title = true, .title = "second" };
	struct uuid absent = uuid_v7();
	struct task task, got;

	fixture_account(store, &account);
	fixture_account(store, &stranger);
	task = got = created("first");
	change.expected = stale;
	CU_ASSERT(changed(&got, &change) == STORE_STALE);
	CU_ASSERT(got.version == 1 && strcmp(got.title, "first") == 0);
	change.expected = empty;
	CU_ASSERT(changed(&got, &change) == STORE_STALE);
	change.expected = fresh;
	CU_ASSERT(changed(&got, &change) == STORE_OK);
	CU_ASSERT_EQUAL(got.version, 2);
	CU_ASSERT(changed(&got, &change) == STORE_STALE);
	CU_ASSERT(got.version == 2 && strcmp(got.title, "second") == 0);
	/* Nothing to change does not excuse a stale version. */
	CU_ASSERT_EQUAL(revision(), 2);

	CU_ASSERT(store_task_delete(store, arena, &account.principal, &task.id, &stale, &got) ==
		  STORE_STALE);
	CU_ASSERT_EQUAL(got.version, 2);
	CU_ASSERT(store_task_delete(store, arena, &account.principal, &absent, &stale, &got) ==
		  STORE_NOT_FOUND);
	CU_ASSERT(store_task_delete(store, arena, &stranger.principal, &task.id, &fresh, &got) ==
		  STORE_NOT_FOUND);
	CU_ASSERT_EQUAL(revision(), 2);
	stale = (struct versions){ &got.version, 1 };
	CU_ASSERT(store_task_get(store, arena, &account.principal, &task.id, &got) == STORE_OK);
	CU_ASSERT(store_task_delete(store, arena, &account.principal, &task.id, &stale, &got) ==
		  STORE_OK);
	CU_ASSERT(got.version == 3 && strcmp(got.title, "second") == 0);
	CU_ASSERT(got.deleted_at >= got.updated_at);
	CU_ASSERT_EQUAL(revision(), 3);
	CU_ASSERT(store_task_delete(store, arena, &account.principal, &task.id,
				    &(struct versions){ 0 }, &got) == STORE_NOT_FOUND);
	CU_ASSERT(changed(&task, &change) == STORE_NOT_FOUND);
	CU_ASSERT_EQUAL(revision(), 3);
}

/* A dead session gets nothing, whatever the next statement would say: even what cannot be read. */
static void test_no_session(void)
{
	struct task task;
	struct task_page page;
	struct task_query query = { .limit = 10 };
	struct task_change change = { .set_title = true, .title = "mine now" };
	struct new_task create = { .id = uuid_v7(), .title = "mine" };
	enum created made;
	struct account other;
	const struct principal *dead = &account.principal;

	fixture_account(store, &other);
	fixture_account(store, &account);
	task = created("stays as it is");
	/* Another's live session does not open this user's fence. */
	account.principal.session_id = other.principal.session_id;
	CU_ASSERT(store_task_list(store, arena, dead, &query, &page) == STORE_NO_SESSION);
	CU_ASSERT(store_task_get(store, arena, dead, &task.id, &task) == STORE_NO_SESSION);
	CU_ASSERT(store_task_create(store, arena, dead, &create, NULL, &task, &made) ==
		  STORE_NO_SESSION);
	CU_ASSERT(store_task_change(store, arena, dead, &task.id, &change, &task) ==
		  STORE_NO_SESSION);
	CU_ASSERT(store_task_delete(store, arena, dead, &task.id, &change.expected, &task) ==
		  STORE_NO_SESSION);
	create.title = "\xff";
	CU_ASSERT(store_task_create(store, arena, dead, &create, NULL, &task, &made) ==
		  STORE_NO_SESSION);
	query.after = &(struct task_place){ .number = INT64_MAX - 1 };
	CU_ASSERT(store_task_list(store, arena, dead, &query, &page) == STORE_NO_SESSION);
	CU_ASSERT_EQUAL(revision(), 1);
	CU_ASSERT_EQUAL(fixture_int(admin,
				    "select count(*) from taskcell.tasks where user_id = '%s'"
				    " and title = 'stays as it is'",
				    fixture_id(&dead->user_id)),
			1);
}

CU_TestInfo task_tests[] = {
	{ "create and get", test_create_and_get },
	{ "spent and traced", test_spent_and_traced },
	{ "change fields", test_change_fields },
	{ "change completed", test_change_completed },
	{ "preconditions", test_preconditions },
	{ "no session", test_no_session },
	CU_TEST_INFO_NULL,
};
