#include "base/base.h"

#include "security/token.h"

#include <jwt.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/secret.h"
#include "security/keys_private.h"
#include "security/token_cache.h"

static const char token_use[] = "access";

static jwt_t *make_claims(const struct keys *keys, const struct token_claims *claims,
			  const char *email)
{
	char user[UUID_TEXT_LEN + 1], session[UUID_TEXT_LEN + 1], id[UUID_TEXT_LEN + 1];
	struct uuid jti = uuid_v7();
	const struct {
		const char *name, *value;
	} texts[] = {
		{ "iss", keys_issuer(keys) },
		{ "aud", keys_audience(keys) },
		{ "sub", user },
		{ "user_id", user },
		{ "sid", session },
		{ "jti", id },
		{ "email", email },
		{ "token_use", token_use },
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
	size_t len = signed_len + 1 + BASE64_LEN(key->signature_len);
	uint8_t signature[KEY_SIGNATURE_MAX];
	char *token;

	if (len > TOKEN_MAX)
		return NULL;
	token = arena_alloc(arena, len + 1);
	arena_wipe_later(arena, token, len);
	memcpy(token, key->header, key->header_len);
	token[key->header_len] = '.';
	base64url_encode(payload->data, payload->len, token + key->header_len + 1);
	if (!key_sign(key, token, signed_len, signature))
		return NULL;
	token[signed_len] = '.';
	base64url_encode(signature, key->signature_len, token + signed_len + 1);
	secret_wipe(signature, sizeof(signature));
	return token;
}

char *token_issue(struct keys *keys, struct arena *arena, const struct token_claims *claims,
		  const char *email)
{
	jwt_t *jwt = make_claims(keys, claims, email);
	char *json = jwt ? jwt_get_grants_json(jwt, NULL) : NULL;
	char *token = NULL;
	struct buf payload;

	keys_follow(keys);
	buf_init(&payload, TOKEN_MAX);
	if (json)
		put_plain_json(&payload, json);
	if (json && !payload.overflow)
		token = sign(keys_current(keys), arena, &payload);
	buf_free(&payload);
	free(json);
	jwt_free(jwt);
	return token;
}

static bool is_base64url(char c)
{
	return ascii_is_alnum(c) || c == '-' || c == '_';
}

/* Where the segments of a token end. */
struct segments {
	size_t header, payload; /* the two dots */
};

/* Three segments, none of them empty, of the right characters. */
static bool find_segments(const char *text, size_t len, struct segments *out)
{
	size_t dots[2], n = 0, start = 0;

	if (len > TOKEN_MAX)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] != '.') {
			if (!is_base64url(text[i]))
				return false;
			continue;
		}
		if (n == ARRAY_LEN(dots) || i == start)
			return false;
		dots[n++] = i;
		start = i + 1;
	}
	if (n != ARRAY_LEN(dots) || start == len)
		return false;
	*out = (struct segments){ dots[0], dots[1] };
	return true;
}

static bool is_signed(const struct key *key, const char *text, size_t len, size_t signed_len)
{
	uint8_t signature[KEY_SIGNATURE_MAX];
	const char *start = text + signed_len + 1;
	size_t n;

	/* one text to a signature: bits to spare are zero, and nothing is padded */
	return base64url_decode(start, len - signed_len - 1, signature, sizeof(signature), &n) &&
	       key_verify(key, text, signed_len, signature, n);
}

/* The library reads the claims only: its own verifying would parse the keys anew each time, and
 * takes the algorithm from the header. NULL when they are not one JSON object. */
static jwt_t *read_claims(const char *text, size_t len)
{
	char json[TOKEN_MAX + 1];
	jwt_t *jwt = NULL;
	size_t n = 0;

	if (base64url_decode(text, len, json, TOKEN_MAX, &n) && !memchr(json, '\0', n) &&
	    jwt_new(&jwt) == 0) {
		json[n] = '\0';
		if (jwt_add_grants_json(jwt, json) != 0) {
			jwt_free(jwt);
			jwt = NULL;
		}
	}
	secret_wipe(json, n);
	return jwt;
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

/* All but the times, which count anew at each use. */
static bool take_claims(const struct keys *keys, jwt_t *jwt, struct seen_token *out)
{
	struct token_claims *c = &out->claims;
	struct uuid subject;

	return claim_is(jwt, "iss", keys_issuer(keys)) &&
	       claim_is(jwt, "aud", keys_audience(keys)) && claim_is(jwt, "token_use", token_use) &&
	       claim_uuid(jwt, "sub", &subject) && claim_uuid(jwt, "user_id", &c->user_id) &&
	       uuid_equal(&subject, &c->user_id) && claim_uuid(jwt, "sid", &c->session_id) &&
	       claim_time(jwt, "iat", &c->issued_at) && claim_time(jwt, "nbf", &out->not_before) &&
	       claim_time(jwt, "exp", &c->expires_at);
}

static enum token_result check_times(const struct seen_token *seen, int64_t now)
{
	if (seen->not_before > now + TOKEN_LEEWAY_S)
		return TOKEN_INVALID;
	return seen->claims.expires_at <= now - TOKEN_LEEWAY_S ? TOKEN_EXPIRED : TOKEN_OK;
}

/* The long way. */
static enum token_result verify(struct keys *keys, const char *text, size_t len, int64_t now,
				struct seen_token *out)
{
	enum token_result result = TOKEN_INVALID;
	struct segments at;
	jwt_t *jwt;

	if (!find_segments(text, len, &at))
		return TOKEN_INVALID;
	out->key = keys_find_header(keys, text, len);
	if (!out->key || !is_signed(out->key, text, len, at.payload))
		return TOKEN_INVALID;
	jwt = read_claims(text + at.header + 1, at.payload - at.header - 1);
	if (jwt && take_claims(keys, jwt, out))
		result = check_times(out, now);
	jwt_free(jwt);
	return result;
}

enum token_result token_verify(struct keys *keys, const char *text, size_t len, int64_t now,
			       struct token_claims *out)
{
	const struct seen_token *known;
	struct seen_token fresh = { 0 };
	enum token_result result;

	keys_follow(keys); /* which forgets all tokens when keys have changed */
	known = token_cache_find(keys_cache(keys), text, len);
	if (known && key_lives(known->key)) {
		result = check_times(known, now);
		if (result != TOKEN_INVALID)
			*out = known->claims;
		return result;
	}
	result = verify(keys, text, len, now, &fresh);
	if (result != TOKEN_INVALID)
		*out = fresh.claims;
	if (result == TOKEN_OK)
		token_cache_put(keys_cache(keys), text, len, &fresh);
	return result;
}

bool token_was_seen(struct keys *keys)
{
	return token_cache_hit(keys_cache(keys));
}
