#include "base/base.h"

#include "world.h"

#include <fcntl.h>
#include <stdarg.h>
#include <strings.h>
#include <unistd.h>

#include "api/reply.h"
#include "api/routes.h"
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

static void secret_add(struct world *w, const char *secret)
{
	if (w->n_secrets == SECRETS_MAX)
		give_up("too many secrets in one test");
	w->secrets[w->n_secrets++] = arena_strndup(w->memory, secret, strlen(secret));
}

static void gate_start(struct world *w)
{
	int fd;

	(void)snprintf(w->gate_path, sizeof(w->gate_path), "/tmp/taskcell-gate-XXXXXX");
	fd = mkstemp(w->gate_path);
	if (fd < 0 || close(fd) != 0 || !gate_open(&w->gate, w->gate_path, 1))
		give_up("no file for the gate");
}

struct world *world_new(void)
{
	struct world *w = calloc(1, sizeof(*w));

	if (!w || pipe(w->log) != 0 || fcntl(w->log[0], F_SETFL, O_NONBLOCK) != 0)
		give_up("no world");
	log_open(w->log[1], LOG_DEBUG);
	fake_clock_set(FAKE_START_S * US_PER_SECOND);
	gate_start(w);
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
	};
	if (!w->app.keys)
		give_up("no keys");
	secret_add(w, PASSWORD);
	secret_add(w, SECRET);
	return w;
}

void world_free(struct world *w)
{
	log_open(STDERR_FILENO, LOG_INFO);
	keys_free(w->app.keys);
	store_close(w->store);
	response_free(&w->response);
	arena_free(w->arena);
	arena_free(w->memory);
	gate_close(&w->gate);
	(void)unlink(w->gate_path);
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

/* --- looking at answers ---------------------------------------------------------------------- */

/* The next header of that name at or behind `from`. */
static const char *find_header(const char *from, const char *name)
{
	size_t len = strlen(name);

	while (*from) {
		if (strncasecmp(from, name, len) == 0 && from[len] == ':')
			return from;
		from += strcspn(from, "\n");
		from += *from == '\n';
	}
	return NULL;
}

const char *header(struct world *w, const struct answer *a, const char *name)
{
	const char *line = find_header(a->headers, name);

	if (!line)
		return NULL;
	line += strlen(name) + 2;
	return arena_strndup(w->memory, line, strcspn(line, "\r\n"));
}

bool header_is(struct world *w, const struct answer *a, const char *name, const char *value)
{
	const char *is = header(w, a, name);

	if (is && strcmp(is, value) == 0)
		return true;
	fprintf(stderr, "%s: %s, not %s\n", name, is ? is : "(absent)", value);
	return false;
}

const char *text(const struct answer *a, const char *path)
{
	return look_text(a->json, path);
}

bool text_is(const struct answer *a, const char *path, const char *value)
{
	if (strcmp(text(a, path), value) == 0)
		return true;
	fprintf(stderr, "%s is \"%s\", not \"%s\"\n", path, text(a, path), value);
	return false;
}

int64_t number(const struct answer *a, const char *path)
{
	return look_number(a->json, path);
}

int flag(const struct answer *a, const char *path)
{
	return look_flag(a->json, path);
}

int length(const struct answer *a, const char *path)
{
	return look_length(a->json, path);
}

bool is_null(const struct answer *a, const char *path)
{
	return look_is_null(a->json, path);
}

bool answer_is(const struct answer *a, int status, const char *code)
{
	bool same = a->status == status && strcmp(text(a, "code"), code ? code : "") == 0;

	if (!same)
		fprintf(stderr, "%d %s, not %d %s: %.300s\n", a->status, text(a, "code"), status,
			code ? code : "", a->body);
	return same;
}

/* --- what holds of every answer -------------------------------------------------------------- */

static void demand(bool holds, const struct ask *q, const char *what)
{
	if (!holds)
		fprintf(stderr, "%s %s: %s\n", q->method ? q->method : "GET", q->path, what);
	CU_ASSERT(holds);
}

static bool status_is_ours(int status, const char *code)
{
	for (int e = API_OK + 1; e < API_ERROR_COUNT; e++) {
		const struct api_error_info *info = api_error_info((enum api_error)e);

		if (info->status == status && strcmp(info->code, code) == 0)
			return true;
	}
	return false;
}

static void check_problem(const struct ask *q, const struct answer *a, const char *request_id)
{
	const char *detail = text(a, "detail");
	int errors = length(a, "errors");

	demand(a->type && strcmp(a->type, "application/problem+json") == 0, q, "type of problem");
	demand(status_is_ours(a->status, text(a, "code")), q, "status and code of the table");
	demand(number(a, "status") == a->status, q, "member status");
	demand(text(a, "type")[0] && text(a, "title")[0], q, "type and title");
	demand(detail[0] && detail[strlen(detail) - 1] == '.', q, "detail is a sentence");
	demand(strcmp(text(a, "request_id"), request_id) == 0, q, "member request_id");
	demand((errors > 0) == (a->status == 422), q, "errors with 422 alone");
	for (int i = 0; i < errors; i++) {
		static const char *const names[] = { "field", "code", "detail" };

		for (size_t k = 0; k < ARRAY_LEN(names); k++) {
			char path[32];

			(void)snprintf(path, sizeof(path), "errors.%d.%s", i, names[k]);
			demand(text(a, path)[0] != '\0', q, path);
		}
	}
}

static void check_headers(struct world *w, const struct ask *q, const struct answer *a,
			  const char *request_id)
{
	static const char *const common[] = { "X-Request-Id", "Cache-Control",
					      "X-Content-Type-Options" };
	const char *cache = header(w, a, "Cache-Control");
	const char *auth = header(w, a, "WWW-Authenticate");

	for (size_t i = 0; i < ARRAY_LEN(common); i++) {
		const char *first = find_header(a->headers, common[i]);

		demand(first && !find_header(first + 1, common[i]), q, common[i]);
	}
	demand(strcmp(header(w, a, "X-Request-Id"), request_id) == 0, q, "request id");
	demand(strcmp(header(w, a, "X-Content-Type-Options"), "nosniff") == 0, q, "nosniff");
	demand(strcmp(cache, "no-store") == 0 || strcmp(cache, "private, no-cache") == 0, q,
	       "Cache-Control");
	demand((auth != NULL) == (a->status == 401), q, "WWW-Authenticate with 401 alone");
	demand(!auth || strncmp(auth, "Bearer realm=", 13) == 0, q, "WWW-Authenticate: Bearer");
	demand((header(w, a, "Retry-After") != NULL) == (a->status == 429 || a->status == 503), q,
	       "Retry-After with 429 and 503 alone");
	demand(!find_header(a->headers, "Content-Length") && !find_header(a->headers, "Status"), q,
	       "headers of the transport");
}

static void check_log(struct world *w, const struct ask *q, const struct answer *a,
		      const char *request_id)
{
	const char *record = strstr(a->log, " event=request ");
	const char *query = strchr(q->path, '?');
	const char *expected = format(w, " status=%d ", a->status);

	demand(record && !strstr(record + 1, " event=request "), q, "one record a request");
	demand(record && strstr(record, expected), q, "status in the log");
	expected = format(w, " request_id=%s\n", request_id);
	demand(record && strstr(record, expected), q, "request id in the log");
	demand((strstr(a->log, " event=auth_failed ") != NULL) == (a->status == 401), q,
	       "auth failures in the log");
	for (size_t i = 0; i < w->n_secrets; i++)
		demand(!strstr(a->log, w->secrets[i]), q, "a secret in the log");
	/* short ones may be the name of a pair */
	demand(!query || strlen(query) < 9 || !strstr(a->log, query + 1), q, "a query in the log");
}

static void check_body(struct world *w, const struct ask *q, struct answer *a)
{
	demand((a->body_len == 0) == (a->status == 204), q, "no body with 204 alone");
	demand((a->type == NULL) == (a->status == 204), q, "a type with every body");
	if (a->body_len == 0)
		return;
	a->json = look_parse(a->body, a->body_len);
	demand(a->json != NULL, q, "the body is one JSON value");
	if (!a->json)
		return;
	arena_defer(w->memory, look_free, a->json);
	if (text(a, "access_token")[0])
		secret_add(w, text(a, "access_token"));
	if (text(a, "refresh_token")[0])
		secret_add(w, text(a, "refresh_token"));
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
		.prefer = q->prefer,
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

const struct answer *ask(struct world *w, const struct ask *q)
{
	struct answer *a = arena_alloc(w->memory, sizeof(*a));
	struct request request = request_of(w, q);
	struct response *r = &w->response;

	if (q->token)
		secret_add(w, q->token);
	(void)read_log(w);
	dispatch(&w->app, w->arena, &request, r);
	a->status = r->status;
	a->type = r->content_type;
	a->headers = arena_strndup(w->memory, r->headers.data, r->headers.len);
	a->body = arena_strndup(w->memory, r->body.data, r->body.len);
	a->body_len = r->body.len;
	a->log = read_log(w);
	demand(!r->headers.overflow && !r->body.overflow, q, "the response is whole");
	check_body(w, q, a);
	check_headers(w, q, a, request.request_id);
	if (a->status >= 400)
		check_problem(q, a, request.request_id);
	else
		demand(a->status == 200 || a->status == 201 || a->status == 204, q, "the status");
	check_log(w, q, a, request.request_id);
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

struct fake_throttle *account_throttle(struct world *w)
{
	for (size_t i = 0; i < w->store->n_throttles; i++) {
		if (strncmp(w->store->throttles[i].key, "account:", 8) == 0)
			return &w->store->throttles[i];
	}
	return NULL;
}

const char *route_path(struct world *w, const struct route *route, const char *user,
		       const char *task)
{
	const char *p = strstr(route->path, "/{user_id}");
	const char *rest = p ? p + strlen("/{user_id}") : "";
	const char *t = strstr(rest, "/{task_id}");

	if (!p)
		return route->path;
	if (!t)
		return format(w, "/api/%s%s", user, rest);
	return format(w, "/api/%s%.*s/%s%s", user, (int)(t - rest), rest, task,
		      t + strlen("/{task_id}"));
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

const char *token_of(struct world *w, const struct keys *keys, const struct token_claims *claims)
{
	char *token = token_issue(keys, w->arena, claims, "somebody@example.org"), *kept;

	if (!token)
		give_up("no token");
	kept = arena_strndup(w->memory, token, strlen(token));
	secret_add(w, kept);
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
	secret_add(w, refresh);
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
		.ip = "192.0.2.1",
	};
}

struct person person_new(struct world *w, const char *email)
{
	const struct new_account new = {
		.user_id = uuid_v7(),
		.email = email,
		.email_key = email,
		.password_hash = hash_of_password(),
		.session = new_session(w),
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
	};
	struct session session;
	struct user user;

	if (store_login(w->store, w->memory, &login, &user, &session) != STORE_OK)
		give_up("no session");
	return person_of(w, &user, &session);
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
