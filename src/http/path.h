/* The path and the query of a request: split, then decoded once. */
#ifndef TASKCELL_HTTP_PATH_H
#define TASKCELL_HTTP_PATH_H

#include "base/arena.h"

enum {
	PATH_SEGMENTS_MAX = 8,
	QUERY_PARAMS_MAX = 32,
};

struct path {
	size_t n;
	const char *segments[PATH_SEGMENTS_MAX]; /* decoded, terminated */
};

/* Splits `raw` at its slashes and decodes each segment. One trailing slash is dropped. False, which
 * means 404: no leading slash, an empty segment, a bad escape, a NUL, an encoded slash, or more
 * segments than any route has. */
bool path_parse(struct arena *, const char *raw, struct path *out) MUST_CHECK;

/* Matches against a route's pattern such as "/api/{user_id}/tasks/{task_id}". On success `params`
 * holds the segments that stood for parameters, in order, and `literals` has a bit for each
 * literal segment, the first one highest: of two matching patterns the greater number wins, so that
 * a literal beats a parameter. */
bool path_match(const struct path *, const char *pattern, const char *params[PATH_SEGMENTS_MAX],
		unsigned *literals) MUST_CHECK;

struct query {
	size_t n;
	struct {
		const char *name;
		const char *value;
	} params[QUERY_PARAMS_MAX];
};

/* Splits and decodes the query (`+` is a space). NULL is an empty one. False for a bad escape, a
 * NUL, invalid UTF-8 or too many parameters. */
bool query_parse(struct arena *, const char *raw, struct query *out) MUST_CHECK;
/* The first value of `name`, NULL when absent. */
const char *query_get(const struct query *, const char *name);

#endif
