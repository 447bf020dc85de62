/* The parts of test_changes. */
#ifndef TASKCELL_TESTS_STORE_TEST_CHANGES_H
#define TASKCELL_TESTS_STORE_TEST_CHANGES_H

#include "store/statements.h"
#include "store/suite.h"

/* One statement of the program in the transaction that is open on a connection: an act that has got
 * so far and no further. Returns its rows. `params` as text, NULL for null. */
int run_statement(PGconn *, enum statement_id, const char *const *params);

/* Waits until as many statements wait for locks, or the child is through. */
void wait_blocked_or_done(const struct fork *, unsigned n);

enum change { DO_LOGIN, DO_LOGIN_REHASH, DO_PASSWORD, DO_END_OTHERS, DO_REFRESH };

struct changes {
	struct account account;
	enum change change;
};

struct outcome {
	enum store_result r;
	struct principal principal; /* of the session that began */
	struct session_state state;
};

/* What a racer does; `out` tells of it. */
void run_change(struct racer *, enum change, const struct account *, struct outcome *out);
/* The same in a child beside the caller, whose result is an outcome. */
struct fork *start_change(enum change, const struct account *);
/* Whether the session lets a request in. */
bool lives(const struct principal *);
/* Holds the user's row by `admin`: a session that begins waits there with its lock on the
 * credential. */
void hold_user(const struct account *);

enum { STORM_ROUNDS = 15, STORM_RACERS = 6 };

extern CU_TestInfo end_race_tests[];      /* test_changes_sessions.c */
extern CU_TestInfo refresh_race_tests[];  /* test_changes_sessions.c */
extern CU_TestInfo email_race_tests[];    /* test_changes_accounts.c */
extern CU_TestInfo invite_race_tests[];   /* test_changes_accounts.c */
extern CU_TestInfo deletion_race_tests[]; /* test_changes_deletion.c */

#endif
