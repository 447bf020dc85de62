/* The master: keeps a fixed number of workers in two pools alive. Parses no request, holds no
 * database connection, believes nothing in the shared memory. */
#ifndef TASKCELL_SERVER_MASTER_H
#define TASKCELL_SERVER_MASTER_H

#include "config/settings.h"

/* Listens, starts the workers, and returns the exit status when it was told to stop (TERM or INT:
 * workers finish their requests; a second one, or QUIT: at once), or when no worker is fit. */
int master_run(const struct settings *);

#endif
