#include "base/base.h"

#include "api/handlers.h"
#include "api/openapi.h"
#include "api/reply.h"
#include "base/codec.h"

enum { TAG_BYTES = 16, TAG_LEN = 2 * TAG_BYTES };

enum api_error service_health(struct call *c)
{
	return reply_status(c, "ok");
}

enum api_error service_ready(struct call *c)
{
	if (store_ready(c->store) != STORE_OK) {
		c->detail = "The database does not answer, or its schema is not the expected one.";
		return API_UNAVAILABLE;
	}
	return reply_status(c, "ready");
}

/* True when an If-None-Match header (RFC 9110, 13.1.2) names the tag, in whichever form the web
 * server has given it when it compressed the body: `W/"x"`, `"x-gzip"`. */
static bool has_tag(const char *header, const char tag[TAG_LEN + 1])
{
	const char *p = header ? header + strspn(header, " \t,") : "";

	if (strcmp(p, "*") == 0)
		return true;
	while (*p) {
		size_t len;

		if (strncmp(p, "W/", 2) == 0)
			p += 2;
		if (*p++ != '"')
			return false;
		len = strcspn(p, "\"");
		if (len >= TAG_LEN && memcmp(p, tag, TAG_LEN) == 0 &&
		    (len == TAG_LEN || p[TAG_LEN] == '-'))
			return true;
		p += len;
		p += *p == '"';
		p += strspn(p, " \t,");
	}
	return false;
}

/* Answers with the body as it stands, which changes seldom; those who keep it must not wait long
 * for a new one. */
static enum api_error reply_kept(struct call *c)
{
	struct buf *body = &c->response->body;
	uint8_t digest[DIGEST_LEN];
	char tag[TAG_LEN + 1];

	digest_sha256(body->data, body->len, digest);
	hex_encode(digest, TAG_BYTES, tag);
	response_header(c->response, "Cache-Control", "public, max-age=300");
	response_headerf(c->response, "ETag", "\"%s\"", tag);
	if (has_tag(c->request->if_none_match, tag)) {
		buf_reset(body, RESPONSE_BODY_KEEP);
		return reply_empty(c, 304);
	}
	c->response->status = 200;
	c->response->content_type = "application/json";
	return API_OK;
}

enum api_error service_jwks(struct call *c)
{
	keys_jwks(c->app->keys, &c->response->body);
	return reply_kept(c);
}

/* A mount has no character that JSON would escape. */
enum api_error service_openapi(struct call *c)
{
	struct buf *body = &c->response->body;

	buf_printf(body, "{\"servers\":[{\"url\":\"%s\"}],", *c->app->mount ? c->app->mount : "/");
	buf_append(body, openapi_members, openapi_members_len);
	return reply_kept(c);
}
