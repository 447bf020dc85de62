/* The server's own keys: one secret of the configuration, or a directory of keys (keyring.h). Each
 * key signs access tokens by its algorithm, and refresh tokens by a second key derived from it, so
 * that knowing what verifies access tokens elsewhere does not make refresh tokens. */
#ifndef TASKCELL_SECURITY_KEYS_H
#define TASKCELL_SECURITY_KEYS_H

#include "base/buf.h"

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

struct keys_options {
	const char *dir;
	const char *secret; /* NULL, or one that still verifies, as before there was a directory */
	const char *issuer;
	const char *audience;
	int64_t verify_s; /* how long a retired key verifies: the life of the longest token */
};

/* Reads the keys of a directory, which needs a current one. NULL when something is wrong, which is
 * logged as `keys` (a file or directory that others may read or write, an unreadable key, …). */
struct keys *keys_open(const struct keys_options *) MUST_CHECK;

/* Looks whether the directory's keyring has changed (mostly one fstat), and then reads it anew; if
 * that fails, the keys stay and it is logged once. What is declared below and in token.h and
 * refresh_token.h begins with it, so that a change counts from the next request on; others need not
 * call it. */
void keys_follow(struct keys *);

/* The id new tokens carry: KEY_ID_LEN hex digits derived from the key. The text stays where it is
 * as long as the keys do, and changes when they change. */
const char *keys_active_id(struct keys *);

/* The public keys as a JWK Set (RFC 7517), those included that will sign next or have signed: one
 * JSON object. HS256 keys are never among them. */
void keys_jwks(struct keys *, struct buf *out);

/* Writes a new secret of 256 random bits as text: base64url, 43 characters and a terminator. */
enum { SECRET_TEXT_LEN = 43 };
void secret_generate(char out[SECRET_TEXT_LEN + 1]);

/* SHA-256, for look-up keys that must not hold what people typed. */
void digest_sha256(const void *bytes, size_t len, uint8_t out[DIGEST_LEN]);

#endif
