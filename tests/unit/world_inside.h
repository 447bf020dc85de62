/* What the files of the world share with one another alone. */
#ifndef TASKCELL_TESTS_UNIT_WORLD_INSIDE_H
#define TASKCELL_TESTS_UNIT_WORLD_INSIDE_H

#include "world.h"

/* Must not stand in the log of any request from now on. */
void world_secret(struct world *, const char *secret);
/* Holds an answer, whose log has been read, against what is promised of all of them. */
void world_check(struct world *, const struct ask *, struct answer *, const char *request_id);

#endif
