#include "base/base.h"

#include <inttypes.h>

#include "store/task_rows.h"

/* Results of calls that begin with pg_enter_locked(). */
enum { ENTERED, LOCKED, WRITTEN };

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
	task_row(call.results[1], 0, 0, arena, task);
	return STORE_OK;
}

/* --- creating -------------------------------------------------------------------------------- */

/* First column of task_create; then come the digest and the task. */
enum { MADE = 1, KEY_KNOWN, ID_TAKEN };
enum { KIND, DIGEST, TASK };

/* The task that the same request has made, as it was then. */
static struct task made_before(const PGresult *res, const struct new_task *new)
{
	struct task task = {
		.id = pg_get_uuid(res, 0, TASK),
		.user_id = pg_get_uuid(res, 0, TASK + TASK_USER_ID),
		.title = new->title,
		.description = new->description,
		.completed = new->completed,
		.priority = new->priority,
		.due = new->due,
		.tags = new->tags,
		.version = pg_get_int(res, 0, TASK + TASK_VERSION),
		.created_at = pg_get_time(res, 0, TASK + TASK_CREATED_AT),
		.updated_at = pg_get_time(res, 0, TASK + TASK_UPDATED_AT),
	};

	if (new->completed)
		task.completed_at = new->completed_at != 0 ? new->completed_at : task.created_at;
	if (new->created_at != 0)
		task.created_at = new->created_at;
	return task;
}

enum store_result store_task_create(struct store *store, struct arena *arena,
				    const struct principal *principal, const struct new_task *new,
				    const struct idempotency *idempotency, struct task *task,
				    enum created *created)
{
	struct pg_call call = { 0 };
	struct pg_step *step;
	const PGresult *res;
	enum store_result r;

	*task = (struct task){ 0 };
	*created = CREATED_NEW;
	pg_enter_locked(&call, principal);
	step = pg_step(&call, STATEMENT_TASK_CREATE);
	step->on_foreign_key = STORE_NO_SESSION;
	pg_uuid(step, &principal->user_id);
	new_task_params(step, arena, new);
	pg_text(step, idempotency != NULL ? idempotency->key : NULL);
	pg_text(step, idempotency != NULL ? idempotency->digest : NULL);
	if (idempotency != NULL)
		pg_uuid(pg_step(&call, STATEMENT_IDEMPOTENCY_PRUNE), &principal->user_id);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	if (!user_was_locked(&call))
		return STORE_NO_SESSION;
	res = call.results[WRITTEN];
	if (PQntuples(res) == 0)
		return STORE_CONFLICT;
	switch (pg_get_int(res, 0, KIND)) {
	case MADE:
		task_row(res, 0, TASK, arena, task);
		return STORE_OK;
	case ID_TAKEN:
		task_row(res, 0, TASK, arena, task);
		return STORE_CONFLICT;
	}
	if (!idempotency || strcmp(pg_get_text(res, 0, DIGEST), idempotency->digest) != 0) {
		*created = CREATED_OTHERWISE;
		return STORE_OK;
	}
	*created = CREATED_BEFORE;
	*task = made_before(res, new);
	return STORE_OK;
}

enum store_result store_task_import(struct store *store, struct arena *arena,
				    const struct principal *principal, const struct new_task *new,
				    bool dry_run, enum imported *imported)
{
	struct pg_call call = { 0 };
	struct pg_step *step;
	enum store_result r;

	pg_enter_locked(&call, principal);
	step = pg_step(&call, STATEMENT_TASK_IMPORT);
	pg_uuid(step, &principal->user_id);
	new_task_params(step, arena, new);
	pg_bool(step, dry_run);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	if (!user_was_locked(&call))
		return STORE_NO_SESSION;
	*imported = (enum imported)pg_get_int(call.results[WRITTEN], 0, 0);
	return STORE_OK;
}

/* --- changing and deleting ------------------------------------------------------------------- */

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
static enum store_result written(const PGresult *res, struct arena *arena, struct task *task)
{
	if (PQntuples(res) == 0)
		return STORE_NOT_FOUND;
	task_row(res, 0, 1, arena, task);
	return pg_get_bool(res, 0, 0) ? STORE_OK : STORE_STALE;
}

static void change_params(struct pg_step *step, struct arena *arena,
			  const struct task_change *change)
{
	versions_param(step, arena, &change->expected);
	pg_text(step, change->set_title ? change->title : NULL);
	pg_bool(step, change->set_description);
	pg_text(step, change->description);
	if (change->completed == COMPLETED_SET || change->completed == COMPLETED_CLEAR)
		pg_bool(step, change->completed == COMPLETED_SET);
	else
		pg_null(step);
	pg_bool(step, change->completed == COMPLETED_FLIP);
	if (change->set_priority)
		pg_int(step, change->priority);
	else
		pg_null(step);
	pg_bool(step, change->set_due);
	due_params(step, &change->due);
	if (change->set_tags)
		pg_texts(step, arena, change->tags.list, change->tags.n);
	else
		pg_null(step);
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
	change_params(step, arena, change);
	r = pg_run(store, arena, &call);
	return r == STORE_OK ? written(call.results[1], arena, task) : r;
}

enum store_result store_task_delete(struct store *store, struct arena *arena,
				    const struct principal *principal, const struct uuid *id,
				    const struct versions *expected, struct task *task)
{
	struct pg_call call = { 0 };
	struct pg_step *step;
	enum store_result r;

	pg_enter_locked(&call, principal);
	step = pg_step(&call, STATEMENT_TASK_DELETE);
	pg_uuid(step, &principal->user_id);
	pg_uuid(step, id);
	versions_param(step, arena, expected);
	trash_prune_steps(&call, &principal->user_id);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	if (!user_was_locked(&call))
		return STORE_NO_SESSION;
	r = written(call.results[WRITTEN], arena, task);
	if (r == STORE_OK)
		task->deleted_at = pg_get_time(call.results[WRITTEN], 0, 1 + TASK_COLUMNS);
	return r;
}

enum store_result store_task_clear_completed(struct store *store, const struct principal *principal,
					     int64_t *deleted)
{
	struct pg_call call = { 0 };
	enum store_result r;

	pg_enter_locked(&call, principal);
	pg_uuid(pg_step(&call, STATEMENT_TASK_CLEAR_COMPLETED), &principal->user_id);
	trash_prune_steps(&call, &principal->user_id);
	r = pg_run(store, NULL, &call);
	if (r == STORE_OK && !user_was_locked(&call))
		r = STORE_NO_SESSION;
	if (r == STORE_OK)
		*deleted = pg_get_int(call.results[WRITTEN], 0, 0);
	pg_clear(&call);
	return r;
}
