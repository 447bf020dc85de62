/* Unicode questions about strings that are valid UTF-8. */
#ifndef TASKCELL_HTTP_TEXT_H
#define TASKCELL_HTTP_TEXT_H

#include "base/base.h"

/* True when the bytes are valid UTF-8 (no overlong forms, no surrogates). */
bool text_is_utf8(const char *s, size_t len) MUST_CHECK;
/* Number of code points. */
size_t text_length(const char *s, size_t len);
/* Moves both ends inwards past Unicode white space (property White_Space). */
void text_trim(const char **s, size_t *len);

#endif
