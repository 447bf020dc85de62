#include "base/base.h"

#include "api/credentials.h"

#include "api/metrics.h"
#include "base/clock.h"
#include "http/text.h"

void email_judge(struct call *c, const struct json_text *email)
{
	if (!email_is_valid(email->s, email->len))
		field_error_add(&c->fields, "email", "invalid_format",
				"This is not an e-mail address.");
}

void cookie_judge(struct call *c, const struct json_flag *cookie)
{
	c->cookie = cookie->value;
	if (c->cookie && !c->app->cookie_mode)
		field_error_add(&c->fields, "cookie", "not_available",
				"This service has no origin of its own, which the cookie needs.");
}

/* --- passwords ------------------------------------------------------------------------------- */

struct json_text password_normal(struct call *c, const struct json_text *sent)
{
	struct json_text normal = { .present = sent->present };

	normal.s = text_nfkc(c->arena, sent->s, sent->len, true, &normal.len);
	return normal;
}

static void judge_flaw(struct call *c, const char *field, enum password_flaw flaw)
{
	switch (flaw) {
	case PASSWORD_FINE:
		break;
	case PASSWORD_TOO_COMMON:
		field_error_add(&c->fields, field, "too_common",
				"This password is one of those that are tried first.");
		break;
	case PASSWORD_LIKE_EMAIL:
		field_error_add(&c->fields, field, "contains_email",
				"The password is too much like the e-mail address.");
		break;
	case PASSWORD_LIKE_SITE:
		field_error_add(&c->fields, field, "contains_site",
				"The password is too much like the name of this site.");
		break;
	}
}

void password_judge(struct call *c, const char *field, const struct json_text *normal,
		    const char *email)
{
	size_t length;

	if (!normal->s)
		return; /* hashing will say so */
	length = text_length(normal->s, normal->len);
	if (length < PASSWORD_MIN)
		field_error_add(&c->fields, field, "too_short",
				arena_printf(c->arena, "It must have at least %d characters.",
					     PASSWORD_MIN));
	else if (length > PASSWORD_MAX)
		field_error_add(&c->fields, field, "too_long",
				arena_printf(c->arena, "It must have at most %d characters.",
					     PASSWORD_MAX));
	else
		judge_flaw(c, field,
			   password_flaw(normal->s, normal->len, email, c->app->site_name));
}

/* A turn to hash; each that was had is given back. */
static bool turn_begin(struct call *c, int64_t *began)
{
	bool got;

	metrics_hashing(c, HASHING_WAITS);
	got = gate_enter(c->app->gate, c->app->scrypt_wait_ms);
	metrics_hashing(c, got ? HASHING_RUNS : HASHING_NONE);
	*began = clock_monotonic_us();
	return got;
}

static void turn_end(struct call *c, int64_t began)
{
	gate_leave(c->app->gate);
	metrics_hashing(c, HASHING_NONE);
	c->hash_us += metrics_time(c, COUNT_HASH_TIME, began);
}

enum api_error password_make(struct call *c, const struct json_text *normal,
			     char hash[PASSWORD_HASH_MAX])
{
	enum password_result result;
	int64_t began;

	if (!normal->s)
		return API_UNAVAILABLE;
	if (!turn_begin(c, &began))
		return API_HASHING_BUSY;
	result = password_hash(c->app->scrypt_cost, normal->s, normal->len, hash);
	turn_end(c, began);
	return result == PASSWORD_OK ? API_OK : API_UNAVAILABLE;
}

enum api_error password_compare(struct call *c, const struct json_text *normal,
				const struct credential *cred, char *new_hash)
{
	unsigned cost = c->app->scrypt_cost;
	char dummy[PASSWORD_HASH_MAX];
	enum password_result result;
	int64_t began;
	bool passes;

	password_dummy(cost, dummy);
	if (!normal->s)
		return API_UNAVAILABLE;
	if (!turn_begin(c, &began))
		return API_HASHING_BUSY;
	result = password_verify(cred ? cred->password_hash : dummy, normal->s, normal->len);
	passes = result == PASSWORD_OK && cred && !cred->disabled;
	if (passes && new_hash && password_is_weak(cred->password_hash, cost) &&
	    password_hash(cost, normal->s, normal->len, new_hash) != PASSWORD_OK)
		new_hash[0] = '\0'; /* the old hash still serves */
	if (!passes && cred)
		password_even(cred->password_hash, cost);
	turn_end(c, began);
	if (result == PASSWORD_ERROR)
		return API_UNAVAILABLE;
	if (passes)
		return API_OK;
	c->reason = !cred ? "unknown_email" : result != PASSWORD_OK ? "wrong_password" : "disabled";
	return API_INVALID_CREDENTIALS;
}

void audit_failure(struct call *c, enum audit_failure failure, const struct uuid *user_id)
{
	if (store_audit_failure(c->store, failure, user_id, c->reason, &c->client) != STORE_OK)
		return; /* logged by the store; the answer stays what it is */
}

/* --- sessions -------------------------------------------------------------------------------- */

struct new_session session_begin(struct call *c)
{
	return (struct new_session){
		.id = uuid_v7(),
		.key_id = keys_active_id(c->app->keys),
		.idle_s = c->app->refresh_idle_s,
		.absolute_s = c->app->refresh_absolute_s,
	};
}

void identify(struct call *c, const struct user *u, const struct session *s)
{
	c->who = (struct principal){ u->id, s->id };
	c->principal = &c->who;
}
