/* Tasks: making them, once whatever is retried, and bringing them in from elsewhere. */
#include "base/base.h"

#include "store/test_tasks.h"

struct account account;

void new_account(void)
{
	fixture_account(store, &account);
}

struct new_task full_task(const char *title)
{
	return (struct new_task){
		.id = uuid_v7(),
		.title = title,
		.description = "with \"quotes\", {braces}, commas\nand \xc3\xa9",
		.completed = true,
		.priority = PRIORITY_HIGH,
		.due = { "2026-02-28T23:59:00+01:00", 1772319540 * US_PER_SECOND },
		.tags = { 5, { "a", "two words", "{\"b\\,}", "NULL", "\xc3\x89t\xc3\xa9" } },
	};
}

static enum store_result create(const struct new_task *new, struct task *task)
{
	enum created created = CREATED_OTHERWISE;
	enum store_result r =
		store_task_create(store, arena, &account.principal, new, NULL, task, &created);

	CU_ASSERT(created == CREATED_NEW);
	return r;
}

struct task make(const struct new_task *new)
{
	struct task task;

	CU_ASSERT_FATAL(create(new, &task) == STORE_OK);
	return task;
}

struct task make_titled(const char *title)
{
	return make(&(struct new_task){ .id = uuid_v7(), .title = title });
}

struct task delete_task(const struct uuid *id)
{
	struct task task;

	CU_ASSERT_FATAL(store_task_delete(store, arena, &account.principal, id,
					  &(struct versions){ 0 }, &task) == STORE_OK);
	return task;
}

struct task get_task(const struct uuid *id)
{
	struct task task;

	CU_ASSERT_FATAL(store_task_get(store, arena, &account.principal, id, &task) == STORE_OK);
	return task;
}

enum store_result look(const struct uuid *id)
{
	struct task task;

	return store_task_get(store, arena, &account.principal, id, &task);
}

int64_t revision(void)
{
	return fixture_revision(admin, &account.principal);
}

int64_t rows_in(const char *table, const char *condition)
{
	return fixture_int(admin, "select count(*) from taskcell.%s where user_id = '%s' and %s",
			   table, fixture_id(&account.principal.user_id), condition);
}

void age_trash(int days)
{
	fixture_exec(admin,
		     "update taskcell.trash set deleted_at = deleted_at - %d * interval '1 day'"
		     " where user_id = '%s'",
		     days, fixture_id(&account.principal.user_id));
}

static void expect_text(const char *text, const char *expected)
{
	if (expected == NULL || text == NULL)
		CU_ASSERT(expected == NULL && text == NULL)
	else
		CU_ASSERT_STRING_EQUAL(text, expected);
}

void expect_content(const struct task *task, const struct new_task *new)
{
	CU_ASSERT(uuid_equal(&task->id, &new->id));
	CU_ASSERT(uuid_equal(&task->user_id, &account.principal.user_id));
	expect_text(task->title, new->title);
	expect_text(task->description, new->description);
	CU_ASSERT_EQUAL(task->completed, new->completed);
	CU_ASSERT_EQUAL(task->completed_at != 0, new->completed);
	CU_ASSERT_EQUAL(task->priority, new->priority);
	expect_text(task->due.text, new->due.text);
	CU_ASSERT_EQUAL(task->due.at, new->due.at);
	CU_ASSERT_EQUAL_FATAL(task->tags.n, new->tags.n);
	for (size_t i = 0; i < new->tags.n; i++)
		CU_ASSERT_STRING_EQUAL(task->tags.list[i], new->tags.list[i]);
}

/* --- creating and changing ------------------------------------------------------------------- */

static void test_all_fields(void)
{
	struct new_task new = full_task("everything");
	struct new_task tagged = { .id = uuid_v7(), .title = "tags", .tags.n = TASK_TAGS_MAX };
	struct task task;

	new_account();
	task = make(&new);
	expect_content(&task, &new);
	CU_ASSERT(task.version == 1 && task.deleted_at == 0);
	CU_ASSERT(task.created_at == task.updated_at && task.created_at == task.completed_at);
	task = get_task(&new.id);
	expect_content(&task, &new);
	for (size_t i = 0; i < TASK_TAGS_MAX; i++)
		tagged.tags.list[i] = arena_printf(arena, "tag %zu", i);
	task = make(&tagged);
	expect_content(&task, &tagged);
	CU_ASSERT_PTR_NULL(task.due.text);
	new = (struct new_task){ .id = uuid_v7(),
				 .title = "old",
				 .completed = true,
				 .created_at = 946684800 * US_PER_SECOND + 1,
				 .completed_at = 978307200 * US_PER_SECOND };
	task = make(&new);
	CU_ASSERT(task.created_at == new.created_at &&task.completed_at == new.completed_at);
	CU_ASSERT(task.updated_at > task.completed_at);
}

static struct task changed(const struct uuid *id, const struct task_change *change)
{
	struct task task;

	CU_ASSERT_FATAL(store_task_change(store, arena, &account.principal, id, change, &task) ==
			STORE_OK);
	return task;
}

/* What is not named stays; the same again moves nothing. */
static void test_change_new_fields(void)
{
	struct new_task now = full_task("to be changed");
	const struct due date = { "2026-03-01", 1772323200 * US_PER_SECOND };
	const struct {
		struct task_change change;
	} steps[] = {
		{ { .set_priority = true, .priority = PRIORITY_LOW } },
		{ { .set_priority = true, .priority = PRIORITY_NONE } },
		{ { .set_due = true, .due = date } },
		{ { .set_due = true, .due = { "2026-03-01T00:00:00Z", date.at } } },
		{ { .set_due = true } },
		{ { .set_tags = true, .tags = { 1, { "only" } } } },
		{ { .set_tags = true, .tags = { 1, { "Only" } } } },
		{ { .set_tags = true } },
		{ { .set_due = true,
		    .due = date,
		    .set_tags = true,
		    .tags = { 2, { "b", "a" } },
		    .set_priority = true,
		    .priority = PRIORITY_MEDIUM } },
	};
	struct task task;

	new_account();
	task = make(&now);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		const struct task_change *c = &steps[i].change;

		if (c->set_priority)
			now.priority = c->priority;
		if (c->set_due)
			now.due = c->due;
		if (c->set_tags)
			now.tags = c->tags;
		for (int again = 0; again < 2; again++) {
			task = changed(&now.id, c);
			expect_content(&task, &now);
			CU_ASSERT_EQUAL(task.version, (int64_t)i + 2);
		}
	}
	CU_ASSERT_EQUAL(revision(), (int64_t)ARRAY_LEN(steps) + 1);
}

static void test_own_ids(void)
{
	static const struct uuid nil = { { 0 } };
	struct new_task new = full_task("mine"), again = full_task("again");
	struct account first;
	struct task task;

	new_account();
	again.id = new.id;
	(void)make(&new);
	CU_ASSERT(create(&again, &task) == STORE_CONFLICT);
	expect_content(&task, &new);
	CU_ASSERT_EQUAL(task.version, 1);
	(void)delete_task(&new.id);
	CU_ASSERT(create(&again, &task) == STORE_CONFLICT);
	CU_ASSERT(uuid_equal(&task.id, &nil) && task.title == NULL);
	CU_ASSERT(store_trash_delete(store, &account.principal, &new.id) == STORE_OK);
	CU_ASSERT(create(&again, &task) == STORE_CONFLICT);
	CU_ASSERT_EQUAL(revision(), 2);
	/* Another's ids are no business of this one's. */
	first = account;
	new_account();
	task = make(&again);
	expect_content(&task, &again);
	account = first;
	CU_ASSERT(look(&new.id) == STORE_NOT_FOUND);
	new.id = nil;
	task = make(&new);
	memset(&new.id, 0xff, sizeof(new.id));
	task = make(&new);
	CU_ASSERT_EQUAL(rows_in("tasks", "true"), 2);
}

/* --- the same request again ------------------------------------------------------------------ */

static enum created retried(const struct new_task *new, const char *key, const char *digest,
			    struct task *task)
{
	const struct idempotency idempotency = { key, digest };
	enum created created;

	CU_ASSERT_FATAL(store_task_create(store, arena, &account.principal, new, &idempotency, task,
					  &created) == STORE_OK);
	return created;
}

static void test_idempotency(void)
{
	struct new_task new = full_task("once"), retry = new;
	struct task first, task;

	new_account();
	CU_ASSERT(retried(&new, "key", "d1", &first) == CREATED_NEW);
	expect_content(&first, &new);
	retry.id = uuid_v7();
	for (int i = 0; i < 4; i++) {
		CU_ASSERT(retried(&retry, "key", "d1", &task) == CREATED_BEFORE);
		expect_content(&task, &new);
		CU_ASSERT(task.version == first.version && task.created_at == first.created_at);
		CU_ASSERT(task.updated_at == first.updated_at);
		CU_ASSERT(task.completed_at == first.completed_at && task.deleted_at == 0);
		/* As it was then, whatever became of it. */
		if (i == 0)
			changed(&first.id,
				&(struct task_change){ .set_title = true, .title = "another" });
		if (i == 1)
			(void)delete_task(&first.id);
		if (i == 2)
			CU_ASSERT(store_trash_delete(store, &account.principal, &first.id) ==
				  STORE_OK);
	}
	CU_ASSERT(retried(&retry, "key", "d2", &task) == CREATED_OTHERWISE);
	CU_ASSERT_EQUAL(revision(), 3);
	CU_ASSERT_EQUAL(rows_in("tasks", "true"), 0);
	/* Another key, and another's equal key. */
	CU_ASSERT(retried(&retry, "Key", "d1", &task) == CREATED_NEW);
	new_account();
	CU_ASSERT(retried(&retry, "key", "d2", &task) == CREATED_NEW);
	new.completed = false;
	new.id = uuid_v7();
	CU_ASSERT(retried(&new, "open", "d", &task) == CREATED_NEW);
	CU_ASSERT(retried(&new, "open", "d", &task) == CREATED_BEFORE);
	CU_ASSERT(!task.completed && task.completed_at == 0);
}

static void test_idempotency_and_ids(void)
{
	struct new_task new = full_task("taken");
	const struct idempotency key = { "key", "d" };
	enum created created;
	struct task task;

	new_account();
	(void)make(&new);
	/* What made nothing is not remembered. */
	for (int i = 0; i < 2; i++)
		CU_ASSERT(store_task_create(store, arena, &account.principal, &new, &key, &task,
					    &created) == STORE_CONFLICT);
	CU_ASSERT_EQUAL(rows_in("idempotency", "true"), 0);
	new.id = uuid_v7();
	CU_ASSERT(retried(&new, "key", "d", &task) == CREATED_NEW);
	/* The id is taken now, by this very request. */
	CU_ASSERT(retried(&new, "key", "d", &task) == CREATED_BEFORE);
	CU_ASSERT_EQUAL(revision(), 2);
}

static void test_idempotency_ends(void)
{
	struct new_task new = full_task("a day later");
	struct task task;
	char key[16];

	new_account();
	for (int i = 0; i < 12; i++) {
		new.id = uuid_v7();
		snprintf(key, sizeof(key), "key %d", i);
		CU_ASSERT(retried(&new, key, "d", &task) == CREATED_NEW);
	}
	fixture_exec(admin,
		     "update taskcell.idempotency set created_at = created_at - interval '%d s'"
		     " where user_id = '%s' and key <> 'key 11'",
		     IDEMPOTENCY_KEEP_S, fixture_id(&account.principal.user_id));
	CU_ASSERT(retried(&new, "key 11", "d", &task) == CREATED_BEFORE);
	/* That took ten of the old ones along; the last is taken over if it is used again. */
	CU_ASSERT_EQUAL(rows_in("idempotency", "true"), 2);
	for (int i = 10; i >= 0; i--) {
		new.id = uuid_v7();
		snprintf(key, sizeof(key), "key %d", i);
		CU_ASSERT(retried(&new, key, "other", &task) == CREATED_NEW);
		CU_ASSERT(retried(&new, key, "other", &task) == CREATED_BEFORE);
		CU_ASSERT(uuid_equal(&task.id, &new.id));
	}
	CU_ASSERT_EQUAL(rows_in("idempotency", "created_at > now() - interval '1 h'"), 12);
	CU_ASSERT_EQUAL(rows_in("tasks", "true"), 23);
	/* Keys are as long as they are. */
	new.id = uuid_v7();
	CU_ASSERT(retried(&new, arena_printf(arena, "%0255d", 1), "d", &task) == CREATED_NEW);
}

CU_TestInfo create_tests[] = {
	{ "all fields", test_all_fields },
	{ "change new fields", test_change_new_fields },
	{ "ids of the client", test_own_ids },
	{ "the same request again", test_idempotency },
	{ "keys and ids", test_idempotency_and_ids },
	{ "keys end", test_idempotency_ends },
	CU_TEST_INFO_NULL,
};

/* --- import ---------------------------------------------------------------------------------- */

static enum imported imported(const struct new_task *new)
{
	enum imported dry, wet;
	int64_t before = revision();

	CU_ASSERT_FATAL(store_task_import(store, arena, &account.principal, new, true, &dry) ==
			STORE_OK);
	CU_ASSERT_EQUAL(revision(), before);
	CU_ASSERT_FATAL(store_task_import(store, arena, &account.principal, new, false, &wet) ==
			STORE_OK);
	CU_ASSERT_EQUAL(dry, wet);
	CU_ASSERT_EQUAL(revision(), before + (wet != IMPORTED_SAME));
	return wet;
}

static void test_import(void)
{
	struct new_task new = full_task("imported");
	struct task first, task;

	new_account();
	new.created_at = 946684800 * US_PER_SECOND + 1;
	new.completed_at = 946684800 * US_PER_SECOND + 2;
	CU_ASSERT(imported(&new) == IMPORTED_NEW);
	first = get_task(&new.id);
	expect_content(&first, &new);
	CU_ASSERT(first.created_at == new.created_at &&first.completed_at == new.completed_at);
	/* A file has milliseconds: times that are there stay. */
	new.created_at--;
	new.completed_at--;
	CU_ASSERT(imported(&new) == IMPORTED_SAME);
	for (int i = 0; i < 7; i++) {
		new.title = i == 0 ? "Imported" : new.title;
		new.description = i == 1 ? NULL : new.description;
		new.priority = i == 2 ? PRIORITY_NONE : new.priority;
		new.due = i == 3 ? (struct due){ 0 } : new.due;
		new.tags.n -= i == 4;
		new.completed = i != 5;
		CU_ASSERT(imported(&new) == IMPORTED_CHANGED);
		task = get_task(&new.id);
		expect_content(&task, &new);
		CU_ASSERT_EQUAL(task.created_at, first.created_at);
		if (new.completed)
			CU_ASSERT_EQUAL(task.completed_at,
					i == 6 ? new.completed_at : first.completed_at);
		CU_ASSERT_EQUAL(task.version, revision());
		CU_ASSERT(imported(&new) == IMPORTED_SAME);
	}
}

static void test_import_from_trash(void)
{
	struct new_task new = full_task("thrown away");
	struct task first, task;

	new_account();
	first = make(&new);
	new.created_at = 1;
	new.completed_at = 2;
	new.title = "back";
	for (int i = 0; i < 3; i++) {
		(void)delete_task(&new.id);
		if (i == 1)
			age_trash(TRASH_KEEP_DAYS + 1);
		if (i == 2)
			CU_ASSERT(store_trash_delete(store, &account.principal, &new.id) ==
				  STORE_OK);
		CU_ASSERT(imported(&new) == IMPORTED_TRASHED);
		task = get_task(&new.id);
		expect_content(&task, &new);
		CU_ASSERT_EQUAL(task.created_at, first.created_at);
		CU_ASSERT_EQUAL(task.completed_at, i == 2 ? 2 : first.completed_at);
		CU_ASSERT_EQUAL(rows_in("trash", "true"), 0);
		CU_ASSERT(imported(&new) == IMPORTED_SAME);
	}
	new = (struct new_task){ .id = uuid_v7(), .title = "plain" };
	CU_ASSERT(imported(&new) == IMPORTED_NEW);
	task = get_task(&new.id);
	CU_ASSERT(task.created_at == task.updated_at && task.created_at > first.created_at);
	new.completed = true;
	CU_ASSERT(imported(&new) == IMPORTED_CHANGED);
	CU_ASSERT(get_task(&new.id).completed_at == get_task(&new.id).updated_at);
	new.title = "\xc3\x28";
	CU_ASSERT(store_task_import(store, arena, &account.principal, &new, false,
				    &(enum imported){ 0 }) == STORE_REFUSED);
}

CU_TestInfo import_tests[] = {
	{ "import", test_import },
	{ "import of what is in the trash", test_import_from_trash },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	SUITE("create", create_tests),
	SUITE("import", import_tests),
	SUITE("lists", list_tests),
	SUITE("trash", trash_tests),
	SUITE("feed", feed_tests),
	SUITE("several calls as one", transaction_tests),
	SUITE("races", one_task_races),
	SUITE("storms and the feed", feed_storm_tests),
	CU_SUITE_INFO_NULL,
};

int main(void)
{
	return run_suites(suites);
}
