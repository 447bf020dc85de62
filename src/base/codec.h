/* Forms of bytes, numbers, letters and times. All is bounded by lengths; nothing allocates. */
#ifndef TASKCELL_BASE_CODEC_H
#define TASKCELL_BASE_CODEC_H

#include "base/base.h"

enum {
	RFC3339_LEN = 24,             /* 2026-01-31T12:34:56.789Z */
	UNIX_OF_PG_EPOCH = 946684800, /* 2000-01-01 in Unix seconds */
};

/* Characters of `len` bytes in base64 without padding. */
#define BASE64_LEN(len) (((len)*4 + 2) / 3)

/* RFC 4648 without padding: section 5 (`-` and `_`) and section 4 (`+` and `/`, as PHC strings use
 * it). Writes BASE64_LEN(len) characters and a terminator. */
void base64url_encode(const void *bytes, size_t len, char *out);
void base64_encode(const void *bytes, size_t len, char *out);

/* The reverse. False for a foreign character, an impossible length, bits that are not zero behind
 * the last byte, or more than `cap` bytes. */
bool base64url_decode(const char *text, size_t len, void *out, size_t cap,
		      size_t *out_len) MUST_CHECK;
bool base64_decode(const char *text, size_t len, void *out, size_t cap, size_t *out_len) MUST_CHECK;

/* Eight bytes, the highest first. */
void put_int64(void *out, int64_t value);
int64_t get_int64(const void *in);

/* Letters and digits of ASCII, whatever the locale. */
char ascii_lower(char c);
bool ascii_is_alnum(char c);

/* Lower-case hex, 2 * len characters and a terminator. */
void hex_encode(const void *bytes, size_t len, char *out);
/* The value of a hex digit in either case, -1 for anything else. */
int hex_value(char c);

/* Percent-decodes (RFC 3986, 2.1) `len` bytes once into `out`, which has room for `len`; with
 * `plus`, `+` is a space as in a form. False for a bad escape or a NUL. */
bool percent_decode(const char *text, size_t len, bool plus, char *out, size_t *out_len) MUST_CHECK;

/* A whole decimal number, no sign, no blanks, at least one digit, at most `max`. */
bool decimal_parse(const char *text, size_t len, int64_t max, int64_t *out) MUST_CHECK;

enum { DECIMAL_LEN = 20 }; /* a sign and 19 digits */

/* Decimal, with a terminator. Returns the length. */
size_t decimal_format(int64_t value, char out[DECIMAL_LEN + 1]);

/* Microseconds since 1970 as RFC 3339 in UTC with milliseconds (cut, not rounded), and a
 * terminator. Years 0001 to 9999; anything else is held at these ends. */
void rfc3339_format(int64_t us, char out[RFC3339_LEN + 1]);

/* Reads YYYY-MM-DD of the Gregorian calendar (years 0001 to 9999) as its midnight in UTC. */
bool date_parse(const char *text, size_t len, int64_t *us) MUST_CHECK;
/* Reads an RFC 3339 date-time with any offset and fraction (cut to microseconds; a leap second is
 * the one before it) that is in these years in UTC, too. */
bool rfc3339_parse(const char *text, size_t len, int64_t *us) MUST_CHECK;

#endif
