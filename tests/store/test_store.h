/* What the parts of test_store share. */
#ifndef TASKCELL_TESTS_STORE_TEST_STORE_H
#define TASKCELL_TESTS_STORE_TEST_STORE_H

#include "store/suite.h"

/* Everything that is logged between the two goes into the text, which log_stop() ends the life of.
 */
void log_start(void);
const char *log_read(void);
void log_stop(void);
unsigned occurrences(const char *text, const char *word);

/* A login of that account that will do. */
struct login login_of(const struct account *);

/* Another session of it. */
struct principal another_login(const struct account *);
/* Whether the session lets a request in: STORE_OK or STORE_NO_SESSION. */
enum store_result look_at(const struct principal *);

extern CU_TestInfo own_session_tests[]; /* test_store_sessions.c */
extern CU_TestInfo own_account_tests[]; /* test_store_account.c */
extern CU_TestInfo invite_tests[];      /* test_store_audit.c */
extern CU_TestInfo audit_tests[];       /* test_store_audit.c */
extern CU_TestInfo throttle_tests[];    /* test_store_throttle.c */
extern CU_TestInfo task_tests[];        /* test_store_tasks.c */
extern CU_TestInfo link_tests[];        /* test_store_link.c */
extern CU_TestInfo outcome_tests[];     /* test_store_link.c */
extern CU_TestInfo host_tests[];        /* test_store_hosts.c */
extern CU_TestInfo migrate_tests[];     /* test_store_migrate.c */

#endif
