#include "base/base.h"

#include "store/sessions.h"

void client_params(struct pg_step *step, const struct client *client)
{
	pg_text(step, client->address);
	pg_text(step, client->user_agent);
	pg_text(step, client->request_id);
}

void audit_prune_step(struct pg_call *call, const struct store *store, const struct uuid *user_id)
{
	struct pg_step *step;

	if (store->audit_keep_s == 0)
		return;
	step = pg_step(call, STATEMENT_AUDIT_PRUNE);
	pg_uuid(step, user_id);
	pg_int(step, store->audit_keep_s);
}

static const char *event_of(enum audit_failure failure)
{
	switch (failure) {
	case AUDIT_LOGIN_FAILED:
		return "login_failed";
	case AUDIT_PASSWORD_REFUSED:
		return "password_refused";
	}
	return NULL;
}

enum store_result store_audit_failure(struct store *store, enum audit_failure failure,
				      const struct uuid *user_id, const char *detail,
				      const struct client *client)
{
	static const struct uuid nobody;
	struct pg_call call = { 0 };
	struct uuid id = uuid_v7();
	struct pg_step *step;
	enum store_result r;

	step = pg_step(&call, user_id ? STATEMENT_AUDIT_FAILURE : STATEMENT_AUDIT_UNKNOWN);
	if (user_id == NULL)
		user_id = &nobody;
	pg_uuid(step, user_id);
	pg_uuid(step, &id);
	pg_text(step, event_of(failure));
	client_params(step, client);
	pg_text(step, detail);
	audit_prune_step(&call, store, user_id);
	r = pg_run(store, NULL, &call);
	pg_clear(&call);
	return r;
}

enum store_result store_audit_list(struct store *store, struct arena *arena,
				   const struct principal *principal,
				   const struct audit_place *after, int32_t limit,
				   struct audit_events *events)
{
	enum { ID, SESSION_ID, EVENT, IP, USER_AGENT, DETAIL, AT };
	struct pg_call call = { .repeatable = true };
	struct uuid first = { { 0 } };
	struct pg_step *step;
	const PGresult *res;
	enum store_result r;

	pg_enter(&call, principal);
	step = pg_step(&call, STATEMENT_AUDIT_LIST);
	pg_uuid(step, &principal->user_id);
	pg_time(step, after != NULL ? after->at : INT64_MIN);
	pg_uuid(step, after != NULL ? &after->id : &first);
	pg_int(step, limit);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	res = call.results[1];
	events->n = (size_t)PQntuples(res);
	events->list = arena_array(arena, events->n, sizeof(*events->list));
	for (int i = 0; i < PQntuples(res); i++) {
		struct audit_event *event = &events->list[i];

		*event = (struct audit_event){
			.at = pg_get_time(res, i, AT),
			.event = pg_get_text(res, i, EVENT),
			.has_session = !PQgetisnull(res, i, SESSION_ID),
			.ip = pg_get_text(res, i, IP),
			.user_agent = pg_get_text(res, i, USER_AGENT),
			.detail = pg_get_text(res, i, DETAIL),
		};
		if (event->has_session)
			event->session_id = pg_get_uuid(res, i, SESSION_ID);
		events->last = (struct audit_place){ event->at, pg_get_uuid(res, i, ID) };
	}
	return STORE_OK;
}
