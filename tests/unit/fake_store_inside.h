/* What the files of the fake store share with one another alone. */
#ifndef TASKCELL_TESTS_UNIT_FAKE_STORE_INSIDE_H
#define TASKCELL_TESTS_UNIT_FAKE_STORE_INSIDE_H

#include "fake_store.h"

/* Counts a call; anything but STORE_OK is its result. */
enum store_result fake_begin(struct store *, const char *name);
/* The next free place of an array. */
size_t fake_take(size_t *n, size_t max);
/* NULL stays NULL. */
const char *fake_copy(struct arena *, const char *s);
/* NULL is no session. */
bool fake_session_is_live(struct store *, const struct fake_session *);

/* What every function of a user's rows begins with. */
enum store_result fake_enter(struct store *, const char *name, const struct principal *);
struct fake_account *fake_account_by_email(struct store *, const char *email_key);
void fake_read_user(struct arena *, const struct fake_account *, struct user *);
void fake_read_session(struct arena *, const struct fake_session *, struct session *);
void fake_read_task(struct arena *, const struct task *, struct task *);
/* The same for one that writes: never in a snapshot. */
enum store_result fake_enter_write(struct store *, const char *name, const struct principal *);
/* The next version, and what is old of the user goes. */
int64_t fake_raise(struct store *, const struct principal *);
struct task *fake_trash_of(struct store *, const struct uuid *user_id, const struct uuid *id);
/* Whether a task of the trash can still be restored. */
bool fake_is_restorable(const struct task *);
/* Takes the row out of the trash. */
void fake_trash_take(struct store *, struct task *);

/* A session that begins, and its event. */
struct fake_beginning {
	const struct new_session *session;
	const struct client *client;
	const char *event;
};
void fake_session_start(struct store *, const struct fake_account *, const struct fake_beginning *,
			struct arena *, struct session *);
/* `client` or `session_id` may be NULL. */
void fake_audit(struct store *, const struct uuid *user_id, const char *event,
		const struct uuid *session_id, const struct client *client);
/* NULL is no key. */
void fake_throttle_clear(struct store *, const char *key);

#endif
