/* store.h on arrays, with the same meaning: whoever changes the one changes the other. Its clock is
 * the fake one. Tests may look at the rows and change them; strings of rows live on `memory`. */
#ifndef TASKCELL_TESTS_UNIT_FAKE_STORE_H
#define TASKCELL_TESTS_UNIT_FAKE_STORE_H

#include "store/tasks.h"

enum {
	FAKE_ACCOUNTS = 8,
	FAKE_SESSIONS = 64,
	FAKE_TASKS = 1600,
	FAKE_TRASH = 1100,
	FAKE_KEYS = 16,
	FAKE_THROTTLES = 64,
	FAKE_INVITES = 4,
	FAKE_EVENTS = 256,
	FAKE_CALLS = 32, /* names that are kept */
};

struct fake_account {
	struct user user;
	const char *email_key;
	const char *password_hash;
	int64_t epoch;
	bool disabled;
	int64_t revision;
	int64_t feed_floor;
	int64_t updated_at;
	int64_t password_changed_at;
};

struct fake_session {
	struct uuid user_id;
	int64_t epoch; /* of the credential at login */
	bool revoked;
	struct session row;
	const char *ip;
	const char *user_agent;
	const char *network;
};

struct fake_invite {
	const char *digest;
	int64_t expires_at;
	int64_t uses_left;
};

struct fake_event {
	struct uuid user_id; /* all zeros: of an unknown account */
	struct audit_event event;
	const char *request_id;
};

/* A key that is remembered, with the task as it was made. */
struct fake_key {
	struct uuid user_id;
	const char *key;
	const char *digest;
	struct task task;
	int64_t created_at;
};

struct fake_throttle {
	const char *key;
	int64_t hits;
	int64_t counted_at;
	int64_t ends_at;
};

struct store {
	struct arena *memory;
	size_t n_accounts, n_sessions, n_tasks, n_trash, n_keys, n_throttles, n_invites, n_events;
	struct fake_account accounts[FAKE_ACCOUNTS];
	struct fake_session sessions[FAKE_SESSIONS];
	struct task tasks[FAKE_TASKS];
	struct task trash[FAKE_TRASH]; /* without a title: a tombstone */
	struct fake_key keys[FAKE_KEYS];
	struct fake_throttle throttles[FAKE_THROTTLES];
	struct fake_invite invites[FAKE_INVITES];
	struct fake_event events[FAKE_EVENTS];
	int64_t reserved_at; /* of the last reservation, for its refund */

	struct store *before;     /* what a roll-back goes back to; NULL: no transaction is open */
	bool snapshot;            /* it reads only */
	enum store_result broken; /* what a call in it has failed with */

	struct store_spent spent; /* as a test says */
	const char *slowest;      /* likewise; NULL: "" */
	char trace[STORE_TRACE_MAX + 1];

	size_t n_listed; /* rows of lists, since the count was last set to 0 */

	/* Calls since the count was last set to 0, and their functions' names. */
	size_t n_calls;
	const char *calls[FAKE_CALLS];
	/* The call of this number (the first is 1) does nothing and answers `fail_with`. */
	size_t fail_call;
	enum store_result fail_with;
	/* Runs before the call of this number: what another process does meanwhile. */
	size_t hook_call;
	void (*hook)(struct store *);
};

struct fake_account *fake_account_of(struct store *, const struct uuid *user_id);
struct fake_session *fake_session_of(struct store *, const struct principal *);
struct fake_throttle *fake_throttle_of(struct store *, const char *key);
struct task *fake_task_of(struct store *, const struct uuid *user_id, const struct uuid *id);

#endif
