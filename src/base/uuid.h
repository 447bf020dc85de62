/* RFC 9562 identifiers. */
#ifndef TASKCELL_BASE_UUID_H
#define TASKCELL_BASE_UUID_H

#include "base/base.h"

enum { UUID_TEXT_LEN = 36 };

struct uuid {
	uint8_t bytes[16];
};

/* A new version 7 identifier: milliseconds of the clock, then 74 random bits (RFC 9562, 5.7). */
struct uuid uuid_v7(void);
/* Reads the 36-character form, hex digits in either case. */
bool uuid_parse(const char *text, size_t len, struct uuid *out) MUST_CHECK;
/* Writes the lower-case form and a terminator. */
void uuid_format(const struct uuid *, char out[UUID_TEXT_LEN + 1]);
bool uuid_equal(const struct uuid *, const struct uuid *) MUST_CHECK;

#endif
