/* A listening socket of our own making. */
#ifndef TASKCELL_SERVER_LISTENER_H
#define TASKCELL_SERVER_LISTENER_H

#include "base/base.h"

struct listener {
	int fd;         /* -1 when closed */
	int lock_fd;    /* of a unix socket's lock file, else -1 */
	char path[108]; /* of a unix socket, else "" */
};

/* Listens on an absolute path (mode 0660, of that group unless it is "") or on address:port,
 * non-blocking and close-on-exec. A path is guarded by a lock file beside it, so that a socket left
 * by a dead server is taken over and that of a live one is not. Logs what is wrong; then false. */
bool listener_open(struct listener *, const char *address, const char *group) MUST_CHECK;
/* Removes the name of a unix socket, so that nobody new connects. */
void listener_hide(struct listener *);
/* Closes it and removes the socket's name. */
void listener_close(struct listener *);

#endif
