/* A directory of keys (mode 0700) and what changes it. The file `keyring` in it has a line a key,
 *   <kid> <HS256|ES256|RS256> <next|current|retired> <Unix seconds of that state>
 * and is only ever replaced whole, so that readers see all of a change or none; the key itself is
 * in <kid>.key, mode 0600: PKCS #8 PEM, not encrypted, or for HS256 a secret as text. All of it
 * belongs to whoever calls, and nothing is a symbolic link. */
#ifndef TASKCELL_SECURITY_KEYRING_H
#define TASKCELL_SECURITY_KEYRING_H

#include "security/keys.h"

enum key_algorithm { KEY_HS256, KEY_ES256, KEY_RS256 };
enum key_state { KEY_NEXT, KEY_CURRENT, KEY_RETIRED };

enum {
	KEYRING_MAX = 32,
	KEYRING_WHY_MAX = 256,
};

struct keyring_entry {
	char id[KEY_ID_LEN + 1];
	enum key_algorithm algorithm;
	enum key_state state;
	int64_t since; /* Unix seconds */
};
struct keyring {
	size_t n;
	struct keyring_entry entries[KEYRING_MAX];
};

/* All of these: false with a sentence in `why`. Changes take a lock on the directory, write the
 * keyring anew and sync it. */

/* An absent keyring file in a directory is an empty one. */
bool keyring_read(const char *dir, struct keyring *, char why[KEYRING_WHY_MAX]) MUST_CHECK;
/* Makes the directory if absent, and a new key: the next one, or the current one when there is
 * none. False when there is a next one already. `entry` is the new one. */
bool keyring_generate(const char *dir, enum key_algorithm, struct keyring_entry *,
		      char why[KEYRING_WHY_MAX]) MUST_CHECK;
/* The next key becomes the current one, the current one retired; without a next one, makes it of
 * the current one's algorithm. Retired keys whose `verify_s` have passed are removed. */
bool keyring_rotate(const char *dir, int64_t verify_s, struct keyring_entry *current,
		    char why[KEYRING_WHY_MAX]) MUST_CHECK;
/* Removes a next or retired key for good: what it has signed is invalid at once. */
bool keyring_retire(const char *dir, const char *id, char why[KEYRING_WHY_MAX]) MUST_CHECK;

/* When a retired key stops to verify, Unix seconds: a minute after its last token, as clocks
 * differ. INT64_MAX for others. */
int64_t keyring_ends_at(const struct keyring_entry *, int64_t verify_s);

const char *key_algorithm_name(enum key_algorithm);
bool key_algorithm_parse(const char *name, enum key_algorithm *) MUST_CHECK;
const char *key_state_name(enum key_state);

#endif
