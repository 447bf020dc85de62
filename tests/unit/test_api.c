/* What holds of all routes: which there are, who may use them, the order of the checks. */
#include "base/base.h"

#include "test_api.h"

#include "api/routes.h"
#include "world.h"

#define MISSING "0198c2f0-1a2b-7c3d-8e4f-a0b1c2d3e4ff"

/* --- the dispatch table ---------------------------------------------------------------------- */

static void routes_name_the_public_ones(void)
{
	static const struct {
		enum http_method method;
		const char *path;
	} public[] = {
		{ HTTP_POST, "/api/auth/register" },
		{ HTTP_POST, "/api/auth/login" },
		{ HTTP_POST, "/api/auth/refresh" },
		{ HTTP_POST, "/api/auth/logout" },
		{ HTTP_GET, "/api/health" },
		{ HTTP_GET, "/api/ready" },
		{ HTTP_GET, "/.well-known/jwks.json" },
		{ HTTP_GET, "/api/openapi.json" },
		{ HTTP_GET, "/api/metrics" },
	};
	size_t found = 0, flagged = 0;

	for (size_t i = 0; i < routes_count; i++) {
		flagged += (routes[i].flags & ROUTE_PUBLIC) != 0;
		for (size_t k = 0; k < ARRAY_LEN(public); k++)
			found += routes[i].method == public[k].method &&
				 strcmp(routes[i].path, public[k].path) == 0 &&
				 routes[i].flags & ROUTE_PUBLIC;
	}
	CU_ASSERT(found == ARRAY_LEN(public));
	CU_ASSERT(flagged == ARRAY_LEN(public));
}

static void routes_are_in_order(void)
{
	for (size_t i = 0; i < routes_count; i++) {
		CU_ASSERT(routes[i].run != NULL);
		CU_ASSERT(strncmp(routes[i].path, "/api/", 5) == 0 ||
			  strcmp(routes[i].path, "/.well-known/jwks.json") == 0);
		/* one row a method and path; HEAD and OPTIONS come by themselves */
		CU_ASSERT(routes[i].method != HTTP_HEAD && routes[i].method != HTTP_OPTIONS &&
			  routes[i].method != HTTP_OTHER);
		for (size_t k = 0; k < i; k++)
			CU_ASSERT(routes[i].method != routes[k].method ||
				  strcmp(routes[i].path, routes[k].path) != 0);
		/* a row that names a user is never public */
		CU_ASSERT(!strstr(routes[i].path, "{user_id}") ||
			  !(routes[i].flags & ROUTE_PUBLIC));
	}
}

/* --- the order of the checks ----------------------------------------------------------------- */

/* A request that breaks every rule at once, mended one by one: each time the first rule that is
 * still broken answers. So each rule is before the next, and before all later ones. */
static void order_of_a_change(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org");
	const char *task = task_new(w, &ada, "x");
	struct fake_session *session = fake_session_of(w->store, &ada.principal);
	struct ask q = {
		.method = "BREW",
		.path = format(w, "/api/%s/nothing/%s?a=%%zz", bob.id, MISSING),
		.authorization = "Bearer bad",
		.state = BODY_TOO_LARGE,
		.body = "[1",
		.type = "text/plain",
		.if_match = "\"999\"",
	};

	session->revoked = true;
	CHECK(ask(w, &q), 404, "not_found");
	q.path = format(w, "/api/%s/tasks/%s?a=%%zz", bob.id, MISSING);
	CHECK(ask(w, &q), 405, "method_not_allowed");
	q.method = "PATCH";
	CHECK(ask(w, &q), 401, "invalid_token");
	q.token = ada.access;
	CHECK(ask(w, &q), 404, "not_found");
	q.path = format(w, "/api/me/tasks/%s?a=%%zz", MISSING);
	CHECK(ask(w, &q), 400, "invalid_query");
	q.path = format(w, "/api/me/tasks/%s", MISSING);
	CHECK(ask(w, &q), 413, "body_too_large");
	q.state = BODY_COMPLETE;
	CHECK(ask(w, &q), 415, "unsupported_media_type");
	q.type = "application/json";
	CHECK(ask(w, &q), 400, "invalid_json");
	q.body = "{\"title\":\"\"}";
	CHECK(ask(w, &q), 422, "validation_failed");
	CU_ASSERT(w->store->n_calls == 0);
	q.body = "{\"title\":\"y\"}";
	CHECK(ask(w, &q), 401, "session_ended");
	session->revoked = false;
	CHECK(ask(w, &q), 404, "not_found");
	q.path = format(w, "/api/me/tasks/%s", task);
	CHECK(ask(w, &q), 412, "precondition_failed");
	q.if_match = "\"1\"";
	CHECK(ask(w, &q), 200, NULL);
	CU_ASSERT(w->store->n_calls == 4);
	world_free(w);
}

static void order_of_a_login(void)
{
	struct world *w = world_new();
	struct ask q = {
		.method = "GET",
		.path = "/api/auth/logon?a=%zz",
		.authorization = "Bearer bad",
		.state = BODY_TOO_LARGE,
		.body = "{",
		.type = "text/plain",
	};
	struct throttle t;

	(void)person_new(w, "ada@example.org");
	w->app.throttle_address_per_minute = 0;
	CHECK(ask(w, &q), 404, "not_found");
	q.path = "/api/auth/login?a=%zz";
	CHECK(ask(w, &q), 405, "method_not_allowed");
	CU_ASSERT(w->store->n_calls == 0);
	q.method = "POST";
	CHECK(ask(w, &q), 429, "rate_limited");
	w->app.throttle_address_per_minute = 100;
	CHECK(ask(w, &q), 400, "invalid_query");
	q.path = "/api/auth/login";
	CHECK(ask(w, &q), 413, "body_too_large");
	q.state = BODY_COMPLETE;
	CHECK(ask(w, &q), 415, "unsupported_media_type");
	q.type = NULL;
	CHECK(ask(w, &q), 400, "invalid_json");
	/* five failures and the sixth, which starts a wait */
	for (int i = 0; i < 6; i++)
		CHECK(ASK(w, .method = "POST", .path = "/api/auth/login",
			  .body = "{\"email\":\"ada@example.org\",\"password\":\"wrong\"}"),
		      401, "invalid_credentials");
	q.body = "{\"email\":\"ada@example.org\",\"password\":\"\"}";
	CHECK(ask(w, &q), 422, "validation_failed");
	q.body = "{\"email\":\"ada@example.org\",\"password\":\"wrong\"}";
	CHECK(ask(w, &q), 429, "rate_limited");
	fake_clock_advance(US_PER_SECOND);
	CHECK(ask(w, &q), 401, "invalid_credentials");
	fake_clock_advance(2 * US_PER_SECOND);
	q.body = "{\"email\":\"ada@example.org\",\"password\":\"" PASSWORD "\"}";
	CHECK(ask(w, &q), 200, NULL);
	CU_ASSERT(store_throttle_reserve(w->store, "account:unused", &t) == STORE_OK);
	world_free(w);
}

/* The neighbours that the two requests above do not have. */
static void order_of_the_rest(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const char *contradiction = "/api/me/tasks?completed=true&status=pending";
	const struct answer *a;

	/* a cut body comes to nothing before anything is counted or looked at */
	calls_reset(w);
	CHECK(ASK(w, .method = "POST", .path = "/api/auth/login", .state = BODY_CUT), 400,
	      "invalid_request");
	CHECK(ASK(w, .method = "PATCH", .path = "/api/me/tasks/x", .state = BODY_CUT), 400,
	      "invalid_request");
	CHECK(ASK(w, .method = "BREW", .path = "/api/auth/login", .state = BODY_CUT), 405,
	      "method_not_allowed");
	CU_ASSERT(w->store->n_calls == 0);
	/* a route that reads no body refuses one that is too large all the same */
	CHECK(ASK(w, .path = "/api/me/tasks", .token = ada.access, .state = BODY_TOO_LARGE), 413,
	      "body_too_large");
	CHECK(ASK(w, .path = "/api/health", .state = BODY_TOO_LARGE), 413, "body_too_large");
	CHECK(ASK(w, .path = "/api/health", .body = "nonsense", .type = "text/plain"), 200, NULL);
	/* a closed registration is told to those who ask properly */
	w->app.registration_open = false;
	CHECK(ASK(w, .method = "POST", .path = "/api/auth/register", .body = "{}"), 422,
	      "validation_failed");
	CHECK(ASK(w, .method = "POST", .path = "/api/auth/register",
		  .body = "{\"email\":\"eve@example.org\",\"password\":\"" PASSWORD "\"}"),
	      403, "registration_closed");
	CU_ASSERT(!was_called(w, "store_account_create"));
	/* an answer that needs no row still needs a session */
	a = ASK(w, .path = contradiction, .token = ada.access);
	CHECK(a, 200, NULL);
	CU_ASSERT_STRING_EQUAL(a->body, "[]");
	fake_session_of(w->store, &ada.principal)->revoked = true;
	CHECK(ASK(w, .path = contradiction, .token = ada.access), 401, "session_ended");
	CHECK(ASK(w, .path = "/api/me/tasks?limit=0", .token = ada.access), 400, "invalid_query");
	world_free(w);
}

/* --- paths and methods ----------------------------------------------------------------------- */

static void methods_and_allow(void)
{
	static const struct {
		const char *path, *allow;
	} paths[] = {
		{ "/api/auth/register", "POST, OPTIONS" },
		{ "/api/auth/login", "POST, OPTIONS" },
		{ "/api/auth/refresh", "POST, OPTIONS" },
		{ "/api/auth/logout/", "POST, OPTIONS" },
		{ "/api/auth/session", "GET, HEAD, OPTIONS" },
		{ "/api/auth/sessions", "GET, HEAD, DELETE, OPTIONS" },
		{ "/api/auth/sessions/x", "DELETE, OPTIONS" },
		{ "/api/auth/password", "POST, OPTIONS" },
		{ "/api/auth/account", "GET, HEAD, PATCH, DELETE, OPTIONS" },
		{ "/api/auth/export", "GET, HEAD, OPTIONS" },
		{ "/.well-known/jwks.json", "GET, HEAD, OPTIONS" },
		{ "/api/health", "GET, HEAD, OPTIONS" },
		{ "/api/ready", "GET, HEAD, OPTIONS" },
		{ "/api/openapi.json", "GET, HEAD, OPTIONS" },
		{ "/api/me/tasks", "GET, HEAD, POST, DELETE, OPTIONS" },
		{ "/api/auth/tasks", "GET, HEAD, POST, DELETE, OPTIONS" }, /* a user of that name */
		{ "/api/me/tasks/batch", "POST, OPTIONS" },
		{ "/api/me/tasks/import/", "POST, OPTIONS" },
		{ "/api/me/trash", "GET, HEAD, OPTIONS" },
		{ "/api/me/trash/x", "DELETE, OPTIONS" },
		{ "/api/me/trash/x/restore", "POST, OPTIONS" },
		{ "/api/me/changes", "GET, HEAD, OPTIONS" },
		{ "/api/me/stats", "GET, HEAD, OPTIONS" },
		{ "/api/me/tasks/x", "GET, HEAD, PUT, PATCH, DELETE, OPTIONS" },
		{ "/api/me/tasks/x/complete", "POST, PATCH, OPTIONS" },
	};
	static const char *const methods[] = { "GET",    "HEAD",    "POST",  "PUT", "PATCH",
					       "DELETE", "CONNECT", "TRACE", "get", "PROPFIND" };
	struct world *w = world_new();

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		const struct answer *a = ASK(w, .method = "OPTIONS", .path = paths[i].path);

		CHECK(a, 204, NULL);
		CU_ASSERT(header_is(w, a, "Allow", paths[i].allow));
		for (size_t k = 0; k < ARRAY_LEN(methods); k++) {
			if (strstr(paths[i].allow, methods[k]))
				continue;
			a = ASK(w, .method = methods[k], .path = paths[i].path);
			CHECK(a, 405, "method_not_allowed");
			CU_ASSERT(header_is(w, a, "Allow", paths[i].allow));
		}
	}
	CU_ASSERT(w->store->n_calls == 0);
	/* nowhere else */
	CU_ASSERT(header(w, ASK(w, .path = "/api/health"), "Allow") == NULL);
	CHECK(ASK(w, .method = "OPTIONS", .path = "/api/nothing"), 404, "not_found");
	world_free(w);
}

static void unknown_paths(void)
{
	static const char *const paths[] = {
		"",
		"/",
		"/api",
		"/api/",
		"/api/nothing",
		"/api/auth",
		"/api/tasks",
		"/api/health/x",
		"/api/Health",
		"/api//health",
		"//api/health",
		"/api/health//",
		"api/health",
		"/api/%zz/tasks",
		"/api/me%2ftasks",
		"/api/me%2Ftasks",
		"/api/me/tasks%00",
		"/api/me/tasks/%",
		"/api/me/tasks/x/complete/y",
		"/api/me/tasks/x/uncomplete",
		"/a/b/c/d/e/f/g/h/i/j/k/l",
		"/api/{user_id}/nothing",
		"/api/auth/../health",
		"/api/me/tasks\r\nX: y",
	};
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		const struct answer *a = ASK(w, .path = paths[i], .token = ada.access);

		CHECK(a, 404, "not_found");
		CU_ASSERT(header_is(w, a, "Cache-Control", "no-store"));
		CU_ASSERT(strstr(a->log, " route=- ") != NULL);
	}
	CU_ASSERT(w->store->n_calls == 0);
	world_free(w);
}

static void paths_of_the_same_route(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const char *task = task_new(w, &ada, "x");
	char *upper = arena_strndup(w->memory, ada.id, strlen(ada.id));
	char *upper_task = arena_strndup(w->memory, task, strlen(task));
	const struct answer *a;

	for (char *p = upper; *p; p++)
		*p = (char)(*p >= 'a' && *p <= 'f' ? *p - 'a' + 'A' : *p);
	for (char *p = upper_task; *p; p++)
		*p = (char)(*p >= 'a' && *p <= 'f' ? *p - 'a' + 'A' : *p);
	CU_ASSERT(strcmp(upper, ada.id) != 0 || strpbrk(ada.id, "abcdef") == NULL);

	const char *const lists[] = {
		"/api/me/tasks",
		"/api/me/tasks/",
		"/api/%6de/tasks",
		"/api/me/t%61sks/?unknown=1",
		format(w, "/api/%s/tasks", ada.id),
		format(w, "/api/%s/tasks/", upper),
	};
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		a = ASK(w, .path = lists[i], .token = ada.access);
		CHECK(a, 200, NULL);
		CU_ASSERT(length(a, "") == 1 && text_is(a, "0.id", task));
		CU_ASSERT(strstr(a->log, " route=/api/{user_id}/tasks ") != NULL);
	}
	const char *const ones[] = {
		format(w, "/api/me/tasks/%s/", task),
		format(w, "/api/%s/tasks/%s", upper, upper_task),
	};
	for (size_t i = 0; i < ARRAY_LEN(ones); i++) {
		a = ASK(w, .path = ones[i], .token = ada.access);
		CHECK(a, 200, NULL);
		CU_ASSERT(text_is(a, "id", task) && text_is(a, "user_id", ada.id));
	}
	world_free(w);
}

static void head_is_get(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const char *one = format(w, "/api/me/tasks/%s", task_new(w, &ada, "x"));
	const char *const paths[] = { "/api/health",           "/api/ready",
				      "/api/auth/session",     "/api/me/tasks",
				      "/api/auth/sessions",    "/api/auth/account",
				      "/api/auth/export",      "/.well-known/jwks.json",
				      "/api/me/tasks?limit=0", one,
				      "/api/me/tasks/" MISSING };

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		const struct answer *get =
			ASK(w, .path = paths[i], .token = ada.access, .request_id = "same");
		const struct answer *head = ASK(w, .method = "HEAD", .path = paths[i],
						.token = ada.access, .request_id = "same");

		CU_ASSERT(get->status == head->status);
		CU_ASSERT_STRING_EQUAL(get->headers, head->headers);
		CU_ASSERT_STRING_EQUAL(get->type, head->type);
		CU_ASSERT_STRING_EQUAL(get->body, head->body); /* the transport leaves it out */
		CU_ASSERT(strstr(head->log, " method=HEAD ") != NULL);
	}
	world_free(w);
}

/* Not yours, not there and not an id are the same bytes, on every route with a task's id. */
static void isolation_shows_nothing(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org");
	const char *theirs = task_new(w, &bob, "bob's");
	const struct {
		const char *user, *task;
	} places[] = {
		{ "me", MISSING },   { "me", theirs },    { ada.id, theirs },   { bob.id, theirs },
		{ bob.id, MISSING }, { MISSING, theirs }, { "nobody", theirs }, { "me", "17" },
		{ "me", "bulk" },    { ada.id, bob.id },  { bob.id, "x" },      { "ME", theirs },
	};
	size_t compared = 0;

	for (size_t i = 0; i < routes_count; i++) {
		const struct answer *first = NULL;

		if (!strstr(routes[i].path, "{task_id}"))
			continue;
		for (size_t k = 0; k < ARRAY_LEN(places); k++) {
			const struct answer *a = ASK(
				w, .method = http_method_name(routes[i].method),
				.path = route_path(w, &routes[i], places[k].user, places[k].task),
				.token = ada.access, .request_id = "same", .if_match = "\"1\"",
				.body = routes[i].body ? "{\"completed\":true}" : NULL);

			CHECK(a, 404, "not_found");
			if (!first)
				first = a;
			CU_ASSERT_STRING_EQUAL(a->body, first->body);
			CU_ASSERT_STRING_EQUAL(a->headers, first->headers);
			compared++;
		}
	}
	CU_ASSERT(compared == 8 * ARRAY_LEN(places));
	/* the same on the routes of the list */
	for (size_t k = 3; k < 7; k++) {
		const char *path = format(w, "/api/%s/tasks", places[k].user);

		CHECK(ASK(w, .path = path, .token = ada.access), 404, "not_found");
		CHECK(ASK(w, .method = "POST", .path = path, .token = ada.access,
			  .body = "{\"title\":\"x\"}"),
		      404, "not_found");
	}
	CU_ASSERT(w->store->n_tasks == 1 && w->store->tasks[0].version == 1);
	world_free(w);
}

/* Each result of the store, on a route that can meet any of them. */
static void results_of_the_store(void)
{
	static const struct {
		enum store_result r;
		int status;
		const char *code;
	} results[] = {
		{ STORE_NO_SESSION, 401, "session_ended" }, { STORE_NOT_FOUND, 404, "not_found" },
		{ STORE_REFUSED, 400, "invalid_request" },  { STORE_BUSY, 503, "unavailable" },
		{ STORE_UNAVAILABLE, 503, "unavailable" },  { STORE_UNFIT, 503, "unavailable" },
		{ STORE_FAILED, 500, "internal_error" },
	};
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");

	for (size_t i = 0; i < ARRAY_LEN(results); i++) {
		calls_reset(w);
		w->store->fail_call = 1;
		w->store->fail_with = results[i].r;
		CHECK(ASK(w, .path = "/api/me/tasks/" MISSING, .token = ada.access),
		      results[i].status, results[i].code);
	}
	world_free(w);
}

static void the_log_says_who_and_what(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *a = ASK(w, .method = "DELETE", .path = "/api/me/tasks/" MISSING,
				     .token = ada.access, .address = "198.51.100.7");

	CU_ASSERT(strstr(a->log, " level=info ") != NULL);
	CU_ASSERT(strstr(a->log, " event=request method=DELETE "
				 "route=/api/{user_id}/tasks/{task_id} status=404 code=not_found "
				 "us=") != NULL);
	CU_ASSERT(strstr(a->log, format(w, " user=%s request_id=", ada.id)) != NULL);
	CU_ASSERT(strstr(a->log, "198.51.100.7") == NULL);
	a = ASK(w, .path = "/api/auth/session", .token = "x.y.z", .address = "198.51.100.7");
	CU_ASSERT(strstr(a->log, " level=warning ") != NULL);
	CU_ASSERT(strstr(a->log, " event=auth_failed address=198.51.100.7 reason=invalid_token "
				 "route=/api/auth/session request_id=") != NULL);
	world_free(w);
}

static CU_TestInfo contract_tests[] = {
	{ "the public routes", routes_name_the_public_ones },
	{ "the table is in order", routes_are_in_order },
	{ "order of checks: change", order_of_a_change },
	{ "order of checks: login", order_of_a_login },
	{ "order of checks: the rest", order_of_the_rest },
	{ "methods and Allow", methods_and_allow },
	{ "unknown paths", unknown_paths },
	{ "paths of the same route", paths_of_the_same_route },
	{ "HEAD", head_is_get },
	{ "isolation", isolation_shows_nothing },
	{ "results of the store", results_of_the_store },
	{ "the log", the_log_says_who_and_what },
	CU_TEST_INFO_NULL,
};

int main(void)
{
	CU_SuiteInfo suites[] = {
		{ .pName = "contract", .pTests = contract_tests },
		{ .pName = "bearer", .pTests = bearer_tests },
		{ .pName = "registration", .pTests = register_tests },
		{ .pName = "login", .pTests = auth_tests },
		{ .pName = "throttle", .pTests = throttle_tests },
		{ .pName = "refresh and logout", .pTests = refresh_tests },
		{ .pName = "cookie mode", .pTests = cookie_tests },
		{ .pName = "client and origins", .pTests = edge_tests },
		{ .pName = "sessions", .pTests = sessions_tests },
		{ .pName = "account", .pTests = account_tests },
		{ .pName = "current password", .pTests = password_tests },
		{ .pName = "tasks", .pTests = task_tests },
		{ .pName = "list of tasks", .pTests = task_list_tests },
		{ .pName = "fields of tasks", .pTests = field_tests },
		{ .pName = "queries of lists", .pTests = query_tests },
		{ .pName = "cursors of lists", .pTests = cursor_tests },
		{ .pName = "idempotency", .pTests = idempotency_tests },
		{ .pName = "trash", .pTests = trash_tests },
		{ .pName = "changes", .pTests = changes_tests },
		{ .pName = "batch", .pTests = batch_tests },
		{ .pName = "batches that fail", .pTests = batch_fault_tests },
		{ .pName = "exports and imports", .pTests = exchange_tests },
		{ .pName = "service", .pTests = service_tests },
		{ .pName = "faults", .pTests = fault_tests },
		{ "metrics", NULL, NULL, NULL, NULL, metrics_tests },
		CU_SUITE_INFO_NULL,
	};

	return run_suites(suites);
}
