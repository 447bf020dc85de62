/* Lists: orders, pages, filters, search, counts, and what costs nothing. */
#include "base/base.h"

#include "store/test_tasks.h"

static const int64_t day = INT64_C(86400) * US_PER_SECOND;
static const int64_t midnight = INT64_C(1772323200) * US_PER_SECOND; /* 2026-03-01 */

static const struct task_query plain = {
	.priority = -1, .descending = true, .limit = 1000, .known = -1
};

static struct task_page page_of(const struct task_query *query)
{
	struct task_page page;

	CU_ASSERT_FATAL(store_task_list(store, arena, &account.principal, query, &page) ==
			STORE_OK);
	return page;
}

/* --- orders and pages ------------------------------------------------------------------------ */

static const char *const sort_keys[] = {
	[SORT_CREATED_AT] = "created_at",
	[SORT_UPDATED_AT] = "updated_at",
	[SORT_TITLE] = "lower(title) collate \"C\"",
	[SORT_DUE_DATE] = "coalesce(due_at, 'infinity')",
	[SORT_PRIORITY] = "priority",
};

enum { MADE = 30 };

/* Many equal values of each kind, and ids that do not follow the order of making. */
static void make_many(void)
{
	static const char *const titles[] = {
		"b", "B", "a", "\xc3\x89", "\xc3\xa9", "Z", "~", "b b"
	};

	new_account();
	for (int i = 0; i < MADE; i++) {
		struct new_task new = { .id = uuid_v7(),
					.title = titles[(size_t)i % ARRAY_LEN(titles)],
					.completed = i % 3 == 0,
					.priority = (enum priority)(i * 7 % 4),
					.created_at = midnight + i / 4 };

		new.id.bytes[0] = (uint8_t)(i * 37);
		if (i % 3 != 1)
			new.due = (struct due){ "given", midnight + i / 6 * day - day };
		(void)make(&new);
	}
	fixture_exec(admin,
		     "update taskcell.tasks set updated_at = '2026-03-01'::timestamptz"
		     " + version %% 5 * interval '1 microsecond' where user_id = '%s'",
		     fixture_id(&account.principal.user_id));
	/* Ids at both ends, too. */
	fixture_exec(admin,
		     "update taskcell.tasks set id = case version when 1"
		     " then '00000000-0000-0000-0000-000000000000'"
		     " else 'ffffffff-ffff-ffff-ffff-ffffffffffff' end::uuid"
		     " where user_id = '%s' and version in (1, 2)",
		     fixture_id(&account.principal.user_id));
}

/* The ids of all pages, one a line, as fixture_text() has them. */
static char *ids_of_pages(struct task_query query)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	struct task_page page = { 0 };
	size_t pages = 0;

	CU_ASSERT_FATAL(out != NULL);
	do {
		CU_ASSERT_FATAL(store_task_list(store, arena, &account.principal, &query, &page) ==
				STORE_OK);
		CU_ASSERT(page.list.n <= (size_t)query.limit && !page.unchanged);
		for (size_t i = 0; i < page.list.n; i++)
			fprintf(out, "%s\n", fixture_id(&page.list.tasks[i].id));
		query.after = &page.last;
		CU_ASSERT_FATAL(pages++ < 100);
	} while (page.list.n == (size_t)query.limit);
	fclose(out);
	return text;
}

static void expect_order(struct task_query query, const char *condition)
{
	const char *way = query.descending ? "desc" : "asc";
	char *expected = fixture_text(admin,
				      "select id from taskcell.tasks where user_id = '%s' and %s"
				      " order by %s %s, id %s",
				      fixture_id(&account.principal.user_id), condition,
				      sort_keys[query.sort], way, way);
	char *found = ids_of_pages(query);

	CU_ASSERT_STRING_EQUAL(found, expected);
	if (strcmp(found, expected) != 0)
		fprintf(stderr, "by %s %s, %d a page:\n%s", sort_keys[query.sort], way, query.limit,
			found);
	free(expected);
	free(found);
}

static void test_orders(void)
{
	static const int32_t limits[] = { 1, 4, 7, MADE - 1, MADE, MADE + 1, 1000 };

	make_many();
	for (size_t sort = 0; sort < ARRAY_LEN(sort_keys); sort++)
		for (int descending = 0; descending < 2; descending++)
			for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
				struct task_query query = plain;

				query.sort = (enum task_sort)sort;
				query.descending = descending;
				query.limit = limits[i];
				expect_order(query, "true");
				query.completed = COMPLETED_YES;
				query.priority = PRIORITY_HIGH;
				expect_order(query, "completed and priority = 3");
			}
}

/* What a cursor says of a row is what the row says. */
static void test_last_place(void)
{
	struct task_query query = plain;
	struct task_page page;

	new_account();
	CU_ASSERT_EQUAL(page_of(&query).list.n, 0);
	(void)make(&(struct new_task){ .id = uuid_v7(),
				       .title = "\xc3\x89TUDE",
				       .priority = PRIORITY_MEDIUM,
				       .due = { "2026-03-01", midnight } });
	for (size_t sort = 0; sort < ARRAY_LEN(sort_keys); sort++) {
		const struct task *task;

		query.sort = (enum task_sort)sort;
		page = page_of(&query);
		CU_ASSERT_EQUAL_FATAL(page.list.n, 1);
		task = &page.list.tasks[0];
		CU_ASSERT(uuid_equal(&page.last.id, &task->id));
		CU_ASSERT((page.last.text != NULL) == (sort == SORT_TITLE));
		if (sort == SORT_CREATED_AT)
			CU_ASSERT_EQUAL(page.last.number, task->created_at);
		if (sort == SORT_UPDATED_AT)
			CU_ASSERT_EQUAL(page.last.number, task->updated_at);
		if (sort == SORT_TITLE)
			CU_ASSERT_STRING_EQUAL(page.last.text, "\xc3\xa9tude");
		if (sort == SORT_DUE_DATE)
			CU_ASSERT_EQUAL(page.last.number, midnight);
		if (sort == SORT_PRIORITY)
			CU_ASSERT_EQUAL(page.last.number, PRIORITY_MEDIUM);
	}
	(void)make_titled("without a due date");
	query.sort = SORT_DUE_DATE;
	query.descending = false;
	CU_ASSERT_EQUAL(page_of(&query).last.number, INT64_MAX);
}

/* Whatever a cursor holds, it is an answer or a refusal, never an error of ours. */
static void test_odd_places(void)
{
	static const int64_t numbers[] = {
		INT64_MIN, INT64_MIN + 1, -INT64_MAX / 2, -1, INT64_MAX - 1, INT64_MAX, 0, 4
	};
	static const char *const texts[] = { NULL, "", "\xff", "\xf4\x8f\xbf\xbf" };

	new_account();
	(void)make_titled("before and behind any place");
	for (size_t sort = 0; sort < ARRAY_LEN(sort_keys); sort++)
		for (size_t n = 0; n < ARRAY_LEN(numbers); n++)
			for (size_t t = 0; t < ARRAY_LEN(texts); t++) {
				struct task_place place = { .number = numbers[n],
							    .text = texts[t] };
				struct task_query query = plain;
				struct task_page page;
				size_t found = 0;

				query.sort = (enum task_sort)sort;
				query.after = &place;
				for (int way = 0; way < 2; way++) {
					enum store_result r;

					query.descending = way;
					r = store_task_list(store, arena, &account.principal,
							    &query, &page);
					CU_ASSERT(r == STORE_OK || r == STORE_REFUSED);
					found += page.list.n;
				}
				CU_ASSERT(found <= 1);
				if (sort == SORT_PRIORITY)
					CU_ASSERT_EQUAL(found, 1);
			}
}

/* --- filters --------------------------------------------------------------------------------- */

static void test_filters(void)
{
	struct {
		struct task_query query;
		int64_t found;
	} cases[] = {
		{ plain, 4 },
		{ { .completed = COMPLETED_YES }, 1 },
		{ { .completed = COMPLETED_NO }, 3 },
		{ { .priority = PRIORITY_NONE }, 2 },
		{ { .priority = PRIORITY_HIGH }, 1 },
		{ { .priority = PRIORITY_MEDIUM }, 0 },
		{ { .tag = "home" }, 2 },
		{ { .tag = "HOME" }, 2 },
		{ { .tag = "hom" }, 0 },
		{ { .tag = "" }, 0 },
		{ { .tag = "\xc3\xa9t\xc3\xa9" }, 1 },
		{ { .tag = "{\"b\\,}" }, 1 },
		{ { .tag = "null" }, 1 },
		{ { .tag = "home,work" }, 0 },
		{ { .has_due_before = true, .due_before = midnight }, 1 },
		{ { .has_due_before = true, .due_before = midnight + 1 }, 2 },
		{ { .has_due_before = true, .due_before = INT64_MAX }, 3 },
		{ { .has_due_after = true, .due_after = midnight }, 2 },
		{ { .has_due_after = true, .due_after = midnight + 1 }, 1 },
		{ { .has_due_after = true, .due_after = INT64_MIN }, 3 },
		{ { .has_due_after = true,
		    .due_after = midnight,
		    .has_due_before = true,
		    .due_before = midnight + day },
		  1 },
		{ { .tag = "home", .completed = COMPLETED_NO, .priority = PRIORITY_LOW }, 1 },
		{ { .tag = "home", .completed = COMPLETED_YES, .priority = PRIORITY_LOW }, 0 },
	};
	struct new_task full = full_task("one");
	struct task_page page;

	new_account();
	full.due.at = midnight - day;
	(void)make(&full);
	(void)make(&(struct new_task){ .id = uuid_v7(),
				       .title = "two",
				       .priority = PRIORITY_LOW,
				       .due = { "2026-03-01", midnight },
				       .tags = { 2, { "Home", "work" } } });
	(void)make(&(struct new_task){ .id = uuid_v7(),
				       .title = "three",
				       .due = { "2026-03-02", midnight + day },
				       .tags = { 1, { "hOME" } } });
	(void)make_titled("four");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct task_query *q = &cases[i].query;

		q->known = -1;
		q->limit = 1;
		q->count = true;
		if (q->priority == 0 && i != 3)
			q->priority = -1;
		for (size_t sort = 0; sort < ARRAY_LEN(sort_keys); sort++)
			for (int way = 0; way < 2; way++) {
				char *ids;

				q->sort = (enum task_sort)sort;
				q->descending = way;
				page = page_of(q);
				CU_ASSERT_EQUAL(page.count, cases[i].found);
				ids = ids_of_pages(*q);
				CU_ASSERT_EQUAL(strlen(ids),
						(size_t)cases[i].found * (UUID_TEXT_LEN + 1));
				if (page.count != cases[i].found)
					fprintf(stderr, "case %zu: %d\n", i, (int)page.count);
				free(ids);
			}
	}
}

static void test_search(void)
{
	static const struct {
		const char *words;
		int64_t found;
	} cases[] = {
		{ "milk", 2 },
		{ "MILK", 2 },
		{ "mil", 2 },
		{ "ilk", 0 },
		{ "buy milk", 1 },
		{ "milk buy", 1 },
		{ "bu milk", 0 }, /* only the last word may be cut short */
		{ "milk or bread", 3 },
		{ "milk -buy", 1 },
		{ "\"whole milk\"", 1 },
		{ "\"milk whole\"", 0 },
		{ "\"whole mi", 1 },
		{ "\xc3\xa9t", 1 },
		{ "\xc3\x89T\xc3\x89", 1 },
		{ "it's", 1 },
		{ "example org", 1 },
		{ "a\\b", 0 },
		{ "nothing", 0 },
		{ "' & ! | ( ) :* <-> \\", 0 },
		{ "''''", 0 },
		{ "", 0 },
		{ "   ", 0 },
		{ "-", 0 },
		{ "\"", 0 },
		{ "%_", 0 },
	};
	struct task_query query = plain;
	struct task_page page;
	char long_word[5001];

	new_account();
	(void)make_titled("Buy bread and milk");
	(void)make(&(struct new_task){
		.id = uuid_v7(), .title = "cheese", .description = "from whole milk, it's said" });
	(void)make(&(struct new_task){ .id = uuid_v7(),
				       .title = "Bread of \xc3\xa9t\xc3\xa9",
				       .description = "see https://example.org/bread" });
	query.count = true;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		query.search = cases[i].words;
		page = page_of(&query);
		CU_ASSERT_EQUAL(page.count, cases[i].found);
		CU_ASSERT_EQUAL((int64_t)page.list.n, cases[i].found);
		if (page.count != cases[i].found)
			fprintf(stderr, "search %s: %d\n", cases[i].words, (int)page.count);
	}
	memset(long_word, 'x', sizeof(long_word) - 1);
	long_word[sizeof(long_word) - 1] = '\0';
	query.search = long_word;
	CU_ASSERT_EQUAL(page_of(&query).count, 0);
	query.search = "\xe9";
	CU_ASSERT(store_task_list(store, arena, &account.principal, &query, &page) ==
		  STORE_REFUSED);
	/* A title may have it. */
	(void)make(
		&(struct new_task){ .id = uuid_v7(), .title = "long", .description = long_word });
}

/* --- what has not changed -------------------------------------------------------------------- */

static void test_known(void)
{
	struct task_query query = plain;
	struct task_page page;

	new_account();
	query.count = true;
	query.known = 0;
	page = page_of(&query);
	CU_ASSERT(page.unchanged && page.revision == 0);
	(void)make_titled("one");
	for (int sort = 0; sort < 2; sort++)
		for (int way = 0; way < 2; way++) {
			query.sort = sort ? SORT_TITLE : SORT_CREATED_AT;
			query.descending = way;
			query.known = 0;
			page = page_of(&query);
			CU_ASSERT(!page.unchanged && page.revision == 1 && page.list.n == 1);
			CU_ASSERT_EQUAL(page.count, 1);
			query.known = 1;
			page = page_of(&query);
			CU_ASSERT(page.unchanged && page.revision == 1 && page.list.n == 0);
			query.known = -1;
			page = page_of(&query);
			CU_ASSERT(!page.unchanged && page.list.n == 1);
		}
	query.known = 1;
	(void)make_titled("two");
	CU_ASSERT(page_of(&query).list.n == 2);
}

static void run_known(struct racer *racer, void *arg, void *result)
{
	struct task_query query = plain;
	struct task_page page;

	(void)arg;
	query.known = 2;
	*(size_t *)result = store_task_list(racer->store, racer->arena, &account.principal, &query,
					    &page) == STORE_OK
				    ? page.list.n
				    : 99;
}

/* Known is a revision of a database that was set back since. It becomes the owner's while the list
 * is read, which must not be empty for that. */
static void test_known_too_early(void)
{
	struct race one = {
		.racers = 1, .rounds = 1, .run = run_known, .result_size = sizeof(size_t)
	};
	struct fork *waiting;

	new_account();
	(void)make_titled("one");
	waiting = fork_ready(&one);
	/* Behind the look at the revision. */
	fixture_exec(admin, "begin; lock table taskcell.tasks");
	fork_go(waiting);
	fixture_wait_blocked(admin, 1);
	fixture_exec(admin, "update taskcell.users set revision = 2 where id = '%s'; commit",
		     fixture_id(&account.principal.user_id));
	CU_ASSERT_EQUAL(*(size_t *)fork_join(waiting), 1);
}

/* --- numbers --------------------------------------------------------------------------------- */

static void test_stats(void)
{
	static const struct {
		const char *text;
		int64_t days; /* from today's midnight */
		int64_t us;
	} dues[] = {
		{ "2026-03-01", 0, 0 },
		{ "2026-02-28", -1, 0 },
		{ "2026-03-02", 1, 0 },
		{ "2026-03-01T12:00:00Z", 0, 43200 * US_PER_SECOND },
		{ "2026-02-28T12:00:00Z", -1, 43200 * US_PER_SECOND },
		{ "9999-12-31", 2000000, 0 },
		{ "9999-12-31T00:00:00Z", 2000000, 0 },
		{ NULL, 0, 0 },
	};
	struct task_stats stats;

	new_account();
	CU_ASSERT(store_task_stats(store, &account.principal, midnight, &stats) == STORE_OK);
	CU_ASSERT(stats.total + stats.pending + stats.completed + stats.overdue + stats.due_today +
			  stats.trash ==
		  0);
	for (size_t i = 0; i < ARRAY_LEN(dues); i++)
		for (int completed = 0; completed < 2; completed++)
			(void)make(&(struct new_task){
				.id = uuid_v7(),
				.title = "due",
				.completed = completed,
				.due = { dues[i].text,
					 midnight + dues[i].days * day + dues[i].us } });
	for (int i = 0; i < 3; i++) {
		struct task task = make_titled("thrown away");

		(void)delete_task(&task.id);
		if (i == 0)
			age_trash(TRASH_KEEP_DAYS + 1);
		if (i == 1)
			CU_ASSERT(store_trash_delete(store, &account.principal, &task.id) ==
				  STORE_OK);
	}
	CU_ASSERT(store_task_stats(store, &account.principal, midnight, &stats) == STORE_OK);
	CU_ASSERT(stats.total == 16 && stats.pending == 8 && stats.completed == 8);
	/* Of dates only the day before; both moments, if they have passed by now. */
	CU_ASSERT_EQUAL(stats.overdue,
			1 + fixture_int(admin, "select (now() > '2026-03-01 12:00Z')::int"
					       " + (now() > '2026-02-28 12:00Z')::int"));
	CU_ASSERT_EQUAL(stats.due_today, 2);
	CU_ASSERT_EQUAL(stats.trash, 1);
	/* A day later, also the date of today is over. */
	CU_ASSERT(store_task_stats(store, &account.principal, midnight + day, &stats) == STORE_OK);
	CU_ASSERT_EQUAL(stats.overdue,
			2 + fixture_int(admin, "select (now() > '2026-03-01 12:00Z')::int"
					       " + (now() > '2026-02-28 12:00Z')::int"));
	CU_ASSERT_EQUAL(stats.due_today, 1);
}

CU_TestInfo list_tests[] = {
	{ "every order, every page", test_orders },
	{ "the last place", test_last_place },
	{ "odd places", test_odd_places },
	{ "filters", test_filters },
	{ "search", test_search },
	{ "nothing new", test_known },
	{ "nothing new, too early", test_known_too_early },
	{ "numbers", test_stats },
	CU_TEST_INFO_NULL,
};
