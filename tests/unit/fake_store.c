#include "base/base.h"

#include "fake_store_inside.h"

#include "base/clock.h"
#include "fakes.h"

enum { MEMORY_CEILING = 64 * 1024 * 1024 };

#define NEVER INT64_MIN

struct store *store_open(const struct store_options *options)
{
	struct store *s = calloc(1, sizeof(*s));

	(void)options;
	if (!s)
		give_up("out of memory");
	s->memory = arena_new(MEMORY_CEILING);
	return s;
}

void store_close(struct store *s)
{
	arena_free(s->memory);
	free(s->before);
	free(s);
}

enum store_result fake_begin(struct store *s, const char *name)
{
	if (s->n_calls < FAKE_CALLS)
		s->calls[s->n_calls] = name;
	s->n_calls++;
	if (s->hook && s->n_calls == s->hook_call)
		s->hook(s);
	if (s->broken != STORE_OK)
		return s->broken;
	if (s->n_calls != s->fail_call)
		return STORE_OK;
	if (s->before && s->fail_with >= STORE_BUSY)
		s->broken = s->fail_with;
	return s->fail_with;
}

size_t fake_take(size_t *n, size_t max)
{
	if (*n == max)
		give_up("the fake store is full");
	return (*n)++;
}

const char *fake_copy(struct arena *a, const char *s)
{
	return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

static int64_t min64(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

enum store_result store_check(struct store *s)
{
	return fake_begin(s, __func__);
}

enum store_result store_ready(struct store *s)
{
	return fake_begin(s, __func__);
}

/* --- accounts -------------------------------------------------------------------------------- */

struct fake_account *fake_account_of(struct store *s, const struct uuid *user_id)
{
	for (size_t i = 0; i < s->n_accounts; i++) {
		if (uuid_equal(&s->accounts[i].user.id, user_id))
			return &s->accounts[i];
	}
	return NULL;
}

struct fake_account *fake_account_by_email(struct store *s, const char *email_key)
{
	for (size_t i = 0; i < s->n_accounts; i++) {
		if (strcmp(s->accounts[i].email_key, email_key) == 0)
			return &s->accounts[i];
	}
	return NULL;
}

void fake_read_user(struct arena *a, const struct fake_account *account, struct user *out)
{
	*out = account->user;
	out->email = fake_copy(a, account->user.email);
	out->name = fake_copy(a, account->user.name);
}

static bool shown_lives(struct store *s, const struct fake_account *account,
			const struct credential_query *q)
{
	const struct fake_session *shown = q->session ? fake_session_of(s, q->session) : NULL;

	return shown && uuid_equal(&shown->user_id, &account->user.id) &&
	       fake_session_is_live(s, shown);
}

static bool network_is_known(struct store *s, const struct fake_account *account,
			     const struct credential_query *q)
{
	for (size_t i = 0; i < s->n_sessions; i++) {
		if (uuid_equal(&s->sessions[i].user_id, &account->user.id) && *q->network &&
		    strcmp(s->sessions[i].network, q->network) == 0)
			return true;
	}
	return false;
}

enum store_result store_credential_find(struct store *s, struct arena *a,
					const struct credential_query *q, struct credential *out)
{
	enum store_result r = fake_begin(s, __func__);
	const struct fake_account *account = fake_account_by_email(s, q->email_key);

	if (r != STORE_OK)
		return r;
	if (!account)
		return STORE_NOT_FOUND;
	*out = (struct credential){
		.user_id = account->user.id,
		.password_hash = fake_copy(a, account->password_hash),
		.epoch = account->epoch,
		.disabled = account->disabled,
		.network_known = network_is_known(s, account, q),
		.session_lives = shown_lives(s, account, q),
	};
	return STORE_OK;
}

/* --- sessions -------------------------------------------------------------------------------- */

struct fake_session *fake_session_of(struct store *s, const struct principal *p)
{
	for (size_t i = 0; i < s->n_sessions; i++) {
		if (uuid_equal(&s->sessions[i].user_id, &p->user_id) &&
		    uuid_equal(&s->sessions[i].row.id, &p->session_id))
			return &s->sessions[i];
	}
	return NULL;
}

static bool is_revoked(struct store *s, const struct fake_session *session)
{
	const struct fake_account *account = fake_account_of(s, &session->user_id);

	return session->revoked || !account || account->disabled ||
	       account->epoch != session->epoch;
}

bool fake_session_is_live(struct store *s, const struct fake_session *session)
{
	int64_t now = clock_now_us();

	return session && !is_revoked(s, session) && session->row.expires_at > now &&
	       session->row.idle_expires_at > now;
}

void fake_read_session(struct arena *a, const struct fake_session *session, struct session *out)
{
	*out = session->row;
	out->key_id = fake_copy(a, session->row.key_id);
}

enum store_result fake_enter(struct store *s, const char *name, const struct principal *p)
{
	enum store_result r = fake_begin(s, name);

	if (r != STORE_OK)
		return r;
	return fake_session_is_live(s, fake_session_of(s, p)) ? STORE_OK : STORE_NO_SESSION;
}

void fake_session_start(struct store *s, const struct fake_account *account,
			const struct fake_beginning *b, struct arena *a, struct session *out)
{
	struct fake_session *session = &s->sessions[fake_take(&s->n_sessions, FAKE_SESSIONS)];
	const struct new_session *new = b->session;
	int64_t now = clock_now_us();

	*session = (struct fake_session){
		.user_id = account->user.id,
		.epoch = account->epoch,
		.row = { .id = new->id,
			 .key_id = fake_copy(s->memory, new->key_id),
			 .created_at = now,
			 .rotated_at = now,
			 .idle_expires_at =
				 now + min64(new->idle_s, new->absolute_s) * US_PER_SECOND,
			 .expires_at = now + new->absolute_s *US_PER_SECOND },
		.ip = fake_copy(s->memory, b->client->address),
		.user_agent = fake_copy(s->memory, b->client->user_agent),
		.network = fake_copy(s->memory, b->client->network),
	};
	fake_audit(s, &account->user.id, b->event, &new->id, b->client);
	fake_read_session(a, session, out);
}

/* What another registration may have used up meanwhile. */
static struct fake_invite *invite_of(struct store *s, const char *digest)
{
	for (size_t i = 0; i < s->n_invites; i++) {
		if (strcmp(s->invites[i].digest, digest) == 0 && s->invites[i].uses_left > 0 &&
		    s->invites[i].expires_at > clock_now_us())
			return &s->invites[i];
	}
	return NULL;
}

enum store_result store_invite_check(struct store *s, const char *digest)
{
	enum store_result r = fake_begin(s, __func__);

	if (r != STORE_OK)
		return r;
	return invite_of(s, digest) ? STORE_OK : STORE_NOT_FOUND;
}

enum store_result store_account_create(struct store *s, struct arena *a,
				       const struct new_account *new, struct user *user,
				       struct session *session)
{
	enum store_result r = fake_begin(s, __func__);
	struct fake_invite *invite = new->invite ? invite_of(s, new->invite) : NULL;
	struct fake_account *account;

	if (r != STORE_OK)
		return r;
	if (new->invite && !invite)
		return STORE_NOT_FOUND;
	if (fake_account_by_email(s, new->email_key))
		return STORE_CONFLICT;
	if (invite)
		invite->uses_left--;
	account = &s->accounts[fake_take(&s->n_accounts, FAKE_ACCOUNTS)];
	*account = (struct fake_account){
		.user = { .id = new->user_id,
			  .email = fake_copy(s->memory, new->email),
			  .name = fake_copy(s->memory, new->name),
			  .created_at = clock_now_us() },
		.email_key = fake_copy(s->memory, new->email_key),
		.password_hash = fake_copy(s->memory, new->password_hash),
		.updated_at = clock_now_us(),
		.password_changed_at = clock_now_us(),
	};
	fake_read_user(a, account, user);
	fake_session_start(s, account,
			   &(struct fake_beginning){ &new->session, &new->client, "registered" }, a,
			   session);
	return STORE_OK;
}

enum store_result store_login(struct store *s, struct arena *a, const struct login *login,
			      struct user *user, struct session *session)
{
	enum store_result r = fake_begin(s, __func__);
	struct fake_account *account = fake_account_of(s, &login->user_id);

	if (r != STORE_OK)
		return r;
	if (!account || account->disabled ||
	    strcmp(account->password_hash, login->verified_hash) != 0)
		return STORE_NO_SESSION;
	if (login->new_hash)
		account->password_hash = fake_copy(s->memory, login->new_hash);
	fake_throttle_clear(s, login->throttle_key);
	fake_read_user(a, account, user);
	fake_session_start(s, account,
			   &(struct fake_beginning){ &login->session, &login->client, "login" }, a,
			   session);
	return STORE_OK;
}

enum store_result store_session_get(struct store *s, struct arena *a, const struct principal *p,
				    struct user *user, struct session *out)
{
	enum store_result r = fake_enter(s, __func__, p);

	if (r != STORE_OK)
		return r;
	fake_read_user(a, fake_account_of(s, &p->user_id), user);
	fake_read_session(a, fake_session_of(s, p), out);
	return STORE_OK;
}

enum store_result store_session_refresh(struct store *s, struct arena *a,
					const struct session_refresh *wanted,
					struct session_state *out)
{
	enum store_result r = fake_begin(s, __func__);
	struct fake_session *session = fake_session_of(s, &wanted->principal);
	int64_t now = clock_now_us();

	if (r != STORE_OK)
		return r;
	*out = (struct session_state){ .now = now };
	if (!session)
		return STORE_OK;
	out->found = true;
	if (fake_session_is_live(s, session) && session->row.counter == wanted->counter) {
		out->advanced = true;
		session->row.counter++;
		session->row.rotated_at = now;
		session->row.key_id = fake_copy(s->memory, wanted->key_id);
		session->row.idle_expires_at =
			min64(now + wanted->idle_s * US_PER_SECOND, session->row.expires_at);
	}
	out->revoked = is_revoked(s, session);
	fake_read_session(a, session, &out->session);
	if (fake_session_is_live(s, session))
		fake_read_user(a, fake_account_of(s, &session->user_id), &out->user);
	return STORE_OK;
}

/* Revokes in any case; the audit has it only when the session lived. */
static void end_session(struct store *s, struct fake_session *session, const char *event,
			const struct client *client)
{
	bool lived = fake_session_is_live(s, session);

	session->revoked = true;
	if (lived)
		fake_audit(s, &session->user_id, event, &session->row.id, client);
}

enum store_result store_session_end(struct store *s, const struct principal *p,
				    const struct client *client)
{
	enum store_result r = fake_begin(s, __func__);
	struct fake_session *session = fake_session_of(s, p);

	if (r == STORE_OK && session)
		end_session(s, session, "logout", client);
	return r;
}

enum store_result store_session_theft(struct store *s, const struct principal *p, int64_t counter,
				      const struct client *client)
{
	enum store_result r = fake_begin(s, __func__);
	struct fake_session *session = fake_session_of(s, p);

	if (r == STORE_OK && session && session->row.counter == counter)
		end_session(s, session, "refresh_theft", client);
	return r;
}

/* --- throttle -------------------------------------------------------------------------------- */

struct fake_throttle *fake_throttle_of(struct store *s, const char *key)
{
	for (size_t i = 0; i < s->n_throttles; i++) {
		if (strcmp(s->throttles[i].key, key) == 0)
			return &s->throttles[i];
	}
	return NULL;
}

void fake_throttle_clear(struct store *s, const char *key)
{
	struct fake_throttle *t = key ? fake_throttle_of(s, key) : NULL;

	if (t)
		*t = s->throttles[--s->n_throttles];
}

static struct fake_throttle *throttle_get(struct store *s, const char *key)
{
	struct fake_throttle *t = fake_throttle_of(s, key);

	if (!t) {
		t = &s->throttles[fake_take(&s->n_throttles, FAKE_THROTTLES)];
		*t = (struct fake_throttle){ .key = fake_copy(s->memory, key), .ends_at = NEVER };
	}
	return t;
}

enum store_result store_throttle_address(struct store *s, const char *key, int64_t limit,
					 struct throttle *out)
{
	enum store_result r = fake_begin(s, __func__);
	int64_t now = clock_now_us();
	struct fake_throttle *t;

	if (r != STORE_OK)
		return r;
	t = throttle_get(s, key);
	if (t->ends_at <= now) {
		t->hits = 0;
		t->ends_at = now + THROTTLE_WINDOW_S * US_PER_SECOND;
	}
	*out = (struct throttle){ 0 };
	if (t->hits >= limit) {
		out->retry_after_us = t->ends_at - now;
		return STORE_LIMITED;
	}
	t->hits++;
	t->counted_at = now;
	return STORE_OK;
}

enum store_result store_throttle_reserve(struct store *s, const char *key, struct throttle *out)
{
	enum store_result r = fake_begin(s, __func__);
	int64_t now = clock_now_us(), wait_s;
	struct fake_throttle *t;

	if (r != STORE_OK)
		return r;
	t = throttle_get(s, key);
	*out = (struct throttle){ 0 };
	if (t->ends_at > now) {
		out->retry_after_us = t->ends_at - now;
		return STORE_LIMITED;
	}
	if (t->hits && t->counted_at < now - 86400 * US_PER_SECOND) {
		t->hits = 0;
		t->ends_at = NEVER;
	}
	if (t->hits >= THROTTLE_FREE_FAILURES) {
		wait_s = INT64_C(1) << min64(t->hits - THROTTLE_FREE_FAILURES, 30);
		t->ends_at = now + min64(wait_s, THROTTLE_WAIT_MAX_S) * US_PER_SECOND;
	}
	t->hits++;
	t->counted_at = now;
	s->reserved_at = now;
	return STORE_OK;
}

enum store_result store_throttle_refund(struct store *s, const char *key)
{
	enum store_result r = fake_begin(s, __func__);
	struct fake_throttle *t = fake_throttle_of(s, key);

	if (r != STORE_OK || !t)
		return r;
	if (t->hits > 0)
		t->hits--;
	if (t->counted_at == s->reserved_at)
		t->ends_at = NEVER;
	return STORE_OK;
}

void store_spent(const struct store *store, struct store_spent *out)
{
	*out = store->spent;
}

void store_slowest(const struct store *store, char out[STORE_NAMES_MAX])
{
	(void)snprintf(out, STORE_NAMES_MAX, "%s", store->slowest ? store->slowest : "");
}

void store_trace(struct store *store, const char *name)
{
	(void)snprintf(store->trace, sizeof(store->trace), "%s", name);
}
