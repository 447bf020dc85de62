/* The dispatch table. Zero values are the safe ones: a bearer is demanded unless the row says
 * ROUTE_PUBLIC. */
#ifndef TASKCELL_API_ROUTES_H
#define TASKCELL_API_ROUTES_H

#include "api/call.h"

enum route_flags {
	ROUTE_PUBLIC = 1,     /* no bearer */
	ROUTE_THROTTLED = 2,  /* counts against the address */
	ROUTE_NO_STORE = 4,   /* Cache-Control: no-store, not private, no-cache */
	ROUTE_EMPTY_BODY = 8, /* a body is read, but may be empty */
	ROUTE_IMPORT = 32,    /* the body is as long as an import's may be, of any media type */
	ROUTE_CACHED = 16,    /* the handler sets Cache-Control itself */
};

struct route {
	enum http_method method;
	const char *path; /* "/api/{user_id}/tasks"; {user_id} must be the caller's */
	enum api_error (*run)(struct call *);
	const struct field_table *body; /* NULL: no body is looked at */
	unsigned flags;
};

enum { ROUTES_MAX = 47 };

extern const struct route routes[];
extern const size_t routes_count;

#endif
