#include "base/base.h"

#include "store/admin_private.h"
#include "store/sessions.h"

enum { END_BATCH = 1000 };

/* Runs a call whose last step answers with a row, or with none when there is nothing to act on. */
static enum store_result run_for_row(struct store *store, struct pg_call *call)
{
	enum store_result r = pg_run(store, NULL, call);

	if (r == STORE_OK && PQntuples(call->results[call->n - 1]) == 0)
		r = STORE_NOT_FOUND;
	pg_clear(call);
	return r;
}

/* --- users ----------------------------------------------------------------------------------- */

static void admin_user_row(const PGresult *res, int row, struct admin_user *user)
{
	*user = (struct admin_user){
		.user = {
			.id = pg_get_uuid(res, row, 0),
			.email = pg_get_text(res, row, 1),
			.name = pg_get_text(res, row, 2),
			.created_at = pg_get_time(res, row, 3),
		},
		.email_key = pg_get_text(res, row, 4),
		.disabled_at = pg_get_time(res, row, 5),
		.sessions = pg_get_int(res, row, 6),
		.tasks = pg_get_int(res, row, 7),
		.last_used_at = pg_get_time(res, row, 8),
	};
}

enum store_result admin_user_list(struct store *store, struct arena *arena, const char *pattern,
				  const char *after, int32_t limit, struct admin_users *users)
{
	struct pg_call call = { .repeatable = true };
	struct pg_step *step = admin_step(&call, STATEMENT_ADMIN_USER_LIST);
	enum store_result r;

	pg_text(step, pattern);
	pg_text(step, after != NULL ? after : "");
	pg_int(step, limit);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	users->n = (size_t)PQntuples(call.results[1]);
	users->users = arena_array(arena, users->n, sizeof(users->users[0]));
	for (size_t i = 0; i < users->n; i++)
		admin_user_row(call.results[1], (int)i, &users->users[i]);
	return STORE_OK;
}

enum store_result admin_user_get(struct store *store, struct arena *arena, const struct uuid *id,
				 const char *email_key, struct admin_user *user)
{
	struct pg_call call = { .repeatable = true };
	struct pg_step *step = admin_step(&call, STATEMENT_ADMIN_USER_GET);
	enum store_result r;

	if (id != NULL)
		pg_uuid(step, id);
	else
		pg_null(step);
	pg_text(step, id != NULL ? NULL : email_key);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	if (PQntuples(call.results[1]) == 0)
		return STORE_NOT_FOUND;
	admin_user_row(call.results[1], 0, user);
	return STORE_OK;
}

enum store_result admin_user_add(struct store *store, const struct admin_account *account)
{
	struct pg_call call = { 0 };
	struct pg_step *step = admin_step(&call, STATEMENT_ADMIN_USER_ADD);
	enum store_result r;

	step->on_unique = STORE_CONFLICT;
	pg_uuid(step, &account->user_id);
	pg_text(step, account->email_key);
	pg_text(step, account->email);
	pg_text(step, account->name);
	pg_text(step, account->password_hash);
	if (account->created_at != 0)
		pg_time(step, account->created_at);
	else
		pg_null(step);
	pg_text(step, account->detail);
	r = run_for_row(store, &call);
	return r == STORE_NOT_FOUND ? STORE_CONFLICT : r;
}

static enum store_result act_on_user(struct store *store, enum statement_id statement,
				     const struct uuid *user_id)
{
	struct pg_call call = { .repeatable = true };

	pg_uuid(admin_step(&call, statement), user_id);
	return run_for_row(store, &call);
}

enum store_result admin_user_disable(struct store *store, const struct uuid *user_id)
{
	return act_on_user(store, STATEMENT_ADMIN_USER_DISABLE, user_id);
}

enum store_result admin_user_enable(struct store *store, const struct uuid *user_id)
{
	return act_on_user(store, STATEMENT_ADMIN_USER_ENABLE, user_id);
}

enum store_result admin_user_delete(struct store *store, const struct uuid *user_id,
				    const char *throttle_prefix)
{
	struct pg_call call = { 0 };
	struct pg_step *step = admin_step(&call, STATEMENT_CREDENTIAL_LOCK);
	struct uuid act_id = uuid_v7();
	enum { ENTERED, LOCKED, DELETED };
	enum store_result r;

	pg_uuid(step, user_id);
	step = pg_step(&call, STATEMENT_ADMIN_USER_DELETE);
	pg_uuid(step, user_id);
	pg_uuid(step, &act_id);
	step = pg_step(&call, STATEMENT_ADMIN_USER_FORGET);
	pg_uuid(step, user_id);
	pg_uuid(step, &act_id);
	pg_text(step, throttle_prefix);
	r = pg_run(store, NULL, &call);
	if (r == STORE_OK && PQntuples(call.results[DELETED]) == 0)
		r = STORE_NOT_FOUND;
	pg_clear(&call);
	return r;
}

enum store_result admin_user_password(struct store *store, const struct uuid *user_id,
				      const char *password_hash, const char *throttle_prefix)
{
	struct pg_call call = { 0 };
	struct pg_step *step = admin_step(&call, STATEMENT_ADMIN_USER_PASSWORD);

	pg_uuid(step, user_id);
	pg_text(step, password_hash);
	pg_text(step, throttle_prefix);
	return run_for_row(store, &call);
}

/* --- sessions -------------------------------------------------------------------------------- */

enum store_result admin_session_list(struct store *store, struct arena *arena,
				     const struct uuid *user_id, struct session_list *list)
{
	struct pg_call call = { .repeatable = true };
	struct pg_step *step = admin_step(&call, STATEMENT_ADMIN_SESSION_LIST);
	const PGresult *res;
	enum store_result r;

	pg_uuid(step, user_id);
	pg_int(step, SESSION_LIST_MAX);
	r = pg_run(store, arena, &call);
	if (r != STORE_OK)
		return r;
	res = call.results[1];
	list->n = (size_t)PQntuples(res);
	list->sessions = arena_array(arena, list->n, sizeof(list->sessions[0]));
	for (size_t i = 0; i < list->n; i++) {
		struct session_info *info = &list->sessions[i];

		session_row(res, (int)i, 0, &info->session);
		info->ip = pg_get_text(res, (int)i, 7);
		info->user_agent = pg_get_text(res, (int)i, 8);
	}
	return STORE_OK;
}

enum store_result admin_session_end(struct store *store, const struct uuid *user_id,
				    const struct uuid *id)
{
	struct pg_call call = { 0 };
	struct pg_step *step = admin_step(&call, STATEMENT_ADMIN_SESSION_END);

	pg_uuid(step, user_id);
	pg_uuid(step, id);
	return run_for_row(store, &call);
}

/* Ends those of some of the users in a range, and moves its start to the last of them. */
static enum store_result end_batch(struct store *store, struct uuid *from, const struct uuid *to,
				   int64_t *users, int64_t *ended)
{
	struct pg_call call = { 0 };
	struct pg_step *step = admin_step(&call, STATEMENT_ADMIN_SESSION_END_ALL);
	enum store_result r;

	pg_uuid(step, from);
	pg_uuid(step, to);
	pg_int(step, END_BATCH);
	r = pg_run(store, NULL, &call);
	if (r != STORE_OK)
		return r;
	*users = pg_get_int(call.results[1], 0, 0);
	if (*users > 0)
		*from = pg_get_uuid(call.results[1], 0, 1);
	*ended += pg_get_int(call.results[1], 0, 2);
	pg_clear(&call);
	return STORE_OK;
}

enum store_result admin_session_end_all(struct store *store, const struct uuid *user_id,
					int64_t *ended)
{
	struct uuid from = { { 0 } }, to;
	int64_t users;
	enum store_result r;

	memset(to.bytes, 0xff, sizeof(to.bytes));
	if (user_id != NULL)
		from = to = *user_id;
	*ended = 0;
	/* The last user of a batch is the first of the next one, which changes nothing. */
	do
		r = end_batch(store, &from, &to, &users, ended);
	while (r == STORE_OK && users == END_BATCH);
	return r == STORE_OK && user_id != NULL && users == 0 ? STORE_NOT_FOUND : r;
}
