/* One request over HTTP, for taskcellctl doctor. Nothing is followed, everything is bounded: a few
 * seconds, ANSWER_MAX bytes, http and https only, and no proxy of the environment, which would be
 * what is looked at in the place of the web server. */
#ifndef TASKCELL_CTL_DOCTOR_FETCH_H
#define TASKCELL_CTL_DOCTOR_FETCH_H

#include "base/arena.h"

enum { ANSWER_MAX = 64 * 1024 };

struct fetch {
	const char *url;
	const char *method;
	const char *headers[4]; /* whole lines; NULL: none or no more */
	const char *body;       /* NULL: none */
	size_t body_len;
};

struct answer {
	const char *error; /* NULL: there is an answer */
	bool untrusted;    /* the error is that the server's certificate will not do */
	long status;
	const char *body;
	const char *local; /* this host's end of the connection */
	int64_t expires;   /* the certificate's last second, Unix; 0: none, or not known */
	void *handle;
};

/* All of the answer lives until the arena is reset. */
void fetch(struct arena *, const struct fetch *, struct answer *);
/* The first header of that name; "" when there is none. */
const char *answer_header(const struct answer *, const char *name);

/* The parts of a URL; false when it is none of http or https, or has a user, query or fragment. */
struct url_parts {
	const char *scheme;
	const char *host;
	const char *port; /* "": the usual one */
	const char *path;
};
bool url_split(struct arena *, const char *url, struct url_parts *) MUST_CHECK;

#endif
