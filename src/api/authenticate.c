#include "base/base.h"

#include "api/authenticate.h"

#include <strings.h>

#include "base/clock.h"

enum token_result bearer_read(const struct call *c, struct token_claims *claims, bool *present)
{
	static const char scheme[] = "Bearer ";
	const char *text = c->request->authorization;

	*present = text && strncasecmp(text, scheme, sizeof(scheme) - 1) == 0;
	if (!*present)
		return TOKEN_INVALID;
	text += sizeof(scheme) - 1;
	while (*text == ' ')
		text++;
	return token_verify(c->app->keys, text, strlen(text), clock_now_us() / US_PER_SECOND,
			    claims);
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
