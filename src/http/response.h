/* What will be sent, whole: nothing goes to the web server before the request is over. */
#ifndef TASKCELL_HTTP_RESPONSE_H
#define TASKCELL_HTTP_RESPONSE_H

#include "base/buf.h"

enum {
	RESPONSE_HEADERS_MAX = 3072, /* with Status and the rest under the 4 KB of web servers */
	RESPONSE_BODY_MAX = 96 * 1024 * 1024, /* 1000 tasks of the greatest size, escaped */
	RESPONSE_BODY_KEEP = 1024 * 1024,
	RESPONSE_SPILL = 1024 * 1024, /* a spilled body is written out from this size on */
};

struct response {
	int status;
	const char *content_type; /* NULL: no body */
	struct buf headers;       /* "Name: value\r\n" each */
	struct buf body;          /* of a spilled one: what is not in the file yet */
	int spill_fd;             /* an unlinked file with the body's beginning; -1: none */
	int64_t spill_len;        /* bytes in it */
};

void response_init(struct response *);
void response_free(struct response *);
/* Makes it ready for the next request. */
void response_reset(struct response *);

/* Adds a header. The name is a constant of ours, never a client's. A value with a control character
 * is a mistake of ours: the header is left out and `headers.overflow` set, which ends in a 500. */
void response_header(struct response *, const char *name, const char *value);
void response_headerf(struct response *, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Throws the body away, spilled or not. */
void response_drop_body(struct response *);
/* For answers whose size is not bounded: writes what the body holds to an unlinked file in `dir`
 * once it is more than RESPONSE_SPILL, so that memory stays flat and Content-Length is still exact.
 * Called between pieces. False, with errno set: the disk is full, say. */
bool response_spill(struct response *, const char *dir) MUST_CHECK;
/* Bytes of the whole body. */
int64_t response_length(const struct response *);

/* The reason phrase of a status we use (RFC 9110), never NULL. */
const char *http_reason(int status);

#endif
