/* Fails the n-th call of the store, for every n, in a request of every route. */
#include "base/base.h"

#include "test_api.h"

#include "api/routes.h"
#include "world.h"

#define INVITE "an-invitation-0"
#define OTHER  "0198c2f0-1a2b-7c3d-8e4f-a0b1c2d3e4ff"

/* What the requests are about: the same in every run. */
struct scene {
	struct world *w;
	struct person ada;
	const char *id; /* of the task or the other session */
};

enum caller {
	STRANGER,
	BEARER,
	COOKIE,    /* of the page itself */
	ELSEWHERE, /* the cookie, but of another site's page */
	LATE,      /* 31 s after a refresh: what is presented was stolen */
};

struct script {
	const char *method, *path; /* with %s for the id */
	const char *body;          /* with %s for the refresh token */
	int status;                /* when nothing fails */
	enum caller caller;
};

/* clang-format off */
static const struct script scripts[] = {
	{ "POST", "/api/auth/register",
	  "{\"email\":\"eve@example.org\",\"password\":\"" PASSWORD "\"}", 201, STRANGER },
	{ "POST", "/api/auth/login",
	  "{\"email\":\"ada@example.org\",\"password\":\"" PASSWORD "\"}", 200, STRANGER },
	{ "POST", "/api/auth/login",
	  "{\"email\":\"ada@example.org\",\"password\":\"wrong\"}", 401, STRANGER },
	{ "POST", "/api/auth/register",
	  "{\"email\":\"eve@example.org\",\"password\":\"" PASSWORD "\",\"invite\":\"" INVITE "\"}",
	  201, STRANGER },
	{ "POST", "/api/auth/register",
	  "{\"email\":\"eve@example.org\",\"password\":\"" PASSWORD "\",\"invite\":\"x\"}",
	  403, STRANGER },
	{ "POST", "/api/auth/login",
	  "{\"email\":\"eve@example.org\",\"password\":\"wrong\"}", 401, STRANGER },
	{ "POST", "/api/auth/login",
	  "{\"email\":\"ada@example.org\",\"password\":\"" PASSWORD "\",\"cookie\":true}",
	  200, COOKIE },
	{ "POST", "/api/auth/refresh", NULL, 200, COOKIE },
	{ "POST", "/api/auth/refresh", NULL, 403, ELSEWHERE },
	{ "POST", "/api/auth/logout", NULL, 200, COOKIE },
	{ "POST", "/api/auth/logout", NULL, 403, ELSEWHERE },
	{ "POST", "/api/auth/refresh", "{\"refresh_token\":\"%s\"}", 200, STRANGER },
	{ "POST", "/api/auth/refresh", "{\"refresh_token\":\"%s\"}", 401, LATE },
	{ "POST", "/api/auth/refresh", "{\"refresh_token\":\"x\"}", 401, STRANGER },
	{ "POST", "/api/auth/logout", NULL, 200, BEARER },
	{ "POST", "/api/auth/logout", "{\"refresh_token\":\"%s\"}", 200, STRANGER },
	{ "GET", "/api/auth/session", NULL, 200, BEARER },
	{ "GET", "/api/auth/sessions", NULL, 200, BEARER },
	{ "DELETE", "/api/auth/sessions", NULL, 204, BEARER },
	{ "DELETE", "/api/auth/sessions/%s", NULL, 204, BEARER },
	{ "POST", "/api/auth/password",
	  "{\"current_password\":\"" PASSWORD "\",\"new_password\":\"another-good-horse\"}",
	  200, BEARER },
	{ "POST", "/api/auth/password",
	  "{\"current_password\":\"wrong\",\"new_password\":\"another-good-horse\"}",
	  403, BEARER },
	{ "POST", "/api/auth/password",
	  "{\"current_password\":\"wrong\",\"new_password\":\"password\"}", 422, BEARER },
	{ "GET", "/api/auth/account", NULL, 200, BEARER },
	{ "PATCH", "/api/auth/account", "{}", 200, BEARER },
	{ "PATCH", "/api/auth/account", "{\"name\":\"x\"}", 200, BEARER },
	{ "PATCH", "/api/auth/account",
	  "{\"email\":\"eve@example.org\",\"current_password\":\"" PASSWORD "\"}", 200, BEARER },
	{ "PATCH", "/api/auth/account",
	  "{\"email\":\"eve@example.org\",\"current_password\":\"wrong\"}", 403, BEARER },
	{ "DELETE", "/api/auth/account", "{\"password\":\"" PASSWORD "\"}", 204, BEARER },
	{ "DELETE", "/api/auth/account", "{\"password\":\"wrong\"}", 403, BEARER },
	{ "GET", "/api/auth/export", NULL, 200, BEARER },
	{ "GET", "/api/me/tasks", NULL, 200, BEARER },
	{ "POST", "/api/me/tasks", "{\"title\":\"x\"}", 201, BEARER },
	{ "GET", "/api/me/tasks/%s", NULL, 200, BEARER },
	{ "PUT", "/api/me/tasks/%s", "{\"title\":\"x\"}", 200, BEARER },
	{ "PATCH", "/api/me/tasks/%s", NULL, 200, BEARER },
	{ "DELETE", "/api/me/tasks/%s", NULL, 200, BEARER },
	{ "PATCH", "/api/me/tasks/%s/complete", NULL, 200, BEARER },
	{ "POST", "/api/me/tasks/%s/complete", NULL, 200, BEARER },
	{ "GET", "/api/me/tasks?q=x&sort=title&count=true&limit=1", NULL, 200, BEARER },
	{ "GET", "/api/me/tasks?format=csv", NULL, 200, BEARER },
	{ "POST", "/api/me/tasks", "{\"title\":\"x\",\"id\":\"" OTHER "\"}", 201, BEARER },
	{ "DELETE", "/api/me/tasks?completed=true", NULL, 200, BEARER },
	{ "POST", "/api/me/tasks/batch",
	  "{\"atomic\":true,\"operations\":[{\"op\":\"create\",\"data\":{\"title\":\"x\"}},"
	  "{\"op\":\"create\",\"data\":{\"title\":\"y\"}}]}", 200, BEARER },
	{ "POST", "/api/me/tasks/import", "[{\"title\":\"x\"},{\"title\":\"y\"}]", 200, BEARER },
	{ "GET", "/api/me/trash", NULL, 200, BEARER },
	{ "POST", "/api/me/trash/%s/restore", NULL, 200, BEARER },
	{ "DELETE", "/api/me/trash/%s", NULL, 204, BEARER },
	{ "GET", "/api/me/changes", NULL, 200, BEARER },
	{ "GET", "/api/me/stats", NULL, 200, BEARER },
	{ "GET", "/api/openapi.json", NULL, 200, STRANGER },
	{ "GET", "/api/health", NULL, 200, STRANGER },
	{ "GET", "/api/ready", NULL, 200, STRANGER },
	{ "GET", "/api/metrics", NULL, 200, STRANGER },
	{ "GET", "/.well-known/jwks.json", NULL, 200, STRANGER },
};
/* clang-format on */

static struct scene scene_new(const struct script *script)
{
	struct scene s = { .w = world_new() };
	char id[UUID_TEXT_LEN + 1];
	struct person again;

	s.ada = person_new(s.w, "ada@example.org");
	s.id = task_new(s.w, &s.ada, "x");
	if (strstr(script->path, "/sessions/")) {
		again = person_again(s.w, &s.ada);
		uuid_format(&again.principal.session_id, id);
		s.id = format(s.w, "%s", id);
	}
	if (strstr(script->path, "/trash/"))
		CHECK(ASK(s.w, .method = "DELETE", .token = s.ada.access,
			  .path = format(s.w, "/api/me/tasks/%s", s.id)),
		      200, NULL);
	CU_ASSERT_STRING_EQUAL(invite_new(s.w, 1), INVITE);
	s.w->app.registration_invite = script->body && strstr(script->body, "invite");
	if (script->caller == LATE) {
		CHECK(ASK(s.w, .method = "POST", .path = "/api/auth/refresh",
			  .body = format(s.w, "{\"refresh_token\":\"%s\"}", s.ada.refresh)),
		      200, NULL);
		fake_clock_advance(31 * US_PER_SECOND);
	}
	calls_reset(s.w);
	return s;
}

static const struct answer *play(struct scene *s, const struct script *script)
{
	const char *body = script->body, *cookie = NULL;

	if (script->caller == COOKIE || script->caller == ELSEWHERE)
		cookie = format(s->w, "__Secure-taskcell_refresh=%s", s->ada.refresh);
	if (body && strstr(body, "%s"))
		body = format(s->w, body, s->ada.refresh);
	return ASK(s->w, .method = script->method, .path = format(s->w, script->path, s->id),
		   .token = script->caller == BEARER ? s->ada.access : NULL, .body = body,
		   .cookie = cookie, .site = script->caller == COOKIE ? "same-origin" : NULL);
}

/* What the n-th call's failure has to become. */
static int expected_status(const struct scene *s, const struct script *script,
			   enum store_result fault)
{
	const char *call = s->w->store->calls[s->w->store->fail_call - 1];

	if (strcmp(call, "store_ready") == 0)
		return 503;
	/* what was decided stays */
	if (strcmp(call, "store_throttle_refund") == 0 || strcmp(call, "store_audit_failure") == 0)
		return script->status;
	/* a login that does not find its credential as it was looks once more */
	if (strcmp(call, "store_login") == 0 && fault == STORE_NO_SESSION)
		return 200;
	return fault == STORE_NO_SESSION ? 401 : fault == STORE_FAILED ? 500 : 503;
}

/* Runs the script with its n-th call failing; false when it has no n-th call. */
static bool run_fault(const struct script *script, size_t n, enum store_result fault)
{
	struct scene s = scene_new(script);
	int64_t revision = fake_account_of(s.w->store, &s.ada.principal.user_id)->revision;
	const struct answer *a;
	bool reached;

	s.w->store->fail_call = n;
	s.w->store->fail_with = fault;
	a = play(&s, script); /* ask() looks at the form of whatever comes */
	reached = s.w->store->n_calls >= n;
	if (!reached) {
		CU_ASSERT(a->status == script->status);
	} else {
		int expected = expected_status(&s, script, fault);

		if (a->status != expected)
			fprintf(stderr, "%s %s, call %zu (%s): %d, not %d\n", script->method,
				script->path, n, s.w->store->calls[n - 1], a->status, expected);
		CU_ASSERT(a->status == expected);
		/* a part of what was asked for is not done either */
		if (strncmp(script->path, "/api/me/", 8) == 0)
			CU_ASSERT(fake_account_of(s.w->store, &s.ada.principal.user_id)->revision ==
				  revision);
		/* and the application is as good as before */
		calls_reset(s.w);
		CU_ASSERT(play(&s, script)->status == script->status);
		CU_ASSERT(s.w->gate.held == -1);
	}
	world_free(s.w);
	return reached;
}

static void every_call_fails_once(void)
{
	static const enum store_result faults[] = { STORE_UNAVAILABLE, STORE_BUSY, STORE_FAILED,
						    STORE_NO_SESSION };
	size_t runs = 0;

	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		for (size_t k = 0; k < ARRAY_LEN(faults); k++) {
			size_t n = 1;

			while (n < FAKE_CALLS && run_fault(&scripts[i], n, faults[k]))
				n++;
			runs += n - 1;
		}
	}
	/* a loop that reaches nothing would pass as well */
	CU_ASSERT(runs == 94 * ARRAY_LEN(faults));
}

static void every_route_has_a_script(void)
{
	bool covered[64] = { false };

	CU_ASSERT_FATAL(routes_count <= ARRAY_LEN(covered));
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		struct scene s = scene_new(&scripts[i]);
		const struct answer *a = play(&s, &scripts[i]);

		for (size_t k = 0; k < routes_count; k++) {
			const char *record =
				format(s.w, " method=%s route=%s status=",
				       http_method_name(routes[k].method), routes[k].path);

			covered[k] = covered[k] || strstr(a->log, record);
		}
		world_free(s.w);
	}
	for (size_t k = 0; k < routes_count; k++)
		CU_ASSERT(covered[k]);
}

CU_TestInfo fault_tests[] = {
	{ "every route has a script", every_route_has_a_script },
	{ "every call fails once", every_call_fails_once },
	CU_TEST_INFO_NULL,
};
