/* Bytes that must not stay in memory, and comparisons that must not tell by their time. */
#ifndef TASKCELL_BASE_SECRET_H
#define TASKCELL_BASE_SECRET_H

#include "base/base.h"

/* Overwrites `len` bytes; not removed by the optimiser. */
void secret_wipe(void *p, size_t len);
/* Compares `len` bytes in a time that depends on `len` only. */
bool secret_equal(const void *a, const void *b, size_t len) MUST_CHECK;

#endif
