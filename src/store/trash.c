#include "base/base.h"

#include "store/task_rows.h"

enum store_result store_trash_list(struct store *store, struct arena *arena,
				   const struct principal *principal,
				   const struct trash_query *query, struct task_list *list)
{
	const struct trash_place *before = query->before;
	struct pg_call call = { .repeatable = true };
	struct pg_step *step;
	struct uuid last;
	enum store_result r;

	memset(&last, 0xff, sizeof(last));
	pg_enter(&call, principal);
	step = pg_step(&call, STATEMENT_TRASH_LIST);
	pg_uuid(step, &principal->user_id);
	pg_time(step, before != NULL ? before->deleted_at : INT64_MAX);
	pg_uuid(step, before != NULL ? &before->id : &last);
	pg_int(step, query->limit);
	pg_bool(step, query->expired);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	task_rows(call.results[1], arena, list);
	for (size_t i = 0; i < list->n; i++)
		list->tasks[i].deleted_at = pg_get_time(call.results[1], (int)i, TASK_COLUMNS);
	return STORE_OK;
}

enum store_result store_trash_restore(struct store *store, struct arena *arena,
				      const struct principal *principal, const struct uuid *id,
				      struct task *task)
{
	struct pg_call call = { 0 };
	enum { ENTERED, LOCKED, RESTORED };
	struct pg_step *step;
	enum store_result r;

	pg_enter_locked(&call, principal);
	step = pg_step(&call, STATEMENT_TRASH_RESTORE);
	pg_uuid(step, &principal->user_id);
	pg_uuid(step, id);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	if (!user_was_locked(&call))
		return STORE_NO_SESSION;
	if (PQntuples(call.results[RESTORED]) == 0)
		return STORE_NOT_FOUND;
	task_row(call.results[RESTORED], 0, 0, arena, task);
	return STORE_OK;
}

enum store_result store_trash_delete(struct store *store, const struct principal *principal,
				     const struct uuid *id)
{
	struct pg_call call = { 0 };
	struct pg_step *step;
	enum store_result r;

	pg_enter(&call, principal);
	step = pg_step(&call, STATEMENT_TRASH_DELETE);
	pg_uuid(step, &principal->user_id);
	pg_uuid(step, id);
	r = pg_run(store, NULL, &call);
	if (r == STORE_OK && PQntuples(call.results[1]) == 0)
		r = STORE_NOT_FOUND;
	pg_clear(&call);
	return r;
}
