/* The bearer step: RFC 6750, section 2.1. No database here; whether the session lives is decided in
 * the request's own statement. */
#ifndef TASKCELL_API_AUTHENTICATE_H
#define TASKCELL_API_AUTHENTICATE_H

#include "api/call.h"
#include "security/token.h"

/* Reads the Authorization header. TOKEN_EXPIRED and TOKEN_OK fill the claims. `present` is false
 * when there is no bearer token at all. */
enum token_result bearer_read(const struct call *, struct token_claims *, bool *present) MUST_CHECK;

/* Demands a valid access token and sets call->principal and token_expires_at. */
enum api_error authenticate(struct call *) MUST_CHECK;

#endif
