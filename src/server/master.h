/* The master: keeps a generation of workers alive, and replaces it on HUP. Parses no request, holds
 * no database connection, believes nothing in the shared memory. */
#ifndef TASKCELL_SERVER_MASTER_H
#define TASKCELL_SERVER_MASTER_H

#include "config/settings.h"

/* Listens, gives up root's rights if it has them, starts the workers, and returns the exit status
 * when it was told to stop, or when no worker is fit. Takes the settings over; `config_path` (NULL:
 * the environment alone) is read again on HUP.
 *
 *	TERM, INT	workers finish their requests, at most stop_timeout; a second one: at once
 *	QUIT		stop at once
 *	HUP		reload: a new generation comes up, then the old one drains
 *	USR1		reopen the log file */
int master_run(struct settings *, const char *config_path);

#endif
