/* A generation: the workers of one configuration. Reload brings up a new one before the old one
 * drains. */
#ifndef TASKCELL_SERVER_GENERATION_H
#define TASKCELL_SERVER_GENERATION_H

#include "config/settings.h"
#include "server/listener.h"
#include "shared/scoreboard.h"

enum { POOL_API, POOL_AUTH, POOL_COUNT };
extern const char *const pool_names[POOL_COUNT];

/* What the workers of every generation are given. */
struct ground {
	struct listener listeners[POOL_COUNT];
	int lifeline[2]; /* a pipe: its reader sees the end of file when the master has died */
	struct board *board;
};

struct generation;

/* Takes the settings over. NULL, logged, when memory cannot be had. */
struct generation *generation_new(struct settings *, const struct ground *,
				  unsigned number) MUST_CHECK;
/* Only when none of its workers is alive. NULL is fine. */
void generation_free(struct generation *);

const struct settings *generation_settings(const struct generation *);

/* Starts the workers whose time has come. */
void generation_start_due(struct generation *);
/* Takes note of workers that have ended and plans their successors. */
void generation_reap(struct generation *);
/* Kills workers that have read or run one request for longer than request_timeout. */
void generation_kill_stuck(struct generation *);
/* When the next worker is due, in monotonic microseconds. */
int64_t generation_next_start(const struct generation *);

/* Takes a draining generation back into service. */
void generation_resume(struct generation *);

/* Sends the signal to every worker alive. */
void generation_signal(struct generation *, int signo);
/* Tells the workers to finish, by TERM or USR2 (worker.h), and starts none again. */
void generation_drain(struct generation *, int signo);
/* Kills what a draining generation has left when its stop_timeout is over, or at once. */
void generation_drain_late(struct generation *, bool at_once);

size_t generation_alive(const struct generation *);
/* Every worker has reached its loop. */
bool generation_is_up(const struct generation *);
/* A worker has ended since the start. */
bool generation_has_losses(const struct generation *);
/* No worker is alive, and the last of each place has left with EXIT_UNFIT. */
bool generation_is_unfit(const struct generation *);

#endif
