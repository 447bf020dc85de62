/* The parts of test_races. */
#ifndef TASKCELL_TESTS_STORE_TEST_RACES_H
#define TASKCELL_TESTS_STORE_TEST_RACES_H

#include "store/suite.h"

extern CU_TestInfo task_race_tests[]; /* test_races_tasks.c */

#endif
