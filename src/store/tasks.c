#include "base/base.h"

#include <inttypes.h>

#include "store/pg.h"

/* Nine columns from `column` on. */
static void task_row(const PGresult *res, int row, int column, struct task *task)
{
	*task = (struct task){
		.id = pg_get_uuid(res, row, column),
		.user_id = pg_get_uuid(res, row, column + 1),
		.title = pg_get_text(res, row, column + 2),
		.description = pg_get_text(res, row, column + 3),
		.completed = pg_get_bool(res, row, column + 4),
		.completed_at = pg_get_time(res, row, column + 5),
		.version = pg_get_int(res, row, column + 6),
		.created_at = pg_get_time(res, row, column + 7),
		.updated_at = pg_get_time(res, row, column + 8),
	};
}

enum store_result store_task_list(struct store *store, struct arena *arena,
				  const struct principal *principal, const struct task_query *query,
				  struct task_list *list)
{
	static const struct uuid last = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
					    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } };
	struct pg_call call = { .repeatable = true };
	struct pg_step *step;
	enum store_result r;

	pg_enter(&call, principal);
	step = pg_step(&call, STATEMENT_TASK_LIST);
	pg_uuid(step, &principal->user_id);
	pg_time(step, query->has_cursor ? query->cursor_created_at : INT64_MAX);
	pg_uuid(step, query->has_cursor ? &query->cursor_id : &last);
	if (query->completed == COMPLETED_ANY)
		pg_null(step);
	else
		pg_bool(step, query->completed == COMPLETED_YES);
	pg_int(step, query->limit);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	list->n = (size_t)PQntuples(call.results[1]);
	list->tasks = arena_array(arena, list->n, sizeof(*list->tasks));
	for (size_t i = 0; i < list->n; i++)
		task_row(call.results[1], (int)i, 0, &list->tasks[i]);
	return STORE_OK;
}

enum store_result store_task_get(struct store *store, struct arena *arena,
				 const struct principal *principal, const struct uuid *id,
				 struct task *task)
{
	struct pg_call call = { .repeatable = true };
	struct pg_step *step;
	enum store_result r;

	pg_enter(&call, principal);
	step = pg_step(&call, STATEMENT_TASK_GET);
	pg_uuid(step, &principal->user_id);
	pg_uuid(step, id);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	if (PQntuples(call.results[1]) == 0)
		return STORE_NOT_FOUND;
	task_row(call.results[1], 0, 0, task);
	return STORE_OK;
}

enum store_result store_task_create(struct store *store, struct arena *arena,
				    const struct principal *principal, const struct new_task *new,
				    struct task *task)
{
	struct pg_call call = { 0 };
	struct pg_step *step;
	enum store_result r;

	pg_enter(&call, principal);
	step = pg_step(&call, STATEMENT_TASK_CREATE);
	step->on_foreign_key = STORE_NO_SESSION;
	pg_uuid(step, &principal->user_id);
	pg_uuid(step, &new->id);
	pg_text(step, new->title);
	pg_text(step, new->description);
	pg_bool(step, new->completed);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	/* The session lived, but the account went away before the row was locked. */
	if (PQntuples(call.results[1]) == 0)
		return STORE_NO_SESSION;
	task_row(call.results[1], 0, 0, task);
	return STORE_OK;
}

/* Adds the versions as the text of an array. */
static void versions_param(struct pg_step *step, struct arena *arena,
			   const struct versions *versions)
{
	enum { DIGITS_MAX = 21 }; /* of an int64 with its sign and the comma before it */
	char *text, *p;

	if (versions->list == NULL) {
		pg_null(step);
		return;
	}
	text = arena_array(arena, versions->n + 1, DIGITS_MAX);
	p = text;
	*p++ = '{';
	for (size_t i = 0; i < versions->n; i++)
		p += snprintf(p, DIGITS_MAX + 1, "%s%" PRId64, i == 0 ? "" : ",",
			      versions->list[i]);
	*p = '}';
	pg_text(step, text);
}

/* The answer of task_change and task_delete: whether the version would do, and the row. */
static enum store_result written(const PGresult *res, struct task *task)
{
	if (PQntuples(res) == 0)
		return STORE_NOT_FOUND;
	task_row(res, 0, 1, task);
	return pg_get_bool(res, 0, 0) ? STORE_OK : STORE_STALE;
}

enum store_result store_task_change(struct store *store, struct arena *arena,
				    const struct principal *principal, const struct uuid *id,
				    const struct task_change *change, struct task *task)
{
	struct pg_call call = { 0 };
	struct pg_step *step;
	enum store_result r;

	pg_enter(&call, principal);
	step = pg_step(&call, STATEMENT_TASK_CHANGE);
	pg_uuid(step, &principal->user_id);
	pg_uuid(step, id);
	versions_param(step, arena, &change->expected);
	pg_bool(step, change->set_title);
	pg_text(step, change->title);
	pg_bool(step, change->set_description);
	pg_text(step, change->description);
	if (change->completed == COMPLETED_SET || change->completed == COMPLETED_CLEAR)
		pg_bool(step, change->completed == COMPLETED_SET);
	else
		pg_null(step);
	pg_bool(step, change->completed == COMPLETED_FLIP);
	r = pg_run(store, arena, &call);
	return r == STORE_OK ? written(call.results[1], task) : r;
}

enum store_result store_task_delete(struct store *store, struct arena *arena,
				    const struct principal *principal, const struct uuid *id,
				    const struct versions *expected, struct task *task)
{
	struct pg_call call = { 0 };
	struct pg_step *step;
	enum store_result r;

	pg_enter(&call, principal);
	step = pg_step(&call, STATEMENT_TASK_DELETE);
	pg_uuid(step, &principal->user_id);
	pg_uuid(step, id);
	versions_param(step, arena, expected);
	r = pg_run(store, arena, &call);
	return r == STORE_OK ? written(call.results[1], task) : r;
}
