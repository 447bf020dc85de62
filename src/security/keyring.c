#include "base/base.h"

#include "security/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/secret.h"
#include "security/keys_private.h"

enum {
	KEYRING_FILE_MAX = 4096,
	CLOCKS_DIFFER_S = 60,
	KEY_NAME_MAX = KEY_ID_LEN + sizeof(".key"),
	FIELDS = 4, /* of a line */
};

static const char file_name[] = "keyring", new_name[] = "keyring.new";
static const char *const algorithm_names[] = { "HS256", "ES256", "RS256" };
static const char *const state_names[] = { "next", "current", "retired" };

const char *key_algorithm_name(enum key_algorithm algorithm)
{
	return algorithm_names[algorithm];
}

const char *key_state_name(enum key_state state)
{
	return state_names[state];
}

static bool name_find(const char *const *names, size_t n, const char *name, size_t len, size_t *out)
{
	for (*out = 0; *out < n; (*out)++)
		if (strlen(names[*out]) == len && memcmp(names[*out], name, len) == 0)
			return true;
	return false;
}

bool key_algorithm_parse(const char *name, enum key_algorithm *out)
{
	size_t i;

	if (!name_find(algorithm_names, ARRAY_LEN(algorithm_names), name, strlen(name), &i))
		return false;
	*out = (enum key_algorithm)i;
	return true;
}

int64_t keyring_ends_at(const struct keyring_entry *e, int64_t verify_s)
{
	return e->state == KEY_RETIRED ? e->since + verify_s + CLOCKS_DIFFER_S : INT64_MAX;
}

static bool PRINTF_LIKE(2, 3) refuse(char why[KEYRING_WHY_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, KEYRING_WHY_MAX, fmt, ap);
	va_end(ap);
	return false;
}

/* --- the text of the keyring ----------------------------------------------------------------- */

static bool entry_parse(const char *line, size_t len, struct keyring_entry *e)
{
	const char *field[FIELDS];
	size_t field_len[FIELDS], algorithm, state;

	for (size_t i = 0; i < FIELDS; i++) {
		const char *space = i < FIELDS - 1 ? memchr(line, ' ', len) : line + len;

		if (!space)
			return false;
		field[i] = line;
		field_len[i] = (size_t)(space - line);
		len -= i < FIELDS - 1 ? field_len[i] + 1 : field_len[i];
		line = space + 1;
	}
	/* the id becomes a part of a file's name */
	if (field_len[0] != KEY_ID_LEN)
		return false;
	for (size_t i = 0; i < KEY_ID_LEN; i++)
		if (!memchr("0123456789abcdef", field[0][i], 16))
			return false;
	if (!name_find(algorithm_names, ARRAY_LEN(algorithm_names), field[1], field_len[1],
		       &algorithm) ||
	    !name_find(state_names, ARRAY_LEN(state_names), field[2], field_len[2], &state) ||
	    !decimal_parse(field[3], field_len[3], INT64_MAX / 4, &e->since))
		return false;
	memcpy(e->id, field[0], KEY_ID_LEN);
	e->id[KEY_ID_LEN] = '\0';
	e->algorithm = (enum key_algorithm)algorithm;
	e->state = (enum key_state)state;
	return true;
}

static struct keyring_entry *ring_find(struct keyring *ring, const char *id)
{
	for (size_t i = 0; i < ring->n; i++)
		if (strcmp(ring->entries[i].id, id) == 0)
			return &ring->entries[i];
	return NULL;
}

static struct keyring_entry *ring_state(struct keyring *ring, enum key_state state)
{
	for (size_t i = 0; i < ring->n; i++)
		if (ring->entries[i].state == state)
			return &ring->entries[i];
	return NULL;
}

/* A file that ends inside a line was not written by us, or not whole. */
static bool ring_parse(const char *text, size_t len, struct keyring *ring,
		       char why[KEYRING_WHY_MAX])
{
	const char *end = text + len;

	ring->n = 0;
	for (size_t number = 1; text < end; number++) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));
		struct keyring_entry e;

		if (!eol || !entry_parse(text, (size_t)(eol - text), &e))
			return refuse(why, "%s, line %zu: is no key", file_name, number);
		if (ring->n == KEYRING_MAX)
			return refuse(why, "%s: has more than %d keys", file_name, KEYRING_MAX);
		if (ring_find(ring, e.id))
			return refuse(why, "%s: has the key %s twice", file_name, e.id);
		if (e.state != KEY_RETIRED && ring_state(ring, e.state))
			return refuse(why, "%s: has two keys that are %s", file_name,
				      key_state_name(e.state));
		ring->entries[ring->n++] = e;
		text = eol + 1;
	}
	return true;
}

/* --- files ----------------------------------------------------------------------------------- */

/* Takes the descriptor, or -1; whoever may write here may sign as us. */
static int take_private(int fd, const char *name, bool is_dir, char why[KEYRING_WHY_MAX])
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		(void)refuse(why, "%s: %s", name,
			     errno == ELOOP ? "is a symbolic link" : strerror(errno));
	else if (is_dir ? !S_ISDIR(st.st_mode) : !S_ISREG(st.st_mode))
		(void)refuse(why, "%s: is no %s", name, is_dir ? "directory" : "file");
	else if (st.st_uid != geteuid())
		(void)refuse(why, "%s: belongs to another user than the one that asks (%u, not %u)",
			     name, (unsigned)st.st_uid, (unsigned)geteuid());
	else if (st.st_mode & (S_IRWXG | S_IRWXO))
		(void)refuse(why, "%s: has mode %04o; only its owner may have access (%s)", name,
			     (unsigned)(st.st_mode & 07777), is_dir ? "0700" : "0600");
	else
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

int keyring_open_dir(const char *dir, char why[KEYRING_WHY_MAX])
{
	/* no O_DIRECTORY: with it a symbolic link is called "not a directory" */
	return take_private(open(dir, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), dir, true,
			    why);
}

static int open_file(int dir_fd, const char *name, char why[KEYRING_WHY_MAX])
{
	/* O_NONBLOCK: a pipe must not hold us up before it is refused */
	return take_private(
		openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC),
		name, false, why);
}

int keyring_open_at(int dir_fd, char why[KEYRING_WHY_MAX])
{
	struct stat st;

	if (fstatat(dir_fd, file_name, &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT)
		return KEYRING_ABSENT;
	return open_file(dir_fd, file_name, why);
}

/* Reads all of a file from its start; it must be shorter than `max`. */
static bool read_whole(int fd, char *out, size_t max, size_t *len)
{
	ssize_t n = 1;

	for (*len = 0; n != 0 && *len < max; *len += (size_t)n) {
		do
			n = pread(fd, out + *len, max - *len, (off_t)*len);
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return false;
	}
	errno = EFBIG;
	return *len < max;
}

bool keyring_read_fd(int fd, struct keyring *ring, char why[KEYRING_WHY_MAX])
{
	char text[KEYRING_FILE_MAX];
	size_t len;

	ring->n = 0;
	if (fd == KEYRING_ABSENT)
		return true;
	if (fd < 0)
		return false;
	if (!read_whole(fd, text, sizeof(text), &len))
		return refuse(why, "%s: %s", file_name, strerror(errno));
	return ring_parse(text, len, ring, why);
}

static bool ring_read(int dir_fd, struct keyring *ring, char why[KEYRING_WHY_MAX])
{
	int fd = keyring_open_at(dir_fd, why);
	bool ok = keyring_read_fd(fd, ring, why);

	if (fd >= 0)
		close(fd);
	return ok;
}

static void key_file(const char *id, char out[KEY_NAME_MAX])
{
	(void)snprintf(out, KEY_NAME_MAX, "%s.key", id);
}

bool keyring_load_key(int dir_fd, const struct keyring_entry *e, struct key *key,
		      char why[KEYRING_WHY_MAX])
{
	char name[KEY_NAME_MAX], text[KEY_TEXT_MAX];
	const char *flaw = NULL;
	size_t len;
	bool ok;
	int fd;

	key_file(e->id, name);
	fd = open_file(dir_fd, name, why);
	if (fd < 0)
		return false;
	ok = read_whole(fd, text, sizeof(text), &len);
	if (!ok)
		(void)refuse(why, "%s: %s", name, strerror(errno));
	close(fd);
	if (ok && !key_of_text(key, e->algorithm, text, len, &flaw))
		ok = refuse(why, "%s: %s", name, flaw);
	if (ok && strcmp(key->id_text, e->id) != 0)
		ok = refuse(why, "%s: holds another key, %s", name, key->id_text);
	secret_wipe(text, sizeof(text));
	return ok;
}

static bool write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

/* A new file, on the disk when this returns; nothing is left of one that could not be written. */
static bool write_new(int dir_fd, const char *name, const char *text, size_t len,
		      char why[KEYRING_WHY_MAX])
{
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool ok;

	if (fd < 0)
		return refuse(why, "%s: %s", name, strerror(errno));
	ok = fchmod(fd, 0600) == 0 && write_all(fd, text, len) && fsync(fd) == 0;
	if (!ok)
		(void)refuse(why, "%s: %s", name, strerror(errno));
	if (close(fd) != 0 && ok)
		ok = refuse(why, "%s: %s", name, strerror(errno));
	if (!ok)
		unlinkat(dir_fd, name, 0);
	return ok;
}

static bool ring_write(int dir_fd, const struct keyring *ring, char why[KEYRING_WHY_MAX])
{
	struct buf text;
	bool ok;

	buf_init(&text, KEYRING_FILE_MAX - 1);
	for (size_t i = 0; i < ring->n; i++) {
		const struct keyring_entry *e = &ring->entries[i];

		buf_printf(&text, "%s %s %s %lld\n", e->id, key_algorithm_name(e->algorithm),
			   key_state_name(e->state), (long long)e->since);
	}
	unlinkat(dir_fd, new_name, 0); /* of somebody who was killed here */
	ok = !text.overflow && write_new(dir_fd, new_name, text.data, text.len, why);
	/* a key's file is there for good before the keyring names it */
	if (ok && (fsync(dir_fd) != 0 || renameat(dir_fd, new_name, dir_fd, file_name) != 0 ||
		   fsync(dir_fd) != 0))
		ok = refuse(why, "%s: %s", file_name, strerror(errno));
	buf_free(&text);
	return ok;
}

/* --- changes --------------------------------------------------------------------------------- */

/* Opens the directory and reads the keyring; the lock goes with the descriptor. -1 on failure. */
static int ring_lock(const char *dir, struct keyring *ring, char why[KEYRING_WHY_MAX])
{
	int fd = keyring_open_dir(dir, why);

	if (fd < 0)
		return -1;
	while (flock(fd, LOCK_EX) != 0) {
		if (errno == EINTR)
			continue;
		(void)refuse(why, "%s: %s", dir, strerror(errno));
		close(fd);
		return -1;
	}
	if (ring_read(fd, ring, why))
		return fd;
	close(fd);
	return -1;
}

static void entry_set(struct keyring_entry *e, enum key_state state)
{
	e->state = state;
	e->since = clock_now_us() / US_PER_SECOND;
}

static void key_remove(int dir_fd, const char *id)
{
	char name[KEY_NAME_MAX];

	key_file(id, name);
	unlinkat(dir_fd, name, 0);
}

/* Makes a key's file, and an entry as the next one. */
static bool ring_add(int dir_fd, struct keyring *ring, enum key_algorithm algorithm,
		     char why[KEYRING_WHY_MAX])
{
	char text[KEY_TEXT_MAX], name[KEY_NAME_MAX];
	struct keyring_entry *e = &ring->entries[ring->n];
	struct key key = { 0 };
	const char *flaw;
	size_t len = 0;
	bool ok;

	if (ring->n == KEYRING_MAX)
		return refuse(why, "there are %d keys already; retire one", KEYRING_MAX);
	ok = key_generate(algorithm, text, &len) && key_of_text(&key, algorithm, text, len, &flaw);
	if (ok) {
		e->algorithm = algorithm;
		memcpy(e->id, key.id_text, sizeof(e->id));
		entry_set(e, KEY_NEXT);
		key_file(e->id, name);
		ok = write_new(dir_fd, name, text, len, why);
	} else {
		(void)refuse(why, "the library cannot make a key");
	}
	ring->n += ok;
	key_wipe(&key);
	secret_wipe(text, sizeof(text));
	return ok;
}

/* Moves every key on by one state, and those out whose last token is past. */
static void ring_turn(struct keyring *ring, int64_t verify_s, struct keyring *gone)
{
	int64_t now = clock_now_us() / US_PER_SECOND;
	size_t kept = 0;

	gone->n = 0;
	for (size_t i = 0; i < ring->n; i++) {
		struct keyring_entry e = ring->entries[i];

		if (keyring_ends_at(&e, verify_s) <= now) {
			gone->entries[gone->n++] = e;
			continue;
		}
		if (e.state != KEY_RETIRED)
			entry_set(&e, e.state == KEY_NEXT ? KEY_CURRENT : KEY_RETIRED);
		ring->entries[kept++] = e;
	}
	ring->n = kept;
}

bool keyring_read(const char *dir, struct keyring *ring, char why[KEYRING_WHY_MAX])
{
	int fd = keyring_open_dir(dir, why);
	bool ok = fd >= 0 && ring_read(fd, ring, why);

	if (fd >= 0)
		close(fd);
	return ok;
}

bool keyring_generate(const char *dir, enum key_algorithm algorithm, struct keyring_entry *entry,
		      char why[KEYRING_WHY_MAX])
{
	const struct keyring_entry *next;
	struct keyring ring;
	bool ok = false;
	int fd;

	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return refuse(why, "%s: %s", dir, strerror(errno));
	fd = ring_lock(dir, &ring, why);
	if (fd < 0)
		return false;
	next = ring_state(&ring, KEY_NEXT);
	if (next) {
		(void)refuse(why, "there is a next key already, %s; rotate or retire it", next->id);
	} else if (ring_add(fd, &ring, algorithm, why)) {
		struct keyring_entry *made = &ring.entries[ring.n - 1];

		if (!ring_state(&ring, KEY_CURRENT))
			made->state = KEY_CURRENT;
		*entry = *made;
		ok = ring_write(fd, &ring, why);
	}
	close(fd);
	return ok;
}

bool keyring_rotate(const char *dir, int64_t verify_s, struct keyring_entry *current,
		    char why[KEYRING_WHY_MAX])
{
	const struct keyring_entry *old;
	struct keyring ring, gone;
	int fd = ring_lock(dir, &ring, why);
	bool ok;

	if (fd < 0)
		return false;
	old = ring_state(&ring, KEY_CURRENT);
	ok = old || refuse(why, "%s: there is no key; generate one", dir);
	if (ok && !ring_state(&ring, KEY_NEXT))
		ok = ring_add(fd, &ring, old->algorithm, why);
	if (ok) {
		ring_turn(&ring, verify_s, &gone);
		*current = *ring_state(&ring, KEY_CURRENT);
		ok = ring_write(fd, &ring, why);
		for (size_t i = 0; ok && i < gone.n; i++)
			key_remove(fd, gone.entries[i].id);
	}
	close(fd);
	return ok;
}

bool keyring_retire(const char *dir, const char *id, char why[KEYRING_WHY_MAX])
{
	struct keyring_entry *e;
	struct keyring ring;
	int fd = ring_lock(dir, &ring, why);
	bool ok = false;

	if (fd < 0)
		return false;
	e = ring_find(&ring, id);
	if (!e) {
		(void)refuse(why, "%s: there is no key of that id", id);
	} else if (e->state == KEY_CURRENT) {
		(void)refuse(why, "%s: is the current key; rotate first", id);
	} else {
		*e = ring.entries[--ring.n];
		ok = ring_write(fd, &ring, why);
		if (ok)
			key_remove(fd, id);
	}
	close(fd);
	return ok;
}
