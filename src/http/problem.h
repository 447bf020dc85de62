/* Problem documents (RFC 9457): the one place where an error becomes a response. */
#ifndef TASKCELL_HTTP_PROBLEM_H
#define TASKCELL_HTTP_PROBLEM_H

#include "http/api_error.h"
#include "http/json_bind.h"
#include "http/json_writer.h"
#include "http/response.h"

struct problem {
	enum api_error error;
	const char *detail; /* NULL: the error's default */
	const char *request_id;
	const struct field_errors *fields; /* NULL or empty: no member `errors` */
	/* NULL, or writes more members (412: `current`). */
	void (*extra)(struct json_writer *, const void *arg);
	const void *extra_arg;
};

/* The document alone, as one value: for a problem that is part of an answer. */
void problem_json(struct json_writer *, const struct problem *);

/* Sets status, content type and body; also WWW-Authenticate on 401 (RFC 6750, 3) and Retry-After: 1
 * on 503. What the body held before is dropped, headers that were added stay. */
void problem_write(struct response *, const struct problem *);

#endif
