#include "base/base.h"

#include "world_inside.h"

#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#include "api/handlers.h"
#include "api/reply.h"
#include "api/routes.h"
#include "base/codec.h"
#include "base/log.h"
#include "security/password.h"
#include "security/refresh_token.h"
#include "security/token.h"

enum {
	MEMORY_CEILING = 256 * 1024 * 1024,
	REQUEST_CEILING = 64 * 1024 * 1024,
	LOG_MAX = 16 * 1024,
	DAY_S = 86400,
};

/* --- the world ------------------------------------------------------------------------------- */

void world_secret(struct world *w, const char *secret)
{
	for (size_t i = 0; i < w->n_secrets; i++) {
		if (strcmp(w->secrets[i], secret) == 0)
			return;
	}
	if (w->n_secrets == SECRETS_MAX)
		give_up("too many secrets in one test");
	w->secrets[w->n_secrets++] = arena_strndup(w->memory, secret, strlen(secret));
}

static void gate_start(struct gate *gate, char path[64])
{
	int fd;

	(void)snprintf(path, 64, "/tmp/taskcell-gate-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0 || close(fd) != 0 || !gate_open(gate, path, 1))
		give_up("no file for the gate");
}

/* The application is the world's first member. */
static bool world_pause(struct app *app, int ms)
{
	struct world *w = (struct world *)app;

	w->pauses++;
	fake_clock_advance((int64_t)ms * 1000);
	if (w->on_pause)
		w->on_pause(w);
	return !w->stopping;
}

struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w || pipe(w->log) != 0 || fcntl(w->log[0], F_SETFL, O_NONBLOCK) != 0)
		give_up("no world");
	log_open(w->log[1], LOG_DEBUG);
	fake_clock_set(FAKE_START_S * US_PER_SECOND);
	gate_start(&w->gate, w->gate_path);
	gate_start(&w->waiting, w->waiting_path);
	w->memory = arena_new(MEMORY_CEILING);
	w->arena = arena_new(REQUEST_CEILING);
	response_init(&w->response);
	w->store = store_open(&(struct store_options){ 0 });
	w->app = (struct app){
		.store = w->store,
		.keys = keys_new(SECRET, strlen(SECRET), ISSUER, AUDIENCE),
		.gate = &w->gate,
		.mount = "",
		.access_s = 900,
		.refresh_idle_s = 14 * DAY_S,
		.refresh_absolute_s = 60 * DAY_S,
		.refresh_grace_s = 30,
		.scrypt_cost = 10,
		.scrypt_wait_ms = 20,
		.registration_open = true,
		.throttle = true,
		.throttle_address_per_minute = 20,
		.site_name = "Evergreen Lists",
		.public_origin = ORIGIN,
		.cookie_mode = true,
		.cookie_secure = true,
		.cors_origins = "",
		.spool_dir = "/tmp",
		.waiting = &w->waiting,
		.pause = world_pause,
		.board = board_new(),
	};
	w->app.slot = w->app.board ? board_take(w->app.board, 1) : NULL;
	if (!w->app.keys || !w->app.slot || !net_list_parse("192.0.2.1", &w->app.metrics_allow))
		give_up("no keys, or no scoreboard");
	world_secret(w, PASSWORD);
	world_secret(w, SECRET);
	world_secret(w, "another-good-horse");
	return w;
}

void world_free(struct world *w)
{
	log_open(STDERR_FILENO, LOG_INFO);
	keys_free(w->app.keys);
	board_free(w->app.board);
	store_close(w->store);
	response_free(&w->response);
	arena_free(w->arena);
	arena_free(w->memory);
	gate_close(&w->gate);
	gate_close(&w->waiting);
	(void)unlink(w->gate_path);
	(void)unlink(w->waiting_path);
	(void)close(w->log[0]);
	(void)close(w->log[1]);
	free(w);
}

const char *format(struct world *w, const char *fmt, ...)
{
	char buffer[8192];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(buffer, sizeof(buffer), fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(buffer))
		give_up("a text of a test is too long");
	return arena_strndup(w->memory, buffer, (size_t)len);
}

void calls_reset(struct world *w)
{
	w->store->n_calls = 0;
	w->store->fail_call = 0;
	w->store->hook = NULL;
}

bool was_called(const struct world *w, const char *function)
{
	for (size_t i = 0; i < w->store->n_calls && i < FAKE_CALLS; i++) {
		if (strcmp(w->store->calls[i], function) == 0)
			return true;
	}
	return false;
}

/* --- asking ---------------------------------------------------------------------------------- */

static struct request request_of(struct world *w, const struct ask *q)
{
	const char *mark = strchr(q->path, '?');
	size_t path_len = mark ? (size_t)(mark - q->path) : strlen(q->path);
	const char *body = q->body && q->state == BODY_COMPLETE ? q->body : "";
	const char *type = q->type ? q->type : q->body ? "application/json" : "";

	return (struct request){
		.method = http_method_of(q->method ? q->method : "GET"),
		.path = arena_strndup(w->arena, q->path, path_len),
		.query = mark ? mark + 1 : NULL,
		.authorization =
			q->token ? arena_printf(w->arena, "Bearer %s", q->token) : q->authorization,
		.content_type = *type ? type : NULL,
		.if_match = q->if_match,
		.if_none_match = q->if_none_match,
		.accept = q->accept,
		.idempotency_key = q->idempotency_key,
		.prefer = q->prefer,
		.forwarded_for = q->forwarded_for,
		.cookie = q->cookie,
		.origin = q->origin,
		.sec_fetch_site = q->site,
		.request_method = q->request_method,
		.user_agent = q->agent ? q->agent : "test/1.0",
		.remote_addr = q->address ? q->address : "192.0.2.1",
		.request_id = q->request_id ? q->request_id : format(w, "request-%u", ++w->asked),
		.body_state = q->state,
		.body = body,
		.body_len = strlen(body),
	};
}

static const char *read_log(struct world *w)
{
	char *log = arena_alloc(w->memory, LOG_MAX);
	ssize_t got = read(w->log[0], log, LOG_MAX - 1);

	return got > 0 ? log : "";
}

/* All of it, be its beginning in a file. */
static char *read_body(struct world *w, const struct response *r)
{
	size_t spilled = (size_t)r->spill_len;
	char *body = arena_array(w->memory, spilled + r->body.len + 1, 1);

	if (spilled && pread(r->spill_fd, body, spilled, 0) != (ssize_t)spilled)
		give_up("the spilled body cannot be read");
	if (r->body.len)
		memcpy(body + spilled, r->body.data, r->body.len);
	return body;
}

const struct answer *ask(struct world *w, const struct ask *q)
{
	struct answer *a = arena_alloc(w->memory, sizeof(*a));
	struct request request = request_of(w, q);
	struct response *r = &w->response;

	if (q->token)
		world_secret(w, q->token);
	(void)read_log(w);
	dispatch(&w->app, w->arena, &request, r);
	a->status = r->status;
	a->type = r->content_type;
	a->headers = arena_strndup(w->memory, r->headers.data, r->headers.len);
	a->body = read_body(w, r);
	a->body_len = (size_t)response_length(r);
	a->log = read_log(w);
	if (r->headers.overflow || r->body.overflow)
		give_up("the response does not fit");
	if (w->store->before)
		give_up("a transaction is left open");
	world_check(w, q, a, request.request_id);
	response_reset(r);
	arena_reset(w->arena);
	return a;
}

const char *credentials(struct world *w, const char *email, const char *password)
{
	return format(w, "{\"email\":\"%s\",\"password\":\"%s\"}", email, password);
}

const struct answer *login(struct world *w, const char *email, const char *password)
{
	return ASK(w, LOGIN, .body = credentials(w, email, password));
}

bool has_event(const struct world *w, const struct uuid *user_id, const char *event,
	       const char *detail)
{
	static const struct uuid nobody;

	for (size_t i = 0; i < w->store->n_events; i++) {
		const struct fake_event *e = &w->store->events[i];

		if (uuid_equal(&e->user_id, user_id ? user_id : &nobody) &&
		    strcmp(e->event.event, event) == 0 &&
		    (!detail || (e->event.detail && strcmp(e->event.detail, detail) == 0)))
			return true;
	}
	return false;
}

const struct answer *refresh(struct world *w, const char *token)
{
	return ASK(w, .method = "POST", .path = "/api/auth/refresh",
		   .body = format(w, "{\"refresh_token\":\"%s\"}", token));
}

bool lives(struct world *w, const char *access)
{
	return ASK(w, .path = "/api/auth/session", .token = access)->status == 200;
}

static struct fake_throttle *throttle_with(struct world *w, const char *prefix)
{
	for (size_t i = 0; i < w->store->n_throttles; i++) {
		if (strncmp(w->store->throttles[i].key, prefix, strlen(prefix)) == 0)
			return &w->store->throttles[i];
	}
	return NULL;
}

struct fake_throttle *account_throttle(struct world *w)
{
	return throttle_with(w, "account:");
}

struct fake_throttle *session_throttle(struct world *w)
{
	return throttle_with(w, "session:");
}

const char *route_path(struct world *w, const struct route *route, const char *user, const char *id)
{
	const char *path = "";

	for (const char *p = route->path; *p;) {
		size_t len = 1 + strcspn(p + 1, "/");
		const char *segment = format(w, "%.*s", (int)len, p);

		if (strcmp(segment, "/{user_id}") == 0)
			segment = format(w, "/%s", user);
		else if (segment[1] == '{')
			segment = format(w, "/%s", id);
		path = format(w, "%s%s", path, segment);
		p += len;
	}
	if (route->run == tasks_clear_completed)
		path = format(w, "%s?completed=true", path);
	return path;
}

const char *route_body(const struct route *route)
{
	static const struct {
		const struct field_table *table;
		const char *body;
	} bodies[] = {
		{ &password_body, "{\"current_password\":\"" PASSWORD
				  "\",\"new_password\":\"another-good-horse\"}" },
		{ &account_patch_body,
		  "{\"email\":\"new@example.org\",\"current_password\":\"" PASSWORD "\"}" },
		{ &account_delete_body, "{\"password\":\"" PASSWORD "\"}" },
		{ &batch_body, "{\"operations\":[{\"op\":\"create\","
			       "\"data\":{\"title\":\"y\"}}]}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		if (route->body == bodies[i].table)
			return bodies[i].body;
	}
	if (route->flags & ROUTE_IMPORT)
		return "[{\"title\":\"y\"}]";
	return route->body ? "{\"title\":\"y\",\"completed\":true}" : NULL;
}

/* --- people ---------------------------------------------------------------------------------- */

/* One hash serves all: it is the costly part. */
static const char *hash_of_password(void)
{
	static char hash[PASSWORD_HASH_MAX];

	if (!hash[0] && password_hash(10, PASSWORD, strlen(PASSWORD), hash) != PASSWORD_OK)
		give_up("no hash");
	return hash;
}

const char *token_of(struct world *w, struct keys *keys, const struct token_claims *claims)
{
	char *token = token_issue(keys, w->arena, claims, "somebody@example.org"), *kept;

	if (!token)
		give_up("no token");
	kept = arena_strndup(w->memory, token, strlen(token));
	world_secret(w, kept);
	return kept;
}

static struct person person_of(struct world *w, const struct user *user,
			       const struct session *session)
{
	char *refresh = arena_alloc(w->memory, REFRESH_TOKEN_LEN + 1);
	char *id = arena_alloc(w->memory, UUID_TEXT_LEN + 1);
	const struct refresh_token token = { user->id, session->id, session->counter,
					     session_expiry(session) / US_PER_SECOND };
	struct token_claims claims = { user->id, session->id, FAKE_START_S, FAKE_START_S + 900 };

	uuid_format(&user->id, id);
	if (!refresh_token_issue(w->app.keys, session->key_id, &token, refresh))
		give_up("no refresh token");
	world_secret(w, refresh);
	calls_reset(w);
	return (struct person){
		.email = arena_strndup(w->memory, user->email, strlen(user->email)),
		.principal = { user->id, session->id },
		.id = id,
		.access = token_of(w, w->app.keys, &claims),
		.refresh = refresh,
	};
}

static struct new_session new_session(struct world *w)
{
	return (struct new_session){
		.id = uuid_v7(),
		.key_id = keys_active_id(w->app.keys),
		.idle_s = w->app.refresh_idle_s,
		.absolute_s = w->app.refresh_absolute_s,
	};
}

static const struct client somewhere = { .address = "192.0.2.1", .network = "192.0.2.1" };

struct person person_new(struct world *w, const char *email)
{
	const struct new_account new = {
		.user_id = uuid_v7(),
		.email = email,
		.email_key = email,
		.password_hash = hash_of_password(),
		.session = new_session(w),
		.client = somewhere,
	};
	struct session session;
	struct user user;

	if (store_account_create(w->store, w->memory, &new, &user, &session) != STORE_OK)
		give_up("no account");
	return person_of(w, &user, &session);
}

struct person person_again(struct world *w, const struct person *p)
{
	const struct login login = {
		.user_id = p->principal.user_id,
		.verified_hash = fake_account_of(w->store, &p->principal.user_id)->password_hash,
		.session = new_session(w),
		.client = somewhere,
	};
	struct session session;
	struct user user;

	if (store_login(w->store, w->memory, &login, &user, &session) != STORE_OK)
		give_up("no session");
	return person_of(w, &user, &session);
}

const char *invite_new(struct world *w, int64_t uses)
{
	const char *code = format(w, "an-invitation-%zu", w->store->n_invites);
	char hex[2 * DIGEST_LEN + 1];
	uint8_t digest[DIGEST_LEN];

	if (w->store->n_invites == FAKE_INVITES)
		give_up("too many invitations");
	digest_sha256(code, strlen(code), digest);
	hex_encode(digest, sizeof(digest), hex);
	w->store->invites[w->store->n_invites++] = (struct fake_invite){
		.digest = format(w, "%s", hex),
		.expires_at = (FAKE_START_S + DAY_S) * US_PER_SECOND,
		.uses_left = uses,
	};
	world_secret(w, code);
	return code;
}

const char *task_new(struct world *w, const struct person *p, const char *title)
{
	const char *body = format(w, "{\"title\":\"%s\"}", title);
	const struct answer *a =
		ASK(w, .method = "POST", .path = "/api/me/tasks", .token = p->access, .body = body);

	CHECK(a, 201, NULL);
	calls_reset(w);
	return text(a, "id");
}
