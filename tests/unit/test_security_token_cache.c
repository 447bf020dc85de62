/* Tokens that have been verified before. */
#include "base/base.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include "base/codec.h"
#include "security/token_cache.h"

#include "test_security.h"

static enum token_result check_at(struct keys *k, const char *token, int64_t now, bool *seen)
{
	struct token_claims out = { .expires_at = -1 };
	enum token_result r = token_verify(k, token, strlen(token), now, &out);

	*seen = token_was_seen(k);
	/* whether it was seen or not, the claims are the same */
	CU_ASSERT(out.expires_at == (r == TOKEN_INVALID ? -1 : NOW + LIFE));
	CU_ASSERT(r == TOKEN_INVALID || (uuid_equal(&out.user_id, &claims.user_id) &&
					 uuid_equal(&out.session_id, &claims.session_id)));
	return r;
}

/* The result, and whether the token was known before. */
static bool answers(struct keys *k, const char *token, enum token_result result, bool known)
{
	bool seen;

	return check_at(k, token, NOW, &seen) == result && seen == known;
}

static void test_cache_seen(void)
{
	char *token = genuine(), *other = genuine();

	CU_ASSERT(answers(keys, token, TOKEN_OK, false));
	CU_ASSERT(answers(keys, token, TOKEN_OK, true));
	CU_ASSERT(answers(keys, other, TOKEN_OK, false));
	CU_ASSERT(answers(keys, token, TOKEN_OK, true));
	CU_ASSERT(answers(keys, other, TOKEN_OK, true));
	/* what another server knows is its own affair */
	CU_ASSERT(answers(other_keys, token, TOKEN_INVALID, false));
	CU_ASSERT(answers(other_keys, token, TOKEN_INVALID, false));
}

/* Each byte of a token that is known counts, and so do more and fewer of them. */
static void test_cache_exact(void)
{
	char *token = genuine(), *copy;
	size_t len = strlen(token);

	CU_ASSERT(answers(keys, token, TOKEN_OK, false));
	for (size_t i = 0; i < len; i++) {
		copy = arena_strndup(arena, token, len);
		copy[i] = copy[i] == 'A' ? 'B' : 'A';
		CU_ASSERT(answers(keys, copy, TOKEN_INVALID, false));
		/* nothing of it was kept */
		CU_ASSERT(answers(keys, copy, TOKEN_INVALID, false));
	}
	CU_ASSERT(answers(keys, arena_strndup(arena, token, len - 1), TOKEN_INVALID, false));
	CU_ASSERT(answers(keys, arena_printf(arena, "%sA", token), TOKEN_INVALID, false));
	CU_ASSERT(answers(keys, token, TOKEN_OK, true));
}

/* To the second, as for a token that is new. */
static void test_cache_times(void)
{
	const int64_t last = NOW + LIFE + TOKEN_LEEWAY_S - 1, first = NOW - TOKEN_LEEWAY_S;
	char *token = genuine(), *late = genuine(), *early = genuine();
	bool seen;

	CU_ASSERT(check_at(keys, early, first - 1, &seen) == TOKEN_INVALID && !seen);
	CU_ASSERT(check_at(keys, early, first, &seen) == TOKEN_OK && !seen);
	CU_ASSERT(check_at(keys, early, first - 1, &seen) == TOKEN_INVALID && seen);

	CU_ASSERT(check_at(keys, token, NOW, &seen) == TOKEN_OK && !seen);
	CU_ASSERT(check_at(keys, token, last, &seen) == TOKEN_OK && seen);
	CU_ASSERT(check_at(keys, token, last + 1, &seen) == TOKEN_EXPIRED && seen);
	CU_ASSERT(check_at(keys, token, INT64_C(1) << 40, &seen) == TOKEN_EXPIRED && seen);

	/* one that was refused is not kept */
	CU_ASSERT(check_at(keys, late, last + 1, &seen) == TOKEN_EXPIRED && !seen);
	CU_ASSERT(check_at(keys, late, last + 1, &seen) == TOKEN_EXPIRED && !seen);
}

/* (r, n - s) is a valid signature, too, and other bytes. */
static void test_cache_malleable(void)
{
	char *token = genuine(), *twin, *at;
	EC_GROUP *curve = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	uint8_t signature[64];
	BIGNUM *s;
	size_t n;

	if (algorithm != KEY_ES256) {
		EC_GROUP_free(curve);
		return;
	}
	at = strrchr(token, '.') + 1;
	CU_ASSERT_TRUE_FATAL(base64url_decode(at, strlen(at), signature, 64, &n) && n == 64);
	s = BN_bin2bn(signature + 32, 32, NULL);
	CU_ASSERT(BN_sub(s, EC_GROUP_get0_order(curve), s) == 1 &&
		  BN_bn2binpad(s, signature + 32, 32) == 32);
	twin = arena_printf(arena, "%.*s%s", (int)(at - token), token,
			    to_base64url(signature, sizeof(signature)));
	BN_free(s);
	EC_GROUP_free(curve);
	CU_ASSERT_STRING_NOT_EQUAL(twin, token);
	CU_ASSERT(answers(keys, token, TOKEN_OK, false));
	CU_ASSERT(answers(keys, twin, TOKEN_OK, false));
	CU_ASSERT(answers(keys, token, TOKEN_OK, true));
	CU_ASSERT(answers(keys, twin, TOKEN_OK, true));
}

/* --- keys that change ------------------------------------------------------------------------ */

static void test_cache_keys_change(void)
{
	char why[KEYRING_WHY_MAX];
	const char *dir = new_dir();
	struct keyring_entry first, next;
	struct keys *k;
	char *token;

	CU_ASSERT_TRUE_FATAL(keyring_generate(dir, KEY_HS256, &first, why));
	k = open_dir(dir, NULL);
	token = token_issue(k, arena, &claims, "anna@example.org");
	CU_ASSERT_PTR_NOT_NULL_FATAL(token);
	CU_ASSERT(answers(k, token, TOKEN_OK, false));
	CU_ASSERT(answers(k, token, TOKEN_OK, true));
	/* any change of the directory forgets all */
	CU_ASSERT_TRUE(keyring_rotate(dir, VERIFY_S, &next, why));
	CU_ASSERT(answers(k, token, TOKEN_OK, false));
	CU_ASSERT(answers(k, token, TOKEN_OK, true));
	CU_ASSERT_TRUE(keyring_retire(dir, first.id, why));
	CU_ASSERT(answers(k, token, TOKEN_INVALID, false));
	CU_ASSERT(answers(k, token, TOKEN_INVALID, false));
	keys_free(k);
}

/* The directory stays as it is, but the retired key's time is over. */
static void test_cache_key_ends(void)
{
	char why[KEYRING_WHY_MAX];
	const char *dir = new_dir();
	struct keyring_entry e;
	struct keys *k;
	char *token;
	bool seen;

	CU_ASSERT_TRUE_FATAL(keyring_generate(dir, KEY_HS256, &e, why));
	k = open_dir(dir, NULL);
	token = token_issue(k, arena, &claims, "anna@example.org");
	CU_ASSERT_PTR_NOT_NULL_FATAL(token);
	CU_ASSERT_TRUE(keyring_rotate(dir, VERIFY_S, &e, why));
	CU_ASSERT(answers(k, token, TOKEN_OK, false));
	clock_us = (NOW + VERIFY_S + 59) * US_PER_SECOND;
	CU_ASSERT(answers(k, token, TOKEN_OK, true));
	clock_us += US_PER_SECOND;
	CU_ASSERT(check_at(k, token, NOW, &seen) == TOKEN_INVALID);
	clock_us = NOW * US_PER_SECOND;
	keys_free(k);
}

/* --- the table ------------------------------------------------------------------------------- */

static struct seen_token seen_of(int64_t n)
{
	return (struct seen_token){ .claims.expires_at = n };
}

static bool finds(struct token_cache *cache, const char *text, int64_t n)
{
	const struct seen_token *found = token_cache_find(cache, text, strlen(text));

	CU_ASSERT(token_cache_hit(cache) == (found != NULL));
	return found ? found->claims.expires_at == n : n < 0;
}

static void put(struct token_cache *cache, const char *text, int64_t n)
{
	const struct seen_token seen = seen_of(n);

	token_cache_put(cache, text, strlen(text), &seen);
}

/* The place of a token is that of its last bytes: these all have the same. */
static void test_cache_same_place(void)
{
	struct token_cache *cache = token_cache_new();
	const char *texts[TOKEN_CACHE_WAYS + 1];

	for (int i = 0; i <= TOKEN_CACHE_WAYS; i++)
		texts[i] = arena_printf(arena, "token number %d, 0123456789abcdef", i);
	for (int i = 0; i < TOKEN_CACHE_WAYS; i++) {
		CU_ASSERT(finds(cache, texts[i], -1));
		put(cache, texts[i], i);
	}
	for (int i = 0; i < TOKEN_CACHE_WAYS; i++)
		CU_ASSERT(finds(cache, texts[i], i));
	/* the one used least lately goes */
	CU_ASSERT(finds(cache, texts[0], 0));
	put(cache, texts[TOKEN_CACHE_WAYS], TOKEN_CACHE_WAYS);
	CU_ASSERT(finds(cache, texts[1], -1));
	for (int i = 0; i <= TOKEN_CACHE_WAYS; i++)
		CU_ASSERT(i == 1 || finds(cache, texts[i], i));
	token_cache_clear(cache);
	for (int i = 0; i <= TOKEN_CACHE_WAYS; i++)
		CU_ASSERT(finds(cache, texts[i], -1));
	put(cache, texts[0], 7);
	CU_ASSERT(finds(cache, texts[0], 7));
	token_cache_free(cache);
}

static const char *numbered(int i)
{
	uint8_t digest[DIGEST_LEN];

	digest_sha256(&i, sizeof(i), digest);
	return to_base64url(digest, sizeof(digest));
}

/* Never more than there is room for, and nearly all of that. */
static void test_cache_is_bounded(void)
{
	enum { ROOM = TOKEN_CACHE_SETS * TOKEN_CACHE_WAYS, PUT = 4 * ROOM };
	struct token_cache *cache = token_cache_new();
	int found = 0;

	for (int i = 0; i < PUT; i++)
		put(cache, numbered(i), i);
	for (int i = 0; i < PUT; i++) {
		const char *text = numbered(i);
		const struct seen_token *seen = token_cache_find(cache, text, strlen(text));

		found += seen != NULL;
		CU_ASSERT(!seen || seen->claims.expires_at == i);
	}
	CU_ASSERT(found <= ROOM && found > ROOM * 9 / 10);
	token_cache_free(cache);
	token_cache_free(NULL);
}

static void test_cache_lengths(void)
{
	struct token_cache *cache = token_cache_new();
	char text[TOKEN_CACHE_TEXT + 2];

	memset(text, 'x', sizeof(text));
	for (size_t len = 0; len < sizeof(text); len++) {
		const struct seen_token seen = seen_of((int64_t)len), *found;

		token_cache_put(cache, text, len, &seen);
		found = token_cache_find(cache, text, len);
		CU_ASSERT((found != NULL) == (len >= 16 && len <= TOKEN_CACHE_TEXT));
		CU_ASSERT(!found || found->claims.expires_at == (int64_t)len);
	}
	token_cache_free(cache);
}

CU_TestInfo cache_tests[] = {
	{ "a token is known the second time", test_cache_seen },
	{ "every byte counts", test_cache_exact },
	{ "times", test_cache_times },
	{ "the other signature of ES256", test_cache_malleable },
	{ "keys that change", test_cache_keys_change },
	{ "a key that ends", test_cache_key_ends },
	{ "tokens in one place", test_cache_same_place },
	{ "bounded", test_cache_is_bounded },
	{ "lengths", test_cache_lengths },
	CU_TEST_INFO_NULL,
};
