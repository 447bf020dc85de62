#include "base/base.h"

#include "security/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"
#include "base/random.h"
#include "base/secret.h"
#include "security/keys_private.h"
#include "security/token_cache.h"

enum {
	AGAIN_US = US_PER_SECOND,
	READS_MAX = 16,
};

/* What tells one keyring file from another. */
struct look {
	dev_t device;
	ino_t inode; /* 0: there is none */
	off_t size;
	struct timespec changed;
};

/* The keys of a directory; replaced whole. */
struct table {
	size_t n, current;
	struct key *list;
	int fd; /* of its keyring, held so that no other file gets its inode; or -1 */
	struct look look;
};

struct keys {
	char *issuer;
	char *audience;
	struct key secret; /* of the configuration */
	bool has_secret;
	char *dir;  /* NULL: the secret is the only key */
	char *path; /* of its keyring */
	int64_t verify_s;
	struct table table;
	struct look failed; /* what could not be read; all zeros: nothing */
	bool has_failed;
	int64_t path_due; /* when its path is looked at, on the monotonic clock */
	int64_t again_at; /* when it is tried once more, on the monotonic clock */
	char active_id[KEY_ID_LEN + 1];
	struct token_cache *cache; /* of tokens that these keys have verified */
};

/* --- reading a directory --------------------------------------------------------------------- */

static void look_of(const struct stat *st, struct look *out)
{
	*out = (struct look){ st->st_dev, st->st_ino, st->st_size, st->st_mtim };
}

/* An absent file is a look of zeros: a change, and no keyring of ours. */
static void look_at(const struct keys *keys, struct look *out)
{
	struct stat st;

	if (fstatat(AT_FDCWD, keys->path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		look_of(&st, out);
	else
		*out = (struct look){ 0 };
}

static bool look_same(const struct look *a, const struct look *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static void table_free(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		key_wipe(&t->list[i]);
	free(t->list);
	if (t->fd >= 0)
		close(t->fd);
	*t = (struct table){ .fd = -1 };
}

static bool table_fill(struct table *t, int dir_fd, const struct keyring *ring, int64_t verify_s,
		       char why[KEYRING_WHY_MAX])
{
	bool has_current = false;

	t->list = calloc(ring->n ? ring->n : 1, sizeof(*t->list));
	if (!t->list)
		fatal("out of memory");
	for (t->n = 0; t->n < ring->n; t->n++) {
		const struct keyring_entry *e = &ring->entries[t->n];
		struct key *key = &t->list[t->n];

		if (!keyring_load_key(dir_fd, e, key, why)) {
			key_wipe(key);
			return false;
		}
		key->ends_at = keyring_ends_at(e, verify_s);
		if (e->state == KEY_CURRENT) {
			t->current = t->n;
			has_current = true;
		}
	}
	if (!has_current)
		(void)snprintf(why, KEYRING_WHY_MAX,
			       "there is no current key; make one with: "
			       "taskcellctl key generate");
	return has_current;
}

/* Retired keys that verify no longer are not looked for: their files may be gone. */
static void leave_out_past(struct keyring *ring, int64_t verify_s)
{
	int64_t now = clock_now_us() / US_PER_SECOND;
	size_t kept = 0;

	for (size_t i = 0; i < ring->n; i++)
		if (keyring_ends_at(&ring->entries[i], verify_s) > now)
			ring->entries[kept++] = ring->entries[i];
	ring->n = kept;
}

/* `look` is of the keyring that was read, or could not be. */
static bool table_read_once(struct table *t, const struct keys *keys, char why[KEYRING_WHY_MAX])
{
	int dir_fd = keyring_open_dir(keys->dir, why);
	struct keyring ring;
	struct stat st;
	bool ok = false;

	*t = (struct table){ .fd = -1 };
	if (dir_fd < 0)
		return false;
	t->fd = keyring_open_at(dir_fd, why);
	if (t->fd >= 0 && fstat(t->fd, &st) == 0)
		look_of(&st, &t->look);
	if (keyring_read_fd(t->fd, &ring, why)) {
		leave_out_past(&ring, keys->verify_s);
		ok = table_fill(t, dir_fd, &ring, keys->verify_s, why);
	}
	close(dir_fd);
	return ok;
}

/* A key that is removed between the reading of the keyring and its own is no mistake. */
static bool table_read(struct table *t, const struct keys *keys, char why[KEYRING_WHY_MAX])
{
	for (int i = 0; i < READS_MAX; i++) {
		struct look now;
		bool same;

		if (table_read_once(t, keys, why))
			return true;
		look_at(keys, &now);
		same = look_same(&now, &t->look);
		table_free(t);
		if (same)
			break;
	}
	return false;
}

static void say(const struct keys *keys, const char *why)
{
	struct log_line l;

	log_begin(&l, why ? LOG_ERROR : LOG_INFO, "keys");
	log_str(&l, "dir", keys->dir);
	log_str(&l, "message", why);
	if (!why) {
		log_str(&l, "current", keys->active_id);
		log_int(&l, "keys", (int64_t)keys->table.n);
	}
	log_end(&l);
}

static void take_active_id(struct keys *keys)
{
	memcpy(keys->active_id, keys_current(keys)->id_text, sizeof(keys->active_id));
}

/* A keyring is replaced by another file in its place, and then nothing links to the one that we
 * hold: that is a third of the work of looking for it by its path. What else may be done to the
 * path, such as another directory in the place of this one, is noticed within a second. */
static bool is_fresh(const struct keys *keys)
{
	struct look look;
	struct stat st;

	if (keys->has_failed || keys->table.fd < 0 || clock_monotonic_us() >= keys->path_due ||
	    fstat(keys->table.fd, &st) != 0 || st.st_nlink == 0)
		return false;
	look_of(&st, &look);
	return look_same(&look, &keys->table.look);
}

/* What cannot be read now may be readable later without another look of the keyring: a key's file
 * can be put in order, too. */
void keys_follow(struct keys *keys)
{
	char why[KEYRING_WHY_MAX];
	struct table fresh;
	struct look look;
	bool known;

	if (!keys->dir || is_fresh(keys))
		return;
	keys->path_due = clock_monotonic_us() + AGAIN_US;
	look_at(keys, &look);
	if (look_same(&look, &keys->table.look))
		return;
	known = keys->has_failed && look_same(&look, &keys->failed);
	if (known && clock_monotonic_us() < keys->again_at)
		return;
	if (table_read(&fresh, keys, why)) {
		token_cache_clear(keys->cache);
		table_free(&keys->table);
		keys->table = fresh;
		keys->has_failed = false;
		take_active_id(keys);
		say(keys, NULL);
		return;
	}
	if (!known)
		say(keys, why);
	keys->has_failed = true;
	keys->failed = look;
	keys->again_at = clock_monotonic_us() + AGAIN_US;
}

/* --- making and freeing ---------------------------------------------------------------------- */

static char *copy(const char *text)
{
	char *out = strdup(text);

	if (!out)
		fatal("out of memory");
	return out;
}

static struct keys *keys_make(const char *issuer, const char *audience)
{
	struct keys *keys = calloc(1, sizeof(*keys));

	if (!keys)
		fatal("out of memory");
	keys->issuer = copy(issuer);
	keys->audience = copy(audience);
	keys->table.fd = -1;
	keys->cache = token_cache_new();
	return keys;
}

struct keys *keys_new(const char *secret, size_t len, const char *issuer, const char *audience)
{
	struct keys *keys = keys_make(issuer, audience);

	keys->has_secret = key_of_secret(&keys->secret, secret, len);
	if (!keys->has_secret) {
		keys_free(keys);
		return NULL;
	}
	take_active_id(keys);
	return keys;
}

struct keys *keys_open(const struct keys_options *o)
{
	struct keys *keys = keys_make(o->issuer, o->audience);
	char why[KEYRING_WHY_MAX] = "jwt_secret has a wrong length";
	bool ok = true;

	keys->verify_s = o->verify_s;
	keys->dir = copy(o->dir);
	if (asprintf(&keys->path, "%s/keyring", o->dir) < 0)
		fatal("out of memory");
	if (o->secret)
		ok = keys->has_secret = key_of_secret(&keys->secret, o->secret, strlen(o->secret));
	if (ok && table_read(&keys->table, keys, why)) {
		take_active_id(keys);
		return keys;
	}
	say(keys, why);
	keys_free(keys);
	return NULL;
}

void keys_free(struct keys *keys)
{
	if (!keys)
		return;
	token_cache_free(keys->cache);
	table_free(&keys->table);
	key_wipe(&keys->secret);
	free(keys->issuer);
	free(keys->audience);
	free(keys->dir);
	free(keys->path);
	free(keys);
}

/* --- asking ---------------------------------------------------------------------------------- */

struct token_cache *keys_cache(struct keys *keys)
{
	return keys->cache;
}

const char *keys_issuer(const struct keys *keys)
{
	return keys->issuer;
}

const char *keys_audience(const struct keys *keys)
{
	return keys->audience;
}

const struct key *keys_current(const struct keys *keys)
{
	return keys->dir ? &keys->table.list[keys->table.current] : &keys->secret;
}

const char *keys_active_id(struct keys *keys)
{
	keys_follow(keys);
	return keys->active_id;
}

bool key_lives(const struct key *key)
{
	return key->ends_at > clock_now_us() / US_PER_SECOND;
}

static bool has_id(const struct key *key, const uint8_t id[KEY_ID_BYTES])
{
	return memcmp(key->id, id, KEY_ID_BYTES) == 0 && key_lives(key);
}

const struct key *keys_find(const struct keys *keys, const uint8_t id[KEY_ID_BYTES])
{
	for (size_t i = 0; i < keys->table.n; i++)
		if (has_id(&keys->table.list[i], id))
			return &keys->table.list[i];
	return keys->has_secret && has_id(&keys->secret, id) ? &keys->secret : NULL;
}

static bool has_header(const struct key *key, const char *token, size_t len)
{
	return len > key->header_len && token[key->header_len] == '.' &&
	       memcmp(token, key->header, key->header_len) == 0 && key_lives(key);
}

const struct key *keys_find_header(const struct keys *keys, const char *token, size_t len)
{
	for (size_t i = 0; i < keys->table.n; i++)
		if (has_header(&keys->table.list[i], token, len))
			return &keys->table.list[i];
	return keys->has_secret && has_header(&keys->secret, token, len) ? &keys->secret : NULL;
}

void keys_jwks(struct keys *keys, struct buf *out)
{
	bool comma = false;

	keys_follow(keys);
	buf_printf(out, "{\"keys\":[");
	for (size_t i = 0; i < keys->table.n; i++) {
		const struct key *key = &keys->table.list[i];

		if (!key->jwk.len || !key_lives(key))
			continue;
		if (comma)
			buf_putc(out, ',');
		buf_append(out, key->jwk.data, key->jwk.len);
		comma = true;
	}
	buf_printf(out, "]}");
}

void secret_generate(char out[SECRET_TEXT_LEN + 1])
{
	uint8_t bytes[DIGEST_LEN];

	random_bytes(bytes, sizeof(bytes));
	base64url_encode(bytes, sizeof(bytes), out);
	secret_wipe(bytes, sizeof(bytes));
}

void digest_sha256(const void *bytes, size_t len, uint8_t out[DIGEST_LEN])
{
	if (!SHA256(bytes, len, out))
		fatal("SHA-256 is not available");
}
