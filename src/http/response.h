/* What will be sent, whole: nothing goes to the web server before the request is over. */
#ifndef TASKCELL_HTTP_RESPONSE_H
#define TASKCELL_HTTP_RESPONSE_H

#include "base/buf.h"

enum {
	RESPONSE_HEADERS_MAX = 3072, /* with Status and the rest under the 4 KB of web servers */
	RESPONSE_BODY_MAX = 96 * 1024 * 1024, /* 1000 tasks of the greatest size, escaped */
	RESPONSE_BODY_KEEP = 1024 * 1024,
};

struct response {
	int status;
	const char *content_type; /* NULL: no body */
	struct buf headers;       /* "Name: value\r\n" each */
	struct buf body;
};

void response_init(struct response *);
void response_free(struct response *);
/* Makes it ready for the next request. */
void response_reset(struct response *);

/* Adds a header. The name is a constant of ours, never a client's. A value with a control character
 * is a mistake of ours: the header is left out and `headers.overflow` set, which ends in a 500. */
void response_header(struct response *, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The reason phrase of a status we use (RFC 9110), never NULL. */
const char *http_reason(int status);

#endif
