/* A worker: one process, one database connection, one request at a time. */
#ifndef TASKCELL_SERVER_WORKER_H
#define TASKCELL_SERVER_WORKER_H

#include "config/settings.h"
#include "shared/scoreboard.h"

/* Exit status of a process that would fail again the same way: wrong schema, role or secret. The
 * number is EX_CONFIG of sysexits.h. */
enum { EXIT_UNFIT = 78 };

struct worker {
	const struct settings *settings;
	struct slot *slot;
	const char *pool; /* "api" or "auth", for the log */
	int listen_fd;
	int lifeline; /* reads end of file when the master has died */
};

/* Serves until TERM, or until the master is gone; then finishes the request at hand and returns the
 * exit status. Called in a child with all signals blocked. */
int worker_run(const struct worker *);

#endif
