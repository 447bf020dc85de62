/* Memory of one request. Allocations live until arena_reset(); nobody frees singly, so a handler
 * may return anywhere. Foreign objects are attached with arena_defer() where they are born. */
#ifndef TASKCELL_BASE_ARENA_H
#define TASKCELL_BASE_ARENA_H

#include "base/base.h"

struct arena;

/* A new arena that never holds more than `ceiling` bytes. Out of memory, here and below, ends the
 * process with a log line: every size a client controls is bounded before it gets here. */
struct arena *arena_new(size_t ceiling);
void arena_free(struct arena *);

/* Runs the deferred functions, newest first, and forgets everything; the first block is kept. */
void arena_reset(struct arena *);

/* `size` zeroed bytes, aligned for any type. Never NULL. */
void *arena_alloc(struct arena *, size_t size);
/* The same for `n` elements; the product is checked. */
void *arena_array(struct arena *, size_t n, size_t size);
/* A terminated copy of `len` bytes. */
char *arena_strndup(struct arena *, const char *s, size_t len);
char *arena_printf(struct arena *, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Calls `fn(object)` at the next reset. */
void arena_defer(struct arena *, void (*fn)(void *), void *object);
/* Wipes `len` bytes at `p` at the next reset: for passwords and raw tokens. */
void arena_wipe_later(struct arena *, void *p, size_t len);

#endif
