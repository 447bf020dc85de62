/* The inside of `struct keys`, for this folder only. */
#ifndef TASKCELL_SECURITY_KEYS_PRIVATE_H
#define TASKCELL_SECURITY_KEYS_PRIVATE_H

#include <openssl/types.h>

#include "security/keyring.h"
#include "security/keys.h"

enum {
	KEY_ID_BYTES = KEY_ID_LEN / 2,
	KEY_RSA_BITS = 3072, /* of those made here, and the least of others */
	KEY_RSA_BITS_MAX = 8192,
	KEY_SIGNATURE_MAX = KEY_RSA_BITS_MAX / 8,
	KEY_TEXT_MAX = 8192, /* of a key's file */
};

/* --- key.c: one key -------------------------------------------------------------------------- */

struct key {
	uint8_t id[KEY_ID_BYTES];
	char id_text[KEY_ID_LEN + 1];
	enum key_algorithm algorithm;
	uint8_t secret[SECRET_MAX]; /* of HS256 */
	size_t secret_len;
	EVP_PKEY *pair; /* of the others */
	EVP_PKEY_CTX *verifier;
	size_t signature_len;
	uint8_t refresh[DIGEST_LEN]; /* signs refresh tokens */
	char *header;                /* first segment of every access token under this key */
	size_t header_len;
	struct buf jwk;  /* the public key as JSON; empty with HS256 */
	int64_t ends_at; /* verifies before this time only, Unix seconds */
};

/* Makes a key of a secret. `key` is zeroed before, and wiped by the caller also after a failure,
 * here and below. */
bool key_of_secret(struct key *, const char *secret, size_t len) MUST_CHECK;
/* Makes a key of what stands in its file; false with a sentence in `why`. */
bool key_of_text(struct key *, enum key_algorithm, const char *text, size_t len,
		 const char **why) MUST_CHECK;
void key_wipe(struct key *);

/* The text of a new key's file. */
bool key_generate(enum key_algorithm, char text[KEY_TEXT_MAX], size_t *len) MUST_CHECK;

/* Writes `signature_len` bytes, in the form of RFC 7518. */
bool key_sign(const struct key *, const void *bytes, size_t len,
	      uint8_t out[KEY_SIGNATURE_MAX]) MUST_CHECK;
bool key_verify(const struct key *, const void *bytes, size_t len, const uint8_t *signature,
		size_t signature_len) MUST_CHECK;

/* HMAC-SHA256; false when the library fails. */
bool hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len,
		 uint8_t out[DIGEST_LEN]) MUST_CHECK;

/* --- keyring.c: files ------------------------------------------------------------------------ */

/* Descriptors of a directory and of its keyring that nobody else may touch, -1 when it is not so.
 * The keyring's is KEYRING_ABSENT when there is none. */
enum { KEYRING_ABSENT = -2 };
int keyring_open_dir(const char *dir, char why[KEYRING_WHY_MAX]);
int keyring_open_at(int dir_fd, char why[KEYRING_WHY_MAX]);
bool keyring_read_fd(int fd, struct keyring *, char why[KEYRING_WHY_MAX]) MUST_CHECK;
/* Loads an entry's key, zeroed before. */
bool keyring_load_key(int dir_fd, const struct keyring_entry *, struct key *,
		      char why[KEYRING_WHY_MAX]) MUST_CHECK;

/* --- keys.c: the table ----------------------------------------------------------------------- */

struct keys;

struct token_cache *keys_cache(struct keys *);
const char *keys_issuer(const struct keys *);
const char *keys_audience(const struct keys *);
/* The one that signs. */
const struct key *keys_current(const struct keys *);
/* The key of that id, or whose tokens begin with that header; NULL when it is not ours, or verifies
 * no longer. */
const struct key *keys_find(const struct keys *, const uint8_t id[KEY_ID_BYTES]);
/* Whether it still verifies. */
bool key_lives(const struct key *) MUST_CHECK;
const struct key *keys_find_header(const struct keys *, const char *token, size_t len);

#endif
