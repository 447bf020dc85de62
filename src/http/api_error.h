/* Every way a request can fail, in one list: the enum, the status, the stable code of the problem
 * document and its default sentence. A handler returns one of these; problem.h renders it. */
#ifndef TASKCELL_HTTP_API_ERROR_H
#define TASKCELL_HTTP_API_ERROR_H

#include "base/base.h"

/* X(name, status, code, detail) */
#define API_ERRORS(X)                                                                              \
	X(INVALID_REQUEST, 400, "invalid_request", "The request could not be read.")               \
	X(INVALID_QUERY, 400, "invalid_query",                                                     \
	  "A query parameter has a value that is not allowed.")                                    \
	X(INVALID_JSON, 400, "invalid_json", "The body must be one JSON object.")                  \
	X(MISSING_TOKEN, 401, "missing_token", "An access token is required.")                     \
	X(INVALID_TOKEN, 401, "invalid_token", "The access token is not valid.")                   \
	X(TOKEN_EXPIRED, 401, "token_expired", "The access token has expired.")                    \
	X(SESSION_ENDED, 401, "session_ended", "The session has ended; log in again.")             \
	X(INVALID_CREDENTIALS, 401, "invalid_credentials", "The e-mail or the password is wrong.") \
	X(INVALID_REFRESH_TOKEN, 401, "invalid_refresh_token", "The refresh token is not valid.")  \
	X(REGISTRATION_CLOSED, 403, "registration_closed", "Registration is closed.")              \
	X(INVALID_INVITE, 403, "invalid_invite",                                                   \
	  "Registration needs an invitation, and this code is not one that can be used.")          \
	X(WRONG_PASSWORD, 403, "wrong_password", "The current password is wrong.")                 \
	X(CROSS_SITE, 403, "cross_site",                                                           \
	  "A request that relies on the cookie must come from the site itself.")                   \
	X(NOT_FOUND, 404, "not_found", "There is nothing here.")                                   \
	X(METHOD_NOT_ALLOWED, 405, "method_not_allowed", "The method is not allowed here.")        \
	X(EMAIL_TAKEN, 409, "email_taken", "An account with this e-mail exists already.")          \
	X(TASK_EXISTS, 409, "task_exists", "There is a task with this id already.")                \
	X(GONE, 410, "gone", "This is too old to go on from; read everything anew.")               \
	X(PRECONDITION_FAILED, 412, "precondition_failed",                                         \
	  "The task has changed since the version that was named.")                                \
	X(BODY_TOO_LARGE, 413, "body_too_large", "The body is larger than 64 KiB.")                \
	X(UNSUPPORTED_MEDIA_TYPE, 415, "unsupported_media_type",                                   \
	  "The body must be application/json.")                                                    \
	X(VALIDATION_FAILED, 422, "validation_failed", "Some fields are not valid.")               \
	X(IDEMPOTENCY_KEY_REUSED, 422, "idempotency_key_reused",                                   \
	  "This idempotency key was used for another request.")                                    \
	X(RATE_LIMITED, 429, "rate_limited", "Too many attempts; try again later.")                \
	X(INTERNAL_ERROR, 500, "internal_error", "Something went wrong on our side.")              \
	X(HASHING_BUSY, 503, "hashing_busy", "Too many people log in right now; try again soon.")  \
	X(UNAVAILABLE, 503, "unavailable", "The service is not available right now; try again.")

enum api_error {
	API_OK,
#define X(name, status, code, detail) API_##name,
	API_ERRORS(X)
#undef X
		API_ERROR_COUNT,
};

struct api_error_info {
	int status;
	const char *code;   /* snake_case, a promise to clients */
	const char *detail; /* one plain sentence */
};

/* The row of an error other than API_OK. */
const struct api_error_info *api_error_info(enum api_error);

#endif
