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

extern CU_TestInfo task_tests[];    /* test_store_tasks.c */
extern CU_TestInfo link_tests[];    /* test_store_link.c */
extern CU_TestInfo outcome_tests[]; /* test_store_link.c */
extern CU_TestInfo host_tests[];    /* test_store_hosts.c */
extern CU_TestInfo migrate_tests[]; /* test_store_migrate.c */

#endif
