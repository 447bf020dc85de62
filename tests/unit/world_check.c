#include "base/base.h"

#include "world_inside.h"

#include <strings.h>

#include "base/codec.h"
#include "security/refresh_token.h"

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

void check_claims(struct world *w, const struct answer *a, const struct fake_session *s)
{
	const char *payload = strchr(text(a, "access_token"), '.') + 1;
	char bytes[1024], sid[UUID_TEXT_LEN + 1];
	struct json_object *claims;
	size_t n;

	CU_ASSERT_FATAL(base64url_decode(payload, strcspn(payload, "."), bytes, sizeof(bytes), &n));
	/* existing clients read it with a plain atob() */
	CU_ASSERT(strcspn(payload, "-_") >= strcspn(payload, "."));
	for (size_t i = 0; i < n; i++)
		CU_ASSERT(bytes[i] >= ' ' && bytes[i] <= '~');
	claims = look_parse(bytes, n);
	CU_ASSERT_FATAL(claims != NULL);
	uuid_format(&s->row.id, sid);
	CU_ASSERT_STRING_EQUAL(look_text(claims, "iss"), ISSUER);
	CU_ASSERT_STRING_EQUAL(look_text(claims, "aud"), AUDIENCE);
	CU_ASSERT_STRING_EQUAL(look_text(claims, "sub"), text(a, "user.id"));
	CU_ASSERT_STRING_EQUAL(look_text(claims, "user_id"), text(a, "user.id"));
	CU_ASSERT_STRING_EQUAL(look_text(claims, "email"), text(a, "user.email"));
	CU_ASSERT_STRING_EQUAL(look_text(claims, "sid"), sid);
	CU_ASSERT_STRING_EQUAL(look_text(claims, "token_use"), "access");
	CU_ASSERT(look_number(claims, "iat") == FAKE_START_S);
	CU_ASSERT(look_number(claims, "nbf") == FAKE_START_S);
	CU_ASSERT(look_number(claims, "exp") == FAKE_START_S + w->app.access_s);
	CU_ASSERT(strlen(look_text(claims, "jti")) == UUID_TEXT_LEN);
	look_free(claims);
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
	demand((errors > 0) == (strcmp(text(a, "code"), "validation_failed") == 0), q,
	       "errors with validation_failed alone");
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
	demand(strcmp(cache, "no-store") == 0 || strcmp(cache, "private, no-cache") == 0 ||
		       (strcmp(cache, "public, max-age=300") == 0 && a->status < 400),
	       q, "Cache-Control");
	demand(!find_header(a->headers, "Set-Cookie") || a->status < 300, q,
	       "Set-Cookie with success alone");
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
	demand((strstr(a->log, " event=auth_failed ") != NULL) ==
		       (a->status == 401 || strcmp(text(a, "code"), "wrong_password") == 0 ||
			strcmp(text(a, "code"), "cross_site") == 0),
	       q, "auth failures in the log");
	for (size_t i = 0; i < w->n_secrets; i++)
		demand(!strstr(a->log, w->secrets[i]), q, "a secret in the log");
	/* short ones may be the name of a pair */
	demand(!query || strlen(query) < 9 || !strstr(a->log, query + 1), q, "a query in the log");
}

static void check_body(struct world *w, const struct ask *q, struct answer *a)
{
	bool empty = a->status == 204 || a->status == 304;

	demand((a->body_len == 0) == empty, q, "no body with 204 and 304 alone");
	demand((a->type == NULL) == empty, q, "a type with every body");
	demand(!strstr(a->body, "scrypt"), q, "no hash in the body");
	if (a->body_len == 0)
		return;
	if (strncmp(a->type, "text/", 5) == 0)
		return; /* an export */
	a->json = look_parse(a->body, a->body_len);
	demand(a->json != NULL, q, "the body is one JSON value");
	if (!a->json)
		return;
	arena_defer(w->memory, look_free, a->json);
	if (text(a, "access_token")[0])
		world_secret(w, text(a, "access_token"));
	if (text(a, "refresh_token")[0])
		world_secret(w, text(a, "refresh_token"));
}

/* Before the log is looked at: the cookie is as secret as the token in a body. */
static void check_cookie(struct world *w, const struct ask *q, const struct answer *a)
{
	const char *first = find_header(a->headers, "Set-Cookie"), *value;
	char copy[REFRESH_TOKEN_LEN + 1] = "";
	size_t len;

	if (!first)
		return;
	demand(!find_header(first + 1, "Set-Cookie"), q, "one Set-Cookie");
	value = strchr(first, '=') + 1;
	len = strcspn(value, ";");
	demand(len == 0 || len == REFRESH_TOKEN_LEN, q, "the cookie's length");
	if (len != REFRESH_TOKEN_LEN)
		return;
	memcpy(copy, value, len);
	world_secret(w, copy);
	demand(!strstr(a->body, copy) && text(a, "refresh_token")[0] == '\0', q,
	       "no refresh token in the body as well");
}

const char *cookie_of(struct world *w, const struct answer *a, int64_t max_age_s)
{
	const char *line = header(w, a, "Set-Cookie"), *value, *expected;
	size_t len;

	if (!line)
		return NULL;
	value = strchr(line, '=') + 1;
	len = strcspn(value, ";");
	expected = format(w, "%s=%.*s; Path=%s/api/auth; Max-Age=%lld; HttpOnly; %sSameSite=Strict",
			  w->app.cookie_secure ? "__Secure-taskcell_refresh" : "taskcell_refresh",
			  (int)len, value, w->app.mount, (long long)max_age_s,
			  w->app.cookie_secure ? "Secure; " : "");
	CU_ASSERT_STRING_EQUAL(line, expected);
	return arena_strndup(w->memory, value, len);
}

void world_check(struct world *w, const struct ask *q, struct answer *a, const char *request_id)
{
	check_body(w, q, a);
	check_headers(w, q, a, request_id);
	check_cookie(w, q, a);
	if (a->status >= 400)
		check_problem(q, a, request_id);
	else
		demand(a->status == 200 || a->status == 201 || a->status == 204 ||
			       a->status == 207 || a->status == 304,
		       q, "the status");
	check_log(w, q, a, request_id);
}
