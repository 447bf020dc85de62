#include "base/base.h"

#include "store/suite.h"

struct store *store;
struct arena *arena;
PGconn *admin;

int suite_setup(void)
{
	if (fixture_setup() != 0)
		return 1;
	store = fixture_store();
	arena = arena_new(16 * 1024 * 1024);
	admin = fixture_admin();
	return 0;
}

int suite_teardown(void)
{
	PQfinish(admin);
	arena_free(arena);
	store_close(store);
	return 0;
}

void suite_reset(void)
{
	arena_reset(arena);
}
