/* The suites of test_base, one a file. */
#ifndef TASKCELL_TESTS_UNIT_TEST_BASE_H
#define TASKCELL_TESTS_UNIT_TEST_BASE_H

#include "base/base.h"

#include "cunit.h"

extern CU_TestInfo codec_tests[];
extern CU_TestInfo log_tests[];
extern CU_TestInfo net_tests[];

/* Records of the log, one datagram a write(2). `capture_next` answers the length of the next
 * record, terminated, or 0 when there is none. */
struct capture {
	int fds[2];
};
void capture_open(struct capture *, int level);
void capture_close(struct capture *);
size_t capture_next(struct capture *, char *text, size_t size);

#endif
