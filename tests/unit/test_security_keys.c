/* What may stand in the file of a key. */
#include "base/base.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sys/stat.h>

#include "base/codec.h"
#include "security/keys_private.h"
#include "security/refresh_token.h"

#include "test_security.h"

/* A key of nobody's. Its id and the rest below were computed by another implementation. */
static const char known_pem[] = "-----BEGIN PRIVATE KEY-----\n"
				"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgGHqaaXsZ1vG8JAFS\n"
				"exuffX6VL10Swb5YTggyrapo1W2hRANCAAQ6TlZP8NwY1+SMRlDCp2Ga6+9Om1fB\n"
				"t2Fmu91eVIi82v1wDE+DOxUcZc2RchaAuhBmkGCNGUpnQyDu3P+ANv8F\n"
				"-----END PRIVATE KEY-----\n";
static const char known_jwk[] = "{\"kty\":\"EC\",\"use\":\"sig\",\"alg\":\"ES256\","
				"\"kid\":\"30c0e730\",\"crv\":\"P-256\","
				"\"x\":\"Ok5WT_DcGNfkjEZQwqdhmuvvTptXwbdhZrvdXlSIvNo\","
				"\"y\":\"_XAMT4M7FRxlzZFyFoC6EGaQYI0ZSmdDIO7c_4A2_wU\"}";

static const char *taken_why; /* of the last key that was refused */

static bool takes(enum key_algorithm a, const char *text, size_t len)
{
	struct key key = { 0 };
	bool ok = key_of_text(&key, a, text, len, &taken_why);

	key_wipe(&key);
	return ok;
}

static bool takes_text(enum key_algorithm a, const char *text)
{
	return takes(a, text, strlen(text));
}

/* As PEM, by the library. */
static const char *pem_of(EVP_PKEY *key, bool traditional, const EVP_CIPHER *cipher)
{
	BIO *out = BIO_new(BIO_s_mem());
	char *data, *text, *phrase = cipher ? arena_strndup(arena, "phrase", 6) : NULL;
	long len;

	CU_ASSERT_PTR_NOT_NULL_FATAL(key);
	CU_ASSERT((traditional ? PEM_write_bio_PrivateKey_traditional(out, key, cipher, NULL, 0,
								      NULL, phrase)
			       : PEM_write_bio_PKCS8PrivateKey(out, key, cipher, phrase,
							       phrase ? 6 : 0, NULL, NULL)) == 1);
	len = BIO_get_mem_data(out, &data);
	text = arena_strndup(arena, data, (size_t)len);
	BIO_free(out);
	return text;
}

static EVP_PKEY *rsa_key(const char *type, unsigned bits, unsigned long exponent)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	BIGNUM *e = BN_new();
	EVP_PKEY *key = NULL;

	CU_ASSERT(BN_set_word(e, exponent) == 1 && EVP_PKEY_keygen_init(ctx) == 1);
	CU_ASSERT(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits) == 1);
	CU_ASSERT(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e) == 1);
	CU_ASSERT(EVP_PKEY_keygen(ctx, &key) == 1);
	BN_free(e);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static const char *pem_and_free(EVP_PKEY *key)
{
	const char *text = pem_of(key, false, NULL);

	EVP_PKEY_free(key);
	return text;
}

static void test_known_key(void)
{
	static const char refresh_hex[] =
		"b86acc2f1b10afe52656f50c8640435fb5fb3879f8913e338e9f086a88b60c62";
	char hex[2 * DIGEST_LEN + 1];
	struct key key = { 0 }, again = { 0 };
	const char *crlf = "", *why;

	CU_ASSERT_TRUE_FATAL(key_of_text(&key, KEY_ES256, known_pem, strlen(known_pem), &why));
	CU_ASSERT_STRING_EQUAL(key.id_text, "30c0e730");
	hex_encode(key.refresh, DIGEST_LEN, hex);
	CU_ASSERT_STRING_EQUAL(hex, refresh_hex);
	CU_ASSERT(key.jwk.len == strlen(known_jwk));
	CU_ASSERT(memcmp(key.jwk.data, known_jwk, key.jwk.len) == 0);
	key_wipe(&key);
	for (const char *p = (const char *)&key; p < (const char *)(&key + 1); p++)
		CU_ASSERT(!*p);

	/* with other ends of lines and words around it, as editors and tools leave them */
	for (const char *p = known_pem; *p; p++)
		crlf = arena_printf(arena, "%s%s%c", crlf, *p == '\n' ? "\r" : "", *p);
	crlf = arena_printf(arena, "Key of nobody\n\n%s\n", crlf);
	CU_ASSERT_TRUE_FATAL(key_of_text(&again, KEY_ES256, crlf, strlen(crlf), &why));
	CU_ASSERT_STRING_EQUAL(again.id_text, "30c0e730");
	key_wipe(&again);
}

static void test_made_keys(void)
{
	static const struct {
		enum key_algorithm a;
		size_t signature;
		int bits;
	} rows[] = { { KEY_HS256, 32, 0 }, { KEY_ES256, 64, 256 }, { KEY_RS256, 384, 3072 } };

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[KEY_TEXT_MAX];
		uint8_t signature[KEY_SIGNATURE_MAX];
		struct key key = { 0 };
		size_t len;
		const char *why;

		CU_ASSERT_TRUE_FATAL(key_generate(rows[i].a, text, &len));
		CU_ASSERT_TRUE_FATAL(key_of_text(&key, rows[i].a, text, len, &why));
		CU_ASSERT(key.signature_len == rows[i].signature);
		CU_ASSERT(key.ends_at == INT64_MAX);
		CU_ASSERT(!key.pair || EVP_PKEY_get_bits(key.pair) == rows[i].bits);
		CU_ASSERT((key.jwk.len > 0) == (rows[i].a != KEY_HS256));
		CU_ASSERT_TRUE(key_sign(&key, "text", 4, signature));
		CU_ASSERT_TRUE(key_verify(&key, "text", 4, signature, key.signature_len));
		CU_ASSERT_FALSE(key_verify(&key, "texT", 4, signature, key.signature_len));
		CU_ASSERT_FALSE(key_verify(&key, "text", 3, signature, key.signature_len));
		CU_ASSERT_FALSE(key_verify(&key, "text", 4, signature, key.signature_len - 1));
		CU_ASSERT_FALSE(key_verify(&key, "text", 4, signature, 0));
		/* no file is a key of another algorithm */
		for (enum key_algorithm a = KEY_HS256; a <= KEY_RS256; a++)
			CU_ASSERT(takes(a, text, len) ==
				  (a == rows[i].a || (a == KEY_HS256 && len <= SECRET_MAX)));
		key_wipe(&key);
	}
}

static void test_secrets(void)
{
	char *text = arena_alloc(arena, SECRET_MAX + 3);

	memset(text, 's', SECRET_MAX + 2);
	CU_ASSERT_FALSE(takes(KEY_HS256, text, 0));
	CU_ASSERT_FALSE(takes(KEY_HS256, text, SECRET_MIN - 1));
	CU_ASSERT_TRUE(takes(KEY_HS256, text, SECRET_MIN));
	CU_ASSERT_TRUE(takes(KEY_HS256, text, SECRET_MAX));
	CU_ASSERT_FALSE(takes(KEY_HS256, text, SECRET_MAX + 1));
	text[SECRET_MIN - 1] = '\n'; /* the end of the line is no part of it */
	CU_ASSERT_FALSE(takes(KEY_HS256, text, SECRET_MIN));
	text[SECRET_MAX] = '\n';
	CU_ASSERT_TRUE(takes(KEY_HS256, text, SECRET_MAX + 1));
	text[40] = '\0';
	CU_ASSERT_FALSE(takes(KEY_HS256, text, SECRET_MAX));
	/* a secret that moves into the directory stays the key that it was */
	CU_ASSERT_TRUE(takes_text(KEY_HS256, secret));
}

/* Whoever starts a server cannot type a passphrase into each of its workers. */
static void test_encrypted(void)
{
	EVP_PKEY *ec = EVP_EC_gen("P-256");
	const char *texts[] = {
		pem_of(ec, false, EVP_aes_256_cbc()),
		pem_of(ec, true, EVP_aes_256_cbc()),
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		for (enum key_algorithm a = KEY_ES256; a <= KEY_RS256; a++) {
			CU_ASSERT_FALSE(takes_text(a, texts[i]));
			CU_ASSERT_PTR_NOT_NULL(strstr(taken_why, "encrypted"));
		}
	EVP_PKEY_free(ec);
}

static void test_kinds_of_keys(void)
{
	EVP_PKEY *ec = EVP_EC_gen("P-256"), *spelled = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	const struct {
		enum key_algorithm a;
		const char *text, *says;
	} rows[] = {
		{ KEY_ES256, pem_and_free(EVP_EC_gen("P-384")), "P-256" },
		{ KEY_ES256, pem_and_free(EVP_EC_gen("P-521")), "P-256" },
		{ KEY_ES256, pem_and_free(EVP_EC_gen("secp256k1")), "P-256" },
		{ KEY_ES256, pem_and_free(EVP_EC_gen("brainpoolP256r1")), "P-256" },
		{ KEY_ES256, pem_and_free(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")), "P-256" },
		{ KEY_ES256, pem_of(ec, true, NULL), "PKCS #8" },
		{ KEY_RS256, pem_of(ec, false, NULL), "RSA" },
		{ KEY_RS256, pem_and_free(rsa_key("RSA", 3071, 65537)), "3072" },
		{ KEY_RS256, pem_and_free(rsa_key("RSA", 3072, 3)), "65537" },
		{ KEY_RS256, pem_and_free(rsa_key("RSA-PSS", 1024, 65537)), "RSA" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CU_ASSERT_FALSE(takes_text(rows[i].a, rows[i].text));
		CU_ASSERT_PTR_NOT_NULL(strstr(taken_why, rows[i].says));
	}
	CU_ASSERT_TRUE(takes_text(KEY_ES256, pem_of(ec, false, NULL)));

	/* the curve is right, but it is spelled out and not named */
	CU_ASSERT(EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_CTX_set_group_name(ctx, "P-256") == 1);
	CU_ASSERT(EVP_PKEY_CTX_set_ec_param_enc(ctx, OPENSSL_EC_EXPLICIT_CURVE) == 1);
	CU_ASSERT(EVP_PKEY_keygen(ctx, &spelled) == 1);
	CU_ASSERT_FALSE(takes_text(KEY_ES256, pem_and_free(spelled)));
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(ec);
}

static void test_broken_pem(void)
{
	const char *begin = strchr(known_pem, '\n') + 1, *end = strstr(known_pem, "-----END");
	const char *body = arena_strndup(arena, begin, (size_t)(end - begin));
	const char *texts[] = {
		"",
		"\n",
		"\xff\xfe\0",
		body,
		arena_printf(arena, "-----BEGIN PRIVATE KEY-----\n%s", body),
		arena_printf(arena, "%s-----END PRIVATE KEY-----\n", body),
		"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\n!!!!\n-----END PRIVATE KEY-----\n",
		arena_printf(arena,
			     "-----BEGIN EC PRIVATE KEY-----\n%s-----END EC PRIVATE KEY-----\n",
			     body),
		arena_printf(arena, "-----BEGIN PUBLIC KEY-----\n%s-----END PUBLIC KEY-----\n",
			     body),
		arena_printf(arena, "-----BEGIN CERTIFICATE-----\n%s-----END CERTIFICATE-----\n",
			     body),
	};
	char *bent = arena_strndup(arena, known_pem, strlen(known_pem));

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		for (enum key_algorithm a = KEY_ES256; a <= KEY_RS256; a++)
			CU_ASSERT_FALSE(takes_text(a, texts[i]));
	for (size_t len = 0; len < strlen(known_pem) - 1; len++)
		CU_ASSERT_FALSE(takes(KEY_ES256, known_pem, len));
	/* the private half of another key: what it signs would not verify */
	bent[strlen("-----BEGIN PRIVATE KEY-----\n") + 60] ^= 1;
	CU_ASSERT_FALSE(takes_text(KEY_ES256, bent));
	CU_ASSERT_PTR_NOT_NULL(strstr(taken_why, "does not verify"));
}

/* A key's file in the place of another one's. */
static void test_swapped_files(void)
{
	const char *dir = new_dir();
	struct keyring_entry a, b;
	char why[KEYRING_WHY_MAX], *path;
	struct keys *k;

	CU_ASSERT_TRUE_FATAL(keyring_generate(dir, KEY_ES256, &a, why));
	CU_ASSERT_TRUE_FATAL(keyring_generate(dir, KEY_ES256, &b, why));
	path = arena_printf(arena, "%s/%s.key", dir, a.id);
	CU_ASSERT(rename(arena_printf(arena, "%s/%s.key", dir, b.id), path) == 0);
	log_taken();
	k = try_dir(dir);
	CU_ASSERT_PTR_NULL(k);
	CU_ASSERT_PTR_NOT_NULL(strstr(log_taken(), "holds another key"));
}

CU_TestInfo key_file_tests[] = {
	{ "a known key", test_known_key }, { "made here", test_made_keys },
	{ "secrets", test_secrets },       { "encrypted", test_encrypted },
	{ "kinds", test_kinds_of_keys },   { "broken", test_broken_pem },
	{ "swapped", test_swapped_files }, CU_TEST_INFO_NULL,
};
