/* The parts of test_statements. */
#ifndef TASKCELL_TESTS_STORE_TEST_STATEMENTS_H
#define TASKCELL_TESTS_STORE_TEST_STATEMENTS_H

#include "store/statements.h"
#include "store/suite.h"

/* The ordinary role, whom the policies hold. */
extern PGconn *ordinary;
/* Two users whose rows have the same ids, so that a forgotten owner shows. */
extern struct account a, b;
extern struct uuid task_id; /* also of a session that is over, and of a row of the audit */
extern struct uuid old_id;  /* a session of a former epoch; in the trash for too long */
extern struct uuid trashed_id;

void fail_statement(const struct statement *, const char *what);

extern CU_TestInfo user_statement_tests[]; /* test_statements_user.c */
extern CU_TestInfo catalogue_tests[];      /* test_statements_catalogue.c */

#endif
