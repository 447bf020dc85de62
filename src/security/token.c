#include "base/base.h"

#include "security/token.h"

#include <jwt.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/secret.h"
#include "security/keys_private.h"

static const char token_use[] = "access";

static jwt_t *make_claims(const struct keys *keys, const struct token_claims *claims,
			  const char *email)
{
	char user[UUID_TEXT_LEN + 1], session[UUID_TEXT_LEN + 1], id[UUID_TEXT_LEN + 1];
	struct uuid jti = uuid_v7();
	const struct {
		const char *name, *value;
	} texts[] = {
		{ "iss", keys->issuer }, { "aud", keys->audience },  { "sub", user },
		{ "user_id", user },     { "sid", session },         { "jti", id },
		{ "email", email },      { "token_use", token_use },
	};
	const struct {
		const char *name;
		int64_t value;
	} times[] = {
		{ "iat", claims->issued_at },
		{ "nbf", claims->issued_at },
		{ "exp", claims->expires_at },
	};
	bool ok = true;
	jwt_t *jwt;

	if (jwt_new(&jwt) != 0)
		return NULL;
	uuid_format(&claims->user_id, user);
	uuid_format(&claims->session_id, session);
	uuid_format(&jti, id);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		ok = ok && jwt_add_grant(jwt, texts[i].name, texts[i].value) == 0;
	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		ok = ok && jwt_add_grant_int(jwt, times[i].name, (long)times[i].value) == 0;
	if (ok)
		return jwt;
	jwt_free(jwt);
	return NULL;
}

/* One scalar value of text that the JSON library has already found to be valid UTF-8. */
static uint32_t next_scalar(const char **text)
{
	const unsigned char *s = (const unsigned char *)*text;
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	uint32_t c = len == 1 ? s[0] : s[0] & (0xffu >> (len + 1));

	for (size_t i = 1; i < len; i++)
		c = c << 6 | (s[i] & 0x3f);
	*text += len;
	return c;
}

/* Existing clients read the payload with atob(), which knows neither UTF-8 nor `-` and `_`. These
 * two stand for sextets of 62 and 63, and of ASCII only `>`, `?`, `~` and 0x7f can end in such
 * bits. All of them occur inside JSON strings only, so they are written as escapes. */
static void put_plain_json(struct buf *out, const char *json)
{
	while (*json) {
		uint32_t c = next_scalar(&json);

		if (c >= 0x10000)
			buf_printf(out, "\\u%04x\\u%04x",
				   (unsigned)(0xd800 + ((c - 0x10000) >> 10)),
				   (unsigned)(0xdc00 + (c & 0x3ff)));
		else if (c >= 0x7f || c == '~' || c == '>' || c == '?')
			buf_printf(out, "\\u%04x", (unsigned)c);
		else
			buf_putc(out, (char)c);
	}
}

static char *sign(const struct key *key, struct arena *arena, const struct buf *payload)
{
	size_t payload_len = BASE64_LEN(payload->len);
	size_t signed_len = key->header_len + 1 + payload_len;
	size_t len = signed_len + 1 + BASE64_LEN(DIGEST_LEN);
	uint8_t mac[DIGEST_LEN];
	char *token;

	if (len > TOKEN_MAX)
		return NULL;
	token = arena_alloc(arena, len + 1);
	arena_wipe_later(arena, token, len);
	memcpy(token, key->header, key->header_len);
	token[key->header_len] = '.';
	base64url_encode(payload->data, payload->len, token + key->header_len + 1);
	if (!hmac_sha256(key->secret, key->secret_len, token, signed_len, mac))
		return NULL;
	token[signed_len] = '.';
	base64url_encode(mac, sizeof(mac), token + signed_len + 1);
	secret_wipe(mac, sizeof(mac));
	return token;
}

char *token_issue(const struct keys *keys, struct arena *arena, const struct token_claims *claims,
		  const char *email)
{
	jwt_t *jwt = make_claims(keys, claims, email);
	char *json = jwt ? jwt_get_grants_json(jwt, NULL) : NULL;
	char *token = NULL;
	struct buf payload;

	buf_init(&payload, TOKEN_MAX);
	if (json)
		put_plain_json(&payload, json);
	if (json && !payload.overflow)
		token = sign(&keys->active, arena, &payload);
	buf_free(&payload);
	free(json);
	jwt_free(jwt);
	return token;
}

static bool is_base64url(char c)
{
	return ascii_is_alnum(c) || c == '-' || c == '_';
}

/* The library is only shown what has the form of a token: three segments, none of them empty, of
 * the right characters, and short enough for its buffers on the stack. */
static bool is_well_formed(const char *text, size_t len)
{
	size_t dots = 0, segment = 0;

	if (len > TOKEN_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '.') {
			if (segment == 0)
				return false;
			dots++;
			segment = 0;
		} else if (is_base64url(text[i])) {
			segment++;
		} else {
			return false;
		}
	}
	return dots == 2 && segment > 0;
}

static const struct key *find_by_header(const struct keys *keys, const char *text, size_t len)
{
	const struct key *key = &keys->active;

	if (len > key->header_len && text[key->header_len] == '.' &&
	    memcmp(text, key->header, key->header_len) == 0)
		return key;
	return NULL;
}

static bool claim_is(jwt_t *jwt, const char *name, const char *expected)
{
	const char *value = jwt_get_grant(jwt, name);

	return value && strcmp(value, expected) == 0;
}

static bool claim_uuid(jwt_t *jwt, const char *name, struct uuid *out)
{
	const char *value = jwt_get_grant(jwt, name);

	return value && uuid_parse(value, strlen(value), out);
}

/* The library answers -1 for a missing claim and 0, without an error, for one of another type; no
 * time of ours is either. */
static bool claim_time(jwt_t *jwt, const char *name, int64_t *out)
{
	*out = jwt_get_grant_int(jwt, name);
	return *out > 0;
}

static enum token_result check_claims(const struct keys *keys, jwt_t *jwt, int64_t now,
				      struct token_claims *out)
{
	struct token_claims claims;
	int64_t not_before;
	struct uuid subject;

	if (!claim_is(jwt, "iss", keys->issuer) || !claim_is(jwt, "aud", keys->audience) ||
	    !claim_is(jwt, "token_use", token_use))
		return TOKEN_INVALID;
	if (!claim_uuid(jwt, "sub", &subject) || !claim_uuid(jwt, "user_id", &claims.user_id) ||
	    !uuid_equal(&subject, &claims.user_id) || !claim_uuid(jwt, "sid", &claims.session_id))
		return TOKEN_INVALID;
	if (!claim_time(jwt, "iat", &claims.issued_at) || !claim_time(jwt, "nbf", &not_before) ||
	    !claim_time(jwt, "exp", &claims.expires_at) || not_before > now + TOKEN_LEEWAY_S)
		return TOKEN_INVALID;
	*out = claims;
	return claims.expires_at <= now - TOKEN_LEEWAY_S ? TOKEN_EXPIRED : TOKEN_OK;
}

enum token_result token_verify(const struct keys *keys, const char *text, size_t len, int64_t now,
			       struct token_claims *out)
{
	enum token_result result = TOKEN_INVALID;
	char copy[TOKEN_MAX + 1];
	const struct key *key;
	jwt_t *jwt = NULL;

	if (!is_well_formed(text, len))
		return TOKEN_INVALID;
	key = find_by_header(keys, text, len);
	if (!key)
		return TOKEN_INVALID;
	memcpy(copy, text, len);
	copy[len] = '\0';
	/* A failed allocation in the library leaves a token of algorithm "none" and says it is
	 * fine. */
	if (jwt_decode(&jwt, copy, key->secret, (int)key->secret_len) == 0 &&
	    jwt_get_alg(jwt) == JWT_ALG_HS256)
		result = check_claims(keys, jwt, now, out);
	jwt_free(jwt);
	secret_wipe(copy, len);
	return result;
}
