/* The hashing gate: at most k holders at once over all processes of the host, as k byte-range locks
 * on one file. The kernel frees them when a process dies. */
#ifndef TASKCELL_SHARED_GATE_H
#define TASKCELL_SHARED_GATE_H

#include "base/base.h"

struct gate {
	int fd;
	int slots;
	int held; /* index of the lock, -1 when none */
};

/* Opens (and makes, mode 0600) the file. Each process opens its own, after fork: the locks belong
 * to the open file. False with errno set. */
bool gate_open(struct gate *, const char *path, int slots) MUST_CHECK;
void gate_close(struct gate *);

/* Waits at most `wait_ms` for a lock. False: all are taken. */
bool gate_enter(struct gate *, int wait_ms) MUST_CHECK;
void gate_leave(struct gate *);

#endif
