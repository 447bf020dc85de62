/* The throttle as handlers and dispatch use it: keys and answers. */
#ifndef TASKCELL_API_THROTTLE_H
#define TASKCELL_API_THROTTLE_H

#include "api/call.h"

/* The address as it is kept: text of at most 64 bytes. "" when the web server gave something else,
 * which then is one client like any other. */
const char *client_address(struct call *);

/* Counts an attempt of the caller's address: API_OK, API_RATE_LIMITED with its headers, or the
 * store's error. API_OK at once when the throttle is off. */
enum api_error throttle_address(struct call *) MUST_CHECK;

/* Reserves a failure of the account behind an e-mail (known or not). Sets `key`, which a login
 * clears and throttle_refund() gives back; NULL when the throttle is off. */
enum api_error throttle_account(struct call *, const char *email_key, const char **key) MUST_CHECK;

/* Gives a reservation back: the attempt came to nothing. NULL is fine. */
void throttle_refund(struct call *, const char *key);

#endif
