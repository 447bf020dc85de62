/* What is tried on servers that take JWTs, for each algorithm of ours. */
#include "base/base.h"

#include <jwt.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/x509.h>

#include "base/codec.h"
#include "security/refresh_token.h"

#include "test_security.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static const char *payload_of(const char *token)
{
	const char *start = strchr(token, '.') + 1;

	return arena_strndup(arena, start, strcspn(start, "."));
}

/* Header and payload of a genuine token, with another signature. */
static char *resigned(const char *token, const void *signature, size_t len)
{
	return arena_printf(arena, "%.*s.%s", (int)(strrchr(token, '.') - token), token,
			    to_base64url(signature, len));
}

static size_t signature_of(const char *token, uint8_t out[1024])
{
	const char *text = strrchr(token, '.') + 1;
	size_t n = 0;

	CU_ASSERT_TRUE_FATAL(base64url_decode(text, strlen(text), out, 1024, &n));
	return n;
}

static void hmac_token(const char *header, const char *payload, const void *key, size_t len)
{
	char *text = arena_printf(arena, "%s.%s", header, payload);
	uint8_t mac[DIGEST_LEN];

	HMAC(EVP_sha256(), key, (int)len, (const uint8_t *)text, strlen(text), mac, NULL);
	CU_ASSERT(verify(arena_printf(arena, "%s.%s", text, to_base64url(mac, sizeof(mac)))) ==
		  TOKEN_INVALID);
}

/* Unsigned, in every spelling, and signed as ours are behind a header that says otherwise. */
static void test_attack_algorithm(void)
{
	static const char *const names[] = { "\"none\"",  "\"None\"",  "\"NONE\"",    "\"nOnE\"",
					     "\"\"",      "null",      "\"HS384\"",   "\"HS512\"",
					     "\"HS1\"",   "\"hs256\"", "\"RS256\"",   "\"RS384\"",
					     "\"PS256\"", "\"ES256\"", "\"ES384\"",   "\"ES256K\"",
					     "\"EdDSA\"", "\"HS256\"", "[\"HS256\"]", "0" };
	const char *kid = keys_active_id(keys), *token = genuine(), *payload = payload_of(token);
	const char *ours = arena_printf(arena, "\"%s\"", key_algorithm_name(algorithm));
	const char *signature = strrchr(token, '.') + 1;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char *header = segment(arena_printf(
			arena, "{\"alg\":%s,\"kid\":\"%s\",\"typ\":\"JWT\"}", names[i], kid));

		CU_ASSERT(verify(arena_printf(arena, "%s.%s.", header, payload)) == TOKEN_INVALID);
		CU_ASSERT(verify(arena_printf(arena, "%s.%s", header, payload)) == TOKEN_INVALID);
		CU_ASSERT(verify(arena_printf(arena, "%s.%s.AA", header, payload)) ==
			  TOKEN_INVALID);
		if (strcmp(names[i], ours) == 0)
			continue;
		CU_ASSERT(verify(arena_printf(arena, "%s.%s.%s", header, payload, signature)) ==
			  TOKEN_INVALID);
		CU_ASSERT(verify(forge_segments(header, payload)) == TOKEN_INVALID);
	}
}

/* HMAC with what everybody may know: the public key in each form, the key's id, nothing. */
static void test_attack_confusion(void)
{
	const char *kid = keys_active_id(keys), *token = genuine(), *payload = payload_of(token);
	const char *headers[] = {
		arena_strndup(arena, token, strcspn(token, ".")),
		segment(arena_printf(arena, "{\"alg\":\"HS256\",\"kid\":\"%s\",\"typ\":\"JWT\"}",
				     kid)),
		segment("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"),
	};
	uint8_t *der = NULL;
	int der_len = pair ? i2d_PUBKEY(pair, &der) : 0;
	const char *pem = pair ? public_text() : "";
	struct buf jwks;

	buf_init(&jwks, 1 << 16);
	keys_jwks(keys, &jwks);
	for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
		hmac_token(headers[i], payload, pem, strlen(pem));
		hmac_token(headers[i], payload, pem, strlen(pem) ? strlen(pem) - 1 : 0);
		hmac_token(headers[i], payload, der ? der : (const uint8_t *)"", (size_t)der_len);
		hmac_token(headers[i], payload, jwks.data, jwks.len);
		hmac_token(headers[i], payload, kid, strlen(kid));
		hmac_token(headers[i], payload, "\0", 1);
	}
	buf_free(&jwks);
	OPENSSL_free(der);
	/* by the library, as a program would that holds nothing but our public key */
	for (jwt_alg_t alg = pair ? JWT_ALG_HS256 : JWT_ALG_HS384; alg <= JWT_ALG_HS512; alg++) {
		const char *key = public_text();
		jwt_t *jwt = NULL;
		char *text;

		CU_ASSERT_FATAL(jwt_new(&jwt) == 0);
		CU_ASSERT(!jwt_set_alg(jwt, alg, (const uint8_t *)key, (int)strlen(key)));
		CU_ASSERT(!jwt_add_header(jwt, "kid", kid));
		CU_ASSERT(!jwt_add_grant(jwt, "iss", issuer));
		text = jwt_encode_str(jwt);
		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		CU_ASSERT(verify(text) == TOKEN_INVALID);
		free(text);
		jwt_free(jwt);
	}
}

/* Headers that name a key of the attacker's, or lead somewhere; rightly signed all the same. */
static void test_attack_headers(void)
{
	const char *kid = keys_active_id(keys), *alg = key_algorithm_name(algorithm);
	const char *payload = payload_of(genuine());
	const char *members[] = {
		"\"kid\":\"00000000\"",
		arena_printf(arena, "\"kid\":\"%s\"", keys_active_id(other_keys)),
		"\"kid\":\"\"",
		"\"kid\":null",
		"\"kid\":0",
		"\"kid\":\"../../../../../../dev/null\"",
		"\"kid\":\"/etc/passwd\"",
		"\"kid\":\"keyring\"",
		"\"kid\":\"' or 1=1 --\"",
		"\"kid\":\"$(id)\"",
		arena_printf(arena, "\"kid\":[\"%s\"]", kid),
		arena_printf(arena, "\"kid\":\"%s\\u0000\"", kid),
		arena_printf(arena, "\"kid\":\"%s.key\"", kid),
		arena_printf(arena, "\"kid\":\"./%s\"", kid),
		arena_printf(arena, "\"kid\":\" %s\"", kid),
		arena_printf(arena, "\"kid\":\"%s\",\"kid\":\"%s\"", kid, kid),
		arena_printf(arena, "\"kid\":\"%s\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"}", kid),
		"\"jwk\":{\"kty\":\"oct\",\"k\":\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY\"}",
		arena_printf(arena, "\"kid\":\"%s\",\"jku\":\"https://evil.example/jwks\"", kid),
		arena_printf(arena, "\"kid\":\"%s\",\"x5u\":\"https://evil.example/x\"", kid),
		arena_printf(arena, "\"kid\":\"%s\",\"x5c\":[\"MIIB\"]", kid),
		arena_printf(arena, "\"kid\":\"%s\",\"crit\":[\"exp\"]", kid),
		arena_printf(arena, "\"kid\":\"%s\",\"crit\":[\"b64\"],\"b64\":false", kid),
		arena_printf(arena, "\"kid\":\"%s\",\"zip\":\"DEF\"", kid),
		arena_printf(arena, "\"kid\":\"%s\",\"enc\":\"A256GCM\"", kid),
		arena_printf(arena, "\"kid\":\"%s\",\"cty\":\"JWT\"", kid),
	};

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		char *json =
			arena_printf(arena, "{\"alg\":\"%s\",%s,\"typ\":\"JWT\"}", alg, members[i]);

		CU_ASSERT(verify(forge_segments(segment(json), payload)) == TOKEN_INVALID);
	}
	/* no segment at all, what is no JSON, and what is too deep for a stack */
	CU_ASSERT(verify(forge_segments("", payload)) == TOKEN_INVALID);
	CU_ASSERT(verify(forge_segments("_-_-", payload)) == TOKEN_INVALID);
	CU_ASSERT(verify(forge_segments(segment("\"\""), payload)) == TOKEN_INVALID);
}

/* Rightly signed payloads that are not the object we write. */
static void test_attack_payloads(void)
{
	const char *token = genuine(), *plain = "{\"exp\":1800000900,\"exp\":9900000000}";
	const char *header = arena_strndup(arena, token, strcspn(token, "."));
	const char *payload = payload_of(token);
	char *deep = arena_alloc(arena, 2048), *json = arena_alloc(arena, strlen(payload));
	size_t n = 0;

	memset(deep, '[', 2047);
	CU_ASSERT_TRUE_FATAL(base64url_decode(payload, strlen(payload), json, strlen(payload), &n));
	const struct {
		const char *bytes;
		size_t len;
	} payloads[] = {
		{ plain, strlen(plain) },
		{ deep, 2047 },
		{ "null", 4 },
		{ "[]", 2 },
		{ "{", 1 },
		{ "\"\"", 2 },
		{ "\xff\xfe", 2 },
		{ arena_printf(arena, "%.*s,\"sub\":\"x\"}", (int)n - 1, json), n + 10 },
		{ arena_printf(arena, "%.*s}", (int)n, json), n + 1 },
		{ arena_printf(arena, "%.*s", (int)n - 1, json), n - 1 },
		{ arena_printf(arena, "%.*s{}", (int)n, json), n + 2 },
		{ json, n + 1 }, /* a NUL behind the object */
		{ arena_printf(arena, "\xef\xbb\xbf%.*s", (int)n, json), n + 3 },
	};

	CU_ASSERT(verify(forge_segments(header, to_base64url(json, n))) == TOKEN_OK);
	for (size_t i = 0; i < ARRAY_LEN(payloads); i++)
		CU_ASSERT(verify(forge_segments(
				  header, to_base64url(payloads[i].bytes, payloads[i].len))) ==
			  TOKEN_INVALID);
	/* what another decoder would take for the same */
	CU_ASSERT(verify(forge_segments(header, arena_printf(arena, "%s=", payload))) ==
		  TOKEN_INVALID);
	CU_ASSERT(verify(forge_segments(header, arena_printf(arena, "%s\n", payload))) ==
		  TOKEN_INVALID);
}

/* One type of token in the place of the other, and a claim that says so. */
static void test_attack_types(void)
{
	struct refresh_token r = { claims.user_id, claims.session_id, 1, NOW + LIFE };
	char refresh[REFRESH_TOKEN_LEN + 1], *token = genuine(), *dotted;

	CU_ASSERT_TRUE_FATAL(refresh_token_issue(keys, keys_active_id(keys), &r, refresh));
	CU_ASSERT(verify(refresh) == TOKEN_INVALID);
	dotted = arena_printf(arena, "%.40s.%.40s.%s", refresh, refresh + 40, refresh + 80);
	CU_ASSERT(verify(dotted) == TOKEN_INVALID);
	CU_ASSERT_FALSE(refresh_token_read(keys, token, strlen(token), &r));
	for (const char *part = token; part;
	     part = strchr(part, '.') ? strchr(part, '.') + 1 : NULL)
		CU_ASSERT_FALSE(refresh_token_read(keys, part, strcspn(part, "."), &r));
}

/* Signatures that are cut, longer, or the same in another spelling. */
static void test_attack_signature_length(void)
{
	uint8_t bytes[1026] = { 0 }, *signature = bytes + 1;
	const char *token = genuine();
	size_t n = signature_of(token, signature), last = strlen(token) - 1;
	char *bent = arena_strndup(arena, token, last + 1);
	size_t spare = n % 3 == 0 ? 0 : n % 3 == 1 ? 4 : 2;

	CU_ASSERT(verify(resigned(token, signature, n)) == TOKEN_OK);
	for (size_t i = 0; i < n; i++)
		CU_ASSERT(verify(resigned(token, signature, i)) == TOKEN_INVALID);
	CU_ASSERT(verify(resigned(token, bytes, n + 1)) == TOKEN_INVALID);     /* 0 before */
	CU_ASSERT(verify(resigned(token, signature, n + 1)) == TOKEN_INVALID); /* 0 behind */
	memcpy(signature + n, signature, n < 512 ? n : 0);
	CU_ASSERT(verify(resigned(token, signature, n < 512 ? 2 * n : n + 8)) == TOKEN_INVALID);
	/* bits behind the last byte, which other decoders drop */
	for (unsigned bits = 1; bits < 1u << spare; bits++) {
		bent[last] = alphabet[(size_t)(strchr(alphabet, token[last]) - alphabet) | bits];
		CU_ASSERT(verify(bent) == TOKEN_INVALID);
	}
	CU_ASSERT(verify(arena_printf(arena, "%sA", token)) == TOKEN_INVALID);
	CU_ASSERT(verify(arena_printf(arena, "%s=", token)) == TOKEN_INVALID);
	CU_ASSERT(verify(arena_printf(arena, "%s==", token)) == TOKEN_INVALID);
	for (char *c = bent; *c; c++) /* the other alphabet */
		*c = *c == '-' ? '+' : *c == '_' ? '/' : *c;
	bent[last] = token[last];
	CU_ASSERT(strcmp(bent, token) == 0 || verify(bent) == TOKEN_INVALID);
}

/* Signatures that some libraries took for good: zeros, ones, the modulus. */
static void test_attack_signature_values(void)
{
	const char *token = genuine();
	uint8_t signature[1024] = { 0 }, was[1024];
	size_t n = signature_of(token, was);

	CU_ASSERT(verify(resigned(token, signature, n)) == TOKEN_INVALID);
	signature[n - 1] = 1;
	CU_ASSERT(verify(resigned(token, signature, n)) == TOKEN_INVALID);
	memset(signature, 0xff, n);
	CU_ASSERT(verify(resigned(token, signature, n)) == TOKEN_INVALID);
	if (algorithm == KEY_RS256) {
		BIGNUM *modulus = NULL;

		CU_ASSERT(EVP_PKEY_get_bn_param(pair, "n", &modulus) == 1);
		CU_ASSERT(BN_bn2binpad(modulus, signature, (int)n) == (int)n);
		CU_ASSERT(verify(resigned(token, signature, n)) == TOKEN_INVALID);
		BN_free(modulus);
	}
	/* every bit counts */
	for (size_t i = 0; i < n; i++) {
		was[i] ^= (uint8_t)(1 << i % 8);
		CU_ASSERT(verify(resigned(token, was, n)) == TOKEN_INVALID);
		was[i] ^= (uint8_t)(1 << i % 8);
	}
}

/* The numbers of ECDSA have to be within 1 and n - 1, and side by side. */
static void test_attack_ecdsa(void)
{
	static const char order_hex[] =
		"FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551";
	const char *token = genuine();
	uint8_t was[1024], bad[64], der[80], *p = der;
	BIGNUM *order = NULL, *s;
	ECDSA_SIG *sig;
	int len;

	if (algorithm != KEY_ES256)
		return;
	CU_ASSERT_FATAL(signature_of(token, was) == 64);
	CU_ASSERT_FATAL(BN_hex2bn(&order, order_hex) > 0);
	for (size_t at = 0; at <= 32; at += 32) {
		memcpy(bad, was, 64);
		memset(bad + at, 0, 32);
		CU_ASSERT(verify(resigned(token, bad, 64)) == TOKEN_INVALID);
		bad[at + 31] = 1;
		CU_ASSERT(verify(resigned(token, bad, 64)) == TOKEN_INVALID);
		CU_ASSERT(BN_bn2binpad(order, bad + at, 32) == 32);
		CU_ASSERT(verify(resigned(token, bad, 64)) == TOKEN_INVALID);
		bad[at + 31]++;
		CU_ASSERT(verify(resigned(token, bad, 64)) == TOKEN_INVALID);
		memset(bad + at, 0xff, 32);
		CU_ASSERT(verify(resigned(token, bad, 64)) == TOKEN_INVALID);
	}
	memcpy(bad, was + 32, 32); /* s and r */
	memcpy(bad + 32, was, 32);
	CU_ASSERT(verify(resigned(token, bad, 64)) == TOKEN_INVALID);

	/* in DER, as TLS has them */
	sig = ECDSA_SIG_new();
	CU_ASSERT(ECDSA_SIG_set0(sig, BN_bin2bn(was, 32, NULL), BN_bin2bn(was + 32, 32, NULL)));
	len = i2d_ECDSA_SIG(sig, &p);
	CU_ASSERT(verify(resigned(token, der, (size_t)len)) == TOKEN_INVALID);
	ECDSA_SIG_free(sig);

	/* n - s is as good as s, whoever takes it there: a token is known by its claims, never by
	 * its text */
	s = BN_bin2bn(was + 32, 32, NULL);
	CU_ASSERT(BN_sub(s, order, s) && BN_bn2binpad(s, was + 32, 32) == 32);
	CU_ASSERT(verify(resigned(token, was, 64)) == TOKEN_OK);
	BN_free(s);
	BN_free(order);
}

CU_TestInfo attack_tests[] = {
	{ "algorithm", test_attack_algorithm },
	{ "confusion", test_attack_confusion },
	{ "headers", test_attack_headers },
	{ "payloads", test_attack_payloads },
	{ "types", test_attack_types },
	{ "signature, length", test_attack_signature_length },
	{ "signature, values", test_attack_signature_values },
	{ "signature, ECDSA", test_attack_ecdsa },
	CU_TEST_INFO_NULL,
};
