/* What the master may know of its workers, and what is counted: anonymous shared memory, one writer
 * a slot, fixed size, no pointers, no locks. The master treats it as untrusted input. One board
 * serves all generations: a slot's counts outlive its processes, and whoever sums up all slots sees
 * numbers that only grow. */
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
	SLOT_NO_POOL = -1,
	SLOT_REQUEST_ID = 40, /* bytes kept of the request id, with the end */
	SLOT_COUNTS = 1152,   /* what they mean is api/metrics.h's */
	BOARD_SLOTS = 320,    /* workers + auth_workers at most */
};

enum slot_hashing { HASHING_NONE, HASHING_WAITS, HASHING_RUNS, HASHING_STATES };

/* Why a worker was replaced. */
enum restart {
	RESTART_LIMIT,  /* it had served max_requests */
	RESTART_STUCK,  /* killed for a request that took too long */
	RESTART_UNFIT,  /* wrong schema, role or key */
	RESTART_FAILED, /* another status */
	RESTART_SIGNAL, /* a signal that was not ours */
	RESTART_CAUSES,
};

struct slot {
	_Atomic int state;
	_Atomic int route;     /* row of the dispatch table, or SLOT_NO_ROUTE */
	_Atomic int64_t since; /* from when, in monotonic microseconds, the request's time counts */
	_Atomic uint64_t served; /* requests since the slot's process began */
	_Atomic char request_id[SLOT_REQUEST_ID];
	_Atomic int pool; /* that it serves or is to serve, or SLOT_NO_POOL; by the master */
	_Atomic int hashing;
	_Atomic int64_t resident, proportional; /* bytes of memory, as last looked at */
	/* never cleared */
	_Alignas(64) _Atomic uint64_t counts[SLOT_COUNTS];
};

struct board;

/* Shared with every later child; pages that nobody uses cost nothing. NULL with errno set. */
struct board *board_new(void) MUST_CHECK;
void board_free(struct board *);

/* By the master: `n` cleared slots for one of the two generations that may live at a time; NULL
 * when there are not so many, or both have theirs. And back; NULL is fine. */
struct slot *board_take(struct board *, size_t n) MUST_CHECK;
void board_give_back(struct board *, const struct slot *);
void board_restarted(struct board *, enum restart);

/* By the worker. */
void slot_set_state(struct slot *, enum slot_state, int64_t now);
/* Its time counts from then on, which READING sets to its begin. */
void slot_set_since(struct slot *, int64_t since);
void slot_set_request(struct slot *, int route, const char *request_id);
void slot_set_hashing(struct slot *, enum slot_hashing);
void slot_set_memory(struct slot *, int64_t resident, int64_t proportional);

static inline void slot_add(struct slot *slot, size_t i, uint64_t n)
{
	/* one writer: no locked instruction */
	uint64_t now = atomic_load_explicit(&slot->counts[i], memory_order_relaxed);

	atomic_store_explicit(&slot->counts[i], now + n, memory_order_relaxed);
}

/* By the master: a copy with the request id terminated and reduced to printable characters. */
struct slot_view {
	int state;
	int route;
	int64_t since;
	char request_id[SLOT_REQUEST_ID];
};
void slot_read(struct slot *, struct slot_view *out);
/* By the master, when the slot has no process; counts stay. */
void slot_clear(struct slot *);
/* By the master, when it has one or will get one. */
void slot_set_pool(struct slot *, int pool);

/* By whoever wants to know: the sum of all slots' counts, and what the processes are doing. */
enum { BOARD_POOLS = 2, BOARD_STATES = SLOT_RUNNING + 1 };
struct board_view {
	int64_t began;
	uint64_t restarts[RESTART_CAUSES];
	uint64_t workers[BOARD_POOLS][BOARD_STATES];
	uint64_t hashing[HASHING_STATES];
	uint64_t resident[BOARD_POOLS], proportional[BOARD_POOLS];
	uint64_t counts[SLOT_COUNTS];
};
void board_read(struct board *, struct board_view *out);

#endif
