/* Bringing a database to the schema this program was built for. */
#ifndef TASKCELL_STORE_MIGRATE_H
#define TASKCELL_STORE_MIGRATE_H

#include "store/store.h"

struct migration {
	int version;          /* from 1, without gaps */
	const char *name;     /* 0001_accounts_and_tasks */
	const char *checksum; /* SHA-256 of the file, hex */
	const char *sql;
};

/* Made from db/migrations by the build. */
extern const struct migration migrations[];
extern const size_t migrations_count;

/* Applies what is missing, each in a transaction of its own, one runner at a time, and sets the
 * role's settings. Reports each step through `report`. Refuses (STORE_UNFIT, and a report) a
 * database that has a changed or an unknown migration. With `dry_run` it only reports what it would
 * do, and STORE_STALE says that there is something. */
enum store_result migrate(const struct store_options *, bool dry_run,
			  void (*report)(void *arg, const char *line), void *arg) MUST_CHECK;

#endif
