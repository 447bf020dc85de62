/* What the files of the fake store share with one another alone. */
#ifndef TASKCELL_TESTS_UNIT_FAKE_STORE_INSIDE_H
#define TASKCELL_TESTS_UNIT_FAKE_STORE_INSIDE_H

#include "fake_store.h"

/* Counts a call; anything but STORE_OK is its result. */
enum store_result fake_begin(struct store *, const char *name);
/* The next free place of an array. */
size_t fake_take(size_t *n, size_t max);
/* NULL stays NULL. */
const char *fake_copy(struct arena *, const char *s);
/* NULL is no session. */
bool fake_session_is_live(struct store *, const struct fake_session *);

#endif
