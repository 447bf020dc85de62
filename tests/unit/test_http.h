/* The test program of src/http is one program of several files. */
#ifndef TASKCELL_TESTS_TEST_HTTP_H
#define TASKCELL_TESTS_TEST_HTTP_H

#include "base/arena.h"
#include "cunit.h"
#include "http/json_bind.h"
#include "http/request.h"

/* An assertion in a loop over cases: names the case that failed. */
#define CHECK_CASE(ok, label)                                                                      \
	do {                                                                                       \
		bool ok_ = (ok);                                                                   \
		const char *label_ = (label);                                                      \
		if (!ok_)                                                                          \
			printf("\n    case: %s", label_ ? label_ : "NULL");                        \
		CU_ASSERT(ok_);                                                                    \
	} while (0)

extern CU_TestInfo json_tests[];
extern CU_TestInfo accept_tests[];
extern CU_TestInfo bind_tests[];
extern CU_TestInfo nested_tests[];
extern CU_TestInfo spill_tests[];
extern CU_TestInfo cookie_tests[];
extern CU_TestInfo request_tests[];
extern CU_TestInfo text_tests[];

/* What json_bind() says: "ok", "400", or the errors as "field:code …". */
const char *bind_verdict(struct arena *, const struct field_table *, const char *text, size_t len,
			 bool strict);
bool text_is(const struct json_text *, const char *);
/* What a list of entity-tags is read as: "*", or the versions; "too many". */
typedef bool tags_parse(const char *header, struct if_match *);
const char *tags_text(struct arena *, tags_parse *, const char *header);

int bind_start(void);
int bind_stop(void);
int nested_start(void);
int nested_stop(void);
int spill_start(void);
int spill_stop(void);
int text_start(void);
int text_stop(void);

#endif
