/* Reads users and password hashes of a Better Auth database (tables "user" and "account"), which is
 * somebody else's: one transaction that reads only, in pages. */
#ifndef TASKCELL_STORE_BETTER_AUTH_H
#define TASKCELL_STORE_BETTER_AUTH_H

#include "store/store.h"

struct better_auth_user {
	const char *id;
	const char *email;
	const char *name;     /* or NULL */
	int64_t created_at;   /* microseconds since 1970; 0: unknown */
	const char *password; /* "hexsalt:hexkey" of provider `credential`; NULL: none */
	bool banned;          /* by its plug-in for administrators */
};

/* Called for each user, in the order of their ids; false ends the reading. Strings live until it
 * returns. */
typedef bool better_auth_fn(void *arg, const struct better_auth_user *);

/* STORE_OK when all were read (or the function ended it), STORE_UNFIT when the tables are not
 * there, else as the store's calls; what went wrong is logged. `conninfo`: of libpq. `timeout_ms`:
 * for connecting, and for each step. */
enum store_result better_auth_read(const char *conninfo, int timeout_ms, better_auth_fn *,
				   void *arg) MUST_CHECK;

#endif
