/* The inside of `struct keys`, for this folder only. */
#ifndef TASKCELL_SECURITY_KEYS_PRIVATE_H
#define TASKCELL_SECURITY_KEYS_PRIVATE_H

#include "security/keys.h"

enum { KEY_ID_BYTES = KEY_ID_LEN / 2 };

struct key {
	uint8_t id[KEY_ID_BYTES];
	char id_text[KEY_ID_LEN + 1];
	uint8_t secret[SECRET_MAX]; /* signs access tokens (HS256) */
	size_t secret_len;
	uint8_t refresh[DIGEST_LEN]; /* signs refresh tokens */
	char *header;                /* first segment of every access token under this key */
	size_t header_len;
};

struct keys {
	struct key active;
	char *issuer;
	char *audience;
};

/* The key of that id, NULL when it is not ours. */
const struct key *keys_find(const struct keys *, const uint8_t id[KEY_ID_BYTES]);

/* HMAC-SHA256; false when the library fails. */
bool hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len,
		 uint8_t out[DIGEST_LEN]) MUST_CHECK;

#endif
