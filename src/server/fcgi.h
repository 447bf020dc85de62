/* The FastCGI transport: records in, a struct request; a struct response, records out. libfcgi is
 * known here only. */
#ifndef TASKCELL_SERVER_FCGI_H
#define TASKCELL_SERVER_FCGI_H

#include <poll.h>

#include "base/arena.h"
#include "http/request.h"
#include "http/response.h"

struct fcgi;

/* Prepares the library for a listening, non-blocking socket. Of the web server's connections at
 * most `keep` stay open behind an answer, if it wishes so. Bodies of imports, which are POSTs whose
 * path ends in /tasks/import, are kept in files of `spool_dir`, a string that stays. The library
 * installs signal handlers of its own: call this before ours. NULL when it fails. */
struct fcgi *fcgi_open(int listen_fd, size_t keep, const char *spool_dir);
void fcgi_close(struct fcgi *);

/* Number of connections that are kept. */
size_t fcgi_kept(const struct fcgi *);
/* What to poll, at most `keep` + 1 entries: the listener first, then the kept connections. Returns
 * their number. The indices go to fcgi_accept(), each at most once. */
size_t fcgi_poll_set(struct fcgi *, struct pollfd *fds);

/* What tells a worker that waits over a request that somebody needs it, at most `keep` + 2 entries:
 * the request's own connection, which breaks when the peer has gone, the kept ones, which nobody
 * else can serve, and the listener last. */
size_t fcgi_wait_set(struct fcgi *, struct pollfd *fds);

enum fcgi_result {
	FCGI_REQUEST,
	FCGI_NOTHING, /* a sibling was faster, or the peer has gone or spoke no FastCGI */
	FCGI_FAILED,  /* errno says why no connection can be accepted */
};

/* Takes one request, whole, from the listener (0) or a kept connection. Its strings live until the
 * answer is sent. */
enum fcgi_result fcgi_accept(struct fcgi *, size_t i, struct arena *, const char *mount,
			     struct request *) MUST_CHECK;

/* Sends the response, and closes the connection unless it is kept: then its descriptor is returned,
 * else -1. A peer that has gone is nobody's error. When the spilled body cannot be read the
 * connection is cut, so that the peer does not take what is there for the whole. */
int fcgi_send(struct fcgi *, const struct request *, const struct response *);

#endif
