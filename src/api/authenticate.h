/* What a caller shows: the bearer token (RFC 6750, section 2.1), a refresh token, the refresh
 * cookie. No database here; whether the session lives is decided in the request's own statement. */
#ifndef TASKCELL_API_AUTHENTICATE_H
#define TASKCELL_API_AUTHENTICATE_H

#include "api/call.h"

/* Demands a valid access token and sets call->principal and token_expires_at. */
enum api_error authenticate(struct call *) MUST_CHECK;

/* The session that an access token of ours names, be it expired. False when none is shown. */
bool bearer_session(struct call *, struct principal *) MUST_CHECK;
/* The same of a refresh token; `s` may be NULL. */
bool token_session(const struct call *, const struct json_text *, struct principal *) MUST_CHECK;

/* The refresh cookie; it is not looked at when cookie mode is off. `out->s` is NULL when there is
 * none, else not terminated. API_CROSS_SITE when there is one, but the request does not say that it
 * comes from our own origin: then nothing may rely on it. */
enum api_error cookie_read(const struct call *, struct json_text *out) MUST_CHECK;
const char *cookie_name(const struct app *);

#endif
