/* One's own sessions and account, and the audit. */
#include "base/base.h"

#include "fake_store_inside.h"

#include "base/clock.h"
#include "fakes.h"

/* --- audit ----------------------------------------------------------------------------------- */

static struct fake_event *event_add(struct store *s, const struct uuid *user_id, const char *event,
				    const struct client *client)
{
	struct fake_event *e = &s->events[fake_take(&s->n_events, FAKE_EVENTS)];

	*e = (struct fake_event){ .user_id = *user_id };
	e->event.at = clock_now_us();
	e->event.event = event;
	if (client) {
		e->event.ip = *client->address ? fake_copy(s->memory, client->address) : NULL;
		e->event.user_agent = fake_copy(s->memory, client->user_agent);
		e->request_id = fake_copy(s->memory, client->request_id);
	}
	return e;
}

void fake_audit(struct store *s, const struct uuid *user_id, const char *event,
		const struct uuid *session_id, const struct client *client)
{
	struct fake_event *e = event_add(s, user_id, event, client);

	e->event.has_session = session_id != NULL;
	if (session_id)
		e->event.session_id = *session_id;
}

enum store_result store_audit_failure(struct store *s, enum audit_failure failure,
				      const struct uuid *user_id, const char *detail,
				      const struct client *client)
{
	static const char *const words[] = {
		[AUDIT_LOGIN_FAILED] = "login_failed", [AUDIT_PASSWORD_REFUSED] = "password_refused"
	};
	static const struct uuid nobody;
	enum store_result r = fake_begin(s, __func__);

	if (r != STORE_OK || (user_id && !fake_account_of(s, user_id)))
		return r;
	event_add(s, user_id ? user_id : &nobody, words[failure], client)->event.detail =
		fake_copy(s->memory, detail);
	return STORE_OK;
}

/* --- sessions -------------------------------------------------------------------------------- */

static void read_info(struct arena *a, const struct fake_session *session, struct session_info *out)
{
	fake_read_session(a, session, &out->session);
	out->ip = fake_copy(a, session->ip);
	out->user_agent = fake_copy(a, session->user_agent);
}

/* The user's sessions in the order of the rows. */
static void read_sessions(struct store *s, struct arena *a, const struct uuid *user_id, bool all,
			  struct session_list *out)
{
	out->n = 0;
	out->sessions = arena_array(a, s->n_sessions + 1, sizeof(*out->sessions));
	for (size_t i = 0; i < s->n_sessions; i++) {
		const struct fake_session *session = &s->sessions[i];

		if (uuid_equal(&session->user_id, user_id) &&
		    (all || fake_session_is_live(s, session)))
			read_info(a, session, &out->sessions[out->n++]);
	}
}

static int last_used_first(const void *left, const void *right)
{
	const struct session *a = &((const struct session_info *)left)->session,
			     *b = &((const struct session_info *)right)->session;

	if (a->rotated_at != b->rotated_at)
		return a->rotated_at > b->rotated_at ? -1 : 1;
	return -memcmp(a->id.bytes, b->id.bytes, sizeof(a->id.bytes));
}

enum store_result store_session_list(struct store *s, struct arena *a, const struct principal *p,
				     struct session_list *out)
{
	enum store_result r = fake_enter(s, __func__, p);

	if (r != STORE_OK)
		return r;
	read_sessions(s, a, &p->user_id, false, out);
	qsort(out->sessions, out->n, sizeof(*out->sessions), last_used_first);
	if (out->n > SESSION_LIST_MAX)
		out->n = SESSION_LIST_MAX;
	return STORE_OK;
}

enum store_result store_session_end_own(struct store *s, const struct principal *p,
					const struct uuid *id, const struct client *client)
{
	enum store_result r = fake_enter(s, __func__, p);
	struct fake_session *session = fake_session_of(s, &(struct principal){ p->user_id, *id });

	if (r != STORE_OK)
		return r;
	if (!fake_session_is_live(s, session))
		return STORE_NOT_FOUND;
	session->revoked = true;
	fake_audit(s, &p->user_id, "session_ended", id, client);
	return STORE_OK;
}

/* Raises the epoch, and the caller's session alone comes along. */
static void end_others(struct store *s, const struct principal *p, const char *event,
		       const struct client *client)
{
	fake_session_of(s, p)->epoch = ++fake_account_of(s, &p->user_id)->epoch;
	fake_audit(s, &p->user_id, event, &p->session_id, client);
}

enum store_result store_session_end_others(struct store *s, const struct principal *p,
					   const struct client *client)
{
	enum store_result r = fake_enter(s, __func__, p);

	if (r == STORE_OK)
		end_others(s, p, "sessions_ended", client);
	return r;
}

/* --- account --------------------------------------------------------------------------------- */

enum store_result store_account_get(struct store *s, struct arena *a, const struct principal *p,
				    struct user *user, struct credential *credential)
{
	enum store_result r = fake_enter(s, __func__, p);
	const struct fake_account *account = fake_account_of(s, &p->user_id);

	if (r != STORE_OK)
		return r;
	fake_read_user(a, account, user);
	*credential = (struct credential){
		.user_id = p->user_id,
		.password_hash = fake_copy(a, account->password_hash),
		.epoch = account->epoch,
	};
	return STORE_OK;
}

enum store_result store_password_change(struct store *s, struct arena *a,
					const struct password_change *change, struct user *user,
					struct session *session)
{
	enum store_result r = fake_enter(s, __func__, &change->principal);
	struct fake_account *account = fake_account_of(s, &change->principal.user_id);

	if (r != STORE_OK)
		return r;
	if (strcmp(account->password_hash, change->verified_hash) != 0)
		return STORE_STALE;
	account->password_hash = fake_copy(s->memory, change->new_hash);
	account->password_changed_at = clock_now_us();
	account->epoch++;
	fake_throttle_clear(s, change->throttle_key);
	fake_read_user(a, account, user);
	fake_session_start(
		s, account,
		&(struct fake_beginning){ &change->session, &change->client, "password_changed" },
		a, session);
	return STORE_OK;
}

enum store_result store_name_change(struct store *s, struct arena *a, const struct principal *p,
				    const char *name, struct user *user)
{
	enum store_result r = fake_enter(s, __func__, p);
	struct fake_account *account = fake_account_of(s, &p->user_id);

	if (r != STORE_OK)
		return r;
	account->user.name = fake_copy(s->memory, name);
	account->updated_at = clock_now_us();
	fake_read_user(a, account, user);
	return STORE_OK;
}

enum store_result store_email_change(struct store *s, struct arena *a,
				     const struct email_change *change, struct user *user)
{
	enum store_result r = fake_enter(s, __func__, &change->principal);
	struct fake_account *account = fake_account_of(s, &change->principal.user_id);

	if (r != STORE_OK)
		return r;
	if (account->epoch != change->epoch ||
	    strcmp(account->password_hash, change->verified_hash) != 0)
		return STORE_STALE;
	if (strcmp(change->email_key, change->old_email_key) != 0) {
		if (fake_account_by_email(s, change->email_key))
			return STORE_CONFLICT;
		if (strcmp(account->email_key, change->old_email_key) != 0)
			give_up("the e-mail that is to go is not the account's");
	}
	end_others(s, &change->principal, "email_changed", &change->client);
	fake_throttle_clear(s, change->throttle_key);
	account->email_key = fake_copy(s->memory, change->email_key);
	account->user.email = fake_copy(s->memory, change->email);
	if (change->set_name)
		account->user.name = fake_copy(s->memory, change->name);
	account->updated_at = clock_now_us();
	fake_read_user(a, account, user);
	return STORE_OK;
}

static void forget_rows(struct store *s, const struct uuid *user_id)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n_sessions; i++) {
		if (!uuid_equal(&s->sessions[i].user_id, user_id))
			s->sessions[kept++] = s->sessions[i];
	}
	s->n_sessions = kept;
	kept = 0;
	for (size_t i = 0; i < s->n_tasks; i++) {
		if (!uuid_equal(&s->tasks[i].user_id, user_id))
			s->tasks[kept++] = s->tasks[i];
	}
	s->n_tasks = kept;
	kept = 0;
	for (size_t i = 0; i < s->n_trash; i++) {
		if (!uuid_equal(&s->trash[i].user_id, user_id))
			s->trash[kept++] = s->trash[i];
	}
	s->n_trash = kept;
	kept = 0;
	for (size_t i = 0; i < s->n_keys; i++) {
		if (!uuid_equal(&s->keys[i].user_id, user_id))
			s->keys[kept++] = s->keys[i];
	}
	s->n_keys = kept;
	kept = 0;
	for (size_t i = 0; i < s->n_events; i++) {
		if (!uuid_equal(&s->events[i].user_id, user_id))
			s->events[kept++] = s->events[i];
	}
	s->n_events = kept;
}

enum store_result store_account_delete(struct store *s, const struct account_delete *deletion)
{
	const struct uuid *user_id = &deletion->principal.user_id;
	enum store_result r = fake_enter(s, __func__, &deletion->principal);
	struct fake_account *account = fake_account_of(s, user_id);

	if (r != STORE_OK)
		return r;
	if (account->epoch != deletion->epoch ||
	    strcmp(account->password_hash, deletion->verified_hash) != 0)
		return STORE_STALE;
	if (strcmp(account->email_key, deletion->email_key) != 0)
		give_up("the e-mail that is to go is not the account's");
	*account = s->accounts[--s->n_accounts];
	forget_rows(s, user_id);
	fake_throttle_clear(s, deletion->throttle_key);
	event_add(s, user_id, "account_deleted", NULL)->request_id =
		fake_copy(s->memory, deletion->client.request_id);
	return STORE_OK;
}

enum store_result store_account_export(struct store *s, struct arena *a, const struct principal *p,
				       struct account_export *out)
{
	enum store_result r = fake_enter(s, __func__, p);
	const struct fake_account *account = fake_account_of(s, &p->user_id);

	if (r != STORE_OK)
		return r;
	*out = (struct account_export){ .updated_at = account->updated_at,
					.password_changed_at = account->password_changed_at };
	fake_read_user(a, account, &out->user);
	read_sessions(s, a, &p->user_id, true, &out->sessions);
	return STORE_OK;
}

/* In the order of the rows, which a test's clock may not tell. */
enum store_result store_audit_list(struct store *s, struct arena *a, const struct principal *p,
				   const struct audit_place *after, int32_t limit,
				   struct audit_events *out)
{
	enum store_result r = fake_enter(s, __func__, p);

	if (r != STORE_OK)
		return r;
	*out = (struct audit_events){ .list = arena_array(a, (size_t)limit, sizeof(*out->list)) };
	for (size_t i = after ? (size_t)after->at : 0; i < s->n_events; i++) {
		if (!uuid_equal(&s->events[i].user_id, &p->user_id) || out->n == (size_t)limit)
			continue;
		out->list[out->n++] = s->events[i].event;
		out->last.at = (int64_t)i + 1;
	}
	return STORE_OK;
}
