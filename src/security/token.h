/* Access tokens: JWT (RFC 7519, 8725) signed with our own key. Verifying never looks at the
 * database; whether the session lives is decided in SQL. */
#ifndef TASKCELL_SECURITY_TOKEN_H
#define TASKCELL_SECURITY_TOKEN_H

#include "base/arena.h"
#include "base/uuid.h"
#include "security/keys.h"

enum {
	TOKEN_MAX = 4096,
	TOKEN_LEEWAY_S = 30, /* on exp and nbf */
};

struct token_claims {
	struct uuid user_id;
	struct uuid session_id;
	int64_t issued_at;  /* Unix seconds */
	int64_t expires_at; /* Unix seconds */
};

/* A signed token on the arena, wiped with it; NULL when a library fails. Its payload is ASCII and
 * its base64url form holds neither `-` nor `_`, so that a plain atob() reads it. */
char *token_issue(struct keys *, struct arena *, const struct token_claims *,
		  const char *email) MUST_CHECK;

enum token_result {
	TOKEN_OK,
	TOKEN_EXPIRED, /* all in order but the time; the claims are filled in */
	TOKEN_INVALID,
};

/* Takes `len` bytes as they stood behind "Bearer ". `now`: Unix seconds. The header must be, byte
 * for byte, one that our own keys write: this settles algorithm, type and key id at once. Then the
 * signature, then iss, aud, token_use, nbf, exp, sub, user_id and sid. */
enum token_result token_verify(struct keys *, const char *text, size_t len, int64_t now,
			       struct token_claims *out) MUST_CHECK;
/* Whether the token that was verified last had been verified before, so that it was quick. */
bool token_was_seen(struct keys *) MUST_CHECK;

#endif
