#include "base/base.h"

#include "store/admin_private.h"

enum { SWEEP_BATCH = 1000 };

struct pg_step *admin_step(struct pg_call *call, enum statement_id statement)
{
	pg_step(call, STATEMENT_ADMIN_ENTER);
	return pg_step(call, statement);
}

/* --- audit ----------------------------------------------------------------------------------- */

static void event_row(const PGresult *res, int row, struct admin_event *event)
{
	*event = (struct admin_event){
		.user_id = pg_get_uuid(res, row, 0),
		.email = pg_get_text(res, row, 1),
		.id = pg_get_uuid(res, row, 2),
		.event = {
			.at = pg_get_time(res, row, 3),
			.event = pg_get_text(res, row, 4),
			.has_session = !PQgetisnull(res, row, 5),
			.ip = pg_get_text(res, row, 6),
			.user_agent = pg_get_text(res, row, 7),
			.detail = pg_get_text(res, row, 8),
		},
		.request_id = pg_get_text(res, row, 9),
	};
	if (event->event.has_session)
		event->event.session_id = pg_get_uuid(res, row, 5);
}

enum store_result admin_audit_list(struct store *store, struct arena *arena,
				   const struct audit_query *query, struct admin_events *events)
{
	struct pg_call call = { .repeatable = true };
	struct pg_step *step = admin_step(&call, STATEMENT_ADMIN_AUDIT_LIST);
	enum store_result r;

	if (query->user_id != NULL)
		pg_uuid(step, query->user_id);
	else
		pg_null(step);
	pg_text(step, query->event);
	if (query->since != 0)
		pg_time(step, query->since);
	else
		pg_null(step);
	pg_int(step, query->limit);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	events->n = (size_t)PQntuples(call.results[1]);
	events->events = arena_array(arena, events->n, sizeof(events->events[0]));
	for (size_t i = 0; i < events->n; i++)
		event_row(call.results[1], (int)i, &events->events[i]);
	return STORE_OK;
}

enum store_result admin_audit_add(struct store *store, const char *event, const char *detail)
{
	struct pg_call call = { 0 };
	struct pg_step *step = admin_step(&call, STATEMENT_ADMIN_AUDIT_ADD);
	enum store_result r;

	pg_text(step, event);
	pg_text(step, detail);
	r = pg_run(store, NULL, &call);
	pg_clear(&call);
	return r;
}

/* --- invitations ----------------------------------------------------------------------------- */

enum store_result admin_invite_add(struct store *store, const struct invite *invite)
{
	struct pg_call call = { 0 };
	struct pg_step *step = admin_step(&call, STATEMENT_ADMIN_INVITE_ADD);
	enum store_result r;

	pg_text(step, invite->digest);
	pg_time(step, invite->expires_at);
	pg_int(step, invite->uses_left);
	pg_text(step, invite->note);
	r = pg_run(store, NULL, &call);
	if (r == STORE_OK && PQntuples(call.results[1]) == 0)
		r = STORE_CONFLICT;
	pg_clear(&call);
	return r;
}

enum store_result admin_invite_list(struct store *store, struct arena *arena,
				    struct invites *invites)
{
	struct pg_call call = { .repeatable = true };
	const PGresult *res;
	enum store_result r;

	admin_step(&call, STATEMENT_ADMIN_INVITE_LIST);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	res = call.results[1];
	invites->n = (size_t)PQntuples(res);
	invites->list = arena_array(arena, invites->n, sizeof(invites->list[0]));
	for (size_t i = 0; i < invites->n; i++)
		invites->list[i] = (struct invite){
			.digest = pg_get_text(res, (int)i, 0),
			.created_at = pg_get_time(res, (int)i, 1),
			.expires_at = pg_get_time(res, (int)i, 2),
			.uses_left = pg_get_int(res, (int)i, 3),
			.note = pg_get_text(res, (int)i, 4),
		};
	return STORE_OK;
}

enum store_result admin_invite_delete(struct store *store, const char *prefix)
{
	struct pg_call call = { 0 };
	enum store_result r;

	pg_text(admin_step(&call, STATEMENT_ADMIN_INVITE_DELETE), prefix);
	r = pg_run(store, NULL, &call);
	if (r == STORE_OK) {
		int64_t found = pg_get_int(call.results[1], 0, 0);

		r = found == 1 ? STORE_OK : found == 0 ? STORE_NOT_FOUND : STORE_CONFLICT;
	}
	pg_clear(&call);
	return r;
}

/* --- sweeping -------------------------------------------------------------------------------- */

/* The trash comes first: it alone waits for locks, and those who hold them may wait for rows that
 * the others take. */
static void sweep_steps(struct pg_call *call, int64_t audit_keep_s)
{
	struct pg_step *step = admin_step(call, STATEMENT_ADMIN_SWEEP_TRASH);

	pg_int(step, SWEEP_BATCH);
	pg_int(pg_step(call, STATEMENT_ADMIN_SWEEP_IDEMPOTENCY), SWEEP_BATCH);
	pg_int(pg_step(call, STATEMENT_ADMIN_SWEEP_SESSIONS), SWEEP_BATCH);
	pg_int(pg_step(call, STATEMENT_ADMIN_SWEEP_THROTTLE), SWEEP_BATCH);
	step = pg_step(call, STATEMENT_ADMIN_SWEEP_AUDIT);
	pg_int(step, SWEEP_BATCH);
	pg_int(step, audit_keep_s);
	pg_int(pg_step(call, STATEMENT_ADMIN_SWEEP_INVITES), SWEEP_BATCH);
}

enum store_result admin_sweep(struct store *store, int64_t audit_keep_s, struct swept *swept,
			      bool *more)
{
	struct pg_call call = { .repeatable = true };
	enum { ENTERED, TRASH, IDEMPOTENCY, SESSIONS, THROTTLE, AUDIT, INVITES, STEPS };
	enum { LOOKED_AT, EMPTIED, FORGOTTEN };
	enum store_result r;

	sweep_steps(&call, audit_keep_s);
	*more = false;
	r = pg_run(store, NULL, &call);
	if (r != STORE_OK)
		return r;
	*swept = (struct swept){
		.trash = pg_get_int(call.results[TRASH], 0, EMPTIED),
		.tombstones = pg_get_int(call.results[TRASH], 0, FORGOTTEN),
		.idempotency = pg_get_int(call.results[IDEMPOTENCY], 0, 0),
		.sessions = pg_get_int(call.results[SESSIONS], 0, 0),
		.throttle = pg_get_int(call.results[THROTTLE], 0, 0),
		.audit = pg_get_int(call.results[AUDIT], 0, 0),
		.invites = pg_get_int(call.results[INVITES], 0, 0),
	};
	for (size_t i = TRASH; i < STEPS; i++)
		*more = *more || pg_get_int(call.results[i], 0, 0) == SWEEP_BATCH;
	pg_clear(&call);
	return STORE_OK;
}
