#include "base/base.h"

#include "store/task_rows.h"

void task_row(const PGresult *res, int row, int column, struct arena *arena, struct task *task)
{
	*task = (struct task){
		.id = pg_get_uuid(res, row, column + TASK_ID),
		.user_id = pg_get_uuid(res, row, column + TASK_USER_ID),
		.title = pg_get_text(res, row, column + TASK_TITLE),
		.description = pg_get_text(res, row, column + TASK_DESCRIPTION),
		.completed = pg_get_bool(res, row, column + TASK_COMPLETED),
		.completed_at = pg_get_time(res, row, column + TASK_COMPLETED_AT),
		.priority = (enum priority)pg_get_small(res, row, column + TASK_PRIORITY),
		.due.text = pg_get_text(res, row, column + TASK_DUE_DATE),
		.version = pg_get_int(res, row, column + TASK_VERSION),
		.created_at = pg_get_time(res, row, column + TASK_CREATED_AT),
		.updated_at = pg_get_time(res, row, column + TASK_UPDATED_AT),
	};
	if (task->due.text != NULL)
		task->due.at = pg_get_time(res, row, column + TASK_DUE_AT);
	task->tags.n =
		pg_get_texts(res, row, column + TASK_TAGS, arena, task->tags.list, TASK_TAGS_MAX);
}

void task_rows(const PGresult *res, struct arena *arena, struct task_list *list)
{
	list->n = (size_t)PQntuples(res);
	list->tasks = arena_array(arena, list->n, sizeof(*list->tasks));
	for (size_t i = 0; i < list->n; i++)
		task_row(res, (int)i, 0, arena, &list->tasks[i]);
}

void due_params(struct pg_step *step, const struct due *due)
{
	pg_text(step, due->text);
	pg_time(step, due->text != NULL ? due->at : INT64_MAX);
}

static void time_param(struct pg_step *step, int64_t us)
{
	if (us == 0)
		pg_null(step);
	else
		pg_time(step, us);
}

void new_task_params(struct pg_step *step, struct arena *arena, const struct new_task *new)
{
	pg_uuid(step, &new->id);
	pg_text(step, new->title);
	pg_text(step, new->description);
	pg_bool(step, new->completed);
	pg_int(step, new->priority);
	due_params(step, &new->due);
	pg_texts(step, arena, new->tags.list, new->tags.n);
	time_param(step, new->created_at);
	time_param(step, new->completed_at);
}

enum { ENTERED, LOCKED };

void pg_enter_locked(struct pg_call *call, const struct principal *principal)
{
	pg_enter(call, principal);
	pg_uuid(pg_step(call, STATEMENT_USER_LOCK), &principal->user_id);
}

bool user_was_locked(const struct pg_call *call)
{
	return PQntuples(call->results[LOCKED]) == 1;
}

void trash_prune_steps(struct pg_call *call, const struct uuid *user_id)
{
	pg_uuid(pg_step(call, STATEMENT_TRASH_EMPTY), user_id);
	pg_uuid(pg_step(call, STATEMENT_TRASH_FORGET), user_id);
}
