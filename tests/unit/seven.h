/* Seven tasks of everything there is, and questions to their list. */
#ifndef TASKCELL_TESTS_UNIT_SEVEN_H
#define TASKCELL_TESTS_UNIT_SEVEN_H

#include "base/base.h"

#include "world.h"

/* Somebody who has them; somebody else has one. */
struct person seven(struct world *);
/* One more task, a millisecond later. */
void create(struct world *, const struct person *, const char *body);

const struct answer *list(struct world *, const struct person *, const char *query);
/* The titles of an answer, joined. */
const char *titles(struct world *, const struct answer *);
/* The path of the next page, NULL at the end. */
const char *next_of(struct world *, const struct answer *);

#endif
