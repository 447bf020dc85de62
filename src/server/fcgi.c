#include "base/base.h"

#include "server/fcgi.h"

#include <errno.h>
#include <fcgiapp.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/log.h"
#include "base/random.h"
#include "base/secret.h"
#include "base/spool.h"

enum {
	/* Of a body that is too long, so that the peer reads our answer: more than our samples for
	 * web servers let through. */
	DRAIN_MAX = 96 * 1024 * 1024,
	GENERATED_ID_BYTES = 16,
	FORWARDED_MAX = 1024, /* more than any chain of proxies that are trusted */
	LIST_MAX = 8 * 1024,  /* of tags, or of media types */
	COOKIE_MAX = 8 * 1024,
	WORD_MAX = 300,    /* of an origin: scheme, host and port */
	PIECE = 64 * 1024, /* of a file, on its way */
};

struct fcgi {
	int listen_fd;
	const char *spool_dir;
	size_t keep;
	size_t kept;            /* connections that are open between requests */
	FCGX_Request *current;  /* whose request is being answered */
	FCGX_Request **polled;  /* by the entries of the last poll set */
	FCGX_Request *requests; /* keep + 1: one is always free for the listener */
};

struct fcgi *fcgi_open(int listen_fd, size_t keep, const char *spool_dir)
{
	struct fcgi *f = calloc(1, sizeof(*f));
	bool ok;

	if (!f)
		return NULL;
	f->listen_fd = listen_fd;
	f->spool_dir = spool_dir;
	f->keep = keep;
	f->polled = calloc(keep + 1, sizeof(FCGX_Request *));
	f->requests = calloc(keep + 1, sizeof(FCGX_Request));
	/* How long the library waits, in milliseconds, for a peer that is silent at the start or
	 * lingers at the end: two seconds by itself, in which this worker would serve nobody. A web
	 * server on a loaded machine may need a tenth of one between connecting and sending. At the
	 * end there is nothing to wait for, as requests are read whole. */
	ok = f->polled && f->requests && setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "0", 1) == 0 &&
	     setenv("LIBFCGI_IS_AF_UNIX_KEEPER_POLL_TIMEOUT", "400", 1) == 0 && FCGX_Init() == 0;
	for (size_t i = 0; ok && i <= keep; i++)
		ok = FCGX_InitRequest(&f->requests[i], listen_fd, 0) == 0;
	if (ok)
		return f;
	free(f->requests);
	free(f->polled);
	free(f);
	return NULL;
}

void fcgi_close(struct fcgi *f)
{
	if (!f)
		return;
	for (size_t i = 0; i <= f->keep; i++)
		FCGX_Free(&f->requests[i], 1);
	free(f->requests);
	free(f->polled);
	free(f);
}

size_t fcgi_kept(const struct fcgi *f)
{
	return f->kept;
}

size_t fcgi_poll_set(struct fcgi *f, struct pollfd *fds)
{
	size_t n = 1;

	fds[0] = (struct pollfd){ .fd = f->listen_fd, .events = POLLIN };
	for (size_t i = 0; n <= f->kept; i++) {
		if (f->requests[i].ipcFd < 0)
			continue;
		fds[n] = (struct pollfd){ .fd = f->requests[i].ipcFd, .events = POLLIN };
		f->polled[n++] = &f->requests[i];
	}
	return n;
}

size_t fcgi_wait_set(struct fcgi *f, struct pollfd *fds)
{
	size_t n = 0;

	for (size_t i = 0; i <= f->keep; i++) {
		const FCGX_Request *c = &f->requests[i];

		/* of the request's own only the end counts, which is always told */
		if (c->ipcFd >= 0)
			fds[n++] = (struct pollfd){ .fd = c->ipcFd,
						    .events = c == f->current ? 0 : POLLIN };
	}
	fds[n++] = (struct pollfd){ .fd = f->listen_fd, .events = POLLIN };
	return n;
}

/* The parameters we need, found in one pass. */
struct params {
	struct arena *arena;
	const char *method, *uri, *content_length, *request_id;
	const char *authorization, *redirect_authorization;
	struct request *r;
};

enum repeated {
	REPEAT_FIRST, /* the first one counts */
	REPEAT_LIST,  /* means the same as one with commas (RFC 9110, 5.2) */
	REPEAT_RIGHT, /* likewise; of one that is too long the right end is kept */
};

/* A value that is too long is taken for absent, which is the safe reading of each header that has a
 * bound; but a client must not get rid of what the proxies said of it behind its own words. */
static const char *bounded(const char *value, size_t max, enum repeated repeated)
{
	size_t len = strlen(value);

	if (!max || len <= max)
		return value;
	if (repeated != REPEAT_RIGHT)
		return NULL;
	value += len - max;
	value += strcspn(value, ","); /* no half of an entry */
	return *value ? value + 1 : NULL;
}

static void take_param(struct params *p, const char *name, size_t len, const char *value)
{
#define ROW(name) name, sizeof(name) - 1
	const struct {
		const char *name;
		size_t len;
		const char **target;
		size_t max; /* 0: the web server's limit will do */
		enum repeated repeated;
		bool empty; /* an empty value says something else than none */
	} rows[] = {
		{ ROW("REQUEST_METHOD"), &p->method, 0, REPEAT_FIRST, false },
		{ ROW("REQUEST_URI"), &p->uri, 0, REPEAT_FIRST, false },
		{ ROW("CONTENT_LENGTH"), &p->content_length, 0, REPEAT_FIRST, false },
		{ ROW("CONTENT_TYPE"), &p->r->content_type, 0, REPEAT_FIRST, false },
		{ ROW("REMOTE_ADDR"), &p->r->remote_addr, 0, REPEAT_FIRST, false },
		{ ROW("REQUEST_ID"), &p->request_id, 0, REPEAT_FIRST, false },
		{ ROW("HTTP_AUTHORIZATION"), &p->authorization, 0, REPEAT_FIRST, false },
		{ ROW("REDIRECT_HTTP_AUTHORIZATION"), &p->redirect_authorization, 0, REPEAT_FIRST,
		  false },
		{ ROW("HTTP_IF_MATCH"), &p->r->if_match, 0, REPEAT_LIST, true },
		{ ROW("HTTP_PREFER"), &p->r->prefer, 0, REPEAT_LIST, false },
		{ ROW("HTTP_USER_AGENT"), &p->r->user_agent, 0, REPEAT_FIRST, false },
		{ ROW("HTTP_IF_NONE_MATCH"), &p->r->if_none_match, LIST_MAX, REPEAT_LIST, false },
		/* a key that is too long must not be taken for none */
		{ ROW("HTTP_IDEMPOTENCY_KEY"), &p->r->idempotency_key, 0, REPEAT_LIST, true },
		{ ROW("HTTP_ACCEPT"), &p->r->accept, LIST_MAX, REPEAT_LIST, false },
		{ ROW("HTTP_X_FORWARDED_FOR"), &p->r->forwarded_for, FORWARDED_MAX, REPEAT_RIGHT,
		  false },
		{ ROW("HTTP_COOKIE"), &p->r->cookie, COOKIE_MAX, REPEAT_FIRST, false },
		{ ROW("HTTP_ORIGIN"), &p->r->origin, WORD_MAX, REPEAT_FIRST, false },
		{ ROW("HTTP_SEC_FETCH_SITE"), &p->r->sec_fetch_site, WORD_MAX, REPEAT_FIRST,
		  false },
		{ ROW("HTTP_ACCESS_CONTROL_REQUEST_METHOD"), &p->r->request_method, WORD_MAX,
		  REPEAT_FIRST, false },
	};
#undef ROW

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char **target = rows[i].target;

		if (rows[i].len != len || memcmp(rows[i].name, name, len) != 0)
			continue;
		value = bounded(value, rows[i].max, rows[i].repeated);
		if (!value || (!*value && !rows[i].empty))
			return;
		if (!*target)
			*target = value;
		else if (rows[i].repeated != REPEAT_FIRST)
			*target = bounded(arena_printf(p->arena, "%s, %s", *target, value),
					  rows[i].max, rows[i].repeated);
		return;
	}
}

static void read_params(char *const *envp, struct params *p)
{
	for (; *envp; envp++) {
		const char *equals = strchr(*envp, '=');

		if (equals)
			take_param(p, *envp, (size_t)(equals - *envp), equals + 1);
	}
	if (!p->authorization)
		p->authorization = p->redirect_authorization;
	p->r->authorization = p->authorization;
}

/* The web server's id; a client cannot set this parameter. Without one, our own. */
static const char *request_id(struct arena *a, const char *given)
{
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_@.";
	uint8_t bytes[GENERATED_ID_BYTES];
	char *id;

	if (given && strlen(given) <= REQUEST_ID_MAX && !given[strspn(given, allowed)])
		return given;
	random_bytes(bytes, sizeof(bytes));
	id = arena_alloc(a, 2 * sizeof(bytes) + 1);
	hex_encode(bytes, sizeof(bytes), id);
	return id;
}

static void split_uri(struct arena *a, const char *uri, const char *mount, struct request *r)
{
	size_t path_len = strcspn(uri, "?"), mount_len = strlen(mount);

	if (uri[path_len])
		r->query = uri + path_len + 1;
	if (path_len < mount_len || memcmp(uri, mount, mount_len) != 0)
		r->path = "";
	else
		r->path = arena_strndup(a, uri + mount_len, path_len - mount_len);
}

/* Any other body is small. Whoever spells this path with escapes may import 64 KiB. */
static bool is_import(const struct request *r)
{
	static const char end[] = "/tasks/import";
	size_t len = strlen(r->path), end_len = sizeof(end) - 1;

	if (len > 0 && r->path[len - 1] == '/')
		len--;
	return r->method == HTTP_POST && len >= end_len &&
	       !memcmp(r->path + len - end_len, end, end_len);
}

/* Where a body is being read to. */
struct intake {
	FCGX_Stream *in;
	int64_t declared; /* -1: unknown */
	int64_t limit;
	int64_t total; /* bytes read */
	char *start;   /* the first ones, up to REQUEST_BODY_MAX + 1, on the arena */
	int fd;        /* of the file that holds all of them; -1 */
	bool lost;     /* the file cannot hold them */
};

static bool is_long(const struct intake *t)
{
	return t->declared > REQUEST_BODY_MAX || (t->declared < 0 && t->total > REQUEST_BODY_MAX);
}

static bool is_too_long(const struct intake *t)
{
	return t->declared > t->limit || (t->declared < 0 && t->total > t->limit);
}

static void keep_piece(struct intake *t, const char *bytes, size_t len)
{
	if (t->lost || spool_write(t->fd, bytes, len))
		return;
	log_message(LOG_ERROR, "spool", "a body cannot be kept: %s", strerror(errno));
	t->lost = true;
}

/* The rest of a body whose start fills its place on the arena: into a file, if it may be as long as
 * that. What is too long is read on a while, so that the peer reads our answer. */
static void read_rest(struct intake *t, const char *spool_dir)
{
	bool keep = is_long(t) && !is_too_long(t);
	char piece[PIECE];
	size_t n;

	if (keep) {
		t->fd = spool_open(spool_dir);
		if (t->fd < 0)
			log_message(LOG_ERROR, "spool", "%s: %s", spool_dir, strerror(errno));
		t->lost = t->fd < 0;
		keep_piece(t, t->start, (size_t)t->total);
	}
	do {
		n = (size_t)FCGX_GetStr(piece, sizeof(piece), t->in);
		t->total += (int64_t)n;
		if (keep && t->total <= t->limit)
			keep_piece(t, piece, n);
	} while (n && t->total < DRAIN_MAX);
	secret_wipe(piece, sizeof(piece));
}

struct mapping {
	void *p;
	size_t len;
};

static void unmap(void *object)
{
	const struct mapping *m = object;

	(void)munmap(m->p, m->len);
}

/* The file as memory, with a NUL behind it, until the arena is reset. */
static const char *map_body(struct intake *t, struct arena *a)
{
	struct mapping *m = arena_alloc(a, sizeof(*m));

	keep_piece(t, "", 1);
	if (t->lost)
		return "";
	m->len = (size_t)t->total + 1;
	m->p = mmap(NULL, m->len, PROT_READ, MAP_PRIVATE, t->fd, 0);
	if (m->p == MAP_FAILED) {
		log_message(LOG_ERROR, "spool", "a body cannot be mapped: %s", strerror(errno));
		t->lost = true;
		return "";
	}
	arena_defer(a, unmap, m);
	return m->p;
}

/* How many bytes the place of a body has: most requests have none, and a place is cleared and
 * wiped. */
static size_t room_for(const struct intake *t)
{
	int c;

	if (t->declared >= 0)
		return t->declared < REQUEST_BODY_MAX ? (size_t)t->declared : REQUEST_BODY_MAX;
	c = FCGX_GetChar(t->in);
	if (c == EOF)
		return 0;
	(void)FCGX_UnGetChar(c, t->in);
	return REQUEST_BODY_MAX;
}

/* Reads the body to its end, whatever its length: only then is it known whether the request was
 * whole, since the library takes a lost connection for an end. */
static void read_body(struct fcgi *f, struct arena *a, const char *content_length,
		      struct request *r)
{
	struct intake t = { .in = f->current->in, .declared = -1, .fd = -1 };
	bool readable = true;
	size_t cap;

	if (content_length)
		readable = decimal_parse(content_length, strlen(content_length), INT64_MAX,
					 &t.declared);
	cap = room_for(&t);
	t.limit = is_import(r) ? REQUEST_IMPORT_MAX : REQUEST_BODY_MAX;
	t.start = arena_alloc(a, cap + 2);     /* one byte too many shows, and the end */
	arena_wipe_later(a, t.start, cap + 2); /* may hold a password */
	t.total = FCGX_GetStr(t.start, (int)cap + 1, t.in);
	if (t.total > (int64_t)cap)
		read_rest(&t, f->spool_dir);
	r->body = "";
	if (is_too_long(&t)) {
		r->body_state = BODY_TOO_LARGE;
	} else if (!readable || FCGX_GetError(t.in) != 0 ||
		   (t.declared >= 0 && t.declared != t.total)) {
		r->body_state = BODY_CUT;
	} else {
		r->body = t.fd < 0 ? t.start : map_body(&t, a);
		r->body_state = t.lost ? BODY_LOST : BODY_COMPLETE;
		r->body_len = t.lost ? 0 : (size_t)t.total;
	}
	if (t.fd >= 0)
		(void)close(t.fd);
}

static FCGX_Request *free_request(struct fcgi *f)
{
	FCGX_Request *c = f->requests;

	while (c->ipcFd >= 0)
		c++;
	return c;
}

enum fcgi_result fcgi_accept(struct fcgi *f, size_t entry, struct arena *a, const char *mount,
			     struct request *r)
{
	FCGX_Request *c = entry == 0 ? free_request(f) : f->polled[entry];
	struct params p = { .arena = a, .r = r };
	int status;

	*r = (struct request){ .path = "" };
	/* On a kept connection that was closed the library turns to the listener. */
	f->kept -= entry != 0;
	status = FCGX_Accept_r(c);
	if (status != 0) {
		errno = -status;
		return status == -EAGAIN || status == -ECONNABORTED ? FCGI_NOTHING : FCGI_FAILED;
	}
	f->current = c;
	read_params(c->envp, &p);
	r->method = http_method_of(p.method ? p.method : "");
	r->request_id = request_id(a, p.request_id);
	if (!r->remote_addr)
		r->remote_addr = "";
	if (p.uri)
		split_uri(a, p.uri, mount, r);
	read_body(f, a, p.content_length, r);
	return FCGI_REQUEST;
}

/* False when the file does not hold what it should. */
static bool send_spilled(FCGX_Stream *out, const struct response *response)
{
	char piece[PIECE];
	int64_t at = 0;

	while (at < response->spill_len && FCGX_GetError(out) == 0) {
		int64_t left = response->spill_len - at;
		size_t want = left < PIECE ? (size_t)left : PIECE;
		ssize_t n = pread(response->spill_fd, piece, want, at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			log_message(LOG_ERROR, "spool", "an answer is lost: %s",
				    n < 0 ? strerror(errno) : "its file is too short");
			return false;
		}
		FCGX_PutStr(piece, (int)n, out);
		at += n;
	}
	return true;
}

int fcgi_send(struct fcgi *f, const struct request *request, const struct response *response)
{
	FCGX_Request *c = f->current;
	bool whole = true;
	char head[256];
	int len;

	f->current = NULL;
	len = snprintf(head, sizeof(head), "Status: %d %s\r\n", response->status,
		       http_reason(response->status));
	FCGX_PutStr(head, len, c->out);
	if (response->content_type) {
		len = snprintf(head, sizeof(head),
			       "Content-Type: %s\r\nContent-Length: %" PRId64 "\r\n",
			       response->content_type, response_length(response));
		FCGX_PutStr(head, len, c->out);
	}
	FCGX_PutStr(response->headers.data, (int)response->headers.len, c->out);
	FCGX_PutStr("\r\n", 2, c->out);
	if (response->content_type && request->method != HTTP_HEAD) {
		whole = send_spilled(c->out, response);
		if (whole)
			FCGX_PutStr(response->body.data, (int)response->body.len, c->out);
	}
	/* What was not read whole would be taken for the next request. */
	if (f->kept == f->keep || request->body_state == BODY_CUT ||
	    request->body_state == BODY_TOO_LARGE)
		c->keepConnection = 0;
	if (whole)
		FCGX_Finish_r(c);
	else
		FCGX_Free(c, 1); /* without the record that says it is whole */
	f->kept += c->ipcFd >= 0;
	return c->ipcFd;
}
