/* The Cookie header (RFC 6265, 5.4) and lists of words. */
#ifndef TASKCELL_HTTP_COOKIE_H
#define TASKCELL_HTTP_COOKIE_H

#include "base/base.h"

/* The value of the first cookie of that name; NULL when absent. Not terminated: `len` bytes. */
const char *cookie_find(const char *header, const char *name, size_t *len);

/* True when `word` is one of a list separated by blanks or commas; bytes are compared. "" is in no
 * list. */
bool list_has(const char *list, const char *word) MUST_CHECK;

#endif
