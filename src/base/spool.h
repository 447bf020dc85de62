/* Files without a name, for what is too large to be held in memory. They are gone with their last
 * descriptor, however the process ends. */
#ifndef TASKCELL_BASE_SPOOL_H
#define TASKCELL_BASE_SPOOL_H

#include "base/base.h"

/* A new empty file in `dir`, mode 0600. -1 with errno set. */
int spool_open(const char *dir) MUST_CHECK;
/* Appends all of it. False with errno set. */
bool spool_write(int fd, const void *bytes, size_t len) MUST_CHECK;

#endif
