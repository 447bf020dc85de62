/* The end of every test program: CUnit's own exit status says nothing of failures. */
#ifndef TASKCELL_TESTS_CUNIT_H
#define TASKCELL_TESTS_CUNIT_H

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <unistd.h>

enum { PATIENCE_S = 300 };

/* Runs the suites and returns the exit status: 0 only when tests ran and none failed. */
static inline int run_suites(CU_SuiteInfo suites[])
{
	unsigned bad;

	/* A process or thread that lost its race may wait for ever; its test must not. */
	(void)alarm(PATIENCE_S);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 1;
	if (CU_register_suites(suites) != CUE_SUCCESS) {
		fprintf(stderr, "CUnit: %s\n", CU_get_error_msg());
		return 1;
	}
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	bad = CU_get_number_of_failures() + CU_get_number_of_suites_failed() +
	      (CU_get_error() != CUE_SUCCESS) + (CU_get_number_of_tests_run() == 0);
	CU_cleanup_registry();
	return bad ? 1 : 0;
}

#endif
