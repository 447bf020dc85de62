/* Writing the answers that several handlers give. */
#ifndef TASKCELL_API_REPLY_H
#define TASKCELL_API_REPLY_H

#include "api/call.h"
#include "exchange/exchange.h" /* write_task() */
#include "http/json_writer.h"

/* Starts a JSON answer; the caller writes exactly one value. */
void reply_json(struct call *, int status, struct json_writer *);
/* An answer without a body. */
enum api_error reply_empty(struct call *, int status);
/* `{"status":"<word>"}` */
enum api_error reply_status(struct call *, const char *word);

/* The nearer of idle and absolute expiry. */
int64_t session_expiry(const struct session *);

void write_user(struct json_writer *, const struct user *);
void write_session(struct json_writer *, const struct session *);
/* An array; `current` is the caller's. */
void write_sessions(struct json_writer *, const struct session_list *, const struct uuid *current);

/* The task with its ETag. */
enum api_error reply_task(struct call *, int status, const struct task *);

/* 200 with an array of tasks. */
enum api_error reply_tasks(struct call *, const struct task_list *);

/* The error, with the task as it is as the problem's member `current`. */
enum api_error reply_conflict(struct call *, enum api_error, const struct task *current);
/* The same of an id that is taken: by a task, or by one in the trash (all zeros), which is not
 * shown. */
enum api_error reply_id_taken(struct call *, enum api_error, const struct task *there);

/* The auth response: a new access token, the session's current refresh token (with call->cookie in
 * a cookie, and not in the body), the user. */
enum api_error reply_auth(struct call *, int status, const struct user *, const struct session *);

/* Makes the browser forget the refresh cookie. */
void reply_clear_cookie(struct call *);

/* --- answers of any size, piece by piece --- */

/* Memory that is emptied between pieces, where the call's own only grows. */
struct arena *piece_arena(struct call *, size_t ceiling);
/* Between pieces: what is written goes to a file once it is much. */
enum api_error reply_spill(struct call *) MUST_CHECK;
/* Between calls of the store: the request's deadline, which is about those that are stuck, begins
 * anew. */
void restart_deadline(struct call *);

/* 429 with Retry-After and the RateLimit headers (draft-ietf-httpapi-ratelimit-headers-10) for the
 * policy of that name, `quota` attempts in `window_s` seconds (0: no fixed window). */
enum api_error reply_limited(struct call *, const char *policy, int64_t quota, int64_t window_s,
			     const struct throttle *);

#endif
