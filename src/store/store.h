/* Everything the program keeps, as functions. The driver behind them speaks PostgreSQL; unit tests
 * link arrays instead. Each call is one transaction and, unless said otherwise, one round trip with
 * a deadline. Strings in results live on the arena given. Times are microseconds since 1970 UTC.
 *
 * Whose row it is, is decided in SQL: a user's functions take the principal first and run behind
 * `session_enter` (docs/architecture.md), so each of them may answer STORE_NO_SESSION. */
#ifndef TASKCELL_STORE_STORE_H
#define TASKCELL_STORE_STORE_H

#include "base/arena.h"
#include "base/uuid.h"

struct store;

enum store_result {
	STORE_OK,
	STORE_NO_SESSION,  /* no live session of this principal: 401 */
	STORE_NOT_FOUND,   /* no such row of this user */
	STORE_CONFLICT,    /* the unique value is taken */
	STORE_STALE,       /* the precondition failed; the current row is in the out-parameter */
	STORE_LIMITED,     /* the throttle says wait */
	STORE_REFUSED,     /* the database does not take this value: 400 */
	STORE_BUSY,        /* a lock or the time ran out; nothing was written: 503 */
	STORE_UNAVAILABLE, /* no connection, or the outcome is unknown: 503, never sent again */
	STORE_UNFIT,       /* wrong role, schema, role settings or pooler; logged: 503 */
	STORE_FAILED,      /* an error we did not foresee; logged: 500 */
};

struct store_options {
	const char *conninfo;     /* of libpq; copied */
	int connect_timeout_ms;   /* for a new connection, its checks and statements */
	int statement_timeout_ms; /* for one call; then the connection is dropped */
	bool prepared_statements; /* once a connection; off: sent with each call, for poolers */
};

/* Opens nothing yet: the first call connects. Never NULL. After an attempt that took long and
 * failed, calls are STORE_UNAVAILABLE at once for as long as it took, at most a second. */
struct store *store_open(const struct store_options *);
void store_close(struct store *);

/* Calls from now on give up at this time of the monotonic clock (microseconds) at the latest,
 * however many they are: the end of the request they belong to. 0: each has its own deadline
 * only. */
void store_limit(struct store *, int64_t until);

/* Connects if need be and checks what has to hold: not SUPERUSER, not BYPASSRLS, the schema this
 * program was built for, the role settings; with prepared statements, no pooler that loses them.
 * STORE_OK, STORE_UNAVAILABLE or STORE_UNFIT. */
enum store_result store_check(struct store *) MUST_CHECK;
/* store_check() and one statement more, for /api/ready. */
enum store_result store_ready(struct store *) MUST_CHECK;

/* --- accounts and sessions ------------------------------------------------------------------- */

struct principal {
	struct uuid user_id;
	struct uuid session_id;
};

struct user {
	struct uuid id;
	const char *email; /* as it was typed */
	const char *name;  /* or NULL */
	int64_t created_at;
};

struct session {
	struct uuid id;
	int64_t counter; /* of the refresh token that is current */
	const char *key_id;
	int64_t created_at;
	int64_t rotated_at;
	int64_t idle_expires_at;
	int64_t expires_at;
};

struct new_session {
	struct uuid id;
	const char *key_id; /* that signs its refresh tokens */
	int64_t idle_s;
	int64_t absolute_s;
	const char *ip;
	const char *user_agent; /* or NULL */
};

struct new_account {
	struct uuid user_id;
	const char *email;     /* as typed */
	const char *email_key; /* in the form that is compared */
	const char *name;      /* or NULL */
	const char *password_hash;
	struct new_session session;
};

/* STORE_CONFLICT when the e-mail is taken: of racers, one wins. */
enum store_result store_account_create(struct store *, struct arena *, const struct new_account *,
				       struct user *, struct session *) MUST_CHECK;

struct credential {
	struct uuid user_id;
	const char *password_hash;
	int64_t epoch;
	bool disabled;
};

/* Reads the credential of an e-mail; STORE_NOT_FOUND. Two round trips (two key look-ups). */
enum store_result store_credential_find(struct store *, struct arena *, const char *email_key,
					struct credential *) MUST_CHECK;

struct login {
	struct uuid user_id;
	const char *verified_hash; /* that the password was compared with */
	const char *new_hash;      /* NULL, or the hash to keep from now on */
	const char *throttle_key;  /* NULL, or the account's count to clear */
	struct new_session session;
};

/* Starts a session if the credential still is what was verified; else STORE_NO_SESSION (the caller
 * reads the credential once more: another login may have rehashed it). */
enum store_result store_login(struct store *, struct arena *, const struct login *, struct user *,
			      struct session *) MUST_CHECK;

/* The caller's own user and session. */
enum store_result store_session_get(struct store *, struct arena *, const struct principal *,
				    struct user *, struct session *) MUST_CHECK;

struct session_refresh {
	struct principal principal;
	int64_t counter;    /* of the token that was presented */
	int64_t idle_s;     /* new idle life */
	const char *key_id; /* that signs the next token */
};

struct session_state {
	bool found;
	bool advanced; /* this call moved the counter */
	bool revoked;  /* ended, the account disabled, or its epoch moved on */
	int64_t now;   /* the database's clock */
	struct session session;
	struct user user; /* only while the session lives */
};

/* Advances the counter if the session lives and has just this one, then reads the row as it is. */
enum store_result store_session_refresh(struct store *, struct arena *,
					const struct session_refresh *,
					struct session_state *) MUST_CHECK;

/* Ends a session; also STORE_OK when it had ended or never was. With `counter` not negative only if
 * the session still has this counter (theft). */
enum store_result store_session_end(struct store *, const struct principal *,
				    int64_t counter) MUST_CHECK;

/* --- throttle -------------------------------------------------------------------------------- */

struct throttle {
	int64_t retry_after_us; /* with STORE_LIMITED: the wait, more than 0 */
};

enum { THROTTLE_WINDOW_S = 60, THROTTLE_FREE_FAILURES = 5, THROTTLE_WAIT_MAX_S = 900 };

/* Counts one attempt of an address against `limit` a minute. STORE_LIMITED counts nothing. */
enum store_result store_throttle_address(struct store *, const char *key, int64_t limit,
					 struct throttle *) MUST_CHECK;
/* Reserves a failure of an account, committed on return; STORE_LIMITED while it has to wait. A
 * login clears the count (struct login). */
enum store_result store_throttle_reserve(struct store *, const char *key,
					 struct throttle *) MUST_CHECK;
/* Gives back this store's last reservation, which was of the same key: the attempt came to nothing.
 * One that fails leaves a failure too many, which is the safe side. */
enum store_result store_throttle_refund(struct store *, const char *key);

/* --- tasks ----------------------------------------------------------------------------------- */

struct task {
	struct uuid id;
	struct uuid user_id;
	const char *title;
	const char *description; /* or NULL */
	bool completed;
	int64_t completed_at; /* only when completed */
	int64_t version;
	int64_t created_at;
	int64_t updated_at;
};

enum completed_filter { COMPLETED_ANY, COMPLETED_NO, COMPLETED_YES };

struct task_query {
	enum completed_filter completed;
	int32_t limit;
	bool has_cursor; /* only tasks behind this place, newest first */
	int64_t cursor_created_at;
	struct uuid cursor_id;
};

struct task_list {
	size_t n;
	struct task *tasks;
};

/* Newest first: created_at descending, then id descending. */
enum store_result store_task_list(struct store *, struct arena *, const struct principal *,
				  const struct task_query *, struct task_list *) MUST_CHECK;

struct new_task {
	struct uuid id;
	const char *title;
	const char *description; /* or NULL */
	bool completed;
};

enum store_result store_task_create(struct store *, struct arena *, const struct principal *,
				    const struct new_task *, struct task *) MUST_CHECK;
enum store_result store_task_get(struct store *, struct arena *, const struct principal *,
				 const struct uuid *id, struct task *) MUST_CHECK;

/* Versions that will do; NULL array: every one. */
struct versions {
	const int64_t *list;
	size_t n;
};

enum completed_change { COMPLETED_KEEP, COMPLETED_SET, COMPLETED_CLEAR, COMPLETED_FLIP };

struct task_change {
	struct versions expected;
	bool set_title;
	const char *title;
	bool set_description;
	const char *description; /* or NULL */
	enum completed_change completed;
};

/* The version moves only when something changes. STORE_STALE fills the task as it is. */
enum store_result store_task_change(struct store *, struct arena *, const struct principal *,
				    const struct uuid *id, const struct task_change *,
				    struct task *) MUST_CHECK;
/* Fills the task as it was; STORE_STALE as above. */
enum store_result store_task_delete(struct store *, struct arena *, const struct principal *,
				    const struct uuid *id, const struct versions *expected,
				    struct task *) MUST_CHECK;

#endif
