/* The suites of test_api, one a file. */
#ifndef TASKCELL_TESTS_UNIT_TEST_API_H
#define TASKCELL_TESTS_UNIT_TEST_API_H

#include "base/base.h"

#include "cunit.h"

extern CU_TestInfo account_tests[];
extern CU_TestInfo auth_tests[];
extern CU_TestInfo batch_fault_tests[];
extern CU_TestInfo batch_tests[];
extern CU_TestInfo bearer_tests[];
extern CU_TestInfo changes_tests[];
extern CU_TestInfo cookie_tests[];
extern CU_TestInfo cursor_tests[];
extern CU_TestInfo edge_tests[];
extern CU_TestInfo exchange_tests[];
extern CU_TestInfo fault_tests[];
extern CU_TestInfo field_tests[];
extern CU_TestInfo idempotency_tests[];
extern CU_TestInfo metrics_tests[];
extern CU_TestInfo password_tests[];
extern CU_TestInfo query_tests[];
extern CU_TestInfo refresh_tests[];
extern CU_TestInfo register_tests[];
extern CU_TestInfo service_tests[];
extern CU_TestInfo sessions_tests[];
extern CU_TestInfo task_tests[];
extern CU_TestInfo task_list_tests[];
extern CU_TestInfo throttle_tests[];
extern CU_TestInfo trash_tests[];

#endif
