/* Keys that change while they are in use. */
#include "base/base.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "security/refresh_token.h"

#include "test_security.h"

static char why[KEYRING_WHY_MAX];

static char *path_in(const char *dir, const char *name)
{
	return arena_printf(arena, "%s/%s", dir, name);
}

static struct keyring_entry generate(const char *dir, enum key_algorithm a)
{
	struct keyring_entry e;

	CU_ASSERT_TRUE_FATAL(keyring_generate(dir, a, &e, why));
	return e;
}

static struct keyring_entry rotate(const char *dir)
{
	struct keyring_entry e;

	CU_ASSERT_TRUE_FATAL(keyring_rotate(dir, VERIFY_S, &e, why));
	return e;
}

static char *issue(struct keys *k)
{
	char *token = token_issue(k, arena, &claims, "anna@example.org");

	CU_ASSERT_PTR_NOT_NULL_FATAL(token);
	return token;
}

static enum token_result check(struct keys *k, const char *token)
{
	struct token_claims out;

	return token_verify(k, token, strlen(token), NOW, &out);
}

static char *issue_refresh(struct keys *k, const char *id)
{
	struct refresh_token r = { claims.user_id, claims.session_id, 3, NOW };
	char *text = arena_alloc(arena, REFRESH_TOKEN_LEN + 1);

	return refresh_token_issue(k, id, &r, text) ? text : NULL;
}

static bool reads_refresh(struct keys *k, const char *text)
{
	struct refresh_token out;

	return refresh_token_read(k, text, strlen(text), &out) && out.counter == 3 &&
	       uuid_equal(&out.session_id, &claims.session_id);
}

static char *jwks_of(struct keys *k)
{
	struct buf b;
	char *text;

	buf_init(&b, 1 << 17);
	keys_jwks(k, &b);
	text = arena_strndup(arena, b.data, b.len);
	buf_free(&b);
	return text;
}

/* Puts another file in the place of the keyring. */
static void spoil(const char *dir, const char *text)
{
	FILE *f = fopen(path_in(dir, "spoilt"), "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT(fputs(text, f) >= 0 && fclose(f) == 0);
	CU_ASSERT(chmod(path_in(dir, "spoilt"), 0600) == 0);
	CU_ASSERT(rename(path_in(dir, "spoilt"), path_in(dir, "keyring")) == 0);
}

static char *read_ring(const char *dir)
{
	char *text = arena_alloc(arena, 4096);
	FILE *f = fopen(path_in(dir, "keyring"), "r");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT(fread(text, 1, 4095, f) > 0);
	(void)fclose(f);
	return text;
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

/* One record since the last look, of this event and level. */
static bool said_once(const char *level)
{
	const char *log = log_taken();

	return count(log, "\n") == 1 && count(log, " event=keys ") == 1 &&
	       count(log, arena_printf(arena, " level=%s ", level)) == 1;
}

/* --- rotation -------------------------------------------------------------------------------- */

/* Two workers of one directory, through all the states of keys of all algorithms. */
static void test_follow_rotation(void)
{
	static const enum key_algorithm order[] = { KEY_HS256, KEY_ES256, KEY_RS256, KEY_HS256 };
	const char *dir = new_dir(), *tokens[ARRAY_LEN(order)], *refresh[ARRAY_LEN(order)];
	char ids[ARRAY_LEN(order)][KEY_ID_LEN + 1];
	struct keyring_entry e = generate(dir, order[0]);
	struct keys *one = open_dir(dir, NULL), *two = open_dir(dir, NULL);
	const char *active = keys_active_id(one);

	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		if (i > 0) {
			e = generate(dir, order[i]);
			CU_ASSERT_STRING_NOT_EQUAL(keys_active_id(one), e.id); /* it is next */
			e = rotate(dir);
		}
		memcpy(ids[i], e.id, sizeof(ids[i]));
		CU_ASSERT_STRING_EQUAL(keys_active_id(one), e.id);
		CU_ASSERT(keys_active_id(one) == active); /* the same place */
		tokens[i] = issue(one);
		refresh[i] = issue_refresh(one, e.id);
		CU_ASSERT_PTR_NOT_NULL_FATAL(refresh[i]);
		for (size_t j = 0; j <= i; j++) {
			CU_ASSERT(check(two, tokens[j]) == TOKEN_OK);
			CU_ASSERT_TRUE(reads_refresh(two, refresh[j]));
			/* the current token of a session is made again under the key it has */
			CU_ASSERT_STRING_EQUAL(issue_refresh(two, ids[j]), refresh[j]);
		}
	}
	/* what one key has signed is of no use behind the header of another */
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		for (size_t j = 0; j < ARRAY_LEN(order); j++) {
			char *mixed = arena_printf(arena, "%.*s%s", (int)strcspn(tokens[i], "."),
						   tokens[i], strchr(tokens[j], '.'));

			CU_ASSERT(check(two, mixed) == (i == j ? TOKEN_OK : TOKEN_INVALID));
		}
	/* a key that is removed verifies nothing from the next call on, the others go on */
	for (size_t i = 0; i + 1 < ARRAY_LEN(order); i++) {
		CU_ASSERT(check(two, tokens[i]) == TOKEN_OK);
		CU_ASSERT_TRUE(keyring_retire(dir, ids[i], why));
		CU_ASSERT(check(two, tokens[i]) == TOKEN_INVALID);
		CU_ASSERT_FALSE(reads_refresh(one, refresh[i]));
		CU_ASSERT_PTR_NULL(issue_refresh(one, ids[i]));
		CU_ASSERT(check(two, tokens[i + 1]) == TOKEN_OK);
		CU_ASSERT_TRUE(reads_refresh(one, refresh[i + 1]));
	}
	keys_free(one);
	keys_free(two);
}

/* A key may sign on another host before this one knows that it is the current one. */
static void test_follow_next(void)
{
	const char *dir = new_dir();
	struct keyring_entry e = generate(dir, KEY_HS256), next;
	struct keys *k = open_dir(dir, NULL), *ahead;
	const char *token, *ring;

	next = generate(dir, KEY_ES256);
	ring = read_ring(dir);
	rotate(dir);
	ahead = open_dir(dir, NULL);
	token = issue(ahead);
	keys_free(ahead);
	spoil(dir, ring); /* as it was */
	CU_ASSERT_STRING_EQUAL(keys_active_id(k), e.id);
	CU_ASSERT(check(k, token) == TOKEN_OK);
	CU_ASSERT_PTR_NOT_NULL(strstr(jwks_of(k), next.id));
	keys_free(k);
}

/* Nobody touches the directory; the last token of the retired key is past. */
static void test_follow_expiry(void)
{
	const char *dir = new_dir(), *token, *refresh;
	struct keyring_entry e = generate(dir, KEY_ES256);
	struct keys *k = open_dir(dir, NULL), *later;

	token = issue(k);
	refresh = issue_refresh(k, e.id);
	rotate(dir);
	clock_us = (NOW + VERIFY_S + 59) * US_PER_SECOND;
	CU_ASSERT(check(k, token) == TOKEN_OK);
	CU_ASSERT_TRUE(reads_refresh(k, refresh));
	CU_ASSERT_PTR_NOT_NULL(strstr(jwks_of(k), e.id));
	clock_us += US_PER_SECOND;
	CU_ASSERT(check(k, token) == TOKEN_INVALID);
	CU_ASSERT_FALSE(reads_refresh(k, refresh));
	CU_ASSERT_PTR_NULL(issue_refresh(k, e.id));
	CU_ASSERT_PTR_NULL(strstr(jwks_of(k), e.id));
	CU_ASSERT(check(k, issue(k)) == TOKEN_OK);
	/* its file is not even looked for */
	CU_ASSERT(unlink(arena_printf(arena, "%s/%s.key", dir, e.id)) == 0);
	later = open_dir(dir, NULL);
	CU_ASSERT(check(later, token) == TOKEN_INVALID);
	keys_free(later);
	keys_free(k);
	clock_us = NOW * US_PER_SECOND;
}

/* A secret of the configuration beside a directory: for the tokens of before. */
static void test_follow_secret(void)
{
	const char *dir = new_dir(), *old = issue(keys), *old_id = keys_active_id(keys);
	struct keyring_entry e = generate(dir, KEY_ES256);
	struct keys *k = open_dir(dir, secret), *without = open_dir(dir, NULL);
	const char *refresh = issue_refresh(keys, old_id);

	CU_ASSERT_STRING_EQUAL(keys_active_id(k), e.id);
	CU_ASSERT(check(k, old) == TOKEN_OK);
	CU_ASSERT_TRUE(reads_refresh(k, refresh));
	CU_ASSERT_STRING_EQUAL(issue_refresh(k, old_id), refresh);
	CU_ASSERT(strncmp(issue(k), old, strcspn(old, ".")) != 0);
	CU_ASSERT(check(keys, issue(k)) == TOKEN_INVALID);
	CU_ASSERT(check(without, old) == TOKEN_INVALID);
	CU_ASSERT_FALSE(reads_refresh(without, refresh));
	rotate(dir);
	CU_ASSERT(check(k, old) == TOKEN_OK);
	keys_free(k);
	keys_free(without);
	log_taken();
	CU_ASSERT_PTR_NULL(keys_open(&(struct keys_options){
		.dir = dir, .secret = "short", .issuer = issuer, .audience = audience }));
	CU_ASSERT_PTR_NOT_NULL(strstr(log_taken(), "jwt_secret"));
}

/* --- looking --------------------------------------------------------------------------------- */

/* Each way in which a file can be another one; then that nothing is read without need. */
static void test_follow_notices(void)
{
	const char *dir = new_dir(), *ring;
	struct keys *k;
	struct stat st;
	struct timespec times[2];
	int fd;

	generate(dir, KEY_HS256);
	k = open_dir(dir, NULL);
	log_taken();
	for (int i = 0; i < 100; i++)
		keys_follow(k);
	CU_ASSERT_STRING_EQUAL(log_taken(), ""); /* each reading is told */

	/* another file of the same size and time */
	ring = read_ring(dir);
	CU_ASSERT(stat(path_in(dir, "keyring"), &st) == 0);
	times[0] = times[1] = st.st_mtim;
	spoil(dir, ring);
	CU_ASSERT(utimensat(AT_FDCWD, path_in(dir, "keyring"), times, 0) == 0);
	keys_follow(k);
	CU_ASSERT_TRUE(said_once("info"));

	/* the same file and size, at another time */
	times[1].tv_nsec = (times[1].tv_nsec + 1) % 1000000000;
	CU_ASSERT(utimensat(AT_FDCWD, path_in(dir, "keyring"), times, 0) == 0);
	keys_follow(k);
	CU_ASSERT_TRUE(said_once("info"));

	/* the same file and time, of another size, which is no keyring */
	fd = open(path_in(dir, "keyring"), O_WRONLY | O_APPEND);
	CU_ASSERT(fd >= 0 && write(fd, "x", 1) == 1 && futimens(fd, times) == 0 && close(fd) == 0);
	keys_follow(k);
	CU_ASSERT_TRUE(said_once("error"));
	keys_free(k);
}

enum { BREAKS = 6, MOVED = 3 };

static void break_dir(const char *dir, const char *away, int way)
{
	const char *ring = path_in(dir, "keyring");
	bool ok = true;

	switch (way) {
	case 0:
		spoil(dir, "rubbish\n");
		break;
	case 1:
		spoil(dir, "");
		break;
	case 2:
		ok = unlink(ring) == 0;
		break;
	case MOVED:
		ok = rename(dir, away) == 0;
		break;
	case 4:
		spoil(dir, "00000000 HS256 current 1\n");
		break;
	default:
		ok = unlink(ring) == 0 && symlink("/dev/null", ring) == 0;
	}
	CU_ASSERT_TRUE_FATAL(ok);
}

/* Whatever becomes of the directory: the keys stay, and it is said once. */
static void test_follow_broken(void)
{
	const char *dir = new_dir(), *ring, *token, *away = new_dir();
	struct keyring_entry e = generate(dir, KEY_HS256), fresh;
	struct keys *k = open_dir(dir, NULL);
	const char *key = arena_printf(arena, "%s/%s.key", dir, e.id);

	token = issue(k);
	ring = read_ring(dir);
	for (int way = 0; way < BREAKS; way++) {
		log_taken();
		break_dir(dir, away, way);
		for (int i = 0; i < 50; i++) {
			CU_ASSERT(check(k, token) == TOKEN_OK);
			CU_ASSERT(check(k, issue(k)) == TOKEN_OK);
			clock_us += US_PER_SECOND / 10;
		}
		CU_ASSERT_TRUE(said_once("error"));
		CU_ASSERT(way != MOVED || rename(away, dir) == 0);
		spoil(dir, ring);
		keys_follow(k);
		CU_ASSERT_TRUE(said_once("info"));
	}
	/* put in order without another keyring: it is tried again, but not at each request */
	fresh = rotate(dir);
	CU_ASSERT(chmod(key, 0644) == 0);
	keys_follow(k);
	CU_ASSERT_STRING_EQUAL(keys_active_id(k), e.id);
	CU_ASSERT(chmod(key, 0600) == 0);
	keys_follow(k);
	CU_ASSERT_STRING_EQUAL(keys_active_id(k), e.id);
	clock_us += US_PER_SECOND;
	CU_ASSERT_STRING_EQUAL(keys_active_id(k), fresh.id);
	CU_ASSERT(check(k, token) == TOKEN_OK);
	keys_free(k);
	clock_us = NOW * US_PER_SECOND;
}

/* --- what others see ------------------------------------------------------------------------- */

static void test_follow_jwks(void)
{
	const char *dir = new_dir(), *text;
	struct keyring_entry hs = generate(dir, KEY_HS256), es, rs;
	struct keys *k = open_dir(dir, secret);

	CU_ASSERT_STRING_EQUAL(jwks_of(keys), "{\"keys\":[]}");
	CU_ASSERT_STRING_EQUAL(jwks_of(k), "{\"keys\":[]}");
	es = generate(dir, KEY_ES256);
	text = jwks_of(k);
	CU_ASSERT(strncmp(text, "{\"keys\":[{\"kty\":\"EC\",", 21) == 0);
	CU_ASSERT(strcmp(text + strlen(text) - 4, "\"}]}") == 0);
	CU_ASSERT(count(text, "kid") == 1 && strstr(text, es.id));
	rotate(dir);
	rs = generate(dir, KEY_RS256);
	text = jwks_of(k);
	CU_ASSERT(count(text, "kid") == 2 && strstr(text, es.id) && strstr(text, rs.id));
	CU_ASSERT_PTR_NULL(strstr(text, hs.id));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "\"},{\"kty\":\"RSA\",\"use\":\"sig\",\"alg\":\"RS256\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"e\":\"AQAB\"}"));
	/* nothing of the private halves: the names of RFC 7518 */
	for (const char *name = "dkpq"; *name; name++)
		CU_ASSERT_PTR_NULL(strstr(text, arena_printf(arena, "\"%c\":", *name)));
	rotate(dir);
	CU_ASSERT(count(jwks_of(k), "kid") == 2); /* the retired one still verifies */
	CU_ASSERT_TRUE(keyring_retire(dir, es.id, why));
	CU_ASSERT(count(jwks_of(k), "kid") == 1);
	keys_free(k);
}

CU_TestInfo follow_tests[] = {
	{ "rotation", test_follow_rotation }, { "next", test_follow_next },
	{ "expiry", test_follow_expiry },     { "a secret beside", test_follow_secret },
	{ "notices", test_follow_notices },   { "broken", test_follow_broken },
	{ "jwks", test_follow_jwks },         CU_TEST_INFO_NULL,
};
