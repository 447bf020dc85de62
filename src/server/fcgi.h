/* The FastCGI transport: records in, a struct request; a struct response, records out. libfcgi is
 * known here only. One connection serves one request and is closed. */
#ifndef TASKCELL_SERVER_FCGI_H
#define TASKCELL_SERVER_FCGI_H

#include "base/arena.h"
#include "http/request.h"
#include "http/response.h"

struct fcgi;

/* Prepares the library for a listening, non-blocking socket. It installs signal handlers of its
 * own: call this before ours. NULL when it fails. */
struct fcgi *fcgi_open(int listen_fd);
void fcgi_close(struct fcgi *);

/* Accepts a connection and reads one request whole. Strings live until fcgi_send() or fcgi_drop().
 * False when there is none (a sibling was faster) or the peer did not speak FastCGI. */
bool fcgi_accept(struct fcgi *, struct arena *, const char *mount, struct request *) MUST_CHECK;

/* Sends the response and ends the connection. A peer that has gone is nobody's error. */
void fcgi_send(struct fcgi *, const struct request *, const struct response *);

#endif
