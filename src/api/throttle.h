/* The throttle as handlers and dispatch use it: keys and answers. */
#ifndef TASKCELL_API_THROTTLE_H
#define TASKCELL_API_THROTTLE_H

#include "api/call.h"

/* Counts an attempt of the caller's network: API_OK, API_RATE_LIMITED with its headers, or the
 * store's error. API_OK at once when the throttle is off. */
enum api_error throttle_address(struct call *) MUST_CHECK;

/* Each of these reserves a failure and sets `key`, which a success clears and throttle_refund()
 * gives back; NULL when the throttle is off. Failures of strangers are counted apart from those of
 * a network that has logged in before, and those of a session apart from both, so that the owner is
 * not locked out by somebody else's guessing. A session has one count, wherever its token is: who
 * has stolen one may not guess anew on each network. */

/* A login: `found` is what the query gave, NULL for an unknown e-mail. */
enum api_error throttle_account(struct call *, const struct credential_query *,
				const struct credential *found, const char **key) MUST_CHECK;
/* A current password that the caller's session has sent. */
enum api_error throttle_session(struct call *, const char **key) MUST_CHECK;

/* Gives a reservation back: the attempt came to nothing. NULL is fine. */
void throttle_refund(struct call *, const char *key);

#endif
