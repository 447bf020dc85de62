/* Strings of password hashes: what password_verify() takes for one, and what it then would do. */
#include "base/base.h"

#include "fuzz.h"

#include <libscrypt.h>

#include "base/codec.h"
#include "security/password.h"

/* Input: the mode's digit, and ... */
enum mode {
	RAW,    /* a string */
	FIELDS, /* ln, r, p, lengths of salt and key, a byte each, and then the bytes of both */
	MODES,
};

/* Of the last call of the library's function, which is replaced by one that costs nothing. */
static struct {
	unsigned calls;
	uint64_t n;
	uint32_t r, p;
	size_t salt_len, key_len;
	uint8_t salt[PASSWORD_SALT_MAX];
	uint8_t key[PASSWORD_KEY_MAX]; /* that it gives */
} scrypt;

int libscrypt_scrypt(const uint8_t *password, size_t len, const uint8_t *salt, size_t salt_len,
		     uint64_t n, uint32_t r, uint32_t p, uint8_t *key, size_t key_len)
{
	(void)password;
	(void)len;
	CHECK(n >= 2 && (n & (n - 1)) == 0 && r >= 1 && p >= 1);
	CHECK(128 * r * n <= UINT64_C(1) << 30);
	CHECK(128 * r * n * p <= UINT64_C(3) << 30);
	CHECK(salt_len >= 8 && salt_len <= PASSWORD_SALT_MAX);
	CHECK(key_len >= 32 && key_len <= PASSWORD_KEY_MAX);
	scrypt.calls++;
	scrypt.n = n;
	scrypt.r = r;
	scrypt.p = p;
	scrypt.salt_len = salt_len;
	scrypt.key_len = key_len;
	memcpy(scrypt.salt, salt, salt_len);
	memcpy(key, scrypt.key, key_len);
	return 0;
}

static unsigned log2_of(uint64_t n)
{
	unsigned log = 0;

	while (n >> log != 1)
		log++;
	return log;
}

/* The text that the parameters of the last call have; only that one may have been taken. */
static void expected(const uint8_t *key, char out[PASSWORD_HASH_MAX])
{
	char salt_text[BASE64_LEN(PASSWORD_SALT_MAX) + 1],
		key_text[BASE64_LEN(PASSWORD_KEY_MAX) + 1];

	base64_encode(scrypt.salt, scrypt.salt_len, salt_text);
	base64_encode(key, scrypt.key_len, key_text);
	CHECK(snprintf(out, PASSWORD_HASH_MAX, "$scrypt$ln=%u,r=%u,p=%u$%s$%s", log2_of(scrypt.n),
		       scrypt.r, scrypt.p, salt_text, key_text) < PASSWORD_HASH_MAX);
}

/* Whether a cost's own hashes outdo the last call, by the words of the header. */
static bool is_weaker(unsigned cost)
{
	uint64_t memory = scrypt.n * scrypt.r, ours = UINT64_C(8) << cost;

	return memory < ours || memory * scrypt.p < 3 * ours;
}

/* Returns whether it was taken for a hash. */
static bool check_text(const char *text)
{
	char again[PASSWORD_HASH_MAX], adopted[PASSWORD_HASH_MAX];
	const char *key_text = strrchr(text, '$');
	enum password_result first;
	uint8_t key[PASSWORD_KEY_MAX];
	size_t n = 0;

	scrypt.calls = 0;
	memset(scrypt.key, 0xa5, sizeof(scrypt.key));
	first = password_verify(text, "password", 8);
	CHECK((first == PASSWORD_ERROR) == (scrypt.calls == 0) && scrypt.calls <= 1);
	if (first == PASSWORD_ERROR) {
		CHECK(password_is_weak(text, PASSWORD_COST_MIN));
		password_even(text, PASSWORD_COST_MAX);
		CHECK(scrypt.calls == 1);
		return false;
	}
	CHECK(base64_decode(key_text + 1, strlen(key_text + 1), key, sizeof(key), &n));
	CHECK(n == scrypt.key_len);
	CHECK((first == PASSWORD_OK) == (memcmp(key, scrypt.key, n) == 0));
	expected(key, again);
	CHECK(strcmp(again, text) == 0);
	CHECK(password_adopt(&(struct scrypt_hash){ .cost = log2_of(scrypt.n),
						    .r = scrypt.r,
						    .p = scrypt.p,
						    .salt = scrypt.salt,
						    .salt_len = scrypt.salt_len,
						    .key = key,
						    .key_len = n },
			     adopted));
	CHECK(strcmp(adopted, text) == 0);

	/* the right key, and the same with its last bit turned */
	memcpy(scrypt.key, key, n);
	CHECK(password_verify(text, "password", 8) == PASSWORD_OK);
	scrypt.key[n - 1] ^= 1;
	CHECK(password_verify(text, "password", 8) == PASSWORD_WRONG);

	for (unsigned cost = PASSWORD_COST_MIN; cost <= PASSWORD_COST_MAX; cost++)
		CHECK(password_is_weak(text, cost) == is_weaker(cost));
	for (unsigned cost = PASSWORD_COST_MIN; cost <= PASSWORD_COST_MAX; cost++)
		password_even(text, cost);
	return true;
}

/* Of a text by the format alone: taken if, and only if, it is within the bounds. */
static void check_fields(const uint8_t *data, size_t size)
{
	uint8_t head[5] = { 0 }, bytes[256] = { 0 };
	char salt[BASE64_LEN(127) + 1], key[BASE64_LEN(127) + 1], text[512];
	unsigned ln, r, p;
	size_t salt_len, key_len;
	uint64_t memory;

	memcpy(head, data, size < sizeof(head) ? size : sizeof(head));
	if (size > sizeof(head))
		memcpy(bytes, data + sizeof(head),
		       size - sizeof(head) < sizeof(bytes) ? size - sizeof(head) : sizeof(bytes));
	ln = head[0] % 32;
	r = head[1] % 20;
	p = head[2] % 20;
	salt_len = head[3] % 80;
	key_len = head[4] % 80;
	base64_encode(bytes, salt_len, salt);
	base64_encode(bytes + salt_len, key_len, key);
	snprintf(text, sizeof(text), "$scrypt$ln=%u,r=%u,p=%u$%s$%s", ln, r, p, salt, key);
	memory = (UINT64_C(128) * r) << ln;
	CHECK(check_text(text) ==
	      (ln >= PASSWORD_COST_MIN && ln <= PASSWORD_COST_MAX && r >= 1 && r <= 16 && p >= 1 &&
	       p <= 16 && memory <= UINT64_C(1) << 30 && memory * p <= UINT64_C(3) << 30 &&
	       salt_len >= 8 && salt_len <= 64 && key_len >= 32 && key_len <= 64));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena *arena;

	if (!size)
		return 0;
	if (!arena)
		arena = arena_new(1 << 20);
	switch ((enum mode)((uint8_t)(data[0] - '0') % MODES)) {
	case RAW:
		(void)check_text(arena_strndup(arena, (const char *)data + 1, size - 1));
		break;
	case FIELDS:
		check_fields(data + 1, size - 1);
		break;
	case MODES:
		break;
	}
	arena_reset(arena);
	return 0;
}
