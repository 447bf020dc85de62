/* What the parts of this test program share. */
#ifndef TASKCELL_TESTS_UNIT_TEST_CONFIG_H
#define TASKCELL_TESTS_UNIT_TEST_CONFIG_H

#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/base.h"
#include "config/settings.h"
#include "cunit.h"

/* Every secret of these tests has this in it, so that one search of the output finds a leak. */
#define MARK  "S3cr3t"
#define KEY32 MARK "-0123456789-0123456789-012" /* 32 bytes */
#define DB    "host=/nowhere password=" MARK

extern char dir[256];    /* of this run; a @ in what follows stands for it */
extern char conf[300];   /* the configuration in it */
extern char *complaints; /* of the last load() */

void write_file(const char *name, const char *bytes, size_t len, mode_t mode);
void write_conf(const char *text);
/* Takes an assignment like those in environ. */
void set(const char *assignment);
/* An environment with nothing but what is needed. */
void plain_environment(void);

/* settings_load(), and no secret in what it writes. */
struct settings *load(const char *path, enum settings_need need);
struct settings *load_conf(const char *text);
/* Lines of complaints. */
unsigned mistakes(void);
/* Asserts, and says which case of a table failed. */
void wanted(bool good, const char *what, const char *part);
/* settings_print(), and no secret in it. To be freed. */
char *printed(const struct settings *s);

struct refusal {
	const char *file, *env; /* NULL: none of it */
	const char *want[3];
};
/* Each row, alone or upon plain_environment(), gives one message with all parts of `want`. */
void check_refusals(const struct refusal *table, size_t n, bool bare);

void write_secret_files(void);

extern CU_TestInfo value_tests[];
extern CU_TestInfo refusal_tests[];
extern CU_TestInfo secret_tests[];
extern CU_TestInfo site_tests[];

#endif
