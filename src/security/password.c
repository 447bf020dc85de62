#include "base/base.h"

#include "security/password.h"

#include <libscrypt.h>

#include "base/codec.h"
#include "base/random.h"
#include "base/secret.h"

enum {
	BLOCK = 8,    /* r */
	PARALLEL = 3, /* p */
	SALT_LEN = 16,
	SALT_MIN = 8,
	KEY_LEN = 32, /* and the least of others */
};

static const char prefix[] = "$scrypt$";
/* No hash costs more memory or time than one of ours at the highest cost. */
static const uint64_t memory_max = UINT64_C(128) * BLOCK << PASSWORD_COST_MAX;
static const uint64_t work_max = UINT64_C(128) * BLOCK * PARALLEL << PASSWORD_COST_MAX;

struct scrypt {
	unsigned log_n;
	unsigned r;
	unsigned p;
	size_t salt_len;
	size_t key_len;
	uint8_t salt[PASSWORD_SALT_MAX];
	uint8_t key[PASSWORD_KEY_MAX];
};

/* Bytes. Time grows as the memory times p. */
static uint64_t memory(const struct scrypt *s)
{
	return UINT64_C(128) * s->r << s->log_n;
}

/* The bounds keep a row that somebody tampered with from costing hours or all memory. */
static bool in_bounds(const struct scrypt *s)
{
	return s->log_n >= PASSWORD_COST_MIN && s->log_n <= PASSWORD_COST_MAX && s->r >= 1 &&
	       s->r <= 16 && s->p >= 1 && s->p <= 16 && memory(s) <= memory_max &&
	       memory(s) * s->p <= work_max && s->salt_len >= SALT_MIN &&
	       s->salt_len <= PASSWORD_SALT_MAX && s->key_len >= KEY_LEN &&
	       s->key_len <= PASSWORD_KEY_MAX;
}

/* Reads `name`, a number of at most two digits in its shortest form, and the character `end`. */
static bool parse_number(const char **text, const char *name, char end, unsigned *out)
{
	size_t name_len = strlen(name), len;
	int64_t value;

	if (strncmp(*text, name, name_len) != 0)
		return false;
	*text += name_len;
	len = strspn(*text, "0123456789");
	if (**text == '0' || (*text)[len] != end || !decimal_parse(*text, len, 99, &value))
		return false;
	*text += len + 1;
	*out = (unsigned)value;
	return true;
}

static bool parse(const char *text, struct scrypt *out)
{
	size_t len;

	if (strncmp(text, prefix, strlen(prefix)) != 0)
		return false;
	text += strlen(prefix);
	if (!parse_number(&text, "ln=", ',', &out->log_n) ||
	    !parse_number(&text, "r=", ',', &out->r) || !parse_number(&text, "p=", '$', &out->p))
		return false;
	len = strcspn(text, "$");
	if (text[len] != '$' ||
	    !base64_decode(text, len, out->salt, sizeof(out->salt), &out->salt_len))
		return false;
	text += len + 1;
	return base64_decode(text, strlen(text), out->key, sizeof(out->key), &out->key_len) &&
	       in_bounds(out);
}

static void format(const struct scrypt *s, char out[PASSWORD_HASH_MAX])
{
	char salt[BASE64_LEN(PASSWORD_SALT_MAX) + 1], key[BASE64_LEN(PASSWORD_KEY_MAX) + 1];

	base64_encode(s->salt, s->salt_len, salt);
	base64_encode(s->key, s->key_len, key);
	(void)snprintf(out, PASSWORD_HASH_MAX, "%sln=%u,r=%u,p=%u$%s$%s", prefix, s->log_n, s->r,
		       s->p, salt, key);
	secret_wipe(key, sizeof(key));
}

static bool derive(const struct scrypt *s, const char *password, size_t len,
		   uint8_t key[PASSWORD_KEY_MAX])
{
	return libscrypt_scrypt((const uint8_t *)password, len, s->salt, s->salt_len,
				UINT64_C(1) << s->log_n, s->r, s->p, key, s->key_len) == 0;
}

static void set_new(struct scrypt *s, unsigned cost)
{
	*s = (struct scrypt){
		.log_n = cost, .r = BLOCK, .p = PARALLEL, .salt_len = SALT_LEN, .key_len = KEY_LEN
	};
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
	uint8_t key[PASSWORD_KEY_MAX];
	struct scrypt s;

	if (parse(hash, &s) && derive(&s, password, len, key))
		result = secret_equal(key, s.key, s.key_len) ? PASSWORD_OK : PASSWORD_WRONG;
	secret_wipe(key, sizeof(key));
	secret_wipe(&s, sizeof(s));
	return result;
}

void password_dummy(unsigned cost, char out[PASSWORD_HASH_MAX])
{
	struct scrypt s;

	set_new(&s, cost);
	random_bytes(s.key, s.key_len);
	format(&s, out);
}

/* Memory is what makes guessing dear, so it is not traded for time. */
bool password_is_weak(const char *hash, unsigned cost)
{
	struct scrypt s, ours = { .log_n = cost, .r = BLOCK };
	bool weak = !parse(hash, &s) || memory(&s) < memory(&ours) ||
		    memory(&s) * s.p < memory(&ours) * PARALLEL;

	secret_wipe(&s, sizeof(s));
	return weak;
}

void password_even(const char *hash, unsigned cost)
{
	struct scrypt s, rest;
	uint64_t done, wanted, step;
	uint8_t key[PASSWORD_KEY_MAX];

	set_new(&rest, cost - 1);
	step = memory(&rest);
	wanted = 2 * step * PARALLEL;
	done = parse(hash, &s) ? memory(&s) * s.p : 0;
	if (done < wanted) {
		rest.p = (unsigned)((wanted - done + step / 2) / step);
		if (rest.p)
			(void)derive(&rest, "", 0, key);
	}
	secret_wipe(&s, sizeof(s));
}

bool password_adopt(const struct scrypt_hash *hash, char out[PASSWORD_HASH_MAX])
{
	struct scrypt s = { .log_n = hash->cost,
			    .r = hash->r,
			    .p = hash->p,
			    .salt_len = hash->salt_len,
			    .key_len = hash->key_len };

	if (!in_bounds(&s))
		return false;
	memcpy(s.salt, hash->salt, s.salt_len);
	memcpy(s.key, hash->key, s.key_len);
	format(&s, out);
	secret_wipe(&s, sizeof(s));
	return true;
}
