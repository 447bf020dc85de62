/* What administrators do, from taskcellctl alone: statements of scope `admin`, which open every row
 * for the one transaction they are in and which the server never prepares. Each call is one
 * transaction. Changes are audited without an address; `detail` there is "taskcellctl". */
#ifndef TASKCELL_STORE_ADMIN_H
#define TASKCELL_STORE_ADMIN_H

#include "store/store.h"

/* --- users ----------------------------------------------------------------------------------- */

struct admin_user {
	struct user user;
	const char *email_key;
	int64_t disabled_at; /* 0: not disabled */
	int64_t sessions;    /* that live */
	int64_t tasks;
	int64_t last_used_at; /* of the session last refreshed or begun; 0: none is left */
};
struct admin_users {
	size_t n;
	struct admin_user *users;
};

/* By e-mail key, from behind `after` (NULL: from the start), at most `limit`; with `pattern` (or
 * NULL) those whose e-mail key contains it. */
enum store_result admin_user_list(struct store *, struct arena *, const char *pattern,
				  const char *after, int32_t limit,
				  struct admin_users *) MUST_CHECK;
/* By id or, when that is NULL, by e-mail key: STORE_NOT_FOUND. */
enum store_result admin_user_get(struct store *, struct arena *, const struct uuid *id,
				 const char *email_key, struct admin_user *) MUST_CHECK;

struct admin_account {
	struct uuid user_id;
	const char *email;
	const char *email_key;
	const char *name; /* or NULL */
	const char *password_hash;
	int64_t created_at; /* 0: now */
	const char *detail; /* of the audit row `registered` */
};
/* STORE_CONFLICT when the e-mail, or the id, is taken. */
enum store_result admin_user_add(struct store *, const struct admin_account *) MUST_CHECK;

/* Disabling ends all sessions; both are fine when it is so already. STORE_NOT_FOUND. */
enum store_result admin_user_disable(struct store *, const struct uuid *) MUST_CHECK;
enum store_result admin_user_enable(struct store *, const struct uuid *) MUST_CHECK;
/* Everything of the user goes, as in store_account_delete(), and the account's failures
 * (`throttle_prefix`: of their keys). */
enum store_result admin_user_delete(struct store *, const struct uuid *,
				    const char *throttle_prefix) MUST_CHECK;
/* Ends all sessions and clears the account's failures. */
enum store_result admin_user_password(struct store *, const struct uuid *,
				      const char *password_hash,
				      const char *throttle_prefix) MUST_CHECK;

/* --- sessions -------------------------------------------------------------------------------- */

/* Those that live, the last used first. */
enum store_result admin_session_list(struct store *, struct arena *, const struct uuid *user_id,
				     struct session_list *) MUST_CHECK;
enum store_result admin_session_end(struct store *, const struct uuid *user_id,
				    const struct uuid *id) MUST_CHECK;
/* All of a user's by the epoch; NULL: everyone's, in several transactions. `ended`: how many lived.
 * STORE_NOT_FOUND when there is no such user. */
enum store_result admin_session_end_all(struct store *, const struct uuid *user_id,
					int64_t *ended) MUST_CHECK;

/* --- audit, invitations, sweeping ------------------------------------------------------------ */

struct admin_event {
	struct uuid user_id; /* all zeros: unknown */
	const char *email;   /* NULL: unknown or gone */
	struct uuid id;
	struct audit_event event;
	const char *request_id; /* or NULL */
};
struct admin_events {
	size_t n;
	struct admin_event *events;
};
struct audit_query {
	const struct uuid *user_id; /* NULL: everyone's */
	const char *event;          /* NULL: every one */
	int64_t since;              /* 0: from the first */
	int32_t limit;
};
/* The newest first. */
enum store_result admin_audit_list(struct store *, struct arena *, const struct audit_query *,
				   struct admin_events *) MUST_CHECK;
/* A row that is not of an act in the database, such as `key_rotated`. */
enum store_result admin_audit_add(struct store *, const char *event, const char *detail) MUST_CHECK;

struct invite {
	const char *digest;
	int64_t created_at;
	int64_t expires_at;
	int64_t uses_left;
	const char *note; /* or NULL */
};
struct invites {
	size_t n;
	struct invite *list;
};
enum store_result admin_invite_add(struct store *, const struct invite *) MUST_CHECK;
enum store_result admin_invite_list(struct store *, struct arena *, struct invites *) MUST_CHECK;
/* By the first digits of the digest, at least 8 of them: STORE_NOT_FOUND, or STORE_CONFLICT when
 * there are several. */
enum store_result admin_invite_delete(struct store *, const char *prefix) MUST_CHECK;

struct swept {
	int64_t trash;      /* lost their content (TRASH_KEEP_DAYS) */
	int64_t tombstones; /* forgotten by the feed as well (TOMBSTONE_KEEP_DAYS) */
	int64_t idempotency;
	int64_t sessions;
	int64_t throttle;
	int64_t audit;
	int64_t invites;
};
/* Removes what is past, a bounded number a call; `more`: call again. */
enum store_result admin_sweep(struct store *, int64_t audit_keep_s, struct swept *,
			      bool *more) MUST_CHECK;

/* --- back-up and restoring ------------------------------------------------------------------- */

/* A connection of its own, not checked for fitness, for what pg_dump and pg_restore need beside
 * them. What goes wrong with it is logged. */
struct admin_link;

/* NULL when there is no connection. `options` are as those of store_open(). */
struct admin_link *admin_link_open(const struct store_options *) MUST_CHECK;
void admin_link_close(struct admin_link *);

/* The environment of this process with what a program on libpq needs to connect to the very same
 * server, as an administrator: ends with NULL. Passwords are in it, and nowhere else. */
char **admin_link_environment(struct admin_link *, struct arena *);

/* Whether there is a schema taskcell. */
enum store_result admin_schema_exists(struct admin_link *, bool *exists) MUST_CHECK;

struct table_rows {
	const char *table;
	int64_t rows;
};
struct table_counts {
	size_t n;
	struct table_rows *tables;
};
/* By name of the table; none when there is no schema. */
enum store_result admin_table_counts(struct admin_link *, struct arena *,
				     struct table_counts *) MUST_CHECK;
/* The same in a snapshot that others can join by its id until the link is closed. */
enum store_result admin_snapshot(struct admin_link *, struct arena *, const char **id,
				 struct table_counts *) MUST_CHECK;

/* Ends everyone's sessions and leaves a gap in their revisions, also in a schema that has yet to be
 * migrated. */
enum store_result admin_restored(struct admin_link *) MUST_CHECK;
/* Behind it and the migration: what clients have read of the change feed is over. */
enum store_result admin_feeds_over(struct admin_link *) MUST_CHECK;

#endif
