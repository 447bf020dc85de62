#include "base/base.h"

#include "api/cors.h"

#include "http/cookie.h"

static bool origin_is_allowed(const struct call *c)
{
	return c->request->origin && list_has(c->app->cors_origins, c->request->origin);
}

void cors_headers(struct call *c)
{
	if (!*c->app->cors_origins)
		return;
	/* also on answers to nobody in particular, which caches must not hand to an origin */
	response_header(c->response, "Vary", "Origin");
	if (!origin_is_allowed(c))
		return;
	response_header(c->response, "Access-Control-Allow-Origin", c->request->origin);
	response_header(c->response, "Access-Control-Expose-Headers",
			"ETag, Link, Location, Retry-After, X-Request-Id, X-Total-Count, "
			"RateLimit, RateLimit-Policy, Idempotency-Replayed, Preference-Applied");
}

bool cors_preflight(struct call *c, const char *allow)
{
	if (c->request->method != HTTP_OPTIONS || !c->request->origin ||
	    !c->request->request_method)
		return false;
	if (origin_is_allowed(c)) {
		response_header(c->response, "Access-Control-Allow-Methods", allow);
		response_header(c->response, "Access-Control-Allow-Headers",
				"authorization, content-type, if-match, if-none-match, prefer, "
				"idempotency-key");
		response_header(c->response, "Access-Control-Max-Age", "600");
	}
	return true;
}
