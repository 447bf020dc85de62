/* A listening socket, of our own making or given by who started us. */
#ifndef TASKCELL_SERVER_LISTENER_H
#define TASKCELL_SERVER_LISTENER_H

#include "base/base.h"

enum { FIRST_GIVEN = 3 }; /* of the sockets that are given, sd_listen_fds(3) */

struct listener {
	int fd;         /* -1 when closed */
	int lock_fd;    /* of a unix socket's lock file, else -1 */
	char path[108]; /* of a unix socket that we have made, else "" */
};

/* Listens on an absolute path (mode 0660, of that group unless it is "") or on address:port,
 * non-blocking and close-on-exec. A path is guarded by a lock file beside it, so that a socket left
 * by a dead server is taken over and that of a live one is not. Logs what is wrong; then false. */
bool listener_open(struct listener *, const char *address, const char *group) MUST_CHECK;
/* Takes the sockets that came with LISTEN_FDS, sd_listen_fds(3), out of the environment: each goes
 * to the place of its name in LISTEN_FDNAMES. Only listening stream sockets do, and no address but
 * of the loopback. Returns how many there were, or -1, logged, when one is not for us. */
int listener_take_given(struct listener *, const char *const *names, size_t n) MUST_CHECK;
/* Removes the name of a unix socket of ours, so that nobody new connects. */
void listener_hide(struct listener *);
/* Closes it and removes that name. */
void listener_close(struct listener *);

#endif
