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
	struct board *board;
	struct slot *slot; /* of it */
	int listen_fd;
	int lifeline; /* reads end of file when the master has died; -1 when there is none */
	bool alone;   /* no master watches: an alarm ends a request that takes too long */
};

/* Serves, and returns the exit status: after max_requests, when the master has died, or when told
 * to:
 *
 *	TERM	after what waits in the listener's queue, too: nobody else will serve it
 *	USR2	after the request at hand and, for a while, what comes on kept connections: a
 *		successor serves the rest
 *	USR1	does not end it: reopens the log
 *
 * Called with all signals blocked. */
int worker_run(const struct worker *);

#endif
