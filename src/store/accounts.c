#include "base/base.h"

#include "store/sessions.h"

enum store_result store_account_create(struct store *store, struct arena *arena,
				       const struct new_account *account, struct user *user,
				       struct session *session)
{
	struct pg_call call = { 0 };
	struct pg_step *step;
	enum { ENTERED, EMAIL, USER, CREDENTIAL, SESSION };
	enum store_result r;

	pg_uuid(pg_step(&call, STATEMENT_REGISTER_ENTER), &account->user_id);
	step = pg_step(&call, STATEMENT_USER_EMAIL_INSERT);
	pg_uuid(step, &account->user_id);
	pg_text(step, account->email_key);
	step = pg_step(&call, STATEMENT_USER_INSERT);
	pg_uuid(step, &account->user_id);
	pg_text(step, account->email_key);
	pg_text(step, account->email);
	pg_text(step, account->name);
	step = pg_step(&call, STATEMENT_CREDENTIAL_INSERT);
	pg_uuid(step, &account->user_id);
	pg_text(step, account->password_hash);
	session_create_step(&call, &account->user_id, account->password_hash, &account->session);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	if (PQntuples(call.results[EMAIL]) == 0 || PQntuples(call.results[SESSION]) == 0)
		return STORE_CONFLICT;
	user_row(call.results[USER], user);
	session_row(call.results[SESSION], session);
	return STORE_OK;
}

enum store_result store_credential_find(struct store *store, struct arena *arena,
					const char *email_key, struct credential *credential)
{
	struct pg_call find = { .repeatable = true }, get = { .repeatable = true };
	struct uuid user_id;
	enum store_result r;

	pg_text(pg_step(&find, STATEMENT_USER_EMAIL_FIND), email_key);
	r = pg_run(store, arena, &find);
	if (r != STORE_OK)
		return r;
	if (PQntuples(find.results[0]) == 0)
		return STORE_NOT_FOUND;
	user_id = pg_get_uuid(find.results[0], 0, 0);
	pg_uuid(pg_step(&get, STATEMENT_CREDENTIAL_GET), &user_id);
	r = pg_run(store, arena, &get);
	if (r != STORE_OK)
		return r;
	if (PQntuples(get.results[0]) == 0)
		return STORE_NOT_FOUND;
	*credential = (struct credential){
		.user_id = pg_get_uuid(get.results[0], 0, 0),
		.password_hash = pg_get_text(get.results[0], 0, 1),
		.epoch = pg_get_int(get.results[0], 0, 2),
		.disabled = pg_get_bool(get.results[0], 0, 3),
	};
	return STORE_OK;
}

enum store_result store_login(struct store *store, struct arena *arena, const struct login *login,
			      struct user *user, struct session *session)
{
	struct pg_call call = { 0 };
	struct pg_step *step;
	const char *hash = login->new_hash != NULL ? login->new_hash : login->verified_hash;
	size_t created, got;
	enum store_result r;

	if (login->new_hash != NULL) {
		step = pg_step(&call, STATEMENT_CREDENTIAL_REHASH);
		pg_uuid(step, &login->user_id);
		pg_text(step, login->verified_hash);
		pg_text(step, login->new_hash);
	}
	created = call.n;
	session_create_step(&call, &login->user_id, hash, &login->session);
	step = pg_step(&call, STATEMENT_SESSION_ENTER);
	pg_uuid(step, &login->user_id);
	pg_uuid(step, &login->session.id);
	got = call.n;
	pg_uuid(pg_step(&call, STATEMENT_USER_GET), &login->user_id);
	if (login->throttle_key != NULL) {
		step = pg_step(&call, STATEMENT_THROTTLE_CLEAR);
		pg_uuid(step, &login->user_id);
		pg_uuid(step, &login->session.id);
		pg_text(step, login->throttle_key);
	}
	pg_uuid(pg_step(&call, STATEMENT_SESSION_PRUNE), &login->user_id);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	/* The user is behind the fence: an epoch raised meanwhile shows as no user. */
	if (PQntuples(call.results[created]) == 0 || PQntuples(call.results[got]) == 0)
		return STORE_NO_SESSION;
	user_row(call.results[got], user);
	session_row(call.results[created], session);
	return STORE_OK;
}
