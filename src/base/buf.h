/* A growable byte buffer with a mandatory maximum. Callers append and look at `overflow` once, at
 * the end: an append that does not fit is dropped whole and the flag stays set. */
#ifndef TASKCELL_BASE_BUF_H
#define TASKCELL_BASE_BUF_H

#include "base/base.h"

struct buf {
	char *data; /* not terminated; NULL until the first append */
	size_t len;
	size_t cap;
	size_t max;
	bool overflow;
};

void buf_init(struct buf *, size_t max);
void buf_free(struct buf *);
/* Empties the buffer; memory above `keep` bytes is given back. */
void buf_reset(struct buf *, size_t keep);

void buf_append(struct buf *, const void *bytes, size_t len);
void buf_putc(struct buf *, char c);
void buf_printf(struct buf *, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Room for `len` bytes at the end, to be filled by the caller and then taken with buf_commit();
 * NULL when it does not fit. */
char *buf_reserve(struct buf *, size_t len);
void buf_commit(struct buf *, size_t len);

#endif
