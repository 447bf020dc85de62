/* The server's own keys. One secret, from which the other is derived, so that knowing what verifies
 * access tokens elsewhere does not make refresh tokens. */
#ifndef TASKCELL_SECURITY_KEYS_H
#define TASKCELL_SECURITY_KEYS_H

#include "base/base.h"

enum {
	KEY_ID_LEN = 8,  /* hex digits */
	SECRET_MIN = 32, /* bytes: 256 bits */
	SECRET_MAX = 512,
	DIGEST_LEN = 32,
};

struct keys;

/* Builds the keys of a secret of SECRET_MIN to SECRET_MAX bytes (not kept). `issuer` and `audience`
 * are copied. NULL when the length is wrong or a library fails. */
struct keys *keys_new(const char *secret, size_t len, const char *issuer,
		      const char *audience) MUST_CHECK;
/* Wipes and frees; NULL is fine. */
void keys_free(struct keys *);
/* The id new tokens carry: KEY_ID_LEN hex digits derived from the secret. */
const char *keys_active_id(const struct keys *);

/* Writes a new secret of 256 random bits as text: base64url, 43 characters and a terminator. */
enum { SECRET_TEXT_LEN = 43 };
void secret_generate(char out[SECRET_TEXT_LEN + 1]);

/* SHA-256, for look-up keys that must not hold what people typed. */
void digest_sha256(const void *bytes, size_t len, uint8_t out[DIGEST_LEN]);

#endif
