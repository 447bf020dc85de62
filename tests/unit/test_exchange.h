/* The test program of src/exchange is one program of several files. */
#ifndef TASKCELL_TESTS_TEST_EXCHANGE_H
#define TASKCELL_TESTS_TEST_EXCHANGE_H

#include "cunit.h"
#include "exchange/exchange.h"

/* An assertion in a loop over cases: names the case that failed. */
#define CHECK_CASE(ok, label)                                                                      \
	do {                                                                                       \
		bool ok_ = (ok);                                                                   \
		if (!ok_)                                                                          \
			printf("\n    case: %s", label);                                           \
		CU_ASSERT(ok_);                                                                    \
	} while (0)

extern CU_TestInfo round_tests[];
extern CU_TestInfo csv_tests[];
extern CU_TestInfo icalendar_tests[];
extern CU_TestInfo json_tests[];

extern struct arena *arena; /* emptied before each test */
void clear_arena(void);

/* What a file holds. The rows stay on the arena. */
enum { FILE_ROWS_MAX = 64 };
struct file {
	size_t n;
	struct exchange_row rows[FILE_ROWS_MAX];
	const char *error;
};
struct file *read_bytes(enum exchange_format, const char *text, size_t len);
struct file *read_text(enum exchange_format, const char *text);
/* The only row, without an error in it or in the file; else a failure and an empty row. */
const struct exchange_row *read_one(enum exchange_format, const char *text);
/* The error of the only row; "" and a failure when there is none. */
const char *row_error(enum exchange_format, const char *text);

/* A task with every field set. */
struct task sample_task(void);
/* The file of one task, terminated. */
const char *write_one(enum exchange_format, const struct task *);
/* Whether `row` is the task as far as a file can tell; `cut`: times have whole seconds. */
bool same_task(const struct exchange_row *row, const struct task *);

#endif
