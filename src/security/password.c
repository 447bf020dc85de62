#include "base/base.h"

#include "security/password.h"

#include <libscrypt.h>

#include "base/codec.h"
#include "base/random.h"
#include "base/secret.h"
#include "security/common_passwords.h"

enum {
	BLOCK = 8,    /* r */
	PARALLEL = 3, /* p */
	SALT_LEN = 16,
	SALT_MIN = 8,
	SALT_MAX = 64,
	KEY_LEN = 32,
	NAME_MIN = 4, /* shorter ones are in many a good password */
};

static const char prefix[] = "$scrypt$";
static const uint64_t memory_max = UINT64_C(1) << 30;

struct scrypt {
	unsigned log_n;
	unsigned r;
	unsigned p;
	size_t salt_len;
	uint8_t salt[SALT_MAX];
	uint8_t key[KEY_LEN];
};

/* Reads `name`, a number from `min` to `max` in its shortest form, and the character `end`. */
static bool parse_number(const char **text, const char *name, char end, unsigned min, unsigned max,
			 unsigned *out)
{
	size_t name_len = strlen(name), len;
	int64_t value;

	if (strncmp(*text, name, name_len) != 0)
		return false;
	*text += name_len;
	len = strspn(*text, "0123456789");
	if (**text == '0' || (*text)[len] != end || !decimal_parse(*text, len, max, &value) ||
	    value < min)
		return false;
	*text += len + 1;
	*out = (unsigned)value;
	return true;
}

/* The bounds keep a row that somebody tampered with from costing hours or all memory. */
static bool parse(const char *text, struct scrypt *out)
{
	size_t len, key_len;

	if (strncmp(text, prefix, strlen(prefix)) != 0)
		return false;
	text += strlen(prefix);
	if (!parse_number(&text, "ln=", ',', PASSWORD_COST_MIN, PASSWORD_COST_MAX, &out->log_n) ||
	    !parse_number(&text, "r=", ',', 1, 16, &out->r) ||
	    !parse_number(&text, "p=", '$', 1, 16, &out->p))
		return false;
	if ((UINT64_C(128) * out->r) << out->log_n > memory_max)
		return false;
	len = strcspn(text, "$");
	if (text[len] != '$' ||
	    !base64_decode(text, len, out->salt, sizeof(out->salt), &out->salt_len) ||
	    out->salt_len < SALT_MIN)
		return false;
	text += len + 1;
	return base64_decode(text, strlen(text), out->key, sizeof(out->key), &key_len) &&
	       key_len == KEY_LEN;
}

/* Only what set_new() began is written, so the salt has our length. */
static void format(const struct scrypt *s, char out[PASSWORD_HASH_MAX])
{
	char salt[BASE64_LEN(SALT_LEN) + 1], key[BASE64_LEN(KEY_LEN) + 1];

	base64_encode(s->salt, SALT_LEN, salt);
	base64_encode(s->key, sizeof(s->key), key);
	(void)snprintf(out, PASSWORD_HASH_MAX, "%sln=%u,r=%u,p=%u$%s$%s", prefix, s->log_n, s->r,
		       s->p, salt, key);
	secret_wipe(key, sizeof(key));
}

static bool derive(const struct scrypt *s, const char *password, size_t len, uint8_t key[KEY_LEN])
{
	return libscrypt_scrypt((const uint8_t *)password, len, s->salt, s->salt_len,
				UINT64_C(1) << s->log_n, s->r, s->p, key, KEY_LEN) == 0;
}

static void set_new(struct scrypt *s, unsigned cost)
{
	*s = (struct scrypt){ .log_n = cost, .r = BLOCK, .p = PARALLEL, .salt_len = SALT_LEN };
	random_bytes(s->salt, s->salt_len);
}

enum password_result password_hash(unsigned cost, const char *password, size_t len,
				   char out[PASSWORD_HASH_MAX])
{
	enum password_result result = PASSWORD_ERROR;
	struct scrypt s;

	if (cost < PASSWORD_COST_MIN || cost > PASSWORD_COST_MAX)
		return PASSWORD_ERROR;
	set_new(&s, cost);
	if (derive(&s, password, len, s.key)) {
		format(&s, out);
		result = PASSWORD_OK;
	}
	secret_wipe(&s, sizeof(s));
	return result;
}

enum password_result password_verify(const char *hash, const char *password, size_t len)
{
	enum password_result result = PASSWORD_ERROR;
	uint8_t key[KEY_LEN];
	struct scrypt s;

	if (parse(hash, &s) && derive(&s, password, len, key))
		result = secret_equal(key, s.key, sizeof(key)) ? PASSWORD_OK : PASSWORD_WRONG;
	secret_wipe(key, sizeof(key));
	secret_wipe(&s, sizeof(s));
	return result;
}

void password_dummy(unsigned cost, char out[PASSWORD_HASH_MAX])
{
	struct scrypt s;

	set_new(&s, cost);
	random_bytes(s.key, sizeof(s.key));
	format(&s, out);
}

bool password_is_weak(const char *hash, unsigned cost)
{
	struct scrypt s;
	bool weak = !parse(hash, &s) || s.log_n < cost || s.r * s.p < BLOCK * PARALLEL;

	secret_wipe(&s, sizeof(s));
	return weak;
}

static int compare(const void *key, const void *entry)
{
	return strcmp(key, *(const char *const *)entry);
}

bool password_is_common(const char *password, size_t len)
{
	char key[COMMON_PASSWORD_MAX + 1];
	bool found;

	if (len > COMMON_PASSWORD_MAX || memchr(password, '\0', len))
		return false;
	for (size_t i = 0; i < len; i++)
		key[i] = ascii_lower(password[i]);
	key[len] = '\0';
	found = bsearch(key, common_passwords, common_passwords_count, sizeof(common_passwords[0]),
			compare) != NULL;
	secret_wipe(key, sizeof(key));
	return found;
}

static bool equal_nocase(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (ascii_lower(a[i]) != ascii_lower(b[i]))
			return false;
	}
	return true;
}

bool password_contains_name(const char *password, size_t len, const char *email)
{
	size_t name_len = strcspn(email, "@");

	if (name_len < NAME_MIN)
		return false;
	for (size_t i = 0; i < len && name_len <= len - i; i++) {
		if (equal_nocase(password + i, email, name_len))
			return true;
	}
	return false;
}
