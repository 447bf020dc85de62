/* Unicode questions about strings, which are valid UTF-8 but for the first and the last one. */
#ifndef TASKCELL_HTTP_TEXT_H
#define TASKCELL_HTTP_TEXT_H

#include "base/arena.h"

/* True when the bytes are valid UTF-8 (no overlong forms, no surrogates). */
bool text_is_utf8(const char *s, size_t len) MUST_CHECK;
/* Number of code points. */
size_t text_length(const char *s, size_t len);
/* Moves both ends inwards past Unicode white space (property White_Space). */
void text_trim(const char **s, size_t *len);
/* The Unicode normalization form NFKC (UAX #15) of valid UTF-8, on the arena, terminated. NULL when
 * memory runs out. For passwords the arena wipes the copy (`secret`). */
char *text_nfkc(struct arena *, const char *s, size_t len, bool secret, size_t *out_len);
/* A copy of `s`, cut between two characters to at most `max` bytes. NULL when it is NULL or not
 * UTF-8: the database would refuse the value, and the request with it. */
const char *text_keep(struct arena *, const char *s, size_t max);

#endif
