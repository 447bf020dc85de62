/* The caller's own account. What changes or ends it demands the current password. */
#include "base/base.h"

#include "api/credentials.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/throttle.h"

/* --- bodies ---------------------------------------------------------------------------------- */

struct password_input {
	struct json_text current_password;
	struct json_text new_password;
	struct json_flag cookie;
};

static const struct field password_fields[] = {
	PASSWORD_FIELD(struct password_input, current_password, FIELD_REQUIRED, 1),
	PASSWORD_FIELD(struct password_input, new_password, FIELD_REQUIRED, PASSWORD_MIN),
	COOKIE_FIELD(struct password_input),
};

struct account_change_input {
	struct json_text name;
	struct json_text email;
	struct json_text current_password;
};

static const struct field account_patch_fields[] = {
	NAME_FIELD(struct account_change_input),
	EMAIL_FIELD(struct account_change_input, 0),
	PASSWORD_FIELD(struct account_change_input, current_password, 0, 1),
};

struct account_delete_input {
	struct json_text password;
};

static const struct field account_delete_fields[] = {
	PASSWORD_FIELD(struct account_delete_input, password, FIELD_REQUIRED, 1),
};

const struct field_table password_body = FIELD_TABLE(password_fields, struct password_input);
const struct field_table account_patch_body =
	FIELD_TABLE(account_patch_fields, struct account_change_input);
const struct field_table account_delete_body =
	FIELD_TABLE(account_delete_fields, struct account_delete_input);

/* --- the current password -------------------------------------------------------------------- */

/* An act that the current password opens. */
struct act {
	struct user user;
	struct credential cred;
	const char *throttle_key;
	char new_hash[PASSWORD_HASH_MAX];
	/* Does it on the account as read, and answers. API_PRECONDITION_FAILED: STORE_STALE. */
	enum api_error (*run)(struct call *, struct act *);
};

static enum api_error read_account(struct call *c, struct act *act)
{
	enum store_result r =
		store_account_get(c->store, c->arena, c->principal, &act->user, &act->cred);

	return r == STORE_OK ? API_OK : api_from_store(r);
}

/* The failure is reserved before hashing, so that many guesses at once are not all hashed. */
static enum api_error demand_password(struct call *c, const struct json_text *password,
				      struct act *act)
{
	struct json_text normal = password_normal(c, password);
	enum api_error e = throttle_session(c, &act->throttle_key);

	if (e != API_OK)
		return e;
	e = password_compare(c, &normal, &act->cred, NULL);
	if (e == API_INVALID_CREDENTIALS) {
		audit_failure(c, AUDIT_PASSWORD_REFUSED, &c->principal->user_id);
		return API_WRONG_PASSWORD;
	}
	if (e != API_OK)
		throttle_refund(c, act->throttle_key);
	return e;
}

/* Once more, when the account is not as it was read: the password still is the one that was
 * compared if its hash is the same, or if only the hash is another (a login has rehashed it). */
static enum api_error run_again(struct call *c, struct act *act)
{
	const struct credential before = act->cred;
	enum api_error e = read_account(c, act);

	if (e != API_OK)
		return e;
	if (act->cred.epoch != before.epoch &&
	    strcmp(act->cred.password_hash, before.password_hash) != 0)
		return API_UNAVAILABLE;
	e = act->run(c, act);
	return e == API_PRECONDITION_FAILED ? API_UNAVAILABLE : e;
}

/* The account has been read. A success clears the count of failures in the store. */
static enum api_error run_with_password(struct call *c, const struct json_text *password,
					struct act *act)
{
	enum api_error e = demand_password(c, password, act);

	if (e != API_OK)
		return e;
	e = act->run(c, act);
	if (e == API_PRECONDITION_FAILED)
		e = run_again(c, act);
	if (e != API_OK)
		throttle_refund(c, act->throttle_key);
	return e;
}

/* --- password -------------------------------------------------------------------------------- */

static enum api_error change_password(struct call *c, struct act *act)
{
	const struct password_input *in = c->input;
	struct json_text normal = password_normal(c, &in->new_password);
	struct password_change change;
	struct user user;
	struct session session;
	enum store_result r;
	enum api_error e = act->new_hash[0] ? API_OK : password_make(c, &normal, act->new_hash);

	if (e != API_OK)
		return e;
	change = (struct password_change){
		.principal = *c->principal,
		.verified_hash = act->cred.password_hash,
		.new_hash = act->new_hash,
		.throttle_key = act->throttle_key,
		.session = session_begin(c),
		.client = c->client,
	};
	r = store_password_change(c->store, c->arena, &change, &user, &session);
	if (r != STORE_OK)
		return api_from_store(r);
	identify(c, &user, &session);
	return reply_auth(c, 200, &user, &session);
}

enum api_error account_password(struct call *c)
{
	const struct password_input *in = c->input;
	struct json_text normal = password_normal(c, &in->new_password);
	struct act act = { .run = change_password };
	enum api_error e = read_account(c, &act);

	if (e != API_OK)
		return e;
	password_judge(c, "new_password", &normal, act.user.email);
	cookie_judge(c, &in->cookie);
	if (c->fields.n)
		return API_VALIDATION_FAILED;
	return run_with_password(c, &in->current_password, &act);
}

/* --- reading and changing -------------------------------------------------------------------- */

static enum api_error reply_user(struct call *c, const struct user *user)
{
	struct json_writer w;

	reply_json(c, 200, &w);
	write_user(&w, user);
	return API_OK;
}

enum api_error account_get(struct call *c)
{
	struct act act = { 0 };
	enum api_error e = read_account(c, &act);

	return e == API_OK ? reply_user(c, &act.user) : e;
}

static enum api_error change_email(struct call *c, struct act *act)
{
	const struct account_change_input *in = c->input;
	const struct email_change change = {
		.principal = *c->principal,
		.verified_hash = act->cred.password_hash,
		.epoch = act->cred.epoch,
		.old_email_key = email_key(c->arena, act->user.email),
		.email = in->email.s,
		.email_key = email_key(c->arena, in->email.s),
		.set_name = in->name.present,
		.name = in->name.s,
		.throttle_key = act->throttle_key,
		.client = c->client,
	};
	struct user user;
	enum store_result r = store_email_change(c->store, c->arena, &change, &user);

	if (r == STORE_CONFLICT)
		return API_EMAIL_TAKEN;
	return r == STORE_OK ? reply_user(c, &user) : api_from_store(r);
}

enum api_error account_patch(struct call *c)
{
	const struct account_change_input *in = c->input;
	struct act act = { .run = change_email };
	struct user user;
	enum store_result r;
	enum api_error e;

	if (in->email.present) {
		email_judge(c, &in->email);
		if (!in->current_password.present)
			field_error_required(&c->fields, "current_password");
		if (c->fields.n)
			return API_VALIDATION_FAILED;
		e = read_account(c, &act);
		return e == API_OK ? run_with_password(c, &in->current_password, &act) : e;
	}
	if (!in->name.present)
		return account_get(c);
	r = store_name_change(c->store, c->arena, c->principal, in->name.s, &user);
	return r == STORE_OK ? reply_user(c, &user) : api_from_store(r);
}

/* --- deleting -------------------------------------------------------------------------------- */

static enum api_error delete_account(struct call *c, struct act *act)
{
	const struct account_delete deletion = {
		.principal = *c->principal,
		.verified_hash = act->cred.password_hash,
		.epoch = act->cred.epoch,
		.email_key = email_key(c->arena, act->user.email),
		.throttle_key = act->throttle_key,
		.client = c->client,
	};
	enum store_result r = store_account_delete(c->store, &deletion);

	return r == STORE_OK ? reply_empty(c, 204) : api_from_store(r);
}

enum api_error account_delete(struct call *c)
{
	const struct account_delete_input *in = c->input;
	struct act act = { .run = delete_account };
	enum api_error e = read_account(c, &act);

	return e == API_OK ? run_with_password(c, &in->password, &act) : e;
}
