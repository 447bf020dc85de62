/* Refresh tokens: opaque to clients, self-contained for us. 85 bytes in base64url:
 *   version 1 (1) | key id (4) | user id (16) | session id (16) | counter (8) | expiry (8) |
 *   HMAC-SHA256 over all before it (32), numbers big-endian. */
#ifndef TASKCELL_SECURITY_REFRESH_TOKEN_H
#define TASKCELL_SECURITY_REFRESH_TOKEN_H

#include "base/codec.h"
#include "base/uuid.h"
#include "security/keys.h"

enum {
	REFRESH_TOKEN_BYTES = 85,
	REFRESH_TOKEN_LEN = BASE64_LEN(REFRESH_TOKEN_BYTES),
};

struct refresh_token {
	struct uuid user_id;
	struct uuid session_id;
	int64_t counter;
	int64_t expires_at; /* Unix seconds */
};

/* Writes the token under the key of that id; equal input gives equal bytes. False when there is no
 * such key (or a library fails). */
bool refresh_token_issue(struct keys *, const char *key_id, const struct refresh_token *,
			 char out[REFRESH_TOKEN_LEN + 1]) MUST_CHECK;

/* True when the text is a token that we signed; says nothing about expiry or the session. */
bool refresh_token_read(struct keys *, const char *text, size_t len,
			struct refresh_token *out) MUST_CHECK;

/* What the database knows about the session, read after the conditional UPDATE. Times in
 * microseconds of the database's clock. */
struct refresh_state {
	bool found;
	bool advanced; /* our UPDATE moved the counter */
	bool revoked;  /* ended, disabled, or of an earlier epoch */
	int64_t counter;
	int64_t now;
	int64_t rotated_at;
	int64_t expires_at; /* the nearer of idle and absolute expiry */
};

enum refresh_verdict {
	REFRESH_CURRENT, /* hand out the session's current token: advanced by us, or just before */
	REFRESH_INVALID, /* 401 invalid_refresh_token */
	REFRESH_ENDED,   /* 401 session_ended */
	REFRESH_THEFT,   /* end the session, log it, 401 session_ended */
	REFRESH_RETRY,   /* the UPDATE and the read disagree: nothing was changed, 503 */
};

/* The decision table of the contract; `grace_us` counts from the last rotation, 0 is strict. */
enum refresh_verdict refresh_decide(const struct refresh_token *, const struct refresh_state *,
				    int64_t grace_us);

#endif
