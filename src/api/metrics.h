/* What is counted of requests, in this worker's slot of the scoreboard, and /api/metrics, which
 * sums it up over all workers. Labels come from tables of ours, never from a request. */
#ifndef TASKCELL_API_METRICS_H
#define TASKCELL_API_METRICS_H

#include "api/call.h"
#include "security/token.h"

/* One number each. X(name, value of the label): a family's are in one piece. */
#define LOGIN_COUNTS(X)                                                                            \
	X(LOGIN_SUCCESS, "success")                                                                \
	X(LOGIN_UNKNOWN_EMAIL, "unknown_email")                                                    \
	X(LOGIN_WRONG_PASSWORD, "wrong_password")                                                  \
	X(LOGIN_DISABLED, "disabled")                                                              \
	X(LOGIN_CHANGED, "credential_changed")                                                     \
	X(LOGIN_THROTTLED, "throttled")                                                            \
	X(LOGIN_BUSY, "hashing_busy")                                                              \
	X(LOGIN_MALFORMED, "malformed")                                                            \
	X(LOGIN_ERROR, "error")
#define REFRESH_COUNTS(X)                                                                          \
	X(REFRESH_SUCCESS, "success")                                                              \
	X(REFRESH_MISSING, "missing")                                                              \
	X(REFRESH_INVALID_TOKEN, "invalid")                                                        \
	X(REFRESH_EXPIRED, "expired")                                                              \
	X(REFRESH_SESSION_ENDED, "session_ended")                                                  \
	X(REFRESH_REUSED, "reused")                                                                \
	X(REFRESH_CROSS_SITE, "cross_site")                                                        \
	X(REFRESH_THROTTLED, "throttled")                                                          \
	X(REFRESH_MALFORMED, "malformed")                                                          \
	X(REFRESH_ERROR, "error")
#define THROTTLE_COUNTS(X)                                                                         \
	X(THROTTLED_ADDRESS, "address")                                                            \
	X(THROTTLED_ACCOUNT, "account")                                                            \
	X(THROTTLED_SESSION, "session")
#define TOKEN_COUNTS(X)                                                                            \
	X(TOKEN_VALID, "valid")                                                                    \
	X(TOKEN_PAST, "expired")                                                                   \
	X(TOKEN_BAD, "invalid")
/* Pairs: how many, and the microseconds they took. */
#define TIME_COUNTS(X)                                                                             \
	X(TOKEN_TIME_SIGNATURE, "signature")                                                       \
	X(TOKEN_TIME_CACHE, "cache")                                                               \
	X(HASH_TIME, NULL)

enum count {
#define X(name, label) COUNT_##name,
	LOGIN_COUNTS(X) REFRESH_COUNTS(X) THROTTLE_COUNTS(X) TOKEN_COUNTS(X)
#undef X
#define X(name, label) COUNT_##name, COUNT_##name##_US,
		TIME_COUNTS(X)
#undef X
			COUNT_SLOW,                    /* requests that were logged as such */
	COUNT_PROBLEM,                                 /* and one for each enum api_error */
	COUNT_ROUTE = COUNT_PROBLEM + API_ERROR_COUNT, /* behind it METRIC_ROWS times route_count */
};

/* What is counted of each row of the dispatch table. */
enum route_count {
	ROUTE_CLASS, /* 2xx to 5xx */
	ROUTE_CLASSES = 4,
	ROUTE_BUCKET = ROUTE_CLASS + ROUTE_CLASSES,
	ROUTE_BUCKETS = 14, /* the last has no upper bound */
	ROUTE_US = ROUTE_BUCKET + ROUTE_BUCKETS,
	ROUTE_DATABASE_US,
	ROUTE_ROUND_TRIPS,
	ROUTE_COUNTS,
};

/* Upper bounds of the buckets but the last, in microseconds. */
extern const int64_t metric_bounds[ROUTE_BUCKETS - 1];

/* All of these do nothing for an app without a slot. */
void metrics_count(const struct call *, enum count);
/* Something that began then, by the monotonic clock, has ended; returns its microseconds. */
int64_t metrics_time(const struct call *, enum count, int64_t began);
/* A bearer token was looked at. */
void metrics_token(struct call *, enum token_result, bool seen, int64_t began);
void metrics_hashing(const struct call *, enum slot_hashing);
/* The whole of a request, once its status is known. */
void metrics_request(const struct call *, enum api_error, int64_t us, const struct store_spent *);

enum api_error service_metrics(struct call *);

#endif
