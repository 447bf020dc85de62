#include "base/base.h"

#include "server/fcgi.h"

#include <fcgiapp.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/log.h"
#include "base/random.h"

enum {
	DRAIN_MAX = 1024 * 1024, /* of a body that is too long, so that the peer reads our answer */
	GENERATED_ID_BYTES = 16,
};

struct fcgi {
	FCGX_Request request;
};

struct fcgi *fcgi_open(int listen_fd)
{
	struct fcgi *f = calloc(1, sizeof(*f));

	/* How long the library waits, in milliseconds, for a peer that is silent at the start or
	 * lingers at the end: two seconds by itself, in which this worker would serve nobody. */
	if (!f || setenv("LIBFCGI_OS_CLOSE_POLL_TIMEOUT", "100", 1) != 0 ||
	    setenv("LIBFCGI_IS_AF_UNIX_KEEPER_POLL_TIMEOUT", "100", 1) != 0 || FCGX_Init() != 0 ||
	    FCGX_InitRequest(&f->request, listen_fd, 0) != 0) {
		free(f);
		return NULL;
	}
	return f;
}

static void end_connection(struct fcgi *f)
{
	f->request.keepConnection = 0;
	FCGX_Finish_r(&f->request);
}

void fcgi_close(struct fcgi *f)
{
	if (!f)
		return;
	FCGX_Free(&f->request, 1);
	free(f);
}

/* The parameters we need, found in one pass. */
struct params {
	const char *method, *uri, *content_length, *request_id;
	const char *authorization, *redirect_authorization;
	struct request *r;
};

static void take_param(struct params *p, const char *name, size_t len, const char *value)
{
	const struct {
		const char *name;
		const char **target;
	} rows[] = {
		{ "REQUEST_METHOD", &p->method },
		{ "REQUEST_URI", &p->uri },
		{ "CONTENT_LENGTH", &p->content_length },
		{ "CONTENT_TYPE", &p->r->content_type },
		{ "REMOTE_ADDR", &p->r->remote_addr },
		{ "REQUEST_ID", &p->request_id },
		{ "HTTP_AUTHORIZATION", &p->authorization },
		{ "REDIRECT_HTTP_AUTHORIZATION", &p->redirect_authorization },
		{ "HTTP_IF_MATCH", &p->r->if_match },
		{ "HTTP_PREFER", &p->r->prefer },
		{ "HTTP_USER_AGENT", &p->r->user_agent },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!*rows[i].target && strlen(rows[i].name) == len &&
		    memcmp(rows[i].name, name, len) == 0) {
			*rows[i].target = value;
			return;
		}
	}
}

static void read_params(char *const *envp, struct params *p)
{
	for (; *envp; envp++) {
		const char *equals = strchr(*envp, '=');

		if (equals && equals[1])
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

/* Reads the body to its end, whatever its length: only then is it known whether the request was
 * whole, since the library takes a lost connection for an end. */
static void read_body(struct fcgi *f, struct arena *a, const char *content_length,
		      struct request *r)
{
	int64_t declared = -1;
	size_t cap = REQUEST_BODY_MAX, total, n;
	char *body, drain[4096];

	if (content_length &&
	    !decimal_parse(content_length, strlen(content_length), INT64_MAX, &declared))
		declared = INT64_MAX;
	if (declared >= 0 && declared < REQUEST_BODY_MAX)
		cap = (size_t)declared;
	body = arena_alloc(a, cap + 2); /* one byte too many shows, and the end */
	total = (size_t)FCGX_GetStr(body, (int)cap + 1, f->request.in);
	for (n = total; n && total > cap && total < DRAIN_MAX; total += n)
		n = (size_t)FCGX_GetStr(drain, sizeof(drain), f->request.in);
	r->body = "";
	if (declared > REQUEST_BODY_MAX || (declared < 0 && total > REQUEST_BODY_MAX)) {
		r->body_state = BODY_TOO_LARGE;
	} else if (FCGX_GetError(f->request.in) != 0 ||
		   (declared >= 0 && (uint64_t)declared != total)) {
		r->body_state = BODY_CUT;
	} else {
		r->body_state = BODY_COMPLETE;
		body[total] = '\0';
		r->body = body;
		r->body_len = total;
		arena_wipe_later(a, body, total); /* may hold a password */
	}
}

bool fcgi_accept(struct fcgi *f, struct arena *a, const char *mount, struct request *r)
{
	struct params p = { .r = r };

	*r = (struct request){ .path = "" };
	if (FCGX_Accept_r(&f->request) != 0)
		return false;
	read_params(f->request.envp, &p);
	r->method = http_method_of(p.method ? p.method : "");
	r->request_id = request_id(a, p.request_id);
	if (!r->remote_addr)
		r->remote_addr = "";
	if (p.uri)
		split_uri(a, p.uri, mount, r);
	read_body(f, a, p.content_length, r);
	return true;
}

void fcgi_send(struct fcgi *f, const struct request *request, const struct response *response)
{
	FCGX_Stream *out = f->request.out;
	char head[256];
	int len;

	len = snprintf(head, sizeof(head), "Status: %d %s\r\n", response->status,
		       http_reason(response->status));
	FCGX_PutStr(head, len, out);
	if (response->content_type) {
		len = snprintf(head, sizeof(head), "Content-Type: %s\r\nContent-Length: %zu\r\n",
			       response->content_type, response->body.len);
		FCGX_PutStr(head, len, out);
	}
	FCGX_PutStr(response->headers.data, (int)response->headers.len, out);
	FCGX_PutStr("\r\n", 2, out);
	if (response->content_type && request->method != HTTP_HEAD)
		FCGX_PutStr(response->body.data, (int)response->body.len, out);
	end_connection(f);
}
