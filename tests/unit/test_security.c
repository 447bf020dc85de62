#include "base/base.h"

#include "base/codec.h"

#include "test_security.h"

const char secret[] = "0123456789abcdef0123456789abcdef";
const char issuer[] = "https://tasks.example", audience[] = "taskcell";

struct keys *keys, *other_keys;
struct arena *arena;
struct token_claims claims;

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

int main(void)
{
	CU_TestInfo key_tests[] = {
		{ "keys", test_keys_new },
		{ "secret and digest", test_secret_and_digest },
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
