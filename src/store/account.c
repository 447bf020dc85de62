#include "base/base.h"

#include "store/sessions.h"

enum store_result store_account_get(struct store *store, struct arena *arena,
				    const struct principal *principal, struct user *user,
				    struct credential *credential)
{
	struct pg_call call = { .repeatable = true };
	struct pg_step *step;
	enum { ENTERED, CREDENTIAL, USER };
	enum store_result r;

	/* The credential first: an e-mail changed between the two is of a later epoch than this. */
	pg_enter(&call, principal);
	step = pg_step(&call, STATEMENT_CREDENTIAL_GET);
	pg_uuid(step, &principal->user_id);
	pg_null(step);
	pg_null(step);
	pg_uuid(pg_step(&call, STATEMENT_USER_GET), &principal->user_id);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	/* The account may have gone between the statements. */
	if (PQntuples(call.results[CREDENTIAL]) == 0 || PQntuples(call.results[USER]) == 0)
		return STORE_NO_SESSION;
	user_row(call.results[USER], user);
	credential_row(call.results[CREDENTIAL], credential);
	return STORE_OK;
}

enum store_result store_password_change(struct store *store, struct arena *arena,
					const struct password_change *change, struct user *user,
					struct session *session)
{
	const struct uuid *user_id = &change->principal.user_id;
	struct pg_call call = { 0 };
	struct uuid act_id = uuid_v7();
	struct pg_step *step;
	enum { ENTERED, LOCKED, CHANGED, BEGUN, USER };
	enum store_result r;

	pg_enter(&call, &change->principal);
	pg_uuid(pg_step(&call, STATEMENT_CREDENTIAL_LOCK), user_id);
	step = principal_step(&call, STATEMENT_PASSWORD_CHANGE, &change->principal);
	pg_text(step, change->verified_hash);
	pg_text(step, change->new_hash);
	/* Only behind the change: a hash has a salt of its own, so nothing else has this one. */
	session_create_step(&call, &(struct beginning){ .user_id = user_id,
							.password_hash = change->new_hash,
							.session = &change->session,
							.client = &change->client,
							.act_id = &act_id,
							.event = "password_changed" });
	pg_uuid(pg_step(&call, STATEMENT_USER_GET), user_id);
	throttle_clear_step(&call, user_id, &act_id, change->throttle_key);
	pg_uuid(pg_step(&call, STATEMENT_SESSION_PRUNE), user_id);
	audit_prune_step(&call, store, user_id);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	if (PQntuples(call.results[CHANGED]) == 0)
		return STORE_STALE;
	user_row(call.results[USER], user);
	session_row(call.results[BEGUN], 0, 0, session);
	return STORE_OK;
}

static void user_change_step(struct pg_call *call, const struct email_change *change,
			     const struct uuid *act_id)
{
	struct pg_step *step = pg_step(call, STATEMENT_USER_CHANGE);

	pg_uuid(step, &change->principal.user_id);
	pg_text(step, change->email);
	pg_bool(step, change->set_name);
	pg_text(step, change->name);
	if (act_id != NULL)
		pg_uuid(step, act_id);
	else
		pg_null(step);
}

enum store_result store_name_change(struct store *store, struct arena *arena,
				    const struct principal *principal, const char *name,
				    struct user *user)
{
	const struct email_change change = { .principal = *principal,
					     .set_name = true,
					     .name = name };
	struct pg_call call = { 0 };
	enum store_result r;

	pg_enter(&call, principal);
	user_change_step(&call, &change, NULL);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	if (PQntuples(call.results[1]) == 0)
		return STORE_NO_SESSION;
	user_row(call.results[1], user);
	return STORE_OK;
}

/* Adds user_email_claim or user_email_drop. */
static struct pg_step *email_step(struct pg_call *call, enum statement_id statement,
				  const struct uuid *user_id, const char *email_key,
				  const struct uuid *act_id)
{
	struct pg_step *step = pg_step(call, statement);

	pg_uuid(step, user_id);
	pg_text(step, email_key);
	pg_uuid(step, act_id);
	return step;
}

enum store_result store_email_change(struct store *store, struct arena *arena,
				     const struct email_change *change, struct user *user)
{
	const struct uuid *user_id = &change->principal.user_id;
	struct pg_call call = { 0 };
	struct uuid act_id = uuid_v7();
	size_t changed;
	enum { ENTERED, LOCKED, RAISED };
	enum store_result r;

	pg_enter(&call, &change->principal);
	pg_uuid(pg_step(&call, STATEMENT_CREDENTIAL_LOCK), user_id);
	session_end_others_step(&call, &(struct raising){ .principal = &change->principal,
							  .client = &change->client,
							  .act_id = &act_id,
							  .event = "email_changed",
							  .verified_hash = change->verified_hash,
							  .epoch = change->epoch });
	/* The same in another case is there already. */
	if (strcmp(change->email_key, change->old_email_key) != 0) {
		email_step(&call, STATEMENT_USER_EMAIL_CLAIM, user_id, change->email_key, &act_id)
			->on_unique = STORE_CONFLICT;
		email_step(&call, STATEMENT_USER_EMAIL_DROP, user_id, change->old_email_key,
			   &act_id);
	}
	changed = call.n;
	user_change_step(&call, change, &act_id);
	throttle_clear_step(&call, user_id, &act_id, change->throttle_key);
	audit_prune_step(&call, store, user_id);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	if (PQntuples(call.results[RAISED]) == 0)
		return STORE_STALE;
	user_row(call.results[changed], user);
	return STORE_OK;
}

enum store_result store_account_delete(struct store *store, const struct account_delete *deletion)
{
	const struct uuid *user_id = &deletion->principal.user_id;
	struct pg_call call = { 0 };
	struct uuid act_id = uuid_v7();
	struct pg_step *step;
	enum { ENTERED, LOCKED, DELETED };
	enum store_result r;

	pg_enter(&call, &deletion->principal);
	pg_uuid(pg_step(&call, STATEMENT_CREDENTIAL_LOCK), user_id);
	step = principal_step(&call, STATEMENT_ACCOUNT_DELETE, &deletion->principal);
	pg_text(step, deletion->verified_hash);
	pg_int(step, deletion->epoch);
	pg_uuid(step, &act_id);
	pg_text(step, deletion->client.request_id);
	email_step(&call, STATEMENT_USER_EMAIL_DROP, user_id, deletion->email_key, &act_id);
	step = pg_step(&call, STATEMENT_AUDIT_ERASE);
	pg_uuid(step, user_id);
	pg_uuid(step, &act_id);
	throttle_clear_step(&call, user_id, &act_id, deletion->throttle_key);
	r = pg_run(store, NULL, &call);
	if (r == STORE_OK && PQntuples(call.results[DELETED]) == 0)
		r = STORE_STALE;
	pg_clear(&call);
	return r;
}

/* --- export ---------------------------------------------------------------------------------- */

enum store_result store_account_export(struct store *store, struct arena *arena,
				       const struct principal *principal,
				       struct account_export *out)
{
	enum { UPDATED_AT = 4, PASSWORD_CHANGED_AT };
	enum { ENTERED, ACCOUNT, SESSIONS };
	struct pg_call call = { .repeatable = true };
	const PGresult *res;
	enum store_result r;

	pg_enter(&call, principal);
	pg_uuid(pg_step(&call, STATEMENT_ACCOUNT_EXPORT), &principal->user_id);
	pg_uuid(pg_step(&call, STATEMENT_SESSION_EXPORT), &principal->user_id);
	*out = (struct account_export){ 0 };
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	res = call.results[ACCOUNT];
	/* The account may have gone between the statements. */
	if (PQntuples(res) == 0)
		return STORE_NO_SESSION;
	user_row(res, &out->user);
	out->updated_at = pg_get_time(res, 0, UPDATED_AT);
	out->password_changed_at = pg_get_time(res, 0, PASSWORD_CHANGED_AT);
	session_rows(call.results[SESSIONS], arena, &out->sessions);
	return STORE_OK;
}
