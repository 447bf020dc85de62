/* A listening socket of our own making. */
#ifndef TASKCELL_SERVER_LISTENER_H
#define TASKCELL_SERVER_LISTENER_H

#include "base/base.h"

struct listener {
	int fd;           /* -1 when closed */
	int lock_fd;      /* of a unix socket's lock file, else -1 */
	const char *path; /* of a unix socket, else NULL */
};

/* Listens on an absolute path (mode 0660, of that group unless it is "") or on address:port,
 * non-blocking and close-on-exec. A path is guarded by a lock file beside it, so that a socket left
 * by a dead server is taken over and that of a live one is not. Logs what is wrong; then false.
 * `address` is kept, not copied. */
bool listener_open(struct listener *, const char *address, const char *group) MUST_CHECK;
/* Closes it and removes the socket's name. */
void listener_close(struct listener *);

#endif
