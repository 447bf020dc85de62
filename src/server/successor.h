/* Another process of this program, of a newer file, that serves in our place: we are to it what a
 * service manager is to us. It gets the listening sockets by LISTEN_FDS and says by NOTIFY_SOCKET
 * when it is ready, so that any two versions understand each other. */
#ifndef TASKCELL_SERVER_SUCCESSOR_H
#define TASKCELL_SERVER_SUCCESSOR_H

#include <limits.h>
#include <sys/stat.h>

#include "server/generation.h"
#include "server/notify.h"

/* The program on the disk, by which one knows that it is another one. */
struct program_file {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
};

/* How this process was started. */
struct program {
	char **argv;
	char path[PATH_MAX];
	struct program_file file;
};

struct successor {
	pid_t pid; /* 0: none */
	int notify_fd;
	char notify_path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct program_file file;
	int64_t until; /* when it has to be ready, or gone; INT64_MAX while it serves */
};

void program_init(struct program *, char *argv[]);
/* Whether the file that is at our path now is another one than this. */
bool program_differs(const struct program *, const struct program_file *) MUST_CHECK;

/* What a new process is given. */
struct inheritance {
	const struct ground *ground;
	const char *run_dir;
	int64_t patience_us; /* until it has to be ready */
	int64_t beat_us;     /* half of its WATCHDOG_USEC; 0: none */
};

/* Starts the program at our path with our arguments; each has another number. False, logged, when
 * it cannot be tried. */
bool successor_start(struct successor *, const struct program *, const struct inheritance *,
		     unsigned number) MUST_CHECK;
/* The next message of it. */
bool successor_hear(struct successor *, char out[NOTIFY_MAX]) MUST_CHECK;
/* True once it has ended, with its status of waitpid(2); then there is none. */
bool successor_reap(struct successor *, int *status);
void successor_signal(const struct successor *, int signo);
/* Tells it to leave, by USR2 when another one serves, or to stop, by TERM, for so long at most. */
void successor_leave(struct successor *, int signo, int64_t patience_us);
/* Tells it again, by QUIT, and shortens the time. */
void successor_hurry(struct successor *);
/* Kills it if it is late; then true. */
bool successor_kill_late(struct successor *);

#endif
