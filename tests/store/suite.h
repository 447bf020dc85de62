/* What nearly every suite of the store has: a store, an arena and a connection of the superuser. */
#ifndef TASKCELL_TESTS_STORE_SUITE_H
#define TASKCELL_TESTS_STORE_SUITE_H

#include "cunit.h"
#include "store/fixture.h"

/* Of the suite that runs. */
extern struct store *store;
extern struct arena *arena;
extern PGconn *admin;

int suite_setup(void);
int suite_teardown(void);
/* Before each test: empties the arena. */
void suite_reset(void);

#define SUITE(name, tests)                                                                         \
	{                                                                                          \
		name, suite_setup, suite_teardown, suite_reset, NULL, tests                        \
	}

#endif
