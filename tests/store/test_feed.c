/* The change feed, step by step. */
#include "base/base.h"

#include "store/test_tasks.h"

#include "store/statements.h"

static struct changes changes_behind(const struct feed_place *place, int32_t limit)
{
	struct changes changes;

	CU_ASSERT_FATAL(store_changes(store, arena, &account.principal, place, limit, &changes) ==
			STORE_OK);
	return changes;
}

/* The versions, in order, with a minus for deletions: "1 3 -4". */
static const char *versions_of(const struct changes *changes)
{
	const char *text = "";

	for (size_t i = 0; i < changes->n; i++)
		text = arena_printf(arena, "%s%s%s%d", text, i == 0 ? "" : " ",
				    changes->list[i].deleted ? "-" : "",
				    (int)changes->list[i].task.version);
	return text;
}

static const char *feed(const struct feed_place *place)
{
	struct changes changes = changes_behind(place, 1000);

	CU_ASSERT(!changes.gone && !changes.more);
	return versions_of(&changes);
}

static void set_floor(int64_t floor)
{
	fixture_exec(admin, "update taskcell.users set feed_floor = %d where id = '%s'", (int)floor,
		     fixture_id(&account.principal.user_id));
}

static void test_from_nothing(void)
{
	struct new_task new = full_task("all of it");
	struct changes changes;
	struct task task;

	new_account();
	changes = changes_behind(NULL, 10);
	CU_ASSERT(changes.n == 0 && !changes.more && !changes.gone);
	CU_ASSERT(changes.next.since == 0 && changes.next.start == 0);
	CU_ASSERT_STRING_EQUAL(feed(&changes.next), "");
	(void)make(&new);
	task = make_titled("gone before");
	(void)delete_task(&task.id);
	/* What went before the reading began never was, to this reader. */
	changes = changes_behind(NULL, 10);
	CU_ASSERT_STRING_EQUAL(versions_of(&changes), "1");
	CU_ASSERT(!changes.more && changes.next.since == 1 && changes.next.start == 3);
	CU_ASSERT_FATAL(changes.n == 1 && !changes.list[0].deleted);
	expect_content(&changes.list[0].task, &new);
	/* To one that had read before it, it was. */
	CU_ASSERT_STRING_EQUAL(feed(&(struct feed_place){ 0, 0 }), "1 -3");
	CU_ASSERT_STRING_EQUAL(feed(&(struct feed_place){ 1, 1 }), "-3");
	CU_ASSERT_STRING_EQUAL(feed(&(struct feed_place){ 2, 1 }), "-3");
	CU_ASSERT_STRING_EQUAL(feed(&(struct feed_place){ 3, 1 }), "");
	CU_ASSERT_STRING_EQUAL(feed(&changes.next), "");
	(void)delete_task(&new.id);
	changes = changes_behind(&changes.next, 10);
	CU_ASSERT_STRING_EQUAL(versions_of(&changes), "-4");
	CU_ASSERT(uuid_equal(&changes.list[0].task.id, &new.id));
	CU_ASSERT(changes.next.since == 4 && changes.next.start == 3);
}

static void test_pages(void)
{
	static const int deleted[] = { 1, 4, 6, 7, 8 };
	struct uuid ids[10];
	struct task task;

	new_account();
	for (int i = 0; i < 10; i++)
		ids[i] = make_titled("of ten").id;
	for (size_t i = 0; i < ARRAY_LEN(deleted); i++)
		(void)delete_task(&ids[deleted[i]]);
	CU_ASSERT(store_task_change(store, arena, &account.principal, &ids[0],
				    &(struct task_change){ .completed = COMPLETED_SET },
				    &task) == STORE_OK);
	for (int32_t limit = 1; limit <= 11; limit++) {
		struct feed_place place = { 0, 0 };
		const char *all = "";
		struct changes changes;

		do {
			changes = changes_behind(&place, limit);
			CU_ASSERT_FATAL(changes.n > 0 && changes.n <= (size_t)limit);
			CU_ASSERT_EQUAL(changes.more, changes.next.since < 16);
			CU_ASSERT_EQUAL(changes.next.since,
					changes.list[changes.n - 1].task.version);
			all = arena_printf(arena, "%s %s", all, versions_of(&changes));
			place = changes.next;
		} while (changes.more);
		CU_ASSERT_STRING_EQUAL(all, " 3 4 6 10 -11 -12 -13 -14 -15 16");
		changes = changes_behind(&place, limit);
		CU_ASSERT(changes.n == 0 && !changes.more);
		CU_ASSERT(changes.next.since == 16 && changes.next.start == 0);
	}
}

/* In the middle of a first reading tasks go and come. */
static void test_start(void)
{
	struct uuid ids[4];
	struct changes changes;
	struct task task;

	new_account();
	for (int i = 0; i < 4; i++)
		ids[i] = make_titled("of four").id;
	(void)delete_task(&ids[3]);
	changes = changes_behind(NULL, 1);
	CU_ASSERT_STRING_EQUAL(versions_of(&changes), "1");
	CU_ASSERT(changes.more && changes.next.start == 5);
	(void)delete_task(&ids[0]);
	(void)delete_task(&ids[2]);
	CU_ASSERT(store_trash_restore(store, arena, &account.principal, &ids[3], &task) ==
		  STORE_OK);
	CU_ASSERT_STRING_EQUAL(feed(&changes.next), "2 -6 -7 8");
	/* Back again, and its tombstone is no more. */
	CU_ASSERT(store_trash_restore(store, arena, &account.principal, &ids[0], &task) ==
		  STORE_OK);
	CU_ASSERT_STRING_EQUAL(feed(&changes.next), "2 -7 8 9");
	/* For good is no news. */
	CU_ASSERT(store_trash_delete(store, &account.principal, &ids[2]) == STORE_OK);
	CU_ASSERT_STRING_EQUAL(feed(&changes.next), "2 -7 8 9");
	age_trash(TRASH_KEEP_DAYS + 1);
	CU_ASSERT_STRING_EQUAL(feed(&changes.next), "2 -7 8 9");
}

static void test_gone(void)
{
	static const struct {
		struct feed_place place;
		bool gone;
	} cases[] = {
		{ { 0, 0 }, true },         { { 2, 2 }, true },
		{ { 2, 0 }, true },         { { 3, 0 }, false },
		{ { 0, 3 }, false }, /* what was forgotten is from before its start */
		{ { 0, 2 }, true },         { { 5, 5 }, false },
		{ { 6, 0 }, true }, /* a revision there has not been */
		{ { 0, 6 }, true },         { { INT64_MAX, 0 }, true },
		{ { 0, INT64_MAX }, true }, { { INT64_MIN, INT64_MIN }, true },
		{ { -1, 4 }, false },
	};

	new_account();
	for (int i = 0; i < 5; i++)
		(void)make_titled("of five");
	set_floor(3);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct changes changes = changes_behind(&cases[i].place, 10);

		CU_ASSERT_EQUAL(changes.gone, cases[i].gone);
		if (changes.gone)
			CU_ASSERT(changes.n == 0 && !changes.more);
	}
	/* Starting over always works. */
	CU_ASSERT_STRING_EQUAL(feed(NULL), "1 2 3 4 5");
}

/* Ninety days, and the floor of what has been forgotten. */
static void test_forgotten(void)
{
	struct task a = { 0 }, b = { 0 };
	struct feed_place early, late;
	struct changes changes;

	new_account();
	a = make_titled("a");
	b = make_titled("b");
	early = changes_behind(NULL, 10).next;
	(void)delete_task(&a.id);
	late = changes_behind(&early, 10).next;
	age_trash(TRASH_KEEP_DAYS);
	(void)delete_task(&b.id);
	age_trash(TOMBSTONE_KEEP_DAYS - TRASH_KEEP_DAYS - 1);
	(void)make_titled("c");
	CU_ASSERT_STRING_EQUAL(feed(&early), "-3 -4 5");
	age_trash(2);
	CU_ASSERT(store_task_delete(store, arena, &account.principal, &a.id,
				    &(struct versions){ 0 }, &a) == STORE_NOT_FOUND);
	changes = changes_behind(&early, 10);
	CU_ASSERT(changes.gone && changes.n == 0);
	CU_ASSERT_STRING_EQUAL(feed(&late), "-4 5");
	CU_ASSERT_STRING_EQUAL(feed(NULL), "5");
}

/* One that reads while old tombstones go sees all of them, or is told that they are gone. */
static void test_forgetting_beside(void)
{
	struct feed_place place = { 0, 0 };
	PGconn *other = fixture_ordinary();
	const char *user_id;
	struct task task;
	PGresult *res;

	new_account();
	user_id = fixture_id(&account.principal.user_id);
	task = make_titled("to be forgotten");
	(void)delete_task(&task.id);
	CU_ASSERT(store_trash_delete(store, &account.principal, &task.id) == STORE_OK);
	age_trash(TOMBSTONE_KEEP_DAYS);
	fixture_exec(other, "begin; select set_config('taskcell.user_id', '%s', true)", user_id);
	res = PQexecParams(other, statements[STATEMENT_TRASH_FORGET].text, 1, NULL, &user_id, NULL,
			   NULL, 0);
	CU_ASSERT_STRING_EQUAL(PQcmdTuples(res), "1");
	PQclear(res);
	CU_ASSERT_STRING_EQUAL(feed(&place), "-2");
	fixture_exec(other, "commit");
	CU_ASSERT(changes_behind(&place, 10).gone);
	PQfinish(other);
}

static void test_revision_and_strangers(void)
{
	struct changes changes;
	struct account stranger;
	int64_t now = -1;

	fixture_account(store, &stranger);
	(void)fixture_task(store, &stranger.principal, "of another");
	new_account();
	CU_ASSERT(store_revision(store, &account.principal, &now) == STORE_OK);
	CU_ASSERT_EQUAL(now, 0);
	CU_ASSERT_STRING_EQUAL(feed(NULL), "");
	(void)make_titled("mine");
	CU_ASSERT(store_revision(store, &account.principal, &now) == STORE_OK);
	CU_ASSERT_EQUAL(now, 1);
	account.principal.session_id = stranger.principal.session_id;
	CU_ASSERT(store_revision(store, &account.principal, &now) == STORE_NO_SESSION);
	CU_ASSERT(store_changes(store, arena, &account.principal, NULL, 10, &changes) ==
		  STORE_NO_SESSION);
}

CU_TestInfo feed_tests[] = {
	{ "from nothing", test_from_nothing },
	{ "pages", test_pages },
	{ "the start of a reading", test_start },
	{ "gone", test_gone },
	{ "forgotten", test_forgotten },
	{ "forgetting beside a reader", test_forgetting_beside },
	{ "revision, strangers", test_revision_and_strangers },
	CU_TEST_INFO_NULL,
};
