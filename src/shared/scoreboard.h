/* What the master may know of its workers: anonymous shared memory, one writer a slot, fixed size,
 * no pointers, no locks. The master treats it as untrusted input. */
#ifndef TASKCELL_SHARED_SCOREBOARD_H
#define TASKCELL_SHARED_SCOREBOARD_H

#include <stdatomic.h>

#include "base/base.h"

enum slot_state {
	SLOT_EMPTY,   /* no process, or one that has not reached its loop */
	SLOT_IDLE,    /* waits for a connection */
	SLOT_READING, /* reads a request */
	SLOT_RUNNING, /* works on it or writes the answer */
};

enum {
	SLOT_NO_ROUTE = -1,
	SLOT_REQUEST_ID = 40, /* bytes kept of the request id, with the end */
};

struct slot {
	_Atomic int state;
	_Atomic int route;     /* row of the dispatch table, or SLOT_NO_ROUTE */
	_Atomic int64_t since; /* from when, in monotonic microseconds, the request's time counts */
	_Atomic uint64_t served; /* requests since the slot's process began */
	_Atomic char request_id[SLOT_REQUEST_ID];
};

/* `n` slots shared with every later child; NULL with errno set. */
struct slot *scoreboard_new(size_t n) MUST_CHECK;
void scoreboard_free(struct slot *, size_t n);

/* By the worker. */
void slot_set_state(struct slot *, enum slot_state, int64_t now);
/* Its time counts from then on, which READING sets to its begin. */
void slot_set_since(struct slot *, int64_t since);
void slot_set_request(struct slot *, int route, const char *request_id);

/* By the master: a copy with the request id terminated and reduced to printable characters. */
struct slot_view {
	int state;
	int route;
	int64_t since;
	char request_id[SLOT_REQUEST_ID];
};
void slot_read(struct slot *, struct slot_view *out);
/* By the master, when the slot has no process. */
void slot_clear(struct slot *);

#endif
