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

void session_row(const PGresult *res, struct session *session)
{
	*session = (struct session){
		.id = pg_get_uuid(res, 0, 0),
		.counter = pg_get_int(res, 0, 1),
		.key_id = pg_get_text(res, 0, 2),
		.created_at = pg_get_time(res, 0, 3),
		.rotated_at = pg_get_time(res, 0, 4),
		.idle_expires_at = pg_get_time(res, 0, 5),
		.expires_at = pg_get_time(res, 0, 6),
	};
}

void session_create_step(struct pg_call *call, const struct uuid *user_id,
			 const char *password_hash, const struct new_session *session)
{
	struct pg_step *step = pg_step(call, STATEMENT_SESSION_CREATE);

	step->on_foreign_key = STORE_NO_SESSION; /* the account went away */
	pg_uuid(step, user_id);
	pg_uuid(step, &session->id);
	pg_text(step, password_hash);
	pg_text(step, session->key_id);
	pg_int(step, session->idle_s);
	pg_int(step, session->absolute_s);
	pg_text(step, session->ip);
	pg_text(step, session->user_agent);
}

static void principal_step(struct pg_call *call, enum statement_id statement,
			   const struct principal *principal)
{
	struct pg_step *step = pg_step(call, statement);

	pg_uuid(step, &principal->user_id);
	pg_uuid(step, &principal->session_id);
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
	session_row(call.results[2], session);
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
	session_row(call.results[READ], &state->session);
	state->revoked = pg_get_bool(call.results[READ], 0, 7);
	state->now = pg_get_time(call.results[READ], 0, 8);
	if (PQntuples(call.results[USER]) == 1)
		user_row(call.results[USER], &state->user);
	else if (PQntuples(call.results[ENTERED]) == 1)
		state->revoked = true; /* the account went away between the statements */
	return STORE_OK;
}

enum store_result store_session_end(struct store *store, const struct principal *principal,
				    int64_t counter)
{
	struct pg_call call = { .repeatable = true };
	struct pg_step *step = pg_step(&call, STATEMENT_SESSION_END);
	enum store_result r;

	pg_uuid(step, &principal->user_id);
	pg_uuid(step, &principal->session_id);
	if (counter < 0)
		pg_null(step);
	else
		pg_int(step, counter);
	r = pg_run(store, NULL, &call);
	pg_clear(&call);
	return r;
}
