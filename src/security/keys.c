#include "base/base.h"

#include "security/keys.h"

#include <jwt.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "base/codec.h"
#include "base/log.h"
#include "base/random.h"
#include "base/secret.h"
#include "security/keys_private.h"

static const char id_label[] = "taskcell kid v1";
static const char refresh_label[] = "taskcell refresh token v1";

bool hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len,
		 uint8_t out[DIGEST_LEN])
{
	return HMAC(EVP_sha256(), key, (int)key_len, bytes, len, out, NULL) != NULL;
}

/* What libjwt writes as the header under this key, taken from a token of its own making, so that
 * comparing with it never disagrees with the library. */
static bool make_header(struct key *key)
{
	char *token = NULL;
	jwt_t *jwt = NULL;

	if (jwt_new(&jwt) == 0 &&
	    jwt_set_alg(jwt, JWT_ALG_HS256, key->secret, (int)key->secret_len) == 0 &&
	    jwt_add_header(jwt, "kid", key->id_text) == 0)
		token = jwt_encode_str(jwt);
	if (token) {
		key->header_len = strcspn(token, ".");
		key->header = strndup(token, key->header_len);
		secret_wipe(token, strlen(token));
		free(token);
	}
	jwt_free(jwt);
	return key->header != NULL;
}

static bool make_key(struct key *key, const char *secret, size_t len)
{
	uint8_t digest[DIGEST_LEN];

	memcpy(key->secret, secret, len);
	key->secret_len = len;
	if (!hmac_sha256(secret, len, refresh_label, strlen(refresh_label), key->refresh) ||
	    !hmac_sha256(secret, len, id_label, strlen(id_label), digest))
		return false;
	memcpy(key->id, digest, KEY_ID_BYTES);
	hex_encode(key->id, KEY_ID_BYTES, key->id_text);
	return make_header(key);
}

struct keys *keys_new(const char *secret, size_t len, const char *issuer, const char *audience)
{
	struct keys *keys;

	if (len < SECRET_MIN || len > SECRET_MAX)
		return NULL;
	keys = calloc(1, sizeof(*keys));
	if (!keys)
		return NULL;
	keys->issuer = strdup(issuer);
	keys->audience = strdup(audience);
	if (!keys->issuer || !keys->audience || !make_key(&keys->active, secret, len)) {
		keys_free(keys);
		return NULL;
	}
	return keys;
}

void keys_free(struct keys *keys)
{
	if (!keys)
		return;
	free(keys->issuer);
	free(keys->audience);
	free(keys->active.header);
	secret_wipe(keys, sizeof(*keys));
	free(keys);
}

const char *keys_active_id(const struct keys *keys)
{
	return keys->active.id_text;
}

const struct key *keys_find(const struct keys *keys, const uint8_t id[KEY_ID_BYTES])
{
	return memcmp(keys->active.id, id, KEY_ID_BYTES) == 0 ? &keys->active : NULL;
}

void secret_generate(char out[SECRET_TEXT_LEN + 1])
{
	uint8_t bytes[DIGEST_LEN];

	random_bytes(bytes, sizeof(bytes));
	base64url_encode(bytes, sizeof(bytes), out);
	secret_wipe(bytes, sizeof(bytes));
}

void digest_sha256(const void *bytes, size_t len, uint8_t out[DIGEST_LEN])
{
	if (!SHA256(bytes, len, out))
		fatal("SHA-256 is not available");
}
