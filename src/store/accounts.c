#include "base/base.h"

#include "store/sessions.h"

enum store_result store_invite_check(struct store *store, const char *digest)
{
	struct pg_call call = { .repeatable = true };
	enum store_result r;

	pg_text(pg_step(&call, STATEMENT_INVITE_FIND), digest);
	r = pg_run(store, NULL, &call);
	if (r == STORE_OK && PQntuples(call.results[0]) == 0)
		r = STORE_NOT_FOUND;
	pg_clear(&call);
	return r;
}

/* Adds the taking of the e-mail; with an invitation, which is locked in the step before, only if
 * that can be used. */
static void email_step(struct pg_call *call, const struct new_account *account)
{
	struct pg_step *step;

	if (account->invite != NULL) {
		pg_text(pg_step(call, STATEMENT_INVITE_LOCK), account->invite);
		step = pg_step(call, STATEMENT_USER_EMAIL_INSERT_INVITED);
	} else {
		step = pg_step(call, STATEMENT_USER_EMAIL_INSERT);
	}
	pg_uuid(step, &account->user_id);
	pg_text(step, account->email_key);
	if (account->invite != NULL)
		pg_text(step, account->invite);
}

static void invite_use_step(struct pg_call *call, const struct new_account *account)
{
	struct pg_step *step;

	if (account->invite == NULL)
		return;
	step = pg_step(call, STATEMENT_INVITE_USE);
	pg_uuid(step, &account->user_id);
	pg_text(step, account->email_key);
	pg_text(step, account->invite);
}

enum store_result store_account_create(struct store *store, struct arena *arena,
				       const struct new_account *account, struct user *user,
				       struct session *session)
{
	struct pg_call call = { 0 };
	struct uuid act_id = uuid_v7();
	struct pg_step *step;
	size_t made; /* the step that makes the user; the one before took the e-mail */
	enum store_result r;

	pg_uuid(pg_step(&call, STATEMENT_REGISTER_ENTER), &account->user_id);
	email_step(&call, account);
	made = call.n;
	step = pg_step(&call, STATEMENT_USER_INSERT);
	pg_uuid(step, &account->user_id);
	pg_text(step, account->email_key);
	pg_text(step, account->email);
	pg_text(step, account->name);
	step = pg_step(&call, STATEMENT_CREDENTIAL_INSERT);
	pg_uuid(step, &account->user_id);
	pg_text(step, account->password_hash);
	session_create_step(&call, &(struct beginning){ .user_id = &account->user_id,
							.password_hash = account->password_hash,
							.session = &account->session,
							.client = &account->client,
							.act_id = &act_id,
							.event = "registered" });
	invite_use_step(&call, account);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	if (account->invite != NULL && PQntuples(call.results[made - 2]) == 0)
		return STORE_NOT_FOUND;
	if (PQntuples(call.results[made]) == 0)
		return STORE_CONFLICT;
	user_row(call.results[made], user);
	session_row(call.results[made + 2], 0, 0, session);
	return STORE_OK;
}

enum store_result store_credential_find(struct store *store, struct arena *arena,
					const struct credential_query *query,
					struct credential *credential)
{
	struct pg_call find = { .repeatable = true }, get = { .repeatable = true };
	struct uuid user_id = uuid_v7(); /* of nobody, and looked up all the same */
	struct pg_step *step;
	enum store_result r;

	pg_text(pg_step(&find, STATEMENT_USER_EMAIL_FIND), query->email_key);
	r = pg_run(store, arena, &find);
	if (r != STORE_OK)
		return r;
	if (PQntuples(find.results[0]) == 1)
		user_id = pg_get_uuid(find.results[0], 0, 0);
	step = pg_step(&get, STATEMENT_CREDENTIAL_GET);
	pg_uuid(step, &user_id);
	pg_text(step, query->network);
	if (query->session != NULL && uuid_equal(&query->session->user_id, &user_id))
		pg_uuid(step, &query->session->session_id);
	else
		pg_null(step);
	r = pg_run(store, arena, &get);
	if (r != STORE_OK)
		return r;
	if (PQntuples(get.results[0]) == 0)
		return STORE_NOT_FOUND;
	credential_row(get.results[0], credential);
	return STORE_OK;
}

enum store_result store_login(struct store *store, struct arena *arena, const struct login *login,
			      struct user *user, struct session *session)
{
	struct pg_call call = { 0 };
	struct uuid act_id = uuid_v7();
	const char *hash = login->new_hash != NULL ? login->new_hash : login->verified_hash;
	struct pg_step *step;
	size_t created, got;
	enum store_result r;

	if (login->new_hash != NULL) {
		step = pg_step(&call, STATEMENT_CREDENTIAL_REHASH);
		pg_uuid(step, &login->user_id);
		pg_text(step, login->verified_hash);
		pg_text(step, login->new_hash);
	}
	created = call.n;
	session_create_step(&call, &(struct beginning){ .user_id = &login->user_id,
							.password_hash = hash,
							.session = &login->session,
							.client = &login->client,
							.act_id = &act_id,
							.event = "login" });
	step = pg_step(&call, STATEMENT_SESSION_ENTER);
	pg_uuid(step, &login->user_id);
	pg_uuid(step, &login->session.id);
	got = call.n;
	pg_uuid(pg_step(&call, STATEMENT_USER_GET), &login->user_id);
	throttle_clear_step(&call, &login->user_id, &act_id, login->throttle_key);
	pg_uuid(pg_step(&call, STATEMENT_SESSION_PRUNE), &login->user_id);
	audit_prune_step(&call, store, &login->user_id);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	if (PQntuples(call.results[created]) == 0 || PQntuples(call.results[got]) == 0)
		return STORE_NO_SESSION;
	user_row(call.results[got], user);
	session_row(call.results[created], 0, 0, session);
	return STORE_OK;
}
