/* Upgrade: a newer file of the program comes up, shows that it can serve, and takes our place. This
 * process stays, so that its parent and pid_file know one process for ever; it passes on what it is
 * told, and serves again if the new program fails. At most three of them live: one that comes up,
 * one that serves, one that leaves. */
#ifndef TASKCELL_SERVER_UPGRADE_H
#define TASKCELL_SERVER_UPGRADE_H

#include <poll.h>

#include "server/successor.h"

struct upgrade {
	struct program program;
	struct successor coming;
	struct successor serving;
	struct successor leaving;
	unsigned count;
	int missed; /* a signal for the one that comes up; 0: none */
	bool stopping;
};

enum upgrade_event {
	UPGRADE_NOTHING,
	UPGRADE_DONE,    /* a successor serves from now on */
	UPGRADE_REFUSED, /* the new one has ended before it was ready */
	UPGRADE_LOST,    /* the one that served has ended */
};

enum { UPGRADE_FDS = 3 };

/* `argv` is how this process was started. */
void upgrade_init(struct upgrade *, char *argv[]);
/* Whether the file at our path is another one than that which serves. */
bool upgrade_is_due(const struct upgrade *) MUST_CHECK;
/* Only when it is not busy. False, logged, when it cannot be tried. */
bool upgrade_begin(struct upgrade *, const struct inheritance *) MUST_CHECK;

/* A successor serves. */
bool upgrade_serves(const struct upgrade *) MUST_CHECK;
/* One comes up or leaves. */
bool upgrade_is_busy(const struct upgrade *) MUST_CHECK;
/* There is none. */
bool upgrade_is_over(const struct upgrade *) MUST_CHECK;

/* To be called again and again: hears what they say, passes what the one that serves says on to the
 * service manager, notices ends, kills what is late. One that leaves may take that long. */
enum upgrade_event upgrade_look_after(struct upgrade *, const struct notify *,
				      int64_t leaving_us) MUST_CHECK;
/* What to poll, UPGRADE_FDS of them, to be woken when one of them speaks. */
void upgrade_wait_set(const struct upgrade *, struct pollfd *);

/* To all of them; one that comes up gets it when it serves. */
void upgrade_signal(struct upgrade *, int signo);
/* All of them stop, or with USR2 leave, and nothing of what they say is passed on any more. */
void upgrade_stop(struct upgrade *, int signo, int64_t patience_us);
/* Then: at once. */
void upgrade_hurry(struct upgrade *);

#endif
