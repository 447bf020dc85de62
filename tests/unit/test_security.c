#include "base/base.h"

#include <inttypes.h>
#include <jwt.h>
#include <openssl/hmac.h>

#include "base/codec.h"
#include "security/common_passwords.h"
#include "security/keys.h"
#include "security/password.h"
#include "security/refresh_token.h"
#include "security/token.h"

#include "cunit.h"

static const char secret[] = "0123456789abcdef0123456789abcdef";
static const char issuer[] = "https://tasks.example", audience[] = "taskcell";
enum { SECRET_LEN = sizeof(secret) - 1, NOW = 1800000000, LIFE = 900 };

static struct keys *keys, *other_keys;
static struct arena *arena;
static struct token_claims claims;

static int setup(void)
{
	keys = keys_new(secret, SECRET_LEN, issuer, audience);
	other_keys = keys_new("another secret of thirty-two byte", SECRET_LEN, issuer, audience);
	arena = arena_new(1 << 20);
	claims = (struct token_claims){ .issued_at = NOW, .expires_at = NOW + LIFE };
	for (uint8_t i = 0; i < 16; i++) {
		claims.user_id.bytes[i] = (uint8_t)(0x10 + i);
		claims.session_id.bytes[i] = (uint8_t)(0x20 + i);
	}
	return !keys || !other_keys;
}

static int cleanup(void)
{
	keys_free(keys);
	keys_free(other_keys);
	arena_free(arena);
	return 0;
}

/* --- keys
 * ----------------------------------------------------------------------------------------- */

static void test_keys_new(void)
{
	static char longest[SECRET_MAX + 1];
	struct keys *k, *again;

	memset(longest, 's', sizeof(longest));
	CU_ASSERT_PTR_NULL(keys_new(secret, SECRET_MIN - 1, issuer, audience));
	CU_ASSERT_PTR_NULL(keys_new(longest, SECRET_MAX + 1, issuer, audience));
	k = keys_new(longest, SECRET_MAX, issuer, audience);
	again = keys_new(secret, SECRET_LEN, "x", "y");
	CU_ASSERT_PTR_NOT_NULL_FATAL(k);
	CU_ASSERT_PTR_NOT_NULL_FATAL(again);
	CU_ASSERT_STRING_EQUAL(keys_active_id(keys), "deaa11aa"); /* by another implementation */
	CU_ASSERT_STRING_EQUAL(keys_active_id(again), keys_active_id(keys));
	CU_ASSERT_STRING_NOT_EQUAL(keys_active_id(k), keys_active_id(keys));
	CU_ASSERT_STRING_NOT_EQUAL(keys_active_id(other_keys), keys_active_id(keys));
	keys_free(k);
	keys_free(again);
	keys_free(NULL);
}

static void test_secret_and_digest(void)
{
	char a[SECRET_TEXT_LEN + 1], b[SECRET_TEXT_LEN + 1], hex[2 * DIGEST_LEN + 1];
	uint8_t bytes[DIGEST_LEN];
	size_t n = 0;

	secret_generate(a);
	secret_generate(b);
	CU_ASSERT(strlen(a) == SECRET_TEXT_LEN);
	CU_ASSERT_TRUE(base64url_decode(a, SECRET_TEXT_LEN, bytes, sizeof(bytes), &n));
	CU_ASSERT(n == 32);
	CU_ASSERT_STRING_NOT_EQUAL(a, b);

	digest_sha256("abc", 3, bytes); /* FIPS 180-4 */
	hex_encode(bytes, sizeof(bytes), hex);
	CU_ASSERT_STRING_EQUAL(hex,
			       "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

/* --- access tokens
 * -------------------------------------------------------------------------------- */

static enum token_result verify_at(const char *token, int64_t now)
{
	struct token_claims out;

	return token_verify(keys, token, strlen(token), now, &out);
}

static enum token_result verify(const char *token)
{
	return verify_at(token, NOW);
}

static char *segment(const char *text)
{
	size_t len = strlen(text);
	char *out = arena_alloc(arena, BASE64_LEN(len) + 1);

	base64url_encode(text, len, out);
	return out;
}

/* Signs anything with our secret, as another service that knows it could. */
static char *forge_segments(const char *header, const char *payload)
{
	char *text = arena_printf(arena, "%s.%s", header, payload),
	     mac64[BASE64_LEN(DIGEST_LEN) + 1];
	uint8_t mac[DIGEST_LEN];

	HMAC(EVP_sha256(), secret, SECRET_LEN, (const uint8_t *)text, strlen(text), mac, NULL);
	base64url_encode(mac, sizeof(mac), mac64);
	return arena_printf(arena, "%s.%s", text, mac64);
}

static char *genuine(void)
{
	char *token = token_issue(keys, arena, &claims, "anna@example.org");

	CU_ASSERT_PTR_NOT_NULL_FATAL(token);
	return token;
}

static char *genuine_header(void)
{
	char *token = genuine();

	return arena_strndup(arena, token, strcspn(token, "."));
}

static char *forge(const char *payload)
{
	return forge_segments(genuine_header(), segment(payload));
}

/* One claim each, for forged payloads. */
#define ISS  "\"iss\":\"https://tasks.example\""
#define AUD  "\"aud\":\"taskcell\""
#define SUB  "\"sub\":\"10111213-1415-1617-1819-1a1b1c1d1e1f\""
#define USER "\"user_id\":\"10111213-1415-1617-1819-1a1b1c1d1e1f\""
#define SID  "\"sid\":\"20212223-2425-2627-2829-2a2b2c2d2e2f\""
#define USE  "\"token_use\":\"access\""
#define IAT  "\"iat\":1800000000"
#define NBF  "\"nbf\":1800000000"
#define EXP  "\"exp\":1800000900"

static void test_token_round_trip(void)
{
	struct token_claims out;
	char *token = genuine();

	CU_ASSERT(token_verify(keys, token, strlen(token), NOW, &out) == TOKEN_OK);
	CU_ASSERT_TRUE(uuid_equal(&out.user_id, &claims.user_id));
	CU_ASSERT_TRUE(uuid_equal(&out.session_id, &claims.session_id));
	CU_ASSERT(out.issued_at == NOW && out.expires_at == NOW + LIFE);
	CU_ASSERT_STRING_NOT_EQUAL(token, genuine()); /* jti */
	token = token_issue(keys, arena, &claims, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(token);
	CU_ASSERT(verify(token) == TOKEN_OK);
}

/* The base of the attacks below: what is forged without a flaw passes. */
static void test_token_forgery_works(void)
{
	char *token =
		forge("{" ISS "," AUD "," SUB "," USER "," SID "," USE "," IAT "," NBF "," EXP "}");
	char *header = arena_printf(arena, "{\"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"JWT\"}",
				    keys_active_id(keys));

	CU_ASSERT(verify(token) == TOKEN_OK);
	CU_ASSERT_STRING_EQUAL(genuine_header(), segment(header));
}

static char *issued_payload(const char *token, char **plain)
{
	const char *start = strchr(token, '.') + 1;
	size_t len = strcspn(start, "."), n = 0;

	*plain = arena_alloc(arena, len + 1);
	/* the alphabet of atob(): no `-`, no `_` */
	CU_ASSERT_TRUE(base64_decode(start, len, *plain, len, &n));
	(*plain)[n] = '\0';
	return arena_strndup(arena, start, len);
}

static void test_token_claims(void)
{
	const char *same[][2] = {
		{ "iss", issuer },
		{ "aud", audience },
		{ "sub", "10111213-1415-1617-1819-1a1b1c1d1e1f" },
		{ "user_id", "10111213-1415-1617-1819-1a1b1c1d1e1f" },
		{ "sid", "20212223-2425-2627-2829-2a2b2c2d2e2f" },
		{ "email", "anna@example.org" },
		{ "token_use", "access" },
	};
	struct uuid jti;
	jwt_t *jwt = NULL;

	CU_ASSERT_FATAL(jwt_decode(&jwt, genuine(), (const uint8_t *)secret, SECRET_LEN) == 0);
	CU_ASSERT(jwt_get_alg(jwt) == JWT_ALG_HS256);
	CU_ASSERT_STRING_EQUAL(jwt_get_header(jwt, "kid"), keys_active_id(keys));
	CU_ASSERT_STRING_EQUAL(jwt_get_header(jwt, "typ"), "JWT");
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		CU_ASSERT_STRING_EQUAL(jwt_get_grant(jwt, same[i][0]), same[i][1]);
	CU_ASSERT(jwt_get_grant_int(jwt, "iat") == NOW);
	CU_ASSERT(jwt_get_grant_int(jwt, "nbf") == NOW);
	CU_ASSERT(jwt_get_grant_int(jwt, "exp") == NOW + LIFE);
	CU_ASSERT_TRUE(uuid_parse(jwt_get_grant(jwt, "jti"), UUID_TEXT_LEN, &jti));
	CU_ASSERT(jti.bytes[6] >> 4 == 7);
	jwt_free(jwt);
}

/* Whatever the e-mail: the library reads the same text back, and atob() reads the payload. */
static void test_token_email(void)
{
	char tildes[255], latin[255], deletes[255];
	const char *emails[] = {
		"a~b?c>d@example.org",
		"~~~~~~???????>>>>>>>@x",
		"~@x",
		"x~@x",
		"xx~@x",
		"xxx?@x",
		"?@x",
		"x>@x",
		"\"back\\\\slash \\\" quote\"@example.org",
		"\\u003f\\?\\~\\\\~@example.org",
		"jörg@exämple.de",
		"\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf@x",
		"\xf0\x9f\x98\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf@\xe6\x97\xa5\xe6\x9c\xac",
		"\x01\x1f\x7f\t\n</script>@x",
		"",
		tildes,
		latin,
		deletes,
	};

	for (size_t i = 0; i < 254; i++) {
		tildes[i] = '~';
		latin[i] = (char)(i % 2 ? 0xbf : 0xc3);
		deletes[i] = 0x7f;
	}
	tildes[254] = latin[254] = deletes[254] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(emails); i++) {
		char *token = token_issue(keys, arena, &claims, emails[i]), *plain;
		jwt_t *jwt = NULL;

		CU_ASSERT_PTR_NOT_NULL_FATAL(token);
		CU_ASSERT(strlen(token) <= TOKEN_MAX);
		CU_ASSERT_PTR_NULL(strpbrk(issued_payload(token, &plain), "-_"));
		for (const char *c = plain; *c; c++)
			CU_ASSERT((unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7f);
		CU_ASSERT_FATAL(!jwt_decode(&jwt, token, (const uint8_t *)secret, SECRET_LEN));
		CU_ASSERT_STRING_EQUAL(jwt_get_grant(jwt, "email"), emails[i]);
		jwt_free(jwt);
		CU_ASSERT(verify(token) == TOKEN_OK);
	}
}

/* What cannot become a valid token is not issued. */
static void test_token_refuses_to_issue(void)
{
	char *long_email = arena_alloc(arena, 3000);

	CU_ASSERT_PTR_NULL(token_issue(keys, arena, &claims, "\xff\xfe@x"));
	CU_ASSERT_PTR_NULL(token_issue(keys, arena, &claims, "\xed\xa0\x80@x"));
	CU_ASSERT_PTR_NULL(token_issue(keys, arena, &claims, "\xc0\x80@x"));
	memset(long_email, 'a', 2999);
	CU_ASSERT_PTR_NULL(token_issue(keys, arena, &claims, long_email));
	memset(long_email, '~', 2999);
	CU_ASSERT_PTR_NULL(token_issue(keys, arena, &claims, long_email));
}

static void test_token_is_wiped(void)
{
	struct arena *own = arena_new(1 << 20);
	char *token = token_issue(keys, own, &claims, "anna@example.org");
	size_t len = strlen(token), left = 0;

	arena_reset(own); /* keeps its first block, so the bytes may be looked at */
	for (size_t i = 0; i < len; i++)
		left += token[i] != '\0';
	CU_ASSERT(left == 0);
	arena_free(own);
}

static void test_token_times(void)
{
	char *token = genuine();
	struct token_claims out = { 0 };

	CU_ASSERT(verify_at(token, NOW - TOKEN_LEEWAY_S) == TOKEN_OK);
	CU_ASSERT(verify_at(token, NOW - TOKEN_LEEWAY_S - 1) == TOKEN_INVALID);
	CU_ASSERT(verify_at(token, NOW + LIFE) == TOKEN_OK);
	CU_ASSERT(verify_at(token, NOW + LIFE + TOKEN_LEEWAY_S - 1) == TOKEN_OK);
	CU_ASSERT(token_verify(keys, token, strlen(token), NOW + LIFE + TOKEN_LEEWAY_S, &out) ==
		  TOKEN_EXPIRED);
	CU_ASSERT_TRUE(uuid_equal(&out.user_id, &claims.user_id)); /* logout needs them */
	CU_ASSERT_TRUE(uuid_equal(&out.session_id, &claims.session_id));
	CU_ASSERT(out.expires_at == NOW + LIFE);
	token[strlen(token) - 10] ^= 1;
	CU_ASSERT(verify_at(token, NOW + LIFE + TOKEN_LEEWAY_S) == TOKEN_INVALID);
}

/* Rightly signed, wrong in one claim. */
static void test_token_wrong_claims(void)
{
	static const char *const parts[] = { ISS, AUD, SUB, USER, SID, USE, IAT, NBF, EXP };
	static const struct {
		size_t part;
		const char *instead;
	} rows[] = {
		{ 0, "\"iss\":\"https://tasks.example.evil\"" },
		{ 0, "\"iss\":\"\"" },
		{ 0, "\"iss\":null" },
		{ 0, "\"iss\":1" },
		{ 0, "\"iss\":[\"https://tasks.example\"]" },
		{ 1, "\"aud\":\"taskcell2\"" },
		{ 1, "\"aud\":\"Taskcell\"" },
		{ 1, "\"aud\":[\"taskcell\"]" },
		{ 2, "\"sub\":\"20212223-2425-2627-2829-2a2b2c2d2e2f\"" },
		{ 2, "\"sub\":\"10111213-1415-1617-1819-1a1b1c1d1e1\"" },
		{ 2, "\"sub\":{}" },
		{ 3, "\"user_id\":\"20212223-2425-2627-2829-2a2b2c2d2e2f\"" },
		{ 3, "\"user_id\":\"me\"" },
		{ 3, "\"user_id\":16" },
		{ 4, "\"sid\":\"\"" },
		{ 4, "\"sid\":\"20212223-2425-2627-2829-2a2b2c2d2e2f \"" },
		{ 4, "\"sid\":\"20212223-2425-2627-2829-2a2b2c2d2e2f\\u0000\"" },
		{ 4, "\"sid\":true" },
		{ 5, "\"token_use\":\"refresh\"" },
		{ 5, "\"token_use\":\"\"" },
		{ 5, "\"token_use\":[\"access\"]" },
		{ 6, "\"iat\":\"1800000000\"" },
		{ 7, "\"nbf\":1800000031" },
		{ 7, "\"nbf\":9223372036854775807" },
		{ 7, "\"nbf\":\"1800000000\"" },
		{ 7, "\"nbf\":1800000000.0" },
		{ 7, "\"nbf\":null" },
		{ 7, "\"nbf\":false" },
		{ 7, "\"nbf\":[]" },
		{ 7, "\"nbf\":-1" },
		{ 8, "\"exp\":\"1800000900\"" },
		{ 8, "\"exp\":1.8e99" },
		{ 8, "\"exp\":99999999999999999999" },
		{ 8, "\"exp\":null" },
		{ 8, "\"exp\":true" },
		{ 8, "\"exp\":{}" },
		{ 8, "\"exp\":0" },
		{ 8, "\"exp\":-9223372036854775808" },
	};
	/* the rows, and each claim left out */
	for (size_t i = 0; i < ARRAY_LEN(rows) + ARRAY_LEN(parts); i++) {
		size_t part = i < ARRAY_LEN(rows) ? rows[i].part : i - ARRAY_LEN(rows);
		const char *payload = "\"x\":1", *token;

		for (size_t j = 0; j < ARRAY_LEN(parts); j++) {
			const char *p = j != part             ? parts[j]
					: i < ARRAY_LEN(rows) ? rows[i].instead
							      : "\"y\":1";

			payload = arena_printf(arena, "%s,%s", payload, p);
		}
		token = forge(arena_printf(arena, "{%s}", payload));
		if (verify(token) != TOKEN_INVALID)
			fprintf(stderr, "accepted: %s\n", payload);
		CU_ASSERT(verify(token) == TOKEN_INVALID);
	}
	/* a time of issue in the future alone never rejects, an end far away neither */
	CU_ASSERT(verify(forge("{" ISS "," AUD "," SUB "," USER "," SID "," USE
			       ",\"iat\":1900000000," NBF ",\"exp\":9223372036854775807}")) ==
		  TOKEN_OK);
}

static void test_token_headers(void)
{
	static const char *const algorithms[] = { "none",  "None",  "HS384", "HS512",
						  "hs256", "RS256", "ES256", "" };
	char *genuine_token = genuine(), *payload, *plain, *token;
	const char *kid = keys_active_id(keys);
	const char *headers[] = {
		"{\"alg\":\"HS256\",\"typ\":\"JWT\"}",
		"{\"alg\":\"HS256\",\"kid\":\"00000000\",\"typ\":\"JWT\"}",
		arena_printf(arena, "{\"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"JWT\",\"a\":1}",
			     kid),
		arena_printf(arena, "{\"alg\":\"HS256\", \"kid\":\"%s\",\"typ\":\"JWT\"}", kid),
		arena_printf(arena, "{\"kid\":\"%s\",\"alg\":\"HS256\",\"typ\":\"JWT\"}", kid),
		arena_printf(arena, "{\"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"at+jwt\"}", kid),
		arena_printf(arena, "{\"alg\":\"HS256\",\"kid\":\"%s\"}", kid),
		"{}",
		"[]",
		"x",
	};
	jwt_t *jwt = NULL;

	payload = issued_payload(genuine_token, &plain);
	for (size_t i = 0; i < ARRAY_LEN(headers); i++)
		CU_ASSERT(verify(forge_segments(segment(headers[i]), payload)) == TOKEN_INVALID);
	for (size_t i = 0; i < ARRAY_LEN(algorithms); i++) {
		token = segment(arena_printf(arena,
					     "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"JWT\"}",
					     algorithms[i], kid));
		CU_ASSERT(verify(forge_segments(token, payload)) == TOKEN_INVALID);
		CU_ASSERT(verify(arena_printf(arena, "%s.%s.", token, payload)) == TOKEN_INVALID);
	}
	/* honest tokens of the library under our secret, by another algorithm */
	for (jwt_alg_t alg = JWT_ALG_HS384; alg <= JWT_ALG_HS512; alg++) {
		char *text;

		CU_ASSERT_FATAL(jwt_new(&jwt) == 0);
		CU_ASSERT(!jwt_set_alg(jwt, alg, (const uint8_t *)secret, SECRET_LEN));
		CU_ASSERT(!jwt_add_header(jwt, "kid", kid) && !jwt_add_grants_json(jwt, plain));
		text = jwt_encode_str(jwt);
		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		CU_ASSERT(verify(text) == TOKEN_INVALID);
		free(text);
		jwt_free(jwt);
	}
	/* another server's token, and the same with our header */
	token = token_issue(other_keys, arena, &claims, NULL);
	CU_ASSERT(verify(token) == TOKEN_INVALID);
	CU_ASSERT(verify(arena_printf(arena, "%s%s", genuine_header(), strchr(token, '.'))) ==
		  TOKEN_INVALID);
}

static void test_token_edited(void)
{
	char *token = genuine(), *payload, *plain, *other;
	size_t len = strlen(token);
	const char *header = genuine_header(), *mac = strrchr(token, '.') + 1;
	struct token_claims out, stranger = claims;

	payload = issued_payload(token, &plain);
	for (size_t i = 0; i < len; i++) { /* each character changed */
		char was = token[i];

		token[i] = was == 'A' ? 'B' : 'A';
		CU_ASSERT(verify(token) == TOKEN_INVALID);
		token[i] = was;
	}
	for (size_t i = 0; i < len;
	     i++) /* and cut anywhere, the bytes behind the end being right */
		CU_ASSERT(token_verify(keys, token, i, NOW, &out) == TOKEN_INVALID);
	CU_ASSERT(verify(token) == TOKEN_OK);

	stranger.user_id.bytes[0] ^= 1; /* segments of two rightful tokens, mixed */
	other = token_issue(keys, arena, &stranger, "anna@example.org");
	CU_ASSERT_PTR_NOT_NULL_FATAL(other);
	CU_ASSERT(verify(arena_printf(arena, "%s.%s.%s", header, payload,
				      strrchr(other, '.') + 1)) == TOKEN_INVALID);
	CU_ASSERT(verify(arena_printf(arena, "%s.%s.%s", payload, header, mac)) == TOKEN_INVALID);
	CU_ASSERT(verify(arena_printf(arena, "%s.%s.%s", header, mac, payload)) == TOKEN_INVALID);
}

static void test_token_malformed(void)
{
	char *token = genuine(), *payload, *plain;
	const char *header = genuine_header(), *mac = strrchr(token, '.') + 1;
	size_t len = strlen(token), huge = 20 << 20, dot = strcspn(token, ".");
	struct token_claims out;
	char *big, *copy;

	payload = issued_payload(token, &plain);
	const char *texts[] = {
		"",
		".",
		"..",
		"...",
		"a.b",
		"a.b.c",
		"a..c",
		".b.c",
		"a.b.",
		"a.b.c.d",
		"null",
		arena_printf(arena, "%s..", header),
		arena_printf(arena, "%s..%s", header, mac),
		arena_printf(arena, "%s.%s.", header, payload),
		arena_printf(arena, "%s.%s", header, payload),
		arena_printf(arena, ".%s.%s", payload, mac),
		arena_printf(arena, "%s.", token),
		arena_printf(arena, ".%s", token),
		arena_printf(arena, "%s.%s", token, mac),
		arena_printf(arena, "%s=", token),
		arena_printf(arena, "%s==", token),
		arena_printf(arena, "%sA", token),
		arena_printf(arena, " %s", token),
		arena_printf(arena, "%s ", token),
		arena_printf(arena, "%s\n", token),
		arena_printf(arena, "%s\r\n", token),
		arena_printf(arena, "%s. %s.%s", header, payload, mac),
		arena_printf(arena, "%s.%s=.%s", header, payload, mac),
		arena_printf(arena, "%s.%s.%s\xc3\xa4", header, payload, mac),
		arena_printf(arena, "Bearer %s", token),
		arena_printf(arena, "%s,%s", token, token),
		arena_printf(arena, "\"%s\"", token),
	};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		CU_ASSERT(verify(texts[i]) == TOKEN_INVALID);

	copy = arena_strndup(arena, token, len + 1); /* NUL behind, and inside */
	CU_ASSERT(token_verify(keys, copy, len + 1, NOW, &out) == TOKEN_INVALID);
	copy[dot + 5] = '\0';
	CU_ASSERT(token_verify(keys, copy, len, NOW, &out) == TOKEN_INVALID);
	CU_ASSERT(token_verify(keys, token, len, NOW, &out) == TOKEN_OK);

	big = malloc(huge);
	CU_ASSERT_PTR_NOT_NULL_FATAL(big);
	memset(big, 'a', huge);
	memcpy(big, token, dot + 1);
	big[huge / 2] = '.';
	CU_ASSERT(token_verify(keys, big, huge, NOW, &out) == TOKEN_INVALID);
	memset(big, '.', huge);
	CU_ASSERT(token_verify(keys, big, huge, NOW, &out) == TOKEN_INVALID);
	free(big);
}

/* The longest that may pass does, one byte more does not, though rightly signed. */
static void test_token_length(void)
{
	const char *header = genuine_header(), *mac;
	size_t room = TOKEN_MAX - strlen(header) - 2 - BASE64_LEN(DIGEST_LEN);
	char *payload = arena_alloc(arena, room + 1), *token;
	int len = snprintf(payload, room,
			   "{" ISS "," AUD "," SUB "," USER "," SID "," USE "," IAT "," NBF "," EXP
			   ",\"x\":\"");
	size_t most = room / 4 * 3 + (room % 4 > 1 ? room % 4 - 1 : 0);

	memset(payload + len, 'x', most - (size_t)len);
	memcpy(payload + most - 2, "\"}", 3);
	token = forge(payload);
	CU_ASSERT(strlen(token) <= TOKEN_MAX && strlen(token) + 1 >= TOKEN_MAX);
	CU_ASSERT(verify(token) == TOKEN_OK);
	memcpy(payload + most - 2, "xx\"}", 5);
	mac = forge(payload);
	CU_ASSERT(strlen(mac) > TOKEN_MAX);
	CU_ASSERT(verify(mac) == TOKEN_INVALID);
}

/* --- refresh tokens
 * ------------------------------------------------------------------------------- */

static struct refresh_token refresh_sample(void)
{
	return (struct refresh_token){ .user_id = claims.user_id,
				       .session_id = claims.session_id,
				       .counter = 7,
				       .expires_at = NOW };
}

static void test_refresh_round_trip(void)
{
	struct refresh_token in = refresh_sample(), out;
	char text[REFRESH_TOKEN_LEN + 1], again[REFRESH_TOKEN_LEN + 1];
	const char *id = keys_active_id(keys);

	CU_ASSERT(REFRESH_TOKEN_LEN == 114);
	CU_ASSERT_TRUE(refresh_token_issue(keys, id, &in, text));
	CU_ASSERT_TRUE(refresh_token_issue(keys, id, &in, again));
	CU_ASSERT_STRING_EQUAL(text, again);
	/* by another implementation of the layout in the header */
	CU_ASSERT_STRING_EQUAL(text,
			       "Ad6qEaoQERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLwAAAAAAAAAHAAAAA"
			       "GtJ0gBAH-AXM4jtm-XP4mT43TY-dm4sv7qq2kzE69YezilLtQ");
	CU_ASSERT_TRUE(refresh_token_read(keys, text, strlen(text), &out));
	CU_ASSERT_TRUE(uuid_equal(&out.user_id, &in.user_id));
	CU_ASSERT_TRUE(uuid_equal(&out.session_id, &in.session_id));
	CU_ASSERT(out.counter == in.counter && out.expires_at == in.expires_at);

	in.counter = INT64_MAX;
	in.expires_at = INT64_MAX - 1;
	CU_ASSERT_TRUE(refresh_token_issue(keys, id, &in, text));
	CU_ASSERT_STRING_NOT_EQUAL(text, again);
	CU_ASSERT_TRUE(refresh_token_read(keys, text, strlen(text), &out));
	CU_ASSERT(out.counter == INT64_MAX && out.expires_at == INT64_MAX - 1);

	CU_ASSERT_FALSE(refresh_token_issue(keys, keys_active_id(other_keys), &in, text));
	CU_ASSERT_FALSE(refresh_token_issue(keys, "", &in, text));
	CU_ASSERT_FALSE(refresh_token_issue(keys, "deaa11a", &in, text));
	CU_ASSERT_FALSE(refresh_token_issue(keys, "deaa11aa0", &in, text));
	CU_ASSERT_FALSE(refresh_token_issue(keys, "deaa11ag", &in, text));
}

static void test_refresh_forged(void)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=. \n";
	struct refresh_token in = refresh_sample(), out;
	char text[REFRESH_TOKEN_LEN + 1], bent[REFRESH_TOKEN_LEN + 1];
	uint8_t bytes[REFRESH_TOKEN_BYTES];
	size_t n, accepted = 0;
	char *longer;

	CU_ASSERT_TRUE_FATAL(refresh_token_issue(keys, keys_active_id(keys), &in, text));
	CU_ASSERT_TRUE_FATAL(base64url_decode(text, strlen(text), bytes, sizeof(bytes), &n));
	for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		base64url_encode(bytes, sizeof(bytes), bent);
		accepted += refresh_token_read(keys, bent, strlen(bent), &out);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	CU_ASSERT(accepted == 0);
	/* any other character anywhere: there is one text to a token */
	for (size_t i = 0; i < REFRESH_TOKEN_LEN; i++) {
		for (size_t c = 0; c < sizeof(alphabet); c++) {
			memcpy(bent, text, sizeof(bent));
			bent[i] = alphabet[c];
			accepted += bent[i] != text[i] &&
				    refresh_token_read(keys, bent, REFRESH_TOKEN_LEN, &out);
		}
	}
	CU_ASSERT(accepted == 0);
	for (size_t len = 0; len < REFRESH_TOKEN_LEN; len++)
		accepted += refresh_token_read(keys, text, len, &out);
	CU_ASSERT(accepted == 0);
	longer = arena_printf(arena, "%s=", text);
	CU_ASSERT_FALSE(refresh_token_read(keys, longer, REFRESH_TOKEN_LEN + 1, &out));
	CU_ASSERT_FALSE(refresh_token_read(keys, text, REFRESH_TOKEN_LEN + 1, &out));
	CU_ASSERT_FALSE(refresh_token_read(keys, genuine(), REFRESH_TOKEN_LEN, &out));
	CU_ASSERT_FALSE(refresh_token_read(other_keys, text, REFRESH_TOKEN_LEN, &out));
	CU_ASSERT_TRUE(refresh_token_read(keys, text, REFRESH_TOKEN_LEN, &out));
	CU_ASSERT(verify(text) == TOKEN_INVALID); /* nor is it an access token */

	/* signed with the secret itself, or with another version under the right key */
	HMAC(EVP_sha256(), secret, SECRET_LEN, bytes, 53, bytes + 53, NULL);
	base64url_encode(bytes, sizeof(bytes), bent);
	CU_ASSERT_FALSE(refresh_token_read(keys, bent, REFRESH_TOKEN_LEN, &out));
}

static void test_refresh_version(void)
{
	static const char label[] = "taskcell refresh token v1";
	struct refresh_token in = refresh_sample(), out;
	char text[REFRESH_TOKEN_LEN + 1];
	uint8_t bytes[REFRESH_TOKEN_BYTES], key[DIGEST_LEN];
	size_t n;

	HMAC(EVP_sha256(), secret, SECRET_LEN, (const uint8_t *)label, strlen(label), key, NULL);
	CU_ASSERT_TRUE_FATAL(refresh_token_issue(keys, keys_active_id(keys), &in, text));
	CU_ASSERT_TRUE_FATAL(base64url_decode(text, strlen(text), bytes, sizeof(bytes), &n));
	for (int version = 0; version < 256; version++) {
		bytes[0] = (uint8_t)version;
		HMAC(EVP_sha256(), key, sizeof(key), bytes, 53, bytes + 53, NULL);
		base64url_encode(bytes, sizeof(bytes), text);
		CU_ASSERT(refresh_token_read(keys, text, REFRESH_TOKEN_LEN, &out) ==
			  (version == 1));
	}
}

/* The row is at counter 10; `age` is the time since its rotation. */
#define GRACE (30 * US_PER_SECOND)

static void test_refresh_decide_rows(void)
{
	static const struct {
		int64_t counter, age, grace;
		enum refresh_verdict verdict;
	} rows[] = {
		{ 11, 0, GRACE, REFRESH_INVALID },
		{ 12, -5, GRACE, REFRESH_INVALID },
		{ INT64_MAX, 0, GRACE, REFRESH_INVALID },
		{ 10, 0, GRACE, REFRESH_RETRY },
		{ 10, GRACE + 1, 0, REFRESH_RETRY },
		{ 9, 0, GRACE, REFRESH_CURRENT },
		{ 9, GRACE - 1, GRACE, REFRESH_CURRENT },
		{ 9, GRACE, GRACE, REFRESH_THEFT },
		{ 9, GRACE + 1, GRACE, REFRESH_THEFT },
		{ 9, -1, GRACE, REFRESH_CURRENT }, /* rotated after our transaction began */
		{ 9, -GRACE, GRACE, REFRESH_CURRENT },
		{ 9, -1, 1, REFRESH_CURRENT },
		{ 9, 0, 1, REFRESH_CURRENT },
		{ 9, 1, 1, REFRESH_THEFT },
		{ 9, 0, 0, REFRESH_THEFT }, /* strict */
		{ 9, -1, 0, REFRESH_THEFT },
		{ 9, -GRACE, 0, REFRESH_THEFT },
		{ 8, 0, GRACE, REFRESH_THEFT },
		{ 8, -1, GRACE, REFRESH_THEFT },
		{ 0, GRACE + 1, GRACE, REFRESH_THEFT },
	};
	const int64_t now = NOW * US_PER_SECOND + 999999;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct refresh_token token = { .counter = rows[i].counter, .expires_at = NOW + 1 };
		struct refresh_state state = { .found = true,
					       .counter = 10,
					       .now = now,
					       .rotated_at = now - rows[i].age,
					       .expires_at = now + 1 };

		CU_ASSERT(refresh_decide(&token, &state, rows[i].grace) == rows[i].verdict);
		/* each thing that wins over the counters, from the last to the first */
		state.expires_at = now;
		CU_ASSERT(refresh_decide(&token, &state, rows[i].grace) == REFRESH_INVALID);
		state.revoked = true;
		CU_ASSERT(refresh_decide(&token, &state, rows[i].grace) == REFRESH_ENDED);
		state = (struct refresh_state){ .now = now };
		CU_ASSERT(refresh_decide(&token, &state, rows[i].grace) == REFRESH_ENDED);
		token.expires_at = NOW;
		CU_ASSERT(refresh_decide(&token, &state, rows[i].grace) == REFRESH_INVALID);
	}
}

/* All combinations: nothing is handed out, and nothing ended, for any other reason. */
static void test_refresh_decide_all(void)
{
	const int64_t now = NOW * US_PER_SECOND, graces[] = { 0, 1, GRACE };
	const int64_t ages[] = { -GRACE - 1, -1, 0, 1, GRACE - 1, GRACE, GRACE + 1, now };
	int seen[REFRESH_RETRY + 1] = { 0 };

	for (unsigned bits = 0; bits < 32; bits++)
		for (int64_t ahead = -3; ahead <= 3; ahead++)
			for (size_t a = 0; a < ARRAY_LEN(ages); a++)
				for (size_t g = 0; g < ARRAY_LEN(graces); g++) {
					bool found = bits & 1, advanced = bits & 2,
					     revoked = bits & 4;
					bool token_live = bits & 8, row_live = bits & 16, live,
					     kept;
					struct refresh_token token = { .counter = 10 + ahead,
								       .expires_at =
									       NOW + token_live };
					struct refresh_state state = { found,         advanced,
								       revoked,       10,
								       now,           now - ages[a],
								       now + row_live };
					enum refresh_verdict v =
						refresh_decide(&token, &state, graces[g]);

					live = token_live && found && !revoked && row_live;
					kept = graces[g] && ages[a] < graces[g];
					CU_ASSERT((v == REFRESH_CURRENT) ==
						  (live && (advanced || (ahead == -1 && kept))));
					CU_ASSERT((v == REFRESH_THEFT) ==
						  (live && !advanced &&
						   (ahead < -1 || (ahead == -1 && !kept))));
					CU_ASSERT((v == REFRESH_ENDED) ==
						  (token_live && (!found || revoked)));
					CU_ASSERT((v == REFRESH_RETRY) ==
						  (live && !advanced && ahead == 0));
					seen[v]++;
				}
	for (size_t i = 0; i < ARRAY_LEN(seen); i++)
		CU_ASSERT(seen[i] > 0);
}

/* --- passwords
 * ------------------------------------------------------------------------------------ */

static enum password_result check(const char *hash, const char *password)
{
	return password_verify(hash, password, strlen(password));
}

static void test_password_round_trip(void)
{
	static const char start[] = "$scrypt$ln=10,r=8,p=3$";
	char a[PASSWORD_HASH_MAX], b[PASSWORD_HASH_MAX];
	static const char with_nul[] = "left\0right";

	CU_ASSERT(password_hash(10, "correct horse", 13, a) == PASSWORD_OK);
	CU_ASSERT(password_hash(10, "correct horse", 13, b) == PASSWORD_OK);
	CU_ASSERT(strlen(a) == strlen(start) + 22 + 1 + 43);
	CU_ASSERT(strncmp(a, start, strlen(start)) == 0);
	CU_ASSERT_STRING_NOT_EQUAL(a, b);
	CU_ASSERT(check(a, "correct horse") == PASSWORD_OK);
	CU_ASSERT(check(b, "correct horse") == PASSWORD_OK);
	CU_ASSERT(check(a, "correct horsf") == PASSWORD_WRONG);
	CU_ASSERT(check(a, "correct hors") == PASSWORD_WRONG);
	CU_ASSERT(check(a, "correct horse ") == PASSWORD_WRONG);
	CU_ASSERT(check(a, "") == PASSWORD_WRONG);

	CU_ASSERT(password_hash(10, with_nul, 10, a) == PASSWORD_OK);
	CU_ASSERT(password_verify(a, with_nul, 10) == PASSWORD_OK);
	CU_ASSERT(password_verify(a, with_nul, 4) == PASSWORD_WRONG);

	CU_ASSERT(password_hash(PASSWORD_COST_MIN - 1, "correct horse", 13, a) == PASSWORD_ERROR);
	CU_ASSERT(password_hash(PASSWORD_COST_MAX + 1, "correct horse", 13, a) == PASSWORD_ERROR);
}

static void test_password_vectors(void)
{
	char longest[PASSWORD_MAX + 1];

	/* RFC 7914, 12, third vector: its first 32 bytes are what a key of 32 is */
	CU_ASSERT(check("$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$"
			"cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofI",
			"pleaseletmein") == PASSWORD_OK);
	/* the others by Python's hashlib */
	CU_ASSERT(password_verify("$scrypt$ln=10,r=8,p=3$AAECAwQFBgcICQoLDA0ODw$"
				  "NNHPY36ZxJAQJL0h5kRS+pWxsRGL8i0CRUe1P274+8E",
				  "pa\0ss", 5) == PASSWORD_OK);
	CU_ASSERT(check("$scrypt$ln=10,r=8,p=3$AAECAwQFBgc$"
			"DK2nZxR2Yw2tAJwqkYrGiNln5tN7HzpiBXVMoJOJJzM",
			"") == PASSWORD_OK);
	CU_ASSERT(check("$scrypt$ln=10,r=16,p=1$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCU"
			"mJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw$"
			"KOVvWhsvSkN1tipxPwAEpQYO2WDJa549FkZ1GPe8z4o",
			"pässwörd😀") == PASSWORD_OK);
	memset(longest, 'x', PASSWORD_MAX);
	longest[PASSWORD_MAX] = '\0';
	CU_ASSERT(check("$scrypt$ln=11,r=1,p=16$AAECAwQFBgcICQoLDA0ODw$"
			"Gu7U/Znko3rbuaypCeH/qDzo2I6DUReAOB6PI2VUiqQ",
			longest) == PASSWORD_OK);
}

#define SALT "AAECAwQFBgcICQoLDA0ODw"
#define KEY  "NNHPY36ZxJAQJL0h5kRS+pWxsRGL8i0CRUe1P274+8E"

static void test_password_parser(void)
{
	static const char *const texts[] = {
		"",
		"$",
		"$$$$",
		"plain",
		"$scrypt",
		"$scrypt$",
		"$scrypt$$$",
		"scrypt",
		"$2y$10$abcdefghijklmnopqrstuuO3Jv7Vd2d8xk8Uo0zU3mK9yq6Q5uX1e",
		"$s1$0e0810$pcL+DWle903AXcKJVwMffA==$dn+"
		"9ujljVc5JTJMC2fYu1ZEHdJyqYkOurmcrBQbMHUfnD6q"
		"xbTmNiR075ohNBZjvp66E2aV1pfOrmyNHUefjMg==",
		/* parameters out of bounds */
		"$scrypt$ln=9,r=8,p=3$" SALT "$" KEY,
		"$scrypt$ln=21,r=8,p=3$" SALT "$" KEY,
		"$scrypt$ln=63,r=8,p=3$" SALT "$" KEY,
		"$scrypt$ln=64,r=8,p=3$" SALT "$" KEY,
		"$scrypt$ln=10,r=0,p=3$" SALT "$" KEY,
		"$scrypt$ln=10,r=17,p=3$" SALT "$" KEY,
		"$scrypt$ln=10,r=8,p=0$" SALT "$" KEY,
		"$scrypt$ln=10,r=8,p=17$" SALT "$" KEY,
		"$scrypt$ln=20,r=9,p=1$" SALT "$" KEY, /* over 1 GiB */
		"$scrypt$ln=20,r=16,p=1$" SALT "$" KEY,
		"$scrypt$ln=18446744073709551626,r=8,p=3$" SALT "$" KEY,
		"$scrypt$ln=4294967306,r=8,p=3$" SALT "$" KEY,
		/* numbers that are no numbers, or not in their shortest form */
		"$scrypt$ln=010,r=8,p=3$" SALT "$" KEY,
		"$scrypt$ln=10,r=08,p=3$" SALT "$" KEY,
		"$scrypt$ln=10,r=8,p=03$" SALT "$" KEY,
		"$scrypt$ln=+10,r=8,p=3$" SALT "$" KEY,
		"$scrypt$ln= 10,r=8,p=3$" SALT "$" KEY,
		"$scrypt$ln=10 ,r=8,p=3$" SALT "$" KEY,
		"$scrypt$ln=-10,r=8,p=3$" SALT "$" KEY,
		"$scrypt$ln=0xa,r=8,p=3$" SALT "$" KEY,
		"$scrypt$ln=1e1,r=8,p=3$" SALT "$" KEY,
		"$scrypt$ln=,r=8,p=3$" SALT "$" KEY,
		"$scrypt$ln=10,r=,p=3$" SALT "$" KEY,
		"$scrypt$ln=10,r=8,p=$" SALT "$" KEY,
		/* another order, name, or separator */
		"$scrypt$r=8,ln=10,p=3$" SALT "$" KEY,
		"$scrypt$ln=10,r=8$" SALT "$" KEY,
		"$scrypt$ln=10,r=8,p=3,x=1$" SALT "$" KEY,
		"$scrypt$n=10,r=8,p=3$" SALT "$" KEY,
		"$scrypt$ln=10;r=8;p=3$" SALT "$" KEY,
		"$scrypt$v=1$ln=10,r=8,p=3$" SALT "$" KEY,
		"$Scrypt$ln=10,r=8,p=3$" SALT "$" KEY,
		" $scrypt$ln=10,r=8,p=3$" SALT "$" KEY,
		"$scrypt$ln=10",
		"$scrypt$ln=10,r=8,p=3",
		"$scrypt$ln=10,r=8,p=3$",
		"$scrypt$ln=10,r=8,p=3$" SALT,
		"$scrypt$ln=10,r=8,p=3$" SALT "$",
		/* salt and key of another length or form, bytes behind the end */
		"$scrypt$ln=10,r=8,p=3$$" KEY,
		"$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWI",
		"$scrypt$ln=10,r=8,p=3$AAECAwQFBg$" KEY, /* 7 bytes */
		"$scrypt$ln=10,r=8,p=3$" SALT SALT SALT SALT "AA$" KEY,
		"$scrypt$ln=10,r=8,p=3$" SALT "==$" KEY,
		"$scrypt$ln=10,r=8,p=3$" SALT "$" KEY "=",
		"$scrypt$ln=10,r=8,p=3$AAECAwQFBgcICQoLDA0ODx$" KEY, /* bits behind the end */
		"$scrypt$ln=10,r=8,p=3$" SALT "$NNHPY36ZxJAQJL0h5kRS+pWxsRGL8i0CRUe1P274+8F",
		"$scrypt$ln=10,r=8,p=3$" SALT "$NNHPY36ZxJAQJL0h5kRS-pWxsRGL8i0CRUe1P274-8E",
		"$scrypt$ln=10,r=8,p=3$" SALT "$NNHPY36ZxJAQJL0h5kRS+pWxsRGL8i0CRUe1P274+w",
		"$scrypt$ln=10,r=8,p=3$" SALT "$" KEY KEY,
		"$scrypt$ln=10,r=8,p=3$" SALT "$" KEY "$",
		"$scrypt$ln=10,r=8,p=3$" SALT "$" KEY "\n",
		"$scrypt$ln=10,r=8,p=3$" SALT "$" KEY " ",
		"$scrypt$ln=10,r=8,p=3$" SALT "$$" KEY,
	};

	CU_ASSERT(check("$scrypt$ln=10,r=8,p=3$" SALT "$" KEY, "") == PASSWORD_WRONG);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (check(texts[i], "") != PASSWORD_ERROR)
			fprintf(stderr, "accepted: %s\n", texts[i]);
		CU_ASSERT(check(texts[i], "") == PASSWORD_ERROR);
	}
}

static void test_password_dummy(void)
{
	char a[PASSWORD_HASH_MAX], b[PASSWORD_HASH_MAX], real[PASSWORD_HASH_MAX];

	password_dummy(11, a);
	password_dummy(11, b);
	CU_ASSERT_STRING_NOT_EQUAL(a, b);
	CU_ASSERT(password_hash(11, "x", 1, real) == PASSWORD_OK);
	CU_ASSERT(strlen(a) == strlen(real));
	CU_ASSERT(strncmp(a, real, strlen("$scrypt$ln=11,r=8,p=3$")) == 0);
	CU_ASSERT(check(a, "") == PASSWORD_WRONG);
	CU_ASSERT(check(a, "password") == PASSWORD_WRONG);
	CU_ASSERT_FALSE(password_is_weak(a, 11));
}

static void test_password_weak(void)
{
	CU_ASSERT_TRUE(password_is_weak("$scrypt$ln=14,r=8,p=3$" SALT "$" KEY, 15));
	CU_ASSERT_FALSE(password_is_weak("$scrypt$ln=15,r=8,p=3$" SALT "$" KEY, 15));
	CU_ASSERT_FALSE(password_is_weak("$scrypt$ln=16,r=8,p=3$" SALT "$" KEY, 15));
	CU_ASSERT_TRUE(password_is_weak("$scrypt$ln=15,r=8,p=2$" SALT "$" KEY, 15));
	CU_ASSERT_TRUE(password_is_weak("$scrypt$ln=15,r=1,p=16$" SALT "$" KEY, 15));
	CU_ASSERT_FALSE(password_is_weak("$scrypt$ln=15,r=8,p=16$" SALT "$" KEY, 15));
}

static void test_password_common(void)
{
	static const char *const common[] = {
		"12345678",  "password",   "PassWord1", "ILOVEYOU1",
		"football1", "qwertyuiop", "1q2w3e4r",  "letmein123"
	};
	static const char *const fine[] = {
		"",          "password ", " password",
		"passwor",   "1234567",   "correct horse battery staple",
		"zzzzzzzzz", "!",         "a very long password that is on no list whatever"
	};

	CU_ASSERT(common_passwords_count >= 300);
	for (size_t i = 0; i < common_passwords_count; i++) {
		const char *p = common_passwords[i];

		CU_ASSERT(strlen(p) >= PASSWORD_MIN && strlen(p) <= COMMON_PASSWORD_MAX);
		for (const char *c = p; *c; c++)
			CU_ASSERT(*c > ' ' && *c < 0x7f && !(*c >= 'A' && *c <= 'Z'));
		CU_ASSERT(i == 0 || strcmp(common_passwords[i - 1], p) < 0);
		CU_ASSERT_TRUE(password_is_common(p, strlen(p)));
	}
	for (size_t i = 0; i < ARRAY_LEN(common); i++)
		CU_ASSERT_TRUE(password_is_common(common[i], strlen(common[i])));
	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		CU_ASSERT_FALSE(password_is_common(fine[i], strlen(fine[i])));
	CU_ASSERT_TRUE(password_is_common("passwordXYZ", 8)); /* length, not the end, counts */
	CU_ASSERT_FALSE(password_is_common("password\0x", 10));
}

static bool contains(const char *password, const char *email)
{
	return password_contains_name(password, strlen(password), email);
}

static void test_password_name(void)
{
	CU_ASSERT_TRUE(contains("anna1234", "anna@example.org"));
	CU_ASSERT_TRUE(contains("xxANNAxx", "Anna@example.org"));
	CU_ASSERT_TRUE(contains("12345aNnA", "aNNa@example.org"));
	CU_ASSERT_TRUE(contains("aannanna", "anna@example.org"));
	CU_ASSERT_FALSE(contains("annnanan", "anna@example.org"));
	CU_ASSERT_FALSE(contains("ann", "anna@example.org"));
	CU_ASSERT_FALSE(contains("", "anna@example.org"));
	CU_ASSERT_FALSE(contains("bobbobbob", "bob@example.org")); /* three are too few */
	CU_ASSERT_FALSE(contains("whatever", "@example.org"));
	CU_ASSERT_FALSE(contains("whatever", ""));
	CU_ASSERT_FALSE(contains("example.org!", "anna@example.org"));
	CU_ASSERT_TRUE(contains("mein jörg ist", "jörg@example.org"));
	CU_ASSERT_FALSE(
		contains("mein jör ist", "jör@example.org")); /* four bytes, three characters */
	CU_ASSERT_FALSE(password_contains_name("xxxanna", 6, "anna@example.org"));
	CU_ASSERT_TRUE(password_contains_name("\0anna", 5, "anna@example.org"));
}

int main(void)
{
	CU_TestInfo key_tests[] = {
		{ "keys", test_keys_new },
		{ "secret and digest", test_secret_and_digest },
		CU_TEST_INFO_NULL,
	};
	CU_TestInfo token_tests[] = {
		{ "round trip", test_token_round_trip },
		{ "forgery", test_token_forgery_works },
		{ "claims", test_token_claims },
		{ "any e-mail", test_token_email },
		{ "not issued", test_token_refuses_to_issue },
		{ "wiped", test_token_is_wiped },
		{ "times", test_token_times },
		{ "wrong claims", test_token_wrong_claims },
		{ "headers", test_token_headers },
		{ "edited", test_token_edited },
		{ "malformed", test_token_malformed },
		{ "length", test_token_length },
		CU_TEST_INFO_NULL,
	};
	CU_TestInfo refresh_tests[] = {
		{ "round trip", test_refresh_round_trip },
		{ "forged", test_refresh_forged },
		{ "version", test_refresh_version },
		{ "decision, rows", test_refresh_decide_rows },
		{ "decision, all", test_refresh_decide_all },
		CU_TEST_INFO_NULL,
	};
	CU_TestInfo password_tests[] = {
		{ "round trip", test_password_round_trip },
		{ "vectors", test_password_vectors },
		{ "hostile strings", test_password_parser },
		{ "dummy", test_password_dummy },
		{ "weak", test_password_weak },
		{ "common", test_password_common },
		{ "name", test_password_name },
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {
		{ "keys", setup, cleanup, NULL, NULL, key_tests },
		{ "access token", setup, cleanup, NULL, NULL, token_tests },
		{ "refresh token", setup, cleanup, NULL, NULL, refresh_tests },
		{ "password", NULL, NULL, NULL, NULL, password_tests },
		CU_SUITE_INFO_NULL,
	};

	return run_suites(suites);
}
