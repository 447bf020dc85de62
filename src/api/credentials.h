/* What registration, login and the account's routes share: e-mails, new passwords, the hashing
 * behind the gate, and how a session begins. */
#ifndef TASKCELL_API_CREDENTIALS_H
#define TASKCELL_API_CREDENTIALS_H

#include "api/call.h"
#include "http/email.h"
#include "security/password.h"

enum {
	NAME_LENGTH_MAX = 100,
	/* code points as sent: what is counted is the normalised form, which mostly is shorter */
	PASSWORD_SENT_MAX = 4 * PASSWORD_MAX,
};

/* Rows for body tables, whose struct has a member of the field's name. */
/* clang-format off */
#define EMAIL_FIELD(input, rules_) \
	{ .name = "email", .type = FIELD_TEXT, .rules = (rules_) | FIELD_TRIMMED, \
	  .offset = offsetof(input, email), .min = 1, .max = EMAIL_MAX }
#define PASSWORD_FIELD(input, member, rules_, min_) \
	{ .name = #member, .type = FIELD_TEXT, .rules = (rules_) | FIELD_SECRET, \
	  .offset = offsetof(input, member), .min = (min_), .max = PASSWORD_SENT_MAX }
#define NAME_FIELD(input) \
	{ .name = "name", .type = FIELD_TEXT, .rules = FIELD_NULLABLE, \
	  .offset = offsetof(input, name), .min = 1, .max = NAME_LENGTH_MAX }
#define COOKIE_FIELD(input) \
	{ .name = "cookie", .type = FIELD_FLAG, .offset = offsetof(input, cookie) }
/* clang-format on */

/* Adds a field error when the member `email` is none. */
void email_judge(struct call *, const struct json_text *email);

/* Makes the answer one in cookie mode if that is asked for; adds a field error when it cannot. */
void cookie_judge(struct call *, const struct json_flag *cookie);

/* A password as it is hashed: NFKC, wiped with the arena. s is NULL when memory ran out. */
struct json_text password_normal(struct call *, const struct json_text *);

/* Adds a field error under `field` when a new password will not do: too short or too long once
 * normalised, too common, like the e-mail, like the site. */
void password_judge(struct call *, const char *field, const struct json_text *normal,
		    const char *email);

/* Hashes behind the gate: API_OK, API_HASHING_BUSY or API_UNAVAILABLE. */
enum api_error password_make(struct call *, const struct json_text *normal,
			     char hash[PASSWORD_HASH_MAX]) MUST_CHECK;

/* Compares with the credential behind the gate, or with nobody's (`cred` NULL) at the same cost;
 * hashes anew when the parameters have grown, into `new_hash` (NULL: not wanted; "" when not).
 * API_OK, API_INVALID_CREDENTIALS with c->reason, API_HASHING_BUSY or API_UNAVAILABLE. */
enum api_error password_compare(struct call *, const struct json_text *normal,
				const struct credential *cred, char *new_hash) MUST_CHECK;

/* Writes down that somebody was refused, with c->reason; `user_id`: NULL when unknown. */
void audit_failure(struct call *, enum audit_failure, const struct uuid *user_id);

/* A new session's row, and the caller it has turned out to be, for the log. */
struct new_session session_begin(struct call *);
void identify(struct call *, const struct user *, const struct session *);

#endif
