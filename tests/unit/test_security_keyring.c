/* The directory of keys: states, modes, and a keyring that is not as we write it. */
#include "base/base.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test_security.h"

static char why[KEYRING_WHY_MAX];

static char *key_path(const char *dir, const char *id)
{
	return arena_printf(arena, "%s/%s.key", dir, id);
}

static char *ring_path(const char *dir)
{
	return arena_printf(arena, "%s/keyring", dir);
}

static void write_text(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT(fwrite(text, 1, len, f) == len);
	CU_ASSERT(fclose(f) == 0 && chmod(path, 0600) == 0);
}

static char *read_text(const char *path)
{
	char *text = arena_alloc(arena, 16384);
	FILE *f = fopen(path, "r");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT(fread(text, 1, 16383, f) < 16383);
	(void)fclose(f);
	return text;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	CU_ASSERT_FATAL(lstat(path, &st) == 0);
	return st.st_mode & 07777;
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static size_t files_in(const char *dir)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	for (const struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static struct keyring_entry generate(const char *dir)
{
	struct keyring_entry e;

	CU_ASSERT_TRUE_FATAL(keyring_generate(dir, KEY_HS256, &e, why));
	return e;
}

static struct keyring_entry rotate(const char *dir)
{
	struct keyring_entry e;

	CU_ASSERT_TRUE_FATAL(keyring_rotate(dir, VERIFY_S, &e, why));
	return e;
}

static struct keyring ring_of(const char *dir)
{
	struct keyring ring;

	CU_ASSERT_TRUE_FATAL(keyring_read(dir, &ring, why));
	return ring;
}

/* The state of a key, -1 when it is not in the ring. */
static int state_of(const char *dir, const char *id)
{
	struct keyring ring = ring_of(dir);

	for (size_t i = 0; i < ring.n; i++)
		if (strcmp(ring.entries[i].id, id) == 0)
			return (int)ring.entries[i].state;
	return -1;
}

static bool starts(const char *dir)
{
	struct keys *k = try_dir(dir);

	keys_free(k);
	return k != NULL;
}

/* --- states ---------------------------------------------------------------------------------- */

static void test_ring_generate(void)
{
	const char *dir = new_dir();
	mode_t before = umask(0);
	struct keyring_entry first = generate(dir), second, third;

	umask(before);
	CU_ASSERT(first.state == KEY_CURRENT && first.since == NOW);
	CU_ASSERT(first.algorithm == KEY_HS256 && strlen(first.id) == KEY_ID_LEN);
	CU_ASSERT(mode_of(dir) == 0700);
	CU_ASSERT(mode_of(ring_path(dir)) == 0600);
	CU_ASSERT(mode_of(key_path(dir, first.id)) == 0600);
	CU_ASSERT_STRING_EQUAL(read_text(ring_path(dir)),
			       arena_printf(arena, "%s HS256 current 1800000000\n", first.id));
	CU_ASSERT(strlen(read_text(key_path(dir, first.id))) == SECRET_TEXT_LEN + 1);

	CU_ASSERT_TRUE(keyring_generate(dir, KEY_ES256, &second, why));
	CU_ASSERT(second.state == KEY_NEXT && second.algorithm == KEY_ES256);
	CU_ASSERT(mode_of(key_path(dir, second.id)) == 0600);
	CU_ASSERT(strstr(read_text(key_path(dir, second.id)), "-----BEGIN PRIVATE KEY-----") != 0);
	CU_ASSERT_FALSE(keyring_generate(dir, KEY_HS256, &third, why));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, second.id));
	CU_ASSERT(ring_of(dir).n == 2 && files_in(dir) == 3);
	CU_ASSERT_TRUE(starts(dir));
}

static void test_ring_rotate(void)
{
	const char *dir = new_dir();
	struct keyring_entry first, second, third, e;

	CU_ASSERT_FALSE(keyring_rotate(dir, VERIFY_S, &e, why)); /* no directory */
	CU_ASSERT_FATAL(mkdir(dir, 0700) == 0);
	CU_ASSERT(ring_of(dir).n == 0);
	CU_ASSERT_FALSE(keyring_rotate(dir, VERIFY_S, &e, why)); /* no key */
	CU_ASSERT(files_in(dir) == 0);

	CU_ASSERT_TRUE(keyring_generate(dir, KEY_ES256, &first, why));
	second = generate(dir);
	clock_us += 10 * US_PER_SECOND;
	e = rotate(dir);
	CU_ASSERT_STRING_EQUAL(e.id, second.id);
	CU_ASSERT(e.state == KEY_CURRENT && e.since == NOW + 10);
	CU_ASSERT(state_of(dir, first.id) == KEY_RETIRED);
	third = rotate(dir); /* there is no next one: it is made, as the current one is */
	CU_ASSERT(third.algorithm == KEY_HS256 && third.state == KEY_CURRENT);
	CU_ASSERT(state_of(dir, second.id) == KEY_RETIRED);
	CU_ASSERT(ring_of(dir).n == 3 && files_in(dir) == 4);

	/* the last token of the first two is past a minute after verify_s, not before */
	clock_us += (VERIFY_S + 59) * US_PER_SECOND;
	rotate(dir);
	CU_ASSERT(state_of(dir, first.id) == KEY_RETIRED && exists(key_path(dir, first.id)));
	clock_us += US_PER_SECOND;
	rotate(dir);
	CU_ASSERT(state_of(dir, first.id) == -1 && !exists(key_path(dir, first.id)));
	CU_ASSERT(state_of(dir, second.id) == -1 && !exists(key_path(dir, second.id)));
	CU_ASSERT(state_of(dir, third.id) == KEY_RETIRED && exists(key_path(dir, third.id)));
	CU_ASSERT(files_in(dir) == ring_of(dir).n + 1);
	clock_us = NOW * US_PER_SECOND;
}

static void test_ring_retire(void)
{
	const char *dir = new_dir();
	struct keyring_entry first = generate(dir), second = generate(dir), third;
	const char *none[] = { "",  "00000000", "../../x",    "keyring",
			       ".", "0000000",  first.id + 1, "*" };

	CU_ASSERT_FALSE(keyring_retire(dir, first.id, why));
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "current"));
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		CU_ASSERT_FALSE(keyring_retire(dir, none[i], why));
	CU_ASSERT(ring_of(dir).n == 2 && files_in(dir) == 3);
	CU_ASSERT_TRUE(keyring_retire(dir, second.id, why)); /* next */
	CU_ASSERT(state_of(dir, second.id) == -1 && !exists(key_path(dir, second.id)));
	third = rotate(dir);
	CU_ASSERT_TRUE(keyring_retire(dir, first.id, why)); /* retired */
	CU_ASSERT(!exists(key_path(dir, first.id)));
	CU_ASSERT(ring_of(dir).n == 1 && state_of(dir, third.id) == KEY_CURRENT);
	CU_ASSERT_FALSE(keyring_retire(dir, first.id, why)); /* once more */
}

static void test_ring_full(void)
{
	const char *dir = new_dir();
	struct keyring_entry e, last = generate(dir);

	for (int i = 1; i < KEYRING_MAX; i++)
		last = rotate(dir);
	CU_ASSERT(ring_of(dir).n == KEYRING_MAX);
	CU_ASSERT_TRUE(starts(dir));
	CU_ASSERT_FALSE(keyring_generate(dir, KEY_HS256, &e, why));
	CU_ASSERT_FALSE(keyring_rotate(dir, VERIFY_S, &e, why));
	CU_ASSERT(state_of(dir, last.id) == KEY_CURRENT);
	CU_ASSERT(files_in(dir) == KEYRING_MAX + 1);
	CU_ASSERT_TRUE(keyring_retire(dir, ring_of(dir).entries[0].id, why));
	rotate(dir);
	CU_ASSERT(state_of(dir, last.id) == KEY_RETIRED);
}

/* What somebody left who was killed between two steps. */
static void test_ring_remains(void)
{
	const char *dir = new_dir();

	generate(dir);
	write_text(arena_printf(arena, "%s/keyring.new", dir), "half a li", 9);
	write_text(key_path(dir, "0badcafe"), "", 0);
	CU_ASSERT_TRUE(starts(dir));
	rotate(dir);
	CU_ASSERT(ring_of(dir).n == 2);
	CU_ASSERT_FALSE(exists(arena_printf(arena, "%s/keyring.new", dir)));
}

/* --- who may touch it ------------------------------------------------------------------------ */

/* Nothing reads it, nothing changes it, and both say `says`. */
static void refused(const char *dir, const char *says)
{
	struct keyring_entry e;
	struct keyring ring;

	log_taken();
	CU_ASSERT_FALSE(starts(dir));
	CU_ASSERT_PTR_NOT_NULL(strstr(log_taken(), " event=keys "));
	CU_ASSERT_FALSE(keyring_generate(dir, KEY_HS256, &e, why));
	CU_ASSERT_FALSE(keyring_rotate(dir, VERIFY_S, &e, why));
	CU_ASSERT_FALSE(keyring_read(dir, &ring, why));
	if (!strstr(why, says))
		fprintf(stderr, "\"%s\" does not say \"%s\"\n", why, says);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, says));
}

static void test_ring_modes(void)
{
	static const mode_t modes[] = { 0610, 0640, 0620, 0601, 0604, 0602, 0660, 0666, 0777 };
	const char *dir = new_dir();
	struct keyring_entry e = generate(dir);

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		CU_ASSERT(chmod(dir, modes[i] | 0100) == 0);
		refused(dir, "0700");
		CU_ASSERT(chmod(dir, 0700) == 0 && chmod(ring_path(dir), modes[i]) == 0);
		refused(dir, "0600");
		CU_ASSERT(chmod(ring_path(dir), 0600) == 0);
		CU_ASSERT(chmod(key_path(dir, e.id), modes[i]) == 0);
		log_taken();
		CU_ASSERT_FALSE(starts(dir));
		CU_ASSERT_PTR_NOT_NULL(strstr(log_taken(), "0600"));
		CU_ASSERT(chmod(key_path(dir, e.id), 0600) == 0);
	}
	CU_ASSERT_TRUE(starts(dir));
	CU_ASSERT(chmod(key_path(dir, e.id), 0400) == 0 && chmod(ring_path(dir), 0400) == 0);
	CU_ASSERT_TRUE(starts(dir));
}

static void test_ring_links(void)
{
	const char *dir = new_dir(), *alias = new_dir(), *away = new_dir(), *key;
	struct keyring_entry e = generate(dir);

	CU_ASSERT(symlink(dir, alias) == 0);
	refused(alias, "symbolic link");
	CU_ASSERT(rename(ring_path(dir), away) == 0 && symlink(away, ring_path(dir)) == 0);
	refused(dir, "symbolic link");
	CU_ASSERT(unlink(ring_path(dir)) == 0 && mkfifo(ring_path(dir), 0600) == 0);
	refused(dir, "no file"); /* and nobody waits for a writer */
	CU_ASSERT(unlink(ring_path(dir)) == 0 && mkdir(ring_path(dir), 0700) == 0);
	refused(dir, "no file");
	CU_ASSERT(rmdir(ring_path(dir)) == 0 && rename(away, ring_path(dir)) == 0);

	key = key_path(dir, e.id);
	CU_ASSERT(rename(key, away) == 0 && symlink(away, key) == 0);
	CU_ASSERT_FALSE(starts(dir));
	CU_ASSERT_PTR_NOT_NULL(strstr(log_taken(), "symbolic link"));
	CU_ASSERT(unlink(key) == 0 && mkfifo(key, 0600) == 0);
	CU_ASSERT_FALSE(starts(dir));
	CU_ASSERT(unlink(key) == 0);
	CU_ASSERT_FALSE(starts(dir));
	CU_ASSERT_PTR_NOT_NULL(strstr(log_taken(), "No such file"));
	CU_ASSERT(rename(away, key) == 0);
	CU_ASSERT_TRUE(starts(dir));
	refused(key, "no directory");
	CU_ASSERT_FALSE(starts(arena_printf(arena, "%s/none", dir)));
	CU_ASSERT_FALSE(keyring_generate(arena_printf(arena, "%s/no/ne", dir), KEY_HS256, &e, why));
}

/* For root alone, who could read all of it. */
static void test_ring_owner(void)
{
	const char *dir = new_dir();
	struct keyring_entry e = generate(dir);

	if (geteuid() != 0)
		return;
	CU_ASSERT(chown(key_path(dir, e.id), 65534, 65534) == 0);
	CU_ASSERT_FALSE(starts(dir));
	CU_ASSERT_PTR_NOT_NULL(strstr(log_taken(), "another user"));
	CU_ASSERT(chown(key_path(dir, e.id), 0, 0) == 0);
	CU_ASSERT(chown(ring_path(dir), 65534, 65534) == 0);
	refused(dir, "another user");
	CU_ASSERT(chown(ring_path(dir), 0, 0) == 0 && chown(dir, 65534, 65534) == 0);
	refused(dir, "another user");
	CU_ASSERT(chown(dir, 0, 0) == 0);
	CU_ASSERT_TRUE(starts(dir));
}

/* --- the text -------------------------------------------------------------------------------- */

#define A "0000000a HS256 retired 1\n"
#define B "0000000b ES256 retired 2\n"
#define C "0000000c RS256 current 3\n"
#define N "0000000d RS256 next 9000000000\n"

static void test_ring_text(void)
{
	static const char *const good[] = { "", A, A B C N, C A B, N };
	static const char *const bad[] = {
		"\n",
		" ",
		A "\n",
		"\n" A,
		A B "0000000c RS256 current 3", /* cut */
		A B "0000000c RS256 cur",
		A A,
		C "0000000d RS256 current 3\n",
		N "0000000c RS256 next 3\n",
		" 0000000a HS256 retired 1\n",
		"0000000a  HS256 retired 1\n",
		"0000000a\tHS256\tretired\t1\n",
		"0000000a HS256 retired 1 \n",
		"0000000a HS256 retired 1 2\n",
		"0000000a HS256 retired 1\r\n",
		"0000000a HS256 retired\n",
		"0000000a HS256 retired \n",
		"0000000a HS256 retired -1\n",
		"0000000a HS256 retired +1\n",
		"0000000a HS256 retired 1x\n",
		"0000000a HS256 retired 9223372036854775807\n",
		"0000000a HS256 retired 99999999999999999999\n",
		"0000000a HS256 Retired 1\n",
		"0000000a HS256 retire 1\n",
		"0000000a HS256  1\n",
		"0000000a none retired 1\n",
		"0000000a HS384 retired 1\n",
		"0000000a hs256 retired 1\n",
		"0000000A HS256 retired 1\n",
		"000000a HS256 retired 1\n",
		"00000000a HS256 retired 1\n",
		"../../aa HS256 retired 1\n",
		"0000/00a HS256 retired 1\n",
		" HS256 retired 1\n",
		"# a comment\n" A,
		"\xef\xbb\xbf" A,
	};
	const char *dir = new_dir();
	struct keyring ring;
	char *text = arena_alloc(arena, 8192);
	size_t len = 0;

	CU_ASSERT_FATAL(mkdir(dir, 0700) == 0);
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		write_text(ring_path(dir), good[i], strlen(good[i]));
		CU_ASSERT_TRUE(keyring_read(dir, &ring, why));
	}
	CU_ASSERT(ring.n == 1 && ring.entries[0].since == INT64_C(9000000000));
	CU_ASSERT_STRING_EQUAL(ring.entries[0].id, "0000000d");
	CU_ASSERT(ring.entries[0].algorithm == KEY_RS256 && ring.entries[0].state == KEY_NEXT);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		write_text(ring_path(dir), bad[i], strlen(bad[i]));
		refused(dir, "keyring");
		CU_ASSERT(strcmp(read_text(ring_path(dir)), bad[i]) == 0); /* left as it is */
	}
	write_text(ring_path(dir), A "\0" B, sizeof(A "\0" B) - 1);
	refused(dir, "keyring");

	for (int i = 0; i <= KEYRING_MAX; i++)
		len += (size_t)snprintf(text + len, 8192 - len, "%08x HS256 retired 1\n", i);
	write_text(ring_path(dir), text, len - 25);
	CU_ASSERT_TRUE(keyring_read(dir, &ring, why));
	CU_ASSERT(ring.n == KEYRING_MAX);
	write_text(ring_path(dir), text, len);
	refused(dir, "32");
	memset(text, 'x', 8192);
	write_text(ring_path(dir), text, 8192);
	refused(dir, "too large");
}

/* In order, but with nothing to sign with. */
static void test_ring_without_current(void)
{
	const char *dir = new_dir();
	struct keyring_entry e;

	CU_ASSERT_FATAL(mkdir(dir, 0700) == 0);
	CU_ASSERT_FALSE(starts(dir));
	write_text(ring_path(dir), "", 0);
	CU_ASSERT_FALSE(starts(dir));
	CU_ASSERT_PTR_NOT_NULL(strstr(log_taken(), "no current key"));
	e = generate(dir);
	CU_ASSERT(e.state == KEY_CURRENT);
	write_text(ring_path(dir), "", 0);
	write_text(ring_path(dir), arena_printf(arena, "%s HS256 next 1\n", e.id), 22);
	CU_ASSERT_FALSE(starts(dir));
}

static void test_names(void)
{
	static const char *const wrong[] = { "", "none", "HS384", "hs256", "HS256 ", "RS25" };
	enum key_algorithm a;

	for (a = KEY_HS256; a <= KEY_RS256; a++) {
		enum key_algorithm again = KEY_HS256;

		CU_ASSERT_TRUE(key_algorithm_parse(key_algorithm_name(a), &again));
		CU_ASSERT(again == a);
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		CU_ASSERT_FALSE(key_algorithm_parse(wrong[i], &a));
	CU_ASSERT_STRING_EQUAL(key_state_name(KEY_RETIRED), "retired");
}

/* --- at the same time ------------------------------------------------------------------------ */

enum { TURNS = 40 };

/* Makes, rotates and removes keys; what fails does so because the other one was faster. */
static int disturb(const char *dir)
{
	struct keyring_entry e;
	struct keyring ring;

	for (int i = 0; i < TURNS; i++) {
		if (!keyring_generate(dir, KEY_HS256, &e, why) && !strstr(why, "next key already"))
			return 1;
		if (!keyring_rotate(dir, VERIFY_S, &e, why) || !keyring_read(dir, &ring, why))
			return 2;
		for (size_t k = 0; k < ring.n; k++)
			if (ring.entries[k].state == KEY_RETIRED &&
			    !keyring_retire(dir, ring.entries[k].id, why) &&
			    !strstr(why, "no key of that id"))
				return 3;
	}
	return 0;
}

/* Whoever reads meanwhile sees all of a change or none. */
static void test_ring_at_once(void)
{
	const char *dir = new_dir();
	int status, running = 2;
	size_t current = 0, failed = 0;
	struct keyring ring;

	generate(dir);
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		CU_ASSERT_FATAL(pid >= 0);
		if (pid == 0)
			_exit(disturb(dir));
	}
	while (running > 0) {
		failed += !starts(dir) || !keyring_read(dir, &ring, why);
		if (waitpid(-1, &status, WNOHANG) > 0) {
			CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
			running--;
		}
	}
	CU_ASSERT(failed == 0);
	ring = ring_of(dir);
	for (size_t i = 0; i < ring.n; i++)
		current += ring.entries[i].state == KEY_CURRENT;
	CU_ASSERT(current == 1);
	CU_ASSERT(files_in(dir) == ring.n + 1);
}

CU_TestInfo keyring_tests[] = {
	{ "names", test_names },
	{ "generate", test_ring_generate },
	{ "rotate", test_ring_rotate },
	{ "retire", test_ring_retire },
	{ "full", test_ring_full },
	{ "remains", test_ring_remains },
	{ "modes", test_ring_modes },
	{ "links", test_ring_links },
	{ "owner", test_ring_owner },
	{ "text", test_ring_text },
	{ "no current key", test_ring_without_current },
	{ "at once", test_ring_at_once },
	CU_TEST_INFO_NULL,
};
