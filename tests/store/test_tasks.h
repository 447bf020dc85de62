/* The parts of test_tasks. */
#ifndef TASKCELL_TESTS_STORE_TEST_TASKS_H
#define TASKCELL_TESTS_STORE_TEST_TASKS_H

#include "store/suite.h"
#include "store/tasks.h"

/* Whose tasks the test is about; new_account() makes another. */
extern struct account account;
void new_account(void);

/* With everything there is to a task; the id is new. */
struct new_task full_task(const char *title);
/* Creates it, which must go well. */
struct task make(const struct new_task *);
struct task make_titled(const char *title);
/* These must go well, too; the deletion returns the task as it is in the trash. */
struct task delete_task(const struct uuid *id);
struct task get_task(const struct uuid *id);
/* STORE_NOT_FOUND, or what else it is. */
enum store_result look(const struct uuid *id);

/* All but the version and updated_at. */
void expect_content(const struct task *, const struct new_task *);

int64_t revision(void);
/* Rows of the account in a table, with a condition ("true" for all). */
int64_t rows_in(const char *table, const char *condition);
/* Lets rows of the trash be that many days older. */
void age_trash(int days);

extern CU_TestInfo create_tests[];      /* test_tasks.c */
extern CU_TestInfo import_tests[];      /* test_tasks.c */
extern CU_TestInfo list_tests[];        /* test_tasks_lists.c */
extern CU_TestInfo transaction_tests[]; /* test_tasks_transactions.c */
extern CU_TestInfo one_task_races[];    /* test_tasks_races.c */
extern CU_TestInfo trash_tests[];       /* test_trash.c */
extern CU_TestInfo feed_tests[];        /* test_feed.c */
extern CU_TestInfo feed_storm_tests[];  /* test_feed_storm.c */

#endif
