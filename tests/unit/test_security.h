/* What the files of test_security share. */
#ifndef TASKCELL_TESTS_UNIT_TEST_SECURITY_H
#define TASKCELL_TESTS_UNIT_TEST_SECURITY_H

#include <openssl/types.h>

#include "base/arena.h"
#include "security/keyring.h"
#include "security/keys.h"
#include "security/token.h"

#include "cunit.h"

enum { SECRET_LEN = 32, NOW = 1800000000, LIFE = 900 };

/* Made anew for each suite: keys and those of another server, both of the suite's algorithm, and
 * claims to issue tokens of. With HS256 the keys are those of `secret`. */
extern const char secret[], issuer[], audience[];
extern enum key_algorithm algorithm;
extern struct keys *keys, *other_keys;
extern EVP_PKEY *pair; /* of `keys`; NULL with HS256 */
extern struct arena *arena;
extern struct token_claims claims;

/* The clocks that the code under test sees, Unix microseconds; NOW at the start of each suite. */
extern int64_t clock_us;

enum token_result verify(const char *token); /* by `keys`, at NOW */
/* A token of ours for anna@example.org, and one of two segments that are signed as ours are. */
char *genuine(void);
char *forge_segments(const char *header, const char *payload);
char *segment(const char *text); /* in base64url */

/* The signature that belongs behind a text under our key, in base64url, by the library alone. */
char *sign_as_us(const char *text);
/* What others verify our tokens by: the secret, or the public key as PEM. */
const char *public_text(void);

char *to_base64url(const void *bytes, size_t len);

/* What has been logged since this was called last. */
char *log_taken(void);

/* The path of a new directory that is not there yet, removed at the end. */
char *new_dir(void);
/* Opens the keys of a directory, which must be in order. */
struct keys *open_dir(const char *dir, const char *also_secret);
enum { VERIFY_S = 1000 };              /* of these */
struct keys *try_dir(const char *dir); /* NULL when they are not */
EVP_PKEY *read_pair(const char *dir, const char *id);

extern CU_TestInfo token_tests[], attack_tests[], refresh_tests[], password_tests[],
	keyring_tests[], key_file_tests[], follow_tests[], cache_tests[];

#endif
