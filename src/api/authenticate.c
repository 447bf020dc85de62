#include "base/base.h"

#include "api/authenticate.h"

#include <strings.h>

#include "api/metrics.h"
#include "base/clock.h"
#include "http/cookie.h"
#include "security/refresh_token.h"
#include "security/token.h"

/* `present` is false when there is no bearer token at all. */
static enum token_result bearer_read(struct call *c, struct token_claims *claims, bool *present)
{
	static const char scheme[] = "Bearer ";
	const char *text = c->request->authorization;
	enum token_result result;
	int64_t began;

	*present = text && strncasecmp(text, scheme, sizeof(scheme) - 1) == 0;
	if (!*present)
		return TOKEN_INVALID;
	text += sizeof(scheme) - 1;
	while (*text == ' ')
		text++;
	began = clock_monotonic_us();
	result = token_verify(c->app->keys, text, strlen(text), clock_now_us() / US_PER_SECOND,
			      claims);
	metrics_token(c, result, token_was_seen(c->app->keys), began);
	return result;
}

enum api_error authenticate(struct call *c)
{
	struct token_claims claims;
	bool present;

	switch (bearer_read(c, &claims, &present)) {
	case TOKEN_OK:
		break;
	case TOKEN_EXPIRED:
		return API_TOKEN_EXPIRED;
	case TOKEN_INVALID:
		return present ? API_INVALID_TOKEN : API_MISSING_TOKEN;
	}
	c->who = (struct principal){ claims.user_id, claims.session_id };
	c->principal = &c->who;
	c->token_expires_at = claims.expires_at;
	return API_OK;
}

bool bearer_session(struct call *c, struct principal *p)
{
	struct token_claims claims;
	bool present;

	if (bearer_read(c, &claims, &present) == TOKEN_INVALID)
		return false;
	*p = (struct principal){ claims.user_id, claims.session_id };
	return true;
}

bool token_session(const struct call *c, const struct json_text *text, struct principal *p)
{
	struct refresh_token token;

	if (!text->s || !refresh_token_read(c->app->keys, text->s, text->len, &token))
		return false;
	*p = (struct principal){ token.user_id, token.session_id };
	return true;
}

/* --- the cookie ------------------------------------------------------------------------------ */

/* With the prefix a browser takes it from https alone (RFC 6265bis, 4.1.3.1). */
const char *cookie_name(const struct app *app)
{
	return app->cookie_secure ? "__Secure-taskcell_refresh" : "taskcell_refresh";
}

/* By what the browser says of the page that asks, which no page can forge; older ones only name the
 * origin. Never by the Host header: whoever rebinds a name to our address has that right, too. */
static bool is_same_origin(const struct call *c)
{
	const struct request *r = c->request;

	if (r->sec_fetch_site)
		return strcmp(r->sec_fetch_site, "same-origin") == 0;
	return r->origin && *r->origin && strcmp(r->origin, c->app->public_origin) == 0;
}

enum api_error cookie_read(const struct call *c, struct json_text *out)
{
	*out = (struct json_text){ 0 };
	if (!c->app->cookie_mode || !c->request->cookie)
		return API_OK;
	out->s = cookie_find(c->request->cookie, cookie_name(c->app), &out->len);
	out->present = out->s != NULL;
	return out->present && !is_same_origin(c) ? API_CROSS_SITE : API_OK;
}
