#include "base/base.h"

#include "api/authenticate.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/throttle.h"
#include "base/codec.h"
#include "base/log.h"
#include "http/text.h"
#include "security/password.h"
#include "security/refresh_token.h"

enum {
	EMAIL_MAX = 254,
	EMAIL_LOCAL_MAX = 64,
	LABEL_MAX = 63,
	NAME_MAX_LENGTH = 100,
	USER_AGENT_MAX = 255,
};

/* --- bodies ---------------------------------------------------------------------------------- */

struct account_input {
	struct json_text email;
	struct json_text password;
	struct json_text name;
};

/* clang-format off */
#define EMAIL_FIELD \
	{ .name = "email", .type = FIELD_TEXT, .rules = FIELD_REQUIRED | FIELD_TRIMMED, \
	  .offset = offsetof(struct account_input, email), .min = 1, .max = EMAIL_MAX }
#define PASSWORD_FIELD(min_) \
	{ .name = "password", .type = FIELD_TEXT, .rules = FIELD_REQUIRED | FIELD_SECRET, \
	  .offset = offsetof(struct account_input, password), .min = (min_), .max = PASSWORD_MAX }
/* clang-format on */

static const struct field register_fields[] = {
	EMAIL_FIELD,
	PASSWORD_FIELD(PASSWORD_MIN),
	{ .name = "name",
	  .type = FIELD_TEXT,
	  .rules = FIELD_NULLABLE,
	  .offset = offsetof(struct account_input, name),
	  .min = 1,
	  .max = NAME_MAX_LENGTH },
};
static const struct field login_fields[] = { EMAIL_FIELD, PASSWORD_FIELD(1) };

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

/* --- e-mail ---------------------------------------------------------------------------------- */

/* The rule of browsers (HTML, "valid e-mail address"), with a dot in the domain. What passes is
 * ASCII, so that the field's limit of characters is one of bytes, too. */
static bool email_is_valid(const char *s, size_t len)
{
	const char *at = memchr(s, '@', len);
	size_t local = at ? (size_t)(at - s) : 0, label = 0;
	bool dot = false;

	if (!local || local > EMAIL_LOCAL_MAX)
		return false;
	for (size_t i = 0; i < local; i++) {
		if (!ascii_is_alnum(s[i]) && !strchr(".!#$%&'*+/=?^_`{|}~-", s[i]))
			return false;
	}
	for (size_t i = local + 1; i < len; i++) {
		char next = i + 1 < len ? s[i + 1] : '.';

		if (s[i] == '.') {
			dot = true;
			label = 0;
		} else if (ascii_is_alnum(s[i]) || (s[i] == '-' && label && next != '.')) {
			label++;
		} else {
			return false;
		}
		/* no empty label, at the end neither */
		if (label > LABEL_MAX || (s[i] == '.' && (next == '.' || i == local + 1)))
			return false;
	}
	return dot;
}

/* The form in which e-mails are compared. */
static const char *email_key(struct arena *a, const char *email)
{
	char *key = arena_strndup(a, email, strlen(email));

	for (char *p = key; *p; p++)
		*p = ascii_lower(*p);
	return key;
}

/* --- sessions -------------------------------------------------------------------------------- */

static struct new_session new_session(struct call *c)
{
	return (struct new_session){
		.id = uuid_v7(),
		.key_id = keys_active_id(c->app->keys),
		.idle_s = c->app->refresh_idle_s,
		.absolute_s = c->app->refresh_absolute_s,
		.ip = client_address(c),
		.user_agent = text_keep(c->arena, c->request->user_agent, USER_AGENT_MAX),
	};
}

/* Says who the caller has turned out to be, for the log. */
static void identify(struct call *c, const struct user *u, const struct session *s)
{
	c->who = (struct principal){ u->id, s->id };
	c->principal = &c->who;
}

/* --- register -------------------------------------------------------------------------------- */

static bool account_is_valid(struct call *c, const struct account_input *in)
{
	if (!email_is_valid(in->email.s, in->email.len))
		field_error_add(&c->fields, "email", "invalid_format",
				"This is not an e-mail address.");
	if (password_is_common(in->password.s, in->password.len))
		field_error_add(&c->fields, "password", "too_common",
				"This password is one of those that are tried first.");
	else if (password_contains_name(in->password.s, in->password.len, in->email.s))
		field_error_add(&c->fields, "password", "contains_email",
				"The password must not contain the name in the e-mail address.");
	return c->fields.n == 0;
}

enum api_error auth_register(struct call *c)
{
	const struct account_input *in = c->input;
	char hash[PASSWORD_HASH_MAX];
	enum password_result hashed;
	struct new_account new;
	struct user user;
	struct session session;
	enum store_result r;

	if (!c->app->registration_open)
		return API_REGISTRATION_CLOSED;
	if (!account_is_valid(c, in))
		return API_VALIDATION_FAILED;
	if (!gate_enter(c->app->gate, c->app->scrypt_wait_ms))
		return API_HASHING_BUSY;
	hashed = password_hash(c->app->scrypt_cost, in->password.s, in->password.len, hash);
	gate_leave(c->app->gate);
	if (hashed != PASSWORD_OK)
		return API_UNAVAILABLE;
	new = (struct new_account){
		.user_id = uuid_v7(),
		.email = in->email.s,
		.email_key = email_key(c->arena, in->email.s),
		.name = in->name.s,
		.password_hash = hash,
		.session = new_session(c),
	};
	r = store_account_create(c->store, c->arena, &new, &user, &session);
	if (r == STORE_CONFLICT)
		return API_EMAIL_TAKEN;
	if (r != STORE_OK)
		return api_from_store(r);
	identify(c, &user, &session);
	return reply_auth(c, 201, &user, &session);
}

/* --- login ----------------------------------------------------------------------------------- */

/* Compares the password with the credential, or with nobody's at the same cost, and hashes anew
 * when the parameters have grown. Everything behind the gate. */
static enum api_error verify_password(struct call *c, const struct json_text *password,
				      const struct credential *cred,
				      char new_hash[PASSWORD_HASH_MAX])
{
	char dummy[PASSWORD_HASH_MAX];
	enum password_result result;
	bool passes;

	password_dummy(c->app->scrypt_cost, dummy);
	if (!gate_enter(c->app->gate, c->app->scrypt_wait_ms))
		return API_HASHING_BUSY;
	result = password_verify(cred ? cred->password_hash : dummy, password->s, password->len);
	passes = result == PASSWORD_OK && cred && !cred->disabled;
	if (passes && password_is_weak(cred->password_hash, c->app->scrypt_cost) &&
	    password_hash(c->app->scrypt_cost, password->s, password->len, new_hash) != PASSWORD_OK)
		new_hash[0] = '\0'; /* the old hash still serves */
	gate_leave(c->app->gate);
	if (result == PASSWORD_ERROR)
		return API_UNAVAILABLE;
	if (passes)
		return API_OK;
	c->reason = !cred ? "unknown_email" : result != PASSWORD_OK ? "wrong_password" : "disabled";
	return API_INVALID_CREDENTIALS;
}

/* Starts the session. When the credential is not what was verified any more, another login may have
 * rehashed it: that leaves the epoch, so the password still is the one that was verified. */
static enum api_error start_session(struct call *c, const char *key, const struct credential *cred,
				    struct login *login)
{
	struct credential again;
	struct user user;
	struct session session;
	enum store_result r = store_login(c->store, c->arena, login, &user, &session);

	if (r == STORE_NO_SESSION) {
		r = store_credential_find(c->store, c->arena, key, &again);
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

enum api_error auth_login(struct call *c)
{
	const struct account_input *in = c->input;
	const char *key = email_key(c->arena, in->email.s), *throttle_key;
	char new_hash[PASSWORD_HASH_MAX] = "";
	struct credential cred;
	struct login login;
	enum store_result r;
	enum api_error e = throttle_account(c, key, &throttle_key);

	if (e != API_OK)
		return e;
	r = store_credential_find(c->store, c->arena, key, &cred);
	if (r == STORE_OK || r == STORE_NOT_FOUND)
		e = verify_password(c, &in->password, r == STORE_OK ? &cred : NULL, new_hash);
	else
		e = api_from_store(r);
	if (e == API_OK) {
		login = (struct login){
			.user_id = cred.user_id,
			.verified_hash = cred.password_hash,
			.new_hash = new_hash[0] ? new_hash : NULL,
			.throttle_key = throttle_key,
			.session = new_session(c),
		};
		e = start_session(c, key, &cred, &login);
	}
	/* only a wrong password is a failure of the account */
	if (e != API_OK && e != API_INVALID_CREDENTIALS)
		throttle_refund(c, throttle_key);
	return e;
}

/* --- refresh --------------------------------------------------------------------------------- */

/* The token of the body; false when there is none or it is not of our making. */
static bool read_refresh_token(const struct call *c, struct refresh_token *token)
{
	const struct refresh_input *in = c->input;

	return in && in->refresh_token.s &&
	       refresh_token_read(c->app->keys, in->refresh_token.s, in->refresh_token.len, token);
}

/* Only an invalid token counts against the address. */
static enum api_error invalid_refresh_token(struct call *c)
{
	enum api_error e = throttle_address(c);

	return e == API_OK ? API_INVALID_REFRESH_TOKEN : e;
}

static enum api_error refresh_theft(struct call *c, const struct principal *p, int64_t counter)
{
	enum store_result r = store_session_end(c->store, p, counter);
	struct log_line l;
	char id[UUID_TEXT_LEN + 1];

	log_begin(&l, LOG_WARNING, "refresh_theft");
	log_str(&l, "address", c->request->remote_addr);
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
	struct refresh_token token;
	struct session_refresh wanted;
	struct session_state row;
	struct refresh_state state;
	enum store_result r;

	if (!read_refresh_token(c, &token))
		return invalid_refresh_token(c);
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
		return invalid_refresh_token(c);
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

/* The session to end: of a signed access token, expired or not, else of the refresh token. */
static bool logout_target(struct call *c, struct principal *p)
{
	struct token_claims claims;
	struct refresh_token token;
	bool present;

	if (bearer_read(c, &claims, &present) != TOKEN_INVALID) {
		*p = (struct principal){ claims.user_id, claims.session_id };
		return true;
	}
	if (!read_refresh_token(c, &token))
		return false;
	*p = (struct principal){ token.user_id, token.session_id };
	return true;
}

enum api_error auth_logout(struct call *c)
{
	struct json_writer w;
	enum store_result r;

	if (logout_target(c, &c->who)) {
		c->principal = &c->who;
		r = store_session_end(c->store, c->principal, -1);
		if (r != STORE_OK)
			return api_from_store(r);
	}
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
	json_object_open(&w);
	json_key(&w, "id");
	json_uuid(&w, &s.id);
	json_key(&w, "created_at");
	json_time(&w, s.created_at);
	json_key(&w, "last_used_at");
	json_time(&w, s.rotated_at);
	json_key(&w, "expires_at");
	json_time(&w, session_expiry(&s));
	json_object_close(&w);
	json_key(&w, "expires_at");
	json_time(&w, c->token_expires_at * US_PER_SECOND);
	json_object_close(&w);
	return API_OK;
}
