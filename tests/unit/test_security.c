#include "base/base.h"

#include <ftw.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"

#include "test_security.h"

const char secret[] = "0123456789abcdef0123456789abcdef";
const char issuer[] = "https://tasks.example", audience[] = "taskcell";

enum key_algorithm algorithm;
struct keys *keys, *other_keys;
EVP_PKEY *pair;
struct arena *arena;
struct token_claims claims;
int64_t clock_us = NOW * US_PER_SECOND;

static char top[] = "/tmp/taskcell-keys-XXXXXX";
static bool has_top;
static int log_fd = -1;

int64_t clock_now_us(void)
{
	return clock_us;
}

int64_t clock_monotonic_us(void)
{
	return clock_us;
}

char *to_base64url(const void *bytes, size_t len)
{
	char *out = arena_alloc(arena, BASE64_LEN(len) + 1);

	base64url_encode(bytes, len, out);
	return out;
}

/* Asserts of CUnit are for the inside of tests; suites begin with these functions, too. */
static void require(bool done, const char *what)
{
	if (done)
		return;
	fprintf(stderr, "cannot go on: %s\n", what);
	abort();
}

static size_t sign_raw(const char *text, uint8_t *out, size_t max)
{
	const uint8_t *p = out;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = max;
	ECDSA_SIG *sig;

	require(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pair) == 1 &&
			EVP_DigestSign(ctx, out, &len, (const uint8_t *)text, strlen(text)) == 1,
		"EVP_DigestSign");
	EVP_MD_CTX_free(ctx);
	if (algorithm == KEY_RS256)
		return len;
	sig = d2i_ECDSA_SIG(NULL, &p, (long)len);
	require(sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32) == 32 &&
			BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32) == 32,
		"d2i_ECDSA_SIG");
	ECDSA_SIG_free(sig);
	return 64;
}

char *sign_as_us(const char *text)
{
	uint8_t bytes[1024];
	size_t len = DIGEST_LEN;

	if (algorithm == KEY_HS256)
		HMAC(EVP_sha256(), secret, SECRET_LEN, (const uint8_t *)text, strlen(text), bytes,
		     NULL);
	else
		len = sign_raw(text, bytes, sizeof(bytes));
	return to_base64url(bytes, len);
}

const char *public_text(void)
{
	BIO *out = BIO_new(BIO_s_mem());
	const char *text = secret;
	char *data;
	long len;

	if (pair) {
		require(PEM_write_bio_PUBKEY(out, pair) == 1, "PEM_write_bio_PUBKEY");
		len = BIO_get_mem_data(out, &data);
		text = arena_strndup(arena, data, (size_t)len);
	}
	BIO_free(out);
	return text;
}

/* --- directories ----------------------------------------------------------------------------- */

char *new_dir(void)
{
	static int number;

	if (!has_top)
		has_top = mkdtemp(top) != NULL;
	require(has_top, "mkdtemp");
	return arena_printf(arena, "%s/%d", top, ++number);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
	(void)st;
	(void)type;
	(void)walk;
	return remove(path);
}

static void remove_dirs(void)
{
	if (has_top)
		(void)nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct keys *open_with(const char *dir, const char *also_secret)
{
	return keys_open(&(struct keys_options){ .dir = dir,
						 .secret = also_secret,
						 .issuer = issuer,
						 .audience = audience,
						 .verify_s = VERIFY_S });
}

struct keys *open_dir(const char *dir, const char *also_secret)
{
	struct keys *k = open_with(dir, also_secret);

	require(k, "keys_open");
	return k;
}

struct keys *try_dir(const char *dir)
{
	return open_with(dir, NULL);
}

char *log_taken(void)
{
	off_t len = lseek(log_fd, 0, SEEK_END);
	char *text = arena_alloc(arena, (size_t)len + 1);

	require(pread(log_fd, text, (size_t)len, 0) == len && ftruncate(log_fd, 0) == 0 &&
			lseek(log_fd, 0, SEEK_SET) == 0,
		"the log");
	return text;
}

EVP_PKEY *read_pair(const char *dir, const char *id)
{
	FILE *f = fopen(arena_printf(arena, "%s/%s.key", dir, id), "r");
	EVP_PKEY *out;

	require(f, "fopen");
	out = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	(void)fclose(f);
	require(out, "PEM_read_PrivateKey");
	return out;
}

/* The first key of a directory, made once for all suites: RSA takes its time. */
static struct keys *keys_of_key(int number, EVP_PKEY **out)
{
	static struct {
		char dir[64];
		struct keyring_entry e;
	} made[KEY_RS256 + 1][2], *m;
	char why[KEYRING_WHY_MAX];

	m = &made[algorithm][number];
	if (!*m->dir) {
		(void)snprintf(m->dir, sizeof(m->dir), "%s", new_dir());
		require(keyring_generate(m->dir, algorithm, &m->e, why), "keyring_generate");
	}
	if (out)
		*out = read_pair(m->dir, m->e.id);
	return open_dir(m->dir, NULL);
}

/* --- suites ---------------------------------------------------------------------------------- */

static void set_up(void)
{
	clock_us = NOW * US_PER_SECOND;
	arena = arena_new(64 << 20);
	if (log_fd < 0)
		log_fd = memfd_create("log", MFD_CLOEXEC);
	log_open(log_fd, LOG_DEBUG);
	claims = (struct token_claims){ .issued_at = NOW, .expires_at = NOW + LIFE };
	for (uint8_t i = 0; i < 16; i++) {
		claims.user_id.bytes[i] = (uint8_t)(0x10 + i);
		claims.session_id.bytes[i] = (uint8_t)(0x20 + i);
	}
}

static int hs256(void)
{
	set_up();
	algorithm = KEY_HS256;
	keys = keys_new(secret, SECRET_LEN, issuer, audience);
	other_keys = keys_new("another secret of thirty-two byte", SECRET_LEN, issuer, audience);
	return !keys || !other_keys;
}

static int es256(void)
{
	set_up();
	algorithm = KEY_ES256;
	keys = keys_of_key(0, &pair);
	other_keys = keys_of_key(1, NULL);
	return 0;
}

static int rs256(void)
{
	set_up();
	algorithm = KEY_RS256;
	keys = keys_of_key(0, &pair);
	other_keys = keys_of_key(1, NULL);
	return 0;
}

static int cleanup(void)
{
	keys_free(keys);
	keys_free(other_keys);
	EVP_PKEY_free(pair);
	pair = NULL;
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
		{ "keys", hs256, cleanup, NULL, NULL, key_tests },
		{ "keyring", hs256, cleanup, NULL, NULL, keyring_tests },
		{ "files of keys", hs256, cleanup, NULL, NULL, key_file_tests },
		{ "keys that change", hs256, cleanup, NULL, NULL, follow_tests },
		{ "access token, HS256", hs256, cleanup, NULL, NULL, token_tests },
		{ "access token, ES256", es256, cleanup, NULL, NULL, token_tests },
		{ "access token, RS256", rs256, cleanup, NULL, NULL, token_tests },
		{ "attacks, HS256", hs256, cleanup, NULL, NULL, attack_tests },
		{ "attacks, ES256", es256, cleanup, NULL, NULL, attack_tests },
		{ "attacks, RS256", rs256, cleanup, NULL, NULL, attack_tests },
		{ "tokens seen, HS256", hs256, cleanup, NULL, NULL, cache_tests },
		{ "tokens seen, ES256", es256, cleanup, NULL, NULL, cache_tests },
		{ "refresh token", hs256, cleanup, NULL, NULL, refresh_tests },
		{ "password", NULL, NULL, NULL, NULL, password_tests },
		CU_SUITE_INFO_NULL,
	};
	int status = run_suites(suites);

	remove_dirs();
	return status;
}
