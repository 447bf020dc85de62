#include "base/base.h"

#include "api/reply.h"

#include <errno.h>
#include <inttypes.h>

#include "api/authenticate.h"
#include "base/clock.h"
#include "base/log.h"
#include "security/refresh_token.h"
#include "security/token.h"

void reply_json(struct call *c, int status, struct json_writer *w)
{
	c->response->status = status;
	c->response->content_type = "application/json";
	json_begin(w, &c->response->body);
}

enum api_error reply_empty(struct call *c, int status)
{
	c->response->status = status;
	return API_OK;
}

enum api_error reply_status(struct call *c, const char *word)
{
	struct json_writer w;

	reply_json(c, 200, &w);
	json_object_open(&w);
	json_key(&w, "status");
	json_string(&w, word);
	json_object_close(&w);
	return API_OK;
}

int64_t session_expiry(const struct session *s)
{
	return s->idle_expires_at < s->expires_at ? s->idle_expires_at : s->expires_at;
}

void write_user(struct json_writer *w, const struct user *u)
{
	json_object_open(w);
	json_key(w, "id");
	json_uuid(w, &u->id);
	json_key(w, "email");
	json_string(w, u->email);
	json_key(w, "name");
	json_string(w, u->name);
	json_key(w, "created_at");
	json_time(w, u->created_at);
	json_object_close(w);
}

/* The members that every session has. */
static void session_members(struct json_writer *w, const struct session *s)
{
	json_key(w, "id");
	json_uuid(w, &s->id);
	json_key(w, "created_at");
	json_time(w, s->created_at);
	json_key(w, "last_used_at");
	json_time(w, s->rotated_at);
	json_key(w, "expires_at");
	json_time(w, session_expiry(s));
}

void write_session(struct json_writer *w, const struct session *s)
{
	json_object_open(w);
	session_members(w, s);
	json_object_close(w);
}

void write_sessions(struct json_writer *w, const struct session_list *list,
		    const struct uuid *current)
{
	json_array_open(w);
	for (size_t i = 0; i < list->n; i++) {
		const struct session_info *info = &list->sessions[i];

		json_object_open(w);
		session_members(w, &info->session);
		json_key(w, "ip");
		json_string(w, *info->ip ? info->ip : NULL);
		json_key(w, "user_agent");
		json_string(w, info->user_agent);
		json_key(w, "current");
		json_bool(w, uuid_equal(&info->session.id, current));
		json_object_close(w);
	}
	json_array_close(w);
}

enum api_error reply_task(struct call *c, int status, const struct task *t)
{
	struct json_writer w;

	response_headerf(c->response, "ETag", "\"%" PRId64 "\"", t->version);
	reply_json(c, status, &w);
	write_task(&w, t);
	return API_OK;
}

enum api_error reply_tasks(struct call *c, const struct task_list *list)
{
	struct json_writer w;

	reply_json(c, 200, &w);
	json_array_open(&w);
	for (size_t i = 0; i < list->n; i++)
		write_task(&w, &list->tasks[i]);
	json_array_close(&w);
	return API_OK;
}

enum api_error reply_conflict(struct call *c, enum api_error e, const struct task *current)
{
	struct task *kept = arena_alloc(c->arena, sizeof(*kept));

	*kept = *current;
	c->current = kept;
	return e;
}

enum api_error reply_id_taken(struct call *c, enum api_error e, const struct task *there)
{
	static const struct uuid none;

	if (uuid_equal(&there->id, &none)) {
		c->detail = "There is a task with this id in the trash.";
		return e;
	}
	c->detail = "There is a task with this id already.";
	return reply_conflict(c, e, there);
}

/* The cookie is for the routes that read it; on an origin of our own no other can (cookie_mode). */
static void set_cookie(struct call *c, const char *value, int64_t max_age_s)
{
	response_headerf(c->response, "Set-Cookie",
			 "%s=%s; Path=%s/api/auth; Max-Age=%" PRId64
			 "; HttpOnly; %sSameSite=Strict",
			 cookie_name(c->app), value, c->app->mount, max_age_s,
			 c->app->cookie_secure ? "Secure; " : "");
}

void reply_clear_cookie(struct call *c)
{
	set_cookie(c, "", 0);
}

enum api_error reply_auth(struct call *c, int status, const struct user *u, const struct session *s)
{
	int64_t now = clock_now_us() / US_PER_SECOND;
	struct token_claims claims = { u->id, s->id, now, now + c->app->access_s };
	struct refresh_token refresh = { u->id, s->id, s->counter,
					 session_expiry(s) / US_PER_SECOND };
	char *refresh_text = arena_alloc(c->arena, REFRESH_TOKEN_LEN + 1);
	char *access_text = token_issue(c->app->keys, c->arena, &claims, u->email);
	struct json_writer w;

	arena_wipe_later(c->arena, refresh_text, REFRESH_TOKEN_LEN);
	if (!access_text || !refresh_token_issue(c->app->keys, s->key_id, &refresh, refresh_text))
		return API_INTERNAL_ERROR;
	reply_json(c, status, &w);
	json_object_open(&w);
	json_key(&w, "access_token");
	json_string(&w, access_text);
	json_key(&w, "token_type");
	json_string(&w, "bearer");
	json_key(&w, "expires_in");
	json_int(&w, c->app->access_s);
	json_key(&w, "expires_at");
	json_time(&w, claims.expires_at * US_PER_SECOND);
	if (c->cookie) {
		set_cookie(c, refresh_text, refresh.expires_at - now);
	} else {
		json_key(&w, "refresh_token");
		json_string(&w, refresh_text);
	}
	json_key(&w, "refresh_expires_at");
	json_time(&w, refresh.expires_at * US_PER_SECOND);
	json_key(&w, "user");
	write_user(&w, u);
	json_object_close(&w);
	return API_OK;
}

enum api_error reply_limited(struct call *c, const char *policy, int64_t quota, int64_t window_s,
			     const struct throttle *t)
{
	int64_t wait_s = (t->retry_after_us + US_PER_SECOND - 1) / US_PER_SECOND;

	response_headerf(c->response, "Retry-After", "%" PRId64, wait_s);
	response_headerf(c->response, "RateLimit", "\"%s\";r=0;t=%" PRId64, policy, wait_s);
	if (window_s)
		response_headerf(c->response, "RateLimit-Policy", "\"%s\";q=%" PRId64 ";w=%" PRId64,
				 policy, quota, window_s);
	else
		response_headerf(c->response, "RateLimit-Policy", "\"%s\";q=%" PRId64, policy,
				 quota);
	return API_RATE_LIMITED;
}

/* --- answers of any size --------------------------------------------------------------------- */

static void free_arena(void *arena)
{
	arena_free(arena);
}

struct arena *piece_arena(struct call *c, size_t ceiling)
{
	struct arena *a = arena_new(ceiling);

	arena_defer(c->arena, free_arena, a);
	return a;
}

void restart_deadline(struct call *c)
{
	if (c->app->pause)
		(void)c->app->pause(c->app, 0);
}

enum api_error reply_spill(struct call *c)
{
	if (response_spill(c->response, c->app->spool_dir))
		return API_OK;
	log_message(LOG_ERROR, "spill", "%s: %s", c->app->spool_dir, strerror(errno));
	return API_UNAVAILABLE;
}
