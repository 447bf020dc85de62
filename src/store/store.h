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

enum {
	STORE_NAMES_MAX = 160,
	STORE_TRACE_MAX = 63,
};

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
	/* audit rows of the same user that are older go with each new one; 0: none goes */
	int64_t audit_keep_s;
};

/* Opens nothing yet: the first call connects. Never NULL. After an attempt that took long and
 * failed, calls are STORE_UNAVAILABLE at once for as long as it took, at most a second. */
struct store *store_open(const struct store_options *);
void store_close(struct store *);

/* Calls from now on give up at this time of the monotonic clock (microseconds) at the latest,
 * however many they are: the end of the request they belong to. 0: each has its own deadline
 * only. */
void store_limit(struct store *, int64_t until);
/* Before each request: a transaction that the one before has left open is taken back, and what was
 * spent is forgotten. */
void store_reset(struct store *);

/* What the calls since then have taken. */
struct store_spent {
	int64_t us;           /* in all, with connecting */
	unsigned round_trips; /* of statements */
	int64_t slowest_us;   /* the call that took longest, with connecting */
};
void store_spent(const struct store *, struct store_spent *);
/* The statements of the slowest call: "session_enter+task_get"; "" without one. */
void store_slowest(const struct store *, char out[STORE_NAMES_MAX]);

/* From now on PostgreSQL sees calls under this application_name, at most STORE_TRACE_MAX printable
 * ASCII characters of it: a statement more in each pipeline, no round trip. "" ends it. */
void store_trace(struct store *, const char *name);

/* Connects if need be and checks what has to hold: not SUPERUSER, not BYPASSRLS, the schema this
 * program was built for, the role settings; with prepared statements, no pooler that loses them.
 * STORE_OK, STORE_UNAVAILABLE or STORE_UNFIT. */
enum store_result store_check(struct store *) MUST_CHECK;
/* store_check() and one statement more, for /api/ready. */
enum store_result store_ready(struct store *) MUST_CHECK;

/* --- accounts and sessions -------------------------------------------------------------------- */

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

/* Who asks, as it is kept with sessions and in the audit. Valid UTF-8, each at most 255 bytes. */
struct client {
	const char *address;    /* "" when the web server gave none that can be kept */
	const char *network;    /* the address as the throttle counts it: IPv6 by /64 */
	const char *user_agent; /* or NULL */
	const char *request_id;
};

struct new_session {
	struct uuid id;
	const char *key_id; /* that signs its refresh tokens */
	int64_t idle_s;
	int64_t absolute_s;
};

struct new_account {
	struct uuid user_id;
	const char *email;     /* as typed */
	const char *email_key; /* in the form that is compared */
	const char *name;      /* or NULL */
	const char *password_hash;
	const char *invite; /* NULL: none is needed; else its digest (store_invite_check) */
	struct new_session session;
	struct client client;
};

/* Whether an invitation with this digest (hex of SHA-256 over its code) can be used: STORE_OK or
 * STORE_NOT_FOUND. Uses nothing up; spares the hashing. */
enum store_result store_invite_check(struct store *, const char *digest) MUST_CHECK;

/* STORE_CONFLICT when the e-mail is taken: of racers, one wins. STORE_NOT_FOUND when the invitation
 * cannot be used (any more); only an account that was made uses one up. */
enum store_result store_account_create(struct store *, struct arena *, const struct new_account *,
				       struct user *, struct session *) MUST_CHECK;

struct credential {
	struct uuid user_id;
	const char *password_hash;
	int64_t epoch;
	bool disabled;
	/* with store_credential_find(): */
	bool network_known; /* a session of this user, maybe an ended one, began on this network */
	bool session_lives; /* the one that is named in the query */
};

struct credential_query {
	const char *email_key;
	const char *network;
	const struct principal *session; /* NULL, or one that the caller has shown a token of */
};

/* Reads the credential of an e-mail; STORE_NOT_FOUND. Two round trips (two key look-ups), for an
 * unknown e-mail as well, so that the time tells nothing. */
enum store_result store_credential_find(struct store *, struct arena *,
					const struct credential_query *,
					struct credential *) MUST_CHECK;

struct login {
	struct uuid user_id;
	const char *verified_hash; /* that the password was compared with */
	const char *new_hash;      /* NULL, or the hash to keep from now on */
	const char *throttle_key;  /* NULL, or the count to clear */
	struct new_session session;
	struct client client;
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

/* Ends a session by a token of it, in no session's name: audit `logout`. Also STORE_OK when it had
 * ended or never was. */
enum store_result store_session_end(struct store *, const struct principal *,
				    const struct client *) MUST_CHECK;
/* Ends a session whose old refresh token was used again, if it still has this counter: audit
 * `refresh_theft`. */
enum store_result store_session_theft(struct store *, const struct principal *, int64_t counter,
				      const struct client *) MUST_CHECK;

struct session_info {
	struct session session;
	const char *ip;
	const char *user_agent; /* or NULL */
};
struct session_list {
	size_t n;
	struct session_info *sessions;
};

enum { SESSION_LIST_MAX = 1000 };

/* The caller's sessions that live, the last used first, at most SESSION_LIST_MAX. */
enum store_result store_session_list(struct store *, struct arena *, const struct principal *,
				     struct session_list *) MUST_CHECK;
/* Ends one of the caller's sessions, maybe this one: audit `session_ended`. STORE_NOT_FOUND when
 * it does not live. */
enum store_result store_session_end_own(struct store *, const struct principal *,
					const struct uuid *id, const struct client *) MUST_CHECK;
/* Ends all of the caller's sessions but this one, also those that are beginning: audit
 * `sessions_ended`. */
enum store_result store_session_end_others(struct store *, const struct principal *,
					   const struct client *) MUST_CHECK;

/* --- the caller's own account ----------------------------------------------------------------- */

/* The user and what the current password is compared with. */
enum store_result store_account_get(struct store *, struct arena *, const struct principal *,
				    struct user *, struct credential *) MUST_CHECK;

struct password_change {
	struct principal principal;
	const char *verified_hash;
	const char *new_hash;
	const char *throttle_key; /* NULL, or the count to clear */
	struct new_session session;
	struct client client;
};

/* Every session ends by the epoch, and a new one begins: audit `password_changed`. STORE_STALE when
 * the credential is not what was verified. */
enum store_result store_password_change(struct store *, struct arena *,
					const struct password_change *, struct user *,
					struct session *) MUST_CHECK;

/* Sets the name; NULL clears it. */
enum store_result store_name_change(struct store *, struct arena *, const struct principal *,
				    const char *name, struct user *) MUST_CHECK;

struct email_change {
	struct principal principal;
	const char *verified_hash;
	int64_t epoch; /* as it was verified */
	const char *old_email_key;
	const char *email;
	const char *email_key;
	bool set_name;
	const char *name;         /* or NULL */
	const char *throttle_key; /* NULL, or the count to clear */
	struct client client;
};

/* All other sessions end, this one goes on: audit `email_changed`. STORE_CONFLICT when the e-mail
 * is taken, STORE_STALE when the credential or its epoch is not what was verified. */
enum store_result store_email_change(struct store *, struct arena *, const struct email_change *,
				     struct user *) MUST_CHECK;

struct account_delete {
	struct principal principal;
	const char *verified_hash;
	int64_t epoch;
	const char *email_key;
	const char *throttle_key; /* NULL, or the count to clear */
	struct client client;
};

/* User, e-mail, credential, sessions, tasks and audit go, in one transaction; one audit row
 * `account_deleted` without an address stays. STORE_STALE as above. */
enum store_result store_account_delete(struct store *, const struct account_delete *) MUST_CHECK;

struct audit_event {
	int64_t at;
	const char *event;
	bool has_session;
	struct uuid session_id;
	const char *ip;         /* or NULL */
	const char *user_agent; /* or NULL */
	const char *detail;     /* or NULL */
};

/* What is kept of the caller beside tasks, trash and audit, but for secrets. */
struct account_export {
	struct user user;
	int64_t updated_at;
	int64_t password_changed_at;
	struct session_list sessions; /* all rows, ended ones included */
};
enum store_result store_account_export(struct store *, struct arena *, const struct principal *,
				       struct account_export *) MUST_CHECK;

struct audit_place {
	int64_t at;
	struct uuid id;
};
struct audit_events {
	size_t n;
	struct audit_event *list; /* the oldest first */
	struct audit_place last;  /* of the last one, when there is one */
};
/* The caller's own audit from behind `after` (NULL: from the first), at most `limit`. */
enum store_result store_audit_list(struct store *, struct arena *, const struct principal *,
				   const struct audit_place *after, int32_t limit,
				   struct audit_events *) MUST_CHECK;

/* --- audit ------------------------------------------------------------------------------------ */

/* Events are written in the transaction of the act, by the functions above. A failure has none, so
 * it is one of its own. */
enum audit_failure { AUDIT_LOGIN_FAILED, AUDIT_PASSWORD_REFUSED };

/* `user_id`: NULL when the account is unknown. `detail`: a reason of ours, never what was typed. */
enum store_result store_audit_failure(struct store *, enum audit_failure,
				      const struct uuid *user_id, const char *detail,
				      const struct client *) MUST_CHECK;

/* --- throttle --------------------------------------------------------------------------------- */

struct throttle {
	int64_t retry_after_us; /* with STORE_LIMITED: the wait, more than 0 */
};

enum { THROTTLE_WINDOW_S = 60, THROTTLE_FREE_FAILURES = 5, THROTTLE_WAIT_MAX_S = 900 };

/* What no longer counts goes with new counts, a few rows with each. */

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

/* The tasks' functions are in store/tasks.h. */

/* --- several calls as one --------------------------------------------------------------------- */

/* From store_begin() on, every call of a user is part of one transaction, until store_end(): it
 * commits or takes all of it back. `snapshot`: reads only, all of them of one moment (REPEATABLE
 * READ). While one is open no call is run twice, and after one that failed in the database
 * (STORE_NO_SESSION, STORE_REFUSED, STORE_BUSY and worse) the others fail alike and nothing can be
 * committed. STORE_NOT_FOUND, STORE_CONFLICT and STORE_STALE of tasks are no such failures.
 * store_end() answers STORE_OK only when what was asked for is certain; otherwise, when it should
 * commit, what the failed call answered. */
enum store_result store_begin(struct store *, bool snapshot) MUST_CHECK;
enum store_result store_end(struct store *, bool commit) MUST_CHECK;

#endif
