/* One HTTP request as the application sees it, whatever the web server was. All strings are
 * terminated, live on the request's arena, are raw (not decoded) and NULL when absent. */
#ifndef TASKCELL_HTTP_REQUEST_H
#define TASKCELL_HTTP_REQUEST_H

#include "base/base.h"

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_PATCH,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_OTHER, /* any other token: 405 on a known path */
};

enum body_state {
	BODY_COMPLETE,
	BODY_TOO_LARGE, /* longer than its path allows; what was read is thrown away */
	BODY_CUT,       /* ended before its declared length: nothing may come of this request */
	BODY_LOST,      /* there was no room to keep it: the fault is ours */
};

enum {
	REQUEST_BODY_MAX = 64 * 1024,
	REQUEST_IMPORT_MAX = 64 * 1024 * 1024, /* of .../tasks/import; kept in a file, mapped */
	REQUEST_ID_MAX = 64,
};

struct request {
	enum http_method method;
	const char *path;  /* REQUEST_URI up to `?`, mount prefix off; "" when outside the mount */
	const char *query; /* behind the `?` */
	const char *authorization;
	const char *content_type;
	const char *if_match;
	const char *if_none_match;
	const char *prefer;
	const char *accept;
	const char *idempotency_key;
	const char *user_agent;    /* any bytes */
	const char *remote_addr;   /* never NULL; any bytes */
	const char *forwarded_for; /* X-Forwarded-For; any bytes */
	const char *cookie;
	const char *origin;
	const char *sec_fetch_site;
	const char *request_method; /* Access-Control-Request-Method, of a preflight */
	const char *request_id;     /* never NULL: the web server's, or made here */
	enum body_state body_state;
	const char *body; /* body_len bytes and a terminator, read-only; "" when there is none */
	size_t body_len;
};

/* The method of a token; HTTP_OTHER for anything but the seven above (they are case-sensitive). */
enum http_method http_method_of(const char *token);
/* Its name, as `Allow` has it. */
const char *http_method_name(enum http_method);

/* True when the preference `name` with `value` stands in a Prefer header (RFC 7240). */
bool prefer_has(const char *header, const char *name, const char *value) MUST_CHECK;
/* Reads a preference whose value is a whole number, such as `wait=25`. */
bool prefer_number(const char *header, const char *name, int64_t *out) MUST_CHECK;

enum media_type {
	MEDIA_NONE, /* absent or empty */
	MEDIA_JSON,
	MEDIA_MERGE_PATCH,
	MEDIA_OTHER,
};
/* Of the media types offered (such as "application/json", "text/csv"), the index of the one that an
 * Accept header prefers (RFC 9110, 12.5.1: q, then the more exact range, then the order of the
 * offer); the first when there is no header or nothing fits. Parameters but q are not looked at. */
size_t accept_choose(const char *header, const char *const *offered, size_t n) MUST_CHECK;

/* The media type of a Content-Type header, parameters ignored, letters in either case. */
enum media_type media_type_of(const char *content_type);

/* Reads an If-Match header (RFC 9110, 13.1.1) whose tags are versions: `"17"`, and also `W/"17"`
 * and `"17-gzip"`, as web servers rewrite them, and lists. A tag that is no version of ours is left
 * out: it matches nothing. At most IF_MATCH_MAX are read; false when there are more. */
enum { IF_MATCH_MAX = 32 };
struct if_match {
	bool any; /* `*`, or no header at all: every version will do */
	size_t n;
	int64_t versions[IF_MATCH_MAX];
};
bool if_match_parse(const char *header, struct if_match *out) MUST_CHECK;
/* The same of If-None-Match (13.1.2); without a header nothing matches, and `any` is `*` alone. */
bool if_none_match_parse(const char *header, struct if_match *out) MUST_CHECK;

#endif
