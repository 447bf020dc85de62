/* The master: keeps a generation of workers alive, and replaces it on HUP, or itself by a newer
 * program. Parses no request, holds no database connection, believes nothing in the shared
 * memory. */
#ifndef TASKCELL_SERVER_MASTER_H
#define TASKCELL_SERVER_MASTER_H

#include "config/settings.h"

/* Listens, gives up root's rights if it has them, starts the workers, and returns the exit status
 * when it was told to stop, or when no worker is fit. Takes the settings over; `config_path` (NULL:
 * the environment alone) is read again on HUP. `argv` starts it anew when its file has changed.
 *
 *	TERM, INT	workers finish their requests, at most stop_timeout; a second one: at once
 *	QUIT		stop at once
 *	HUP		reload: a new generation comes up, then the old one drains; or upgrade
 *	USR1		reopen the log file
 *	USR2		leave, when somebody else serves the same sockets */
int master_run(struct settings *, const char *config_path, char *argv[]);

#endif
