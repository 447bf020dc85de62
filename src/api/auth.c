/* Registration, login and the life of a session. */
#include "base/base.h"

#include "api/authenticate.h"
#include "api/credentials.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/throttle.h"
#include "base/codec.h"
#include "base/log.h"
#include "security/refresh_token.h"

enum { INVITE_MAX = 128 }; /* longer than any code */

/* --- bodies ---------------------------------------------------------------------------------- */

struct account_input {
	struct json_text email;
	struct json_text password;
	struct json_text name;
	struct json_text invite;
	struct json_flag cookie;
};

static const struct field register_fields[] = {
	EMAIL_FIELD(struct account_input, FIELD_REQUIRED),
	PASSWORD_FIELD(struct account_input, password, FIELD_REQUIRED, PASSWORD_MIN),
	NAME_FIELD(struct account_input),
	{ .name = "invite",
	  .type = FIELD_TEXT,
	  .rules = FIELD_NULLABLE | FIELD_SECRET,
	  .offset = offsetof(struct account_input, invite),
	  .max = INVITE_MAX },
	COOKIE_FIELD(struct account_input),
};
static const struct field login_fields[] = {
	EMAIL_FIELD(struct account_input, FIELD_REQUIRED),
	PASSWORD_FIELD(struct account_input, password, FIELD_REQUIRED, 1),
	COOKIE_FIELD(struct account_input),
};

struct refresh_input {
	struct json_text refresh_token;
};

static const struct field refresh_fields[] = {
	{ .name = "refresh_token",
	  .type = FIELD_TEXT,
	  .rules = FIELD_NULLABLE | FIELD_SECRET,
	  .offset = offsetof(struct refresh_input, refresh_token),
	  .max = REQUEST_BODY_MAX },
};

const struct field_table register_body = FIELD_TABLE(register_fields, struct account_input);
const struct field_table login_body = FIELD_TABLE(login_fields, struct account_input);
const struct field_table refresh_body = FIELD_TABLE(refresh_fields, struct refresh_input);

/* --- register -------------------------------------------------------------------------------- */

/* The digest under which the database knows an invitation; NULL when none is needed. */
static enum api_error check_invite(struct call *c, const struct json_text *code,
				   const char **digest)
{
	uint8_t bytes[DIGEST_LEN];
	char *hex;
	enum store_result r;

	*digest = NULL;
	if (!c->app->registration_invite)
		return API_OK;
	if (!code->s)
		return API_INVALID_INVITE;
	digest_sha256(code->s, code->len, bytes);
	hex = arena_alloc(c->arena, 2 * DIGEST_LEN + 1);
	hex_encode(bytes, sizeof(bytes), hex);
	*digest = hex;
	r = store_invite_check(c->store, hex);
	if (r == STORE_NOT_FOUND)
		return API_INVALID_INVITE;
	return r == STORE_OK ? API_OK : api_from_store(r);
}

static enum api_error create_account(struct call *c, const struct account_input *in,
				     const char *hash, const char *invite)
{
	const struct new_account new = {
		.user_id = uuid_v7(),
		.email = in->email.s,
		.email_key = email_key(c->arena, in->email.s),
		.name = in->name.s,
		.password_hash = hash,
		.invite = invite,
		.session = session_begin(c),
		.client = c->client,
	};
	struct user user;
	struct session session;
	enum store_result r = store_account_create(c->store, c->arena, &new, &user, &session);

	if (r == STORE_CONFLICT)
		return API_EMAIL_TAKEN;
	if (r == STORE_NOT_FOUND)
		return API_INVALID_INVITE; /* somebody else has used it up meanwhile */
	if (r != STORE_OK)
		return api_from_store(r);
	identify(c, &user, &session);
	return reply_auth(c, 201, &user, &session);
}

enum api_error auth_register(struct call *c)
{
	const struct account_input *in = c->input;
	struct json_text password = password_normal(c, &in->password);
	char hash[PASSWORD_HASH_MAX];
	const char *invite;
	enum api_error e;

	if (!c->app->registration_open)
		return API_REGISTRATION_CLOSED;
	email_judge(c, &in->email);
	password_judge(c, "password", &password, in->email.s);
	cookie_judge(c, &in->cookie);
	if (c->fields.n)
		return API_VALIDATION_FAILED;
	e = check_invite(c, &in->invite, &invite);
	if (e == API_OK)
		e = password_make(c, &password, hash);
	return e == API_OK ? create_account(c, in, hash, invite) : e;
}

/* --- login ----------------------------------------------------------------------------------- */

/* A session that the caller shows a token of: if it lives, strangers' failures do not count. */
static const struct principal *shown_session(struct call *c, struct principal *p)
{
	struct json_text cookie;

	if (bearer_session(c, p))
		return p;
	if (cookie_read(c, &cookie) == API_OK && token_session(c, &cookie, p))
		return p;
	return NULL;
}

/* Starts the session. When the credential is not what was verified any more, another login may have
 * rehashed it: that leaves the epoch, so the password still is the one that was verified. */
static enum api_error start_session(struct call *c, const struct credential_query *query,
				    const struct credential *cred, struct login *login)
{
	struct credential again;
	struct user user;
	struct session session;
	enum store_result r = store_login(c->store, c->arena, login, &user, &session);

	if (r == STORE_NO_SESSION) {
		r = store_credential_find(c->store, c->arena, query, &again);
		if (r == STORE_OK && !again.disabled && again.epoch == cred->epoch &&
		    uuid_equal(&again.user_id, &cred->user_id)) {
			login->verified_hash = again.password_hash;
			login->new_hash = NULL;
			r = store_login(c->store, c->arena, login, &user, &session);
		} else if (r == STORE_OK || r == STORE_NOT_FOUND) {
			r = STORE_NO_SESSION;
		}
	}
	if (r == STORE_NO_SESSION) {
		c->reason = "credential_changed";
		return API_INVALID_CREDENTIALS;
	}
	if (r != STORE_OK)
		return api_from_store(r);
	identify(c, &user, &session);
	return reply_auth(c, 200, &user, &session);
}

/* The same steps, whether there is such an account or not. */
static enum api_error verify_login(struct call *c, const struct credential_query *query,
				   const struct json_text *password)
{
	char new_hash[PASSWORD_HASH_MAX] = "";
	struct credential found, *cred = NULL;
	const char *throttle_key;
	struct login login;
	enum api_error e;
	enum store_result r = store_credential_find(c->store, c->arena, query, &found);

	if (r == STORE_OK)
		cred = &found;
	else if (r != STORE_NOT_FOUND)
		return api_from_store(r);
	e = throttle_account(c, query, cred, &throttle_key);
	if (e != API_OK)
		return e;
	e = password_compare(c, password, cred, new_hash);
	if (cred && e == API_OK) { /* it is never one without the other */
		login = (struct login){
			.user_id = cred->user_id,
			.verified_hash = cred->password_hash,
			.new_hash = new_hash[0] ? new_hash : NULL,
			.throttle_key = throttle_key,
			.session = session_begin(c),
			.client = c->client,
		};
		e = start_session(c, query, cred, &login);
	}
	/* only a wrong password is a failure of the account */
	if (e == API_INVALID_CREDENTIALS)
		audit_failure(c, AUDIT_LOGIN_FAILED, cred ? &cred->user_id : NULL);
	else if (e != API_OK)
		throttle_refund(c, throttle_key);
	return e;
}

enum api_error auth_login(struct call *c)
{
	const struct account_input *in = c->input;
	struct json_text password = password_normal(c, &in->password);
	struct principal shown;
	const struct credential_query query = {
		/* what is no e-mail is nobody's, and maybe a password: nothing is kept of it */
		.email_key = email_is_valid(in->email.s, in->email.len)
				     ? email_key(c->arena, in->email.s)
				     : "",
		.network = c->client.network,
		.session = shown_session(c, &shown),
	};

	cookie_judge(c, &in->cookie);
	if (c->fields.n)
		return API_VALIDATION_FAILED;
	return verify_login(c, &query, &password);
}

/* --- refresh --------------------------------------------------------------------------------- */

/* The token of the body or else of the cookie, whose successor is a cookie again. */
static enum api_error presented_token(struct call *c, struct json_text *token)
{
	const struct refresh_input *in = c->input;
	enum api_error e;

	if (in && in->refresh_token.len) {
		*token = in->refresh_token;
		return API_OK;
	}
	e = cookie_read(c, token);
	c->cookie = token->present;
	return e;
}

/* Only an invalid token counts against the address. `reason`, of the log, tells what honest clients
 * do from guessing; NULL for the latter. */
static enum api_error invalid_refresh_token(struct call *c, const char *reason)
{
	enum api_error e = throttle_address(c);

	c->reason = reason;
	return e == API_OK ? API_INVALID_REFRESH_TOKEN : e;
}

static enum api_error refresh_theft(struct call *c, const struct principal *p, int64_t counter)
{
	enum store_result r = store_session_theft(c->store, p, counter, &c->client);
	struct log_line l;
	char id[UUID_TEXT_LEN + 1];

	c->reused = true;
	log_begin(&l, LOG_WARNING, "refresh_theft");
	log_str(&l, "address", c->client.address);
	uuid_format(&p->user_id, id);
	log_str(&l, "user", id);
	uuid_format(&p->session_id, id);
	log_str(&l, "session", id);
	log_str(&l, "request_id", c->request->request_id);
	log_end(&l);
	return r == STORE_OK ? API_SESSION_ENDED : api_from_store(r);
}

enum api_error auth_refresh(struct call *c)
{
	struct json_text text;
	struct refresh_token token;
	struct session_refresh wanted;
	struct session_state row;
	struct refresh_state state;
	enum store_result r;
	enum api_error e = presented_token(c, &text);

	if (e != API_OK)
		return e;
	if (!text.s)
		return invalid_refresh_token(c, "no_refresh_token");
	if (!refresh_token_read(c->app->keys, text.s, text.len, &token))
		return invalid_refresh_token(c, NULL);
	wanted = (struct session_refresh){
		.principal = { token.user_id, token.session_id },
		.counter = token.counter,
		.idle_s = c->app->refresh_idle_s,
		.key_id = keys_active_id(c->app->keys),
	};
	r = store_session_refresh(c->store, c->arena, &wanted, &row);
	if (r != STORE_OK)
		return api_from_store(r);
	state = (struct refresh_state){
		.found = row.found,
		.advanced = row.advanced,
		.revoked = row.revoked,
		.counter = row.session.counter,
		.now = row.now,
		.rotated_at = row.session.rotated_at,
		.expires_at = session_expiry(&row.session),
	};
	switch (refresh_decide(&token, &state, c->app->refresh_grace_s * US_PER_SECOND)) {
	case REFRESH_CURRENT:
		break;
	case REFRESH_INVALID:
		return invalid_refresh_token(c, "refresh_token_expired");
	case REFRESH_ENDED:
		return API_SESSION_ENDED;
	case REFRESH_THEFT:
		return refresh_theft(c, &wanted.principal, row.session.counter);
	case REFRESH_RETRY:
		return API_UNAVAILABLE;
	}
	if (!row.user.email) /* ended between the two statements */
		return API_SESSION_ENDED;
	identify(c, &row.user, &row.session);
	return reply_auth(c, 200, &row.user, &row.session);
}

/* --- logout, session ------------------------------------------------------------------------- */

/* Ends the session of a signed access token, expired or not, else of the refresh token in the body,
 * else of the cookie. The cookie goes in any case. */
enum api_error auth_logout(struct call *c)
{
	const struct refresh_input *in = c->input;
	struct json_text cookie;
	struct json_writer w;
	enum api_error rule = cookie_read(c, &cookie);
	enum store_result r;

	if (bearer_session(c, &c->who) || (in && token_session(c, &in->refresh_token, &c->who)))
		c->principal = &c->who;
	else if (rule != API_OK)
		return rule;
	else if (token_session(c, &cookie, &c->who))
		c->principal = &c->who;
	if (c->principal) {
		r = store_session_end(c->store, c->principal, &c->client);
		if (r != STORE_OK)
			return api_from_store(r);
	}
	if (cookie.present)
		reply_clear_cookie(c);
	reply_json(c, 200, &w);
	json_object_open(&w);
	json_key(&w, "success");
	json_bool(&w, true);
	json_key(&w, "message");
	json_string(&w, "Logged out");
	json_object_close(&w);
	return API_OK;
}

enum api_error auth_session(struct call *c)
{
	struct user user;
	struct session s;
	struct json_writer w;
	enum store_result r = store_session_get(c->store, c->arena, c->principal, &user, &s);

	if (r != STORE_OK)
		return api_from_store(r);
	reply_json(c, 200, &w);
	json_object_open(&w);
	json_key(&w, "user");
	write_user(&w, &user);
	json_key(&w, "session");
	write_session(&w, &s);
	json_key(&w, "expires_at");
	json_time(&w, c->token_expires_at * US_PER_SECOND);
	json_object_close(&w);
	return API_OK;
}
