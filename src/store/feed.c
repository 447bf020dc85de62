#include "base/base.h"

#include "store/task_rows.h"

enum { REVISION, FLOOR, DELETED, TASK };

static void change_row(const PGresult *res, int row, struct arena *arena, struct change *change)
{
	change->deleted = pg_get_bool(res, row, DELETED);
	if (!change->deleted) {
		task_row(res, row, TASK, arena, &change->task);
		return;
	}
	change->task.id = pg_get_uuid(res, row, TASK);
	change->task.user_id = pg_get_uuid(res, row, TASK + TASK_USER_ID);
	change->task.version = pg_get_int(res, row, TASK + TASK_VERSION);
}

enum store_result store_changes(struct store *store, struct arena *arena,
				const struct principal *principal, const struct feed_place *place,
				int32_t limit, struct changes *changes)
{
	struct pg_call call = { .repeatable = true };
	struct feed_place from = { .start = INT64_MAX };
	struct pg_step *step;
	const PGresult *res;
	int64_t revision, seen;
	enum store_result r;

	if (place != NULL)
		from = *place;
	*changes = (struct changes){ 0 };
	pg_enter(&call, principal);
	step = pg_step(&call, STATEMENT_TASK_FEED);
	pg_uuid(step, &principal->user_id);
	pg_int(step, from.since);
	pg_int(step, from.start);
	pg_int(step, (int64_t)limit + 1);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	res = call.results[1];
	if (PQntuples(res) == 0)
		return STORE_NO_SESSION;
	revision = pg_get_int(res, 0, REVISION);
	if (place == NULL)
		from.start = revision;
	changes->next = from;
	seen = from.since > from.start ? from.since : from.start;
	changes->gone = seen > revision || seen < pg_get_int(res, 0, FLOOR);
	if (changes->gone || PQgetisnull(res, 0, TASK))
		return STORE_OK;
	changes->n = (size_t)PQntuples(res);
	changes->more = changes->n > (size_t)limit;
	changes->n -= changes->more;
	changes->list = arena_array(arena, changes->n, sizeof(*changes->list));
	for (size_t i = 0; i < changes->n; i++)
		change_row(res, (int)i, arena, &changes->list[i]);
	if (changes->n > 0)
		changes->next.since = changes->list[changes->n - 1].task.version;
	return STORE_OK;
}

enum store_result store_revision(struct store *store, const struct principal *principal,
				 int64_t *revision)
{
	struct pg_call call = { .repeatable = true };
	enum store_result r;

	pg_enter(&call, principal);
	pg_uuid(pg_step(&call, STATEMENT_TASK_REVISION), &principal->user_id);
	r = pg_run(store, NULL, &call);
	if (r == STORE_OK && PQntuples(call.results[1]) == 0)
		r = STORE_NO_SESSION;
	if (r == STORE_OK)
		*revision = pg_get_int(call.results[1], 0, 0);
	pg_clear(&call);
	return r;
}
