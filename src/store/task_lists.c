#include "base/base.h"

#include "store/task_rows.h"

/* --- parameters ------------------------------------------------------------------------------ */

/* $1 to $8, which lists and counts have in common. */
static void filter_params(struct pg_step *step, const struct principal *principal,
			  const struct task_query *query)
{
	pg_uuid(step, &principal->user_id);
	if (query->completed == COMPLETED_ANY)
		pg_null(step);
	else
		pg_bool(step, query->completed == COMPLETED_YES);
	if (query->priority < 0)
		pg_null(step);
	else
		pg_int(step, query->priority);
	pg_text(step, query->tag);
	if (query->has_due_before)
		pg_time(step, query->due_before);
	else
		pg_null(step);
	if (query->has_due_after)
		pg_time(step, query->due_after);
	else
		pg_null(step);
	pg_text(step, query->search);
	if (query->known < 0)
		pg_null(step);
	else
		pg_int(step, query->known);
}

/* Priorities are compared as times, so many seconds behind 1970; any other number that a cursor
 * might have is before or behind them all. */
static int64_t priority_time(int64_t number)
{
	if (number < PRIORITY_NONE)
		return -US_PER_SECOND;
	if (number > PRIORITY_HIGH)
		return (PRIORITY_HIGH + 1) * US_PER_SECOND;
	return number * US_PER_SECOND;
}

static int64_t place_time(const struct task_query *query)
{
	switch (query->sort) {
	case SORT_CREATED_AT:
	case SORT_UPDATED_AT:
	case SORT_DUE_DATE:
		return query->after->number;
	case SORT_TITLE:
		return 0;
	case SORT_PRIORITY:
		return priority_time(query->after->number);
	}
	return 0;
}

/* $10 to $12: the place, or one before all rows. */
static void place_params(struct pg_step *step, const struct task_query *query)
{
	struct uuid end = { { 0 } };
	bool title = query->sort == SORT_TITLE;

	if (query->after != NULL) {
		pg_time(step, place_time(query));
		pg_uuid(step, &query->after->id);
		if (query->sort != SORT_CREATED_AT)
			pg_text(step,
				title && query->after->text != NULL ? query->after->text : "");
		return;
	}
	memset(&end, query->descending ? 0xff : 0, sizeof(end));
	pg_time(step, query->descending ? INT64_MAX : INT64_MIN);
	pg_uuid(step, &end);
	if (query->sort != SORT_CREATED_AT)
		pg_text(step, query->descending ? "~" : "");
}

/* $13 */
static int sort_number(enum task_sort sort)
{
	switch (sort) {
	case SORT_CREATED_AT:
		break;
	case SORT_UPDATED_AT:
		return 1;
	case SORT_TITLE:
		return 2;
	case SORT_DUE_DATE:
		return 3;
	case SORT_PRIORITY:
		return 4;
	}
	return 0;
}

static void list_step(struct pg_call *call, const struct principal *principal,
		      const struct task_query *query)
{
	bool created = query->sort == SORT_CREATED_AT;
	struct pg_step *step;

	if (query->descending)
		step = pg_step(call,
			       created ? STATEMENT_TASK_LIST_NEWEST : STATEMENT_TASK_LIST_DOWN);
	else
		step = pg_step(call, created ? STATEMENT_TASK_LIST_OLDEST : STATEMENT_TASK_LIST_UP);
	filter_params(step, principal, query);
	pg_int(step, (int64_t)query->limit + 1); /* one more tells whether there are more */
	place_params(step, query);
	if (!created)
		pg_int(step, sort_number(query->sort));
}

/* --- lists ----------------------------------------------------------------------------------- */

static struct task_place place_of(const PGresult *res, int row, enum task_sort sort)
{
	struct task_place place = {
		.number = pg_get_time(res, row, TASK_COLUMNS),
		.id = pg_get_uuid(res, row, 0),
	};

	if (sort == SORT_TITLE)
		place.text = pg_get_text(res, row, TASK_COLUMNS + 1);
	if (sort == SORT_PRIORITY)
		place.number /= US_PER_SECOND;
	return place;
}

enum store_result store_task_list(struct store *store, struct arena *arena,
				  const struct principal *principal, const struct task_query *query,
				  struct task_page *page)
{
	struct pg_call call = { .repeatable = true };
	enum { ENTERED, REVISION, LIST, COUNT };
	struct task_query anew = *query;
	const PGresult *list;
	enum store_result r;

	/* The revision first: a change between the two shows in the rows, and the next look at the
	 * revision is another one. */
	pg_enter(&call, principal);
	pg_uuid(pg_step(&call, STATEMENT_TASK_REVISION), &principal->user_id);
	list_step(&call, principal, query);
	if (query->count)
		filter_params(pg_step(&call, STATEMENT_TASK_COUNT), principal, query);
	r = pg_run(store, arena, &call);
	/* Of a database that was set back since: it may have become the revision before the list
	 * was read, which then is empty. */
	if (r == STORE_OK && PQntuples(call.results[REVISION]) > 0 &&
	    query->known > pg_get_int(call.results[REVISION], 0, 0)) {
		anew.known = -1;
		return store_task_list(store, arena, principal, &anew, page);
	}
	/* Not before: the query may point to the last place in there. */
	*page = (struct task_page){ 0 };
	if (r != STORE_OK)
		return r;
	/* The account may have gone between the statements. */
	if (PQntuples(call.results[REVISION]) == 0)
		return STORE_NO_SESSION;
	page->revision = pg_get_int(call.results[REVISION], 0, 0);
	page->unchanged = page->revision == query->known;
	if (page->unchanged)
		return STORE_OK;
	list = call.results[LIST];
	task_rows(list, arena, &page->list);
	page->more = page->list.n > (size_t)query->limit;
	if (page->more)
		page->list.n = (size_t)query->limit;
	if (page->list.n > 0)
		page->last = place_of(list, (int)page->list.n - 1, query->sort);
	if (query->count)
		page->count = pg_get_int(call.results[COUNT], 0, 0);
	return STORE_OK;
}

enum store_result store_task_stats(struct store *store, const struct principal *principal,
				   int64_t today, struct task_stats *stats)
{
	struct pg_call call = { .repeatable = true };
	enum { TOTAL, COMPLETED, OVERDUE, DUE_TODAY, TRASH };
	struct pg_step *step;
	enum store_result r;

	pg_enter(&call, principal);
	step = pg_step(&call, STATEMENT_TASK_STATS);
	pg_uuid(step, &principal->user_id);
	pg_time(step, today);
	r = pg_run(store, NULL, &call);
	if (r == STORE_OK) {
		const PGresult *res = call.results[1];

		*stats = (struct task_stats){
			.total = pg_get_int(res, 0, TOTAL),
			.completed = pg_get_int(res, 0, COMPLETED),
			.overdue = pg_get_int(res, 0, OVERDUE),
			.due_today = pg_get_int(res, 0, DUE_TODAY),
			.trash = pg_get_int(res, 0, TRASH),
		};
		stats->pending = stats->total - stats->completed;
	}
	pg_clear(&call);
	return r;
}
