#include "base/base.h"

#include <jwt.h>

#include "base/codec.h"

#include "test_security.h"

static enum token_result verify_at(const char *token, int64_t now)
{
	struct token_claims out;

	return token_verify(keys, token, strlen(token), now, &out);
}

enum token_result verify(const char *token)
{
	return verify_at(token, NOW);
}

char *segment(const char *text)
{
	return to_base64url(text, strlen(text));
}

char *forge_segments(const char *header, const char *payload)
{
	char *text = arena_printf(arena, "%s.%s", header, payload);

	return arena_printf(arena, "%s.%s", text, sign_as_us(text));
}

char *genuine(void)
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
}

/* The base of the attacks below: what is forged without a flaw passes. */
static void test_token_forgery_works(void)
{
	char *token =
		forge("{" ISS "," AUD "," SUB "," USER "," SID "," USE "," IAT "," NBF "," EXP "}");
	char *header = arena_printf(arena, "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"JWT\"}",
				    key_algorithm_name(algorithm), keys_active_id(keys));

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

/* As others do it: the library with the secret, or with the public key. */
static jwt_t *decode(const char *token)
{
	const char *text = public_text();
	jwt_t *jwt = NULL;

	CU_ASSERT_FATAL(!jwt_decode(&jwt, token, (const uint8_t *)text, (int)strlen(text)));
	CU_ASSERT_STRING_EQUAL(jwt_alg_str(jwt_get_alg(jwt)), key_algorithm_name(algorithm));
	return jwt;
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
	jwt_t *jwt = decode(genuine());

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
		"~~~~~~~?"
		"?"
		"?"
		"?"
		"?>>>>>>>@x",
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
		jwt_t *jwt;

		CU_ASSERT_PTR_NOT_NULL_FATAL(token);
		CU_ASSERT(strlen(token) <= TOKEN_MAX);
		CU_ASSERT_PTR_NULL(strpbrk(issued_payload(token, &plain), "-_"));
		for (const char *c = plain; *c; c++)
			CU_ASSERT((unsigned char)*c >= 0x20 && (unsigned char)*c < 0x7f);
		jwt = decode(token);
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

static const char *const claim_parts[] = { ISS, AUD, SUB, USER, SID, USE, IAT, NBF, EXP };

static const struct {
	size_t part;
	const char *instead;
} wrong_claims[] = {
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

/* Rightly signed, wrong in one claim. */
static void test_token_wrong_claims(void)
{
	/* the wrong_claims, and each claim left out */
	for (size_t i = 0; i < ARRAY_LEN(wrong_claims) + ARRAY_LEN(claim_parts); i++) {
		size_t part = i < ARRAY_LEN(wrong_claims) ? wrong_claims[i].part
							  : i - ARRAY_LEN(wrong_claims);
		const char *payload = "\"x\":1", *token;

		for (size_t j = 0; j < ARRAY_LEN(claim_parts); j++) {
			const char *p = j != part                     ? claim_parts[j]
					: i < ARRAY_LEN(wrong_claims) ? wrong_claims[i].instead
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

/* Any header but that which our key writes, byte for byte. */
static void test_token_headers(void)
{
	const char *kid = keys_active_id(keys), *alg = key_algorithm_name(algorithm);
	char *plain, *payload = issued_payload(genuine(), &plain);
	const char *headers[] = {
		arena_printf(arena, "{\"alg\":\"%s\",\"typ\":\"JWT\"}", alg),
		arena_printf(arena, "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"JWT\",\"a\":1}", alg,
			     kid),
		arena_printf(arena, "{\"alg\":\"%s\", \"kid\":\"%s\",\"typ\":\"JWT\"}", alg, kid),
		arena_printf(arena, "{\"kid\":\"%s\",\"alg\":\"%s\",\"typ\":\"JWT\"}", kid, alg),
		arena_printf(arena, "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"at+jwt\"}", alg, kid),
		arena_printf(arena, "{\"alg\":\"%s\",\"kid\":\"%s\"}", alg, kid),
		"{}",
		"[]",
		"x",
	};
	char *token;

	for (size_t i = 0; i < ARRAY_LEN(headers); i++)
		CU_ASSERT(verify(forge_segments(segment(headers[i]), payload)) == TOKEN_INVALID);
	/* another server's token, and the same with our header */
	token = token_issue(other_keys, arena, &claims, "anna@example.org");
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
	size_t room = TOKEN_MAX - strlen(header) - 2 - strlen(strrchr(genuine(), '.') + 1);
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
