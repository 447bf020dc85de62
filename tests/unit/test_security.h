/* What the files of test_security share. */
#ifndef TASKCELL_TESTS_UNIT_TEST_SECURITY_H
#define TASKCELL_TESTS_UNIT_TEST_SECURITY_H

#include "base/arena.h"
#include "security/keys.h"
#include "security/token.h"

#include "cunit.h"

enum { SECRET_LEN = 32, NOW = 1800000000, LIFE = 900 };

/* Made anew for each suite: keys of `secret` and of another one, and claims to issue tokens of. */
extern const char secret[], issuer[], audience[];
extern struct keys *keys, *other_keys;
extern struct arena *arena;
extern struct token_claims claims;

extern CU_TestInfo token_tests[], refresh_tests[], password_tests[];

#endif
