/* What a service manager is told about the server: sd_notify(3). A master hears its successor
 * (successor.h) in the same way. */
#ifndef TASKCELL_SERVER_NOTIFY_H
#define TASKCELL_SERVER_NOTIFY_H

#include <sys/socket.h>
#include <sys/un.h>

#include "base/base.h"

enum { NOTIFY_MAX = 512 }; /* of one message, with the end */

struct notify {
	struct sockaddr_un to;
	socklen_t to_len;     /* 0: nobody listens */
	int64_t beat_us;      /* how often it wants to hear that we are well; 0: never */
	int64_t next_beat_us; /* monotonic */
};

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment. */
void notify_init(struct notify *);
/* Lines NAME=VALUE. Never waits; what cannot be sent is lost. */
void notify_send(const struct notify *, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Before a reload, which a later READY=1 ends. */
void notify_reloading(const struct notify *);
/* If it is time for it: WATCHDOG=1, unless we are not well. */
void notify_beat(struct notify *, int64_t now, bool well);

/* The socket at `path` where another process's messages arrive; -1, logged, when there is none. */
int notify_listen(const char *path) MUST_CHECK;
/* The next message; false when there is none. */
bool notify_hear(int fd, char out[NOTIFY_MAX]) MUST_CHECK;
/* Whether the message has this line. */
bool notify_says(const char *message, const char *line) MUST_CHECK;

#endif
