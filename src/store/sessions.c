#include "base/base.h"

#include "store/sessions.h"

void user_row(const PGresult *res, struct user *user)
{
	*user = (struct user){
		.id = pg_get_uuid(res, 0, 0),
		.email = pg_get_text(res, 0, 1),
		.name = pg_get_text(res, 0, 2),
		.created_at = pg_get_time(res, 0, 3),
	};
}

void credential_row(const PGresult *res, struct credential *credential)
{
	*credential = (struct credential){
		.user_id = pg_get_uuid(res, 0, 0),
		.password_hash = pg_get_text(res, 0, 1),
		.epoch = pg_get_int(res, 0, 2),
		.disabled = pg_get_bool(res, 0, 3),
		.network_known = pg_get_bool(res, 0, 4),
		.session_lives = pg_get_bool(res, 0, 5),
	};
}

void session_row(const PGresult *res, int row, int column, struct session *session)
{
	*session = (struct session){
		.id = pg_get_uuid(res, row, column),
		.counter = pg_get_int(res, row, column + 1),
		.key_id = pg_get_text(res, row, column + 2),
		.created_at = pg_get_time(res, row, column + 3),
		.rotated_at = pg_get_time(res, row, column + 4),
		.idle_expires_at = pg_get_time(res, row, column + 5),
		.expires_at = pg_get_time(res, row, column + 6),
	};
}

void session_create_step(struct pg_call *call, const struct beginning *b)
{
	struct pg_step *step = pg_step(call, STATEMENT_SESSION_CREATE);

	step->on_foreign_key = STORE_NO_SESSION; /* the account went away */
	pg_uuid(step, b->user_id);
	pg_uuid(step, &b->session->id);
	pg_text(step, b->password_hash);
	pg_text(step, b->session->key_id);
	pg_int(step, b->session->idle_s);
	pg_int(step, b->session->absolute_s);
	client_params(step, b->client);
	pg_text(step, b->client->network);
	pg_uuid(step, b->act_id);
	pg_text(step, b->event);
}

struct pg_step *principal_step(struct pg_call *call, enum statement_id statement,
			       const struct principal *principal)
{
	struct pg_step *step = pg_step(call, statement);

	pg_uuid(step, &principal->user_id);
	pg_uuid(step, &principal->session_id);
	return step;
}

void session_end_others_step(struct pg_call *call, const struct raising *raising)
{
	struct pg_step *step =
		principal_step(call, STATEMENT_SESSION_END_OTHERS, raising->principal);

	pg_uuid(step, raising->act_id);
	pg_text(step, raising->event);
	client_params(step, raising->client);
	pg_text(step, raising->verified_hash);
	if (raising->verified_hash == NULL)
		pg_null(step);
	else
		pg_int(step, raising->epoch);
}

enum store_result store_session_get(struct store *store, struct arena *arena,
				    const struct principal *principal, struct user *user,
				    struct session *session)
{
	struct pg_call call = { .repeatable = true };
	enum store_result r;

	pg_enter(&call, principal);
	pg_uuid(pg_step(&call, STATEMENT_USER_GET), &principal->user_id);
	principal_step(&call, STATEMENT_SESSION_GET, principal);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	/* The account or the row may have gone between the statements. */
	if (PQntuples(call.results[1]) == 0 || PQntuples(call.results[2]) == 0)
		return STORE_NO_SESSION;
	user_row(call.results[1], user);
	session_row(call.results[2], 0, 0, session);
	return STORE_OK;
}

enum store_result store_session_refresh(struct store *store, struct arena *arena,
					const struct session_refresh *refresh,
					struct session_state *state)
{
	struct pg_call call = { 0 };
	struct pg_step *step = pg_step(&call, STATEMENT_SESSION_REFRESH);
	enum { ADVANCED, READ, ENTERED, USER };
	enum store_result r;

	pg_uuid(step, &refresh->principal.user_id);
	pg_uuid(step, &refresh->principal.session_id);
	pg_int(step, refresh->counter);
	pg_int(step, refresh->idle_s);
	pg_text(step, refresh->key_id);
	principal_step(&call, STATEMENT_SESSION_READ, &refresh->principal);
	principal_step(&call, STATEMENT_SESSION_ENTER, &refresh->principal);
	pg_uuid(pg_step(&call, STATEMENT_USER_GET), &refresh->principal.user_id);
	*state = (struct session_state){ 0 };
	r = pg_run(store, arena, &call);
	if (r != STORE_OK || PQntuples(call.results[READ]) == 0)
		return r;
	state->found = true;
	state->advanced = PQntuples(call.results[ADVANCED]) == 1;
	session_row(call.results[READ], 0, 0, &state->session);
	state->revoked = pg_get_bool(call.results[READ], 0, 7);
	state->now = pg_get_time(call.results[READ], 0, 8);
	if (PQntuples(call.results[USER]) == 1)
		user_row(call.results[USER], &state->user);
	else if (PQntuples(call.results[ENTERED]) == 1)
		state->revoked = true; /* the account went away between the statements */
	return STORE_OK;
}

/* Repeatable: what has ended is neither ended nor written down again. */
static enum store_result end(struct store *store, const struct principal *principal,
			     const int64_t *counter, const struct client *client)
{
	struct pg_call call = { .repeatable = true };
	struct pg_step *step = principal_step(&call, STATEMENT_SESSION_END, principal);
	struct uuid act_id = uuid_v7();
	enum store_result r;

	pg_uuid(step, &act_id);
	pg_text(step, counter != NULL ? "refresh_theft" : "logout");
	client_params(step, client);
	if (counter != NULL)
		pg_int(step, *counter);
	else
		pg_null(step);
	audit_prune_step(&call, store, &principal->user_id);
	r = pg_run(store, NULL, &call);
	pg_clear(&call);
	return r;
}

enum store_result store_session_end(struct store *store, const struct principal *principal,
				    const struct client *client)
{
	return end(store, principal, NULL, client);
}

enum store_result store_session_theft(struct store *store, const struct principal *principal,
				      int64_t counter, const struct client *client)
{
	return end(store, principal, &counter, client);
}

void session_rows(const PGresult *res, struct arena *arena, struct session_list *list)
{
	list->n = (size_t)PQntuples(res);
	list->sessions = arena_array(arena, list->n, sizeof(*list->sessions));
	for (size_t i = 0; i < list->n; i++) {
		struct session_info *info = &list->sessions[i];

		session_row(res, (int)i, 0, &info->session);
		info->ip = pg_get_text(res, (int)i, 7);
		info->user_agent = pg_get_text(res, (int)i, 8);
	}
}

enum store_result store_session_list(struct store *store, struct arena *arena,
				     const struct principal *principal, struct session_list *list)
{
	struct pg_call call = { .repeatable = true };
	enum store_result r;

	pg_enter(&call, principal);
	pg_uuid(pg_step(&call, STATEMENT_SESSION_LIST), &principal->user_id);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	session_rows(call.results[1], arena, list);
	return STORE_OK;
}

enum store_result store_session_end_own(struct store *store, const struct principal *principal,
					const struct uuid *id, const struct client *client)
{
	struct pg_call call = { 0 };
	struct uuid act_id = uuid_v7();
	struct pg_step *step;
	enum store_result r;

	pg_enter(&call, principal);
	step = pg_step(&call, STATEMENT_SESSION_END_OWN);
	pg_uuid(step, &principal->user_id);
	pg_uuid(step, id);
	pg_uuid(step, &act_id);
	client_params(step, client);
	pg_uuid(step, &principal->session_id);
	audit_prune_step(&call, store, &principal->user_id);
	r = pg_run(store, NULL, &call);
	if (r == STORE_OK && PQntuples(call.results[1]) == 0)
		r = STORE_NOT_FOUND;
	pg_clear(&call);
	return r;
}

enum store_result store_session_end_others(struct store *store, const struct principal *principal,
					   const struct client *client)
{
	struct pg_call call = { 0 };
	struct uuid act_id = uuid_v7();
	enum { ENTERED, LOCKED, RAISED };
	enum store_result r;

	pg_enter(&call, principal);
	pg_uuid(pg_step(&call, STATEMENT_CREDENTIAL_LOCK), &principal->user_id);
	session_end_others_step(&call, &(struct raising){ .principal = principal,
							  .client = client,
							  .act_id = &act_id,
							  .event = "sessions_ended" });
	audit_prune_step(&call, store, &principal->user_id);
	r = pg_run(store, NULL, &call);
	if (r == STORE_OK && PQntuples(call.results[RAISED]) == 0)
		r = STORE_NO_SESSION;
	pg_clear(&call);
	return r;
}
