/* What is counted of requests, who may read it, and the log of slow ones. */
#include "base/base.h"

#include "test_api.h"

#include "api/metrics.h"
#include "api/routes.h"
#include "world.h"

static const char *scrape(struct world *w)
{
	const struct answer *a = ASK(w, .path = "/api/metrics");

	CHECK(a, 200, NULL);
	return a->body;
}

/* The value of a series, by its whole name with labels, as text. */
static const char *value_in(struct world *w, const char *text, const char *series)
{
	const char *at = text;
	size_t len = strlen(series);

	while ((at = strstr(at, series))) {
		if (at > text && at[-1] == '\n' && at[len] == ' ')
			return arena_strndup(w->memory, at + len + 1, strcspn(at + len + 1, "\n"));
		at += len;
	}
	fprintf(stderr, "no series %s\n", series);
	return "";
}

static bool value_is(struct world *w, const char *series, const char *expected)
{
	const char *value = value_in(w, scrape(w), series);

	if (strcmp(value, expected) == 0)
		return true;
	fprintf(stderr, "%s is %s, not %s\n", series, value, expected);
	return false;
}
#define VALUE(series, expected) CU_ASSERT(value_is(w, (series), (expected)))

static bool may_read(struct world *w, const char *address, const char *forwarded)
{
	const struct answer *a =
		ASK(w, .path = "/api/metrics", .address = address, .forwarded_for = forwarded);

	CU_ASSERT(a->status == 200 || answer_is(a, 404, "not_found"));
	return a->status == 200;
}

static void metrics_for_some_only(void)
{
	struct world *w = world_new();
	struct net_list *allow = &w->app.metrics_allow, *trusted = &w->app.trusted_proxies;

	CU_ASSERT_TRUE_FATAL(net_list_parse("127.0.0.0/8, ::1 192.0.2.7", allow));
	CU_ASSERT_TRUE(may_read(w, "127.0.0.1", NULL));
	CU_ASSERT_TRUE(may_read(w, "::1", NULL));
	CU_ASSERT_TRUE(may_read(w, "::ffff:127.1.2.3", NULL));
	CU_ASSERT_FALSE(may_read(w, "192.0.2.1", NULL));
	CU_ASSERT_FALSE(may_read(w, "", NULL));
	CU_ASSERT_FALSE(may_read(w, "unix:", NULL));
	/* a proxy on this host that we do not know of */
	CU_ASSERT_FALSE(may_read(w, "127.0.0.1", "198.51.100.1"));
	CU_ASSERT_FALSE(may_read(w, "127.0.0.1", "127.0.0.1"));
	CU_ASSERT_FALSE(may_read(w, "127.0.0.1", ""));
	/* one that we do know of */
	CU_ASSERT_TRUE_FATAL(net_list_parse("127.0.0.1", trusted));
	CU_ASSERT_TRUE(may_read(w, "127.0.0.1", "192.0.2.7"));
	CU_ASSERT_TRUE(may_read(w, "127.0.0.1", "127.0.0.1, 192.0.2.7"));
	CU_ASSERT_FALSE(may_read(w, "127.0.0.1", "192.0.2.7, 198.51.100.1"));
	CU_ASSERT_FALSE(may_read(w, "127.0.0.1", "198.51.100.1"));
	CU_ASSERT_FALSE(may_read(w, "127.0.0.1", "127.0.0.1"));
	CU_ASSERT_FALSE(may_read(w, "127.0.0.1", "unknown"));
	CU_ASSERT_FALSE(may_read(w, "192.0.2.7", "127.0.0.2"));
	CU_ASSERT_TRUE(may_read(w, "192.0.2.7", NULL));

	CU_ASSERT_TRUE_FATAL(net_list_parse("", allow));
	CU_ASSERT_FALSE(may_read(w, "127.0.0.1", NULL));
	world_free(w);
}

static void metrics_count_requests(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *a;

	/* its own request is not in it yet */
	VALUE("taskcell_requests_total{method=\"GET\",route=\"/api/metrics\",class=\"2xx\"}", "0");
	VALUE("taskcell_requests_total{method=\"GET\",route=\"/api/metrics\",class=\"2xx\"}", "1");
	w->store->spent = (struct store_spent){ .us = 1500000, .round_trips = 2 };
	CHECK(ASK(w, .path = "/api/me/tasks", .token = ada.access), 200, NULL);
	CHECK(ASK(w, .method = "HEAD", .path = "/api/me/tasks", .token = ada.access), 200, NULL);
	w->store->spent = (struct store_spent){ 0 };
	CHECK(ASK(w, .path = "/api/me/tasks"), 401, "missing_token");
	CHECK(ASK(w, .path = "/api/me/tasks", .token = "x.y.z"), 401, "invalid_token");
	CHECK(ASK(w, .path = "/api/me/tasks", .token = ada.access,
		  .if_none_match =
			  header(w, ASK(w, .path = "/api/me/tasks", .token = ada.access), "ETag")),
	      304, NULL);
	VALUE("taskcell_requests_total{method=\"GET\",route=\"/api/{user_id}/"
	      "tasks\",class=\"2xx\"}",
	      "3");
	VALUE("taskcell_requests_total{method=\"GET\",route=\"/api/{user_id}/"
	      "tasks\",class=\"3xx\"}",
	      "1");
	VALUE("taskcell_requests_total{method=\"GET\",route=\"/api/{user_id}/"
	      "tasks\",class=\"4xx\"}",
	      "2");
	VALUE("taskcell_request_duration_seconds_count{method=\"GET\","
	      "route=\"/api/{user_id}/tasks\"}",
	      "6");
	VALUE("taskcell_database_seconds_total{method=\"GET\",route=\"/api/{user_id}/tasks\"}",
	      "3.000000");
	VALUE("taskcell_database_round_trips_total{method=\"GET\",route=\"/api/{user_id}/tasks\"}",
	      "4");
	VALUE("taskcell_tokens_total{result=\"valid\"}", "4");
	VALUE("taskcell_tokens_total{result=\"invalid\"}", "1");
	VALUE("taskcell_token_verification_seconds_count{source=\"signature\"}", "2");
	VALUE("taskcell_token_verification_seconds_count{source=\"cache\"}", "3");
	VALUE("taskcell_problems_total{code=\"missing_token\"}", "1");

	/* what no row serves is one series, whatever a client thinks of */
	CHECK(ASK(w, .path = "/api/nothing/\"}evil"), 404, "not_found");
	CHECK(ASK(w, .method = "BREW", .path = "/api/health"), 405, "method_not_allowed");
	a = ASK(w, .method = "OPTIONS", .path = "/api/health");
	CU_ASSERT(a->status == 204);
	VALUE("taskcell_requests_total{method=\"other\",route=\"other\",class=\"4xx\"}", "2");
	VALUE("taskcell_requests_total{method=\"other\",route=\"other\",class=\"2xx\"}", "1");
	VALUE("taskcell_requests_total{method=\"GET\",route=\"/api/health\",class=\"2xx\"}", "0");
	CU_ASSERT(strstr(scrape(w), "evil") == NULL);
	world_free(w);
}

static void metrics_count_logins(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *a;

	w->app.throttle_address_per_minute = 1000;
	CHECK(login(w, "ada@example.org", PASSWORD), 200, NULL);
	CHECK(login(w, "ada@example.org", "wrong"), 401, "invalid_credentials");
	CHECK(login(w, "eve@example.org", "wrong"), 401, "invalid_credentials");
	CHECK(ASK(w, LOGIN, .body = "{}"), 422, "validation_failed");
	fake_account_of(w->store, &ada.principal.user_id)->disabled = true;
	CHECK(login(w, "ada@example.org", PASSWORD), 401, "invalid_credentials");
	fake_account_of(w->store, &ada.principal.user_id)->disabled = false;
	w->store->fail_call = w->store->n_calls + 1;
	w->store->fail_with = STORE_UNAVAILABLE;
	CHECK(login(w, "ada@example.org", PASSWORD), 503, "unavailable");
	calls_reset(w);
	w->app.throttle_address_per_minute = 1;
	CHECK(login(w, "ada@example.org", PASSWORD), 429, "rate_limited");
	w->app.throttle = false;

	a = refresh(w, ada.refresh);
	CHECK(a, 200, NULL);
	CHECK(refresh(w, "x"), 401, "invalid_refresh_token");
	CHECK(ASK(w, .method = "POST", .path = "/api/auth/refresh"), 401, "invalid_refresh_token");
	fake_clock_advance(31 * US_PER_SECOND);
	CHECK(refresh(w, ada.refresh), 401, "session_ended");
	CHECK(refresh(w, text(a, "refresh_token")), 401, "session_ended");

	VALUE("taskcell_logins_total{result=\"success\"}", "1");
	VALUE("taskcell_logins_total{result=\"wrong_password\"}", "1");
	VALUE("taskcell_logins_total{result=\"unknown_email\"}", "1");
	VALUE("taskcell_logins_total{result=\"disabled\"}", "1");
	VALUE("taskcell_logins_total{result=\"malformed\"}", "1");
	VALUE("taskcell_logins_total{result=\"error\"}", "1");
	VALUE("taskcell_logins_total{result=\"throttled\"}", "1");
	VALUE("taskcell_logins_total{result=\"hashing_busy\"}", "0");
	VALUE("taskcell_throttled_total{policy=\"address\"}", "1");
	VALUE("taskcell_throttled_total{policy=\"account\"}", "0");
	VALUE("taskcell_password_hash_seconds_count", "4");
	VALUE("taskcell_password_hashes{state=\"running\"}", "0");
	VALUE("taskcell_refreshes_total{result=\"success\"}", "1");
	VALUE("taskcell_refreshes_total{result=\"invalid\"}", "1");
	VALUE("taskcell_refreshes_total{result=\"missing\"}", "1");
	VALUE("taskcell_refreshes_total{result=\"reused\"}", "1");
	VALUE("taskcell_refreshes_total{result=\"session_ended\"}", "1");
	world_free(w);
}

static void metrics_gate_is_busy(void)
{
	struct world *w = world_new();
	struct gate other;

	(void)person_new(w, "ada@example.org");
	CU_ASSERT_TRUE_FATAL(gate_open(&other, w->gate_path, 1));
	CU_ASSERT_TRUE(gate_enter(&other, 0));
	CHECK(login(w, "ada@example.org", PASSWORD), 503, "hashing_busy");
	VALUE("taskcell_logins_total{result=\"hashing_busy\"}", "1");
	VALUE("taskcell_password_hash_seconds_count", "0");
	VALUE("taskcell_password_hashes{state=\"waiting\"}", "0");
	gate_close(&other);
	world_free(w);
}

/* Every bucket's bound belongs to it, and all add up. */
static void metrics_buckets(void)
{
	struct world *w = world_new();
	struct call c = { .app = &w->app, .response = &w->response };
	const struct store_spent spent = { 0 };
	const char *series = "taskcell_request_duration_seconds_bucket{method=\"other\","
			     "route=\"other\",le=\"%s\"}";
	const char *text;

	c.response->status = 200;
	for (size_t i = 0; i < ARRAY_LEN(metric_bounds); i++) {
		metrics_request(&c, API_OK, metric_bounds[i], &spent);
		metrics_request(&c, API_OK, metric_bounds[i] + 1, &spent);
		CU_ASSERT(i == 0 || metric_bounds[i] > metric_bounds[i - 1]);
	}
	response_reset(&w->response);
	text = scrape(w);
	CU_ASSERT_STRING_EQUAL(value_in(w, text, format(w, series, "0.0005")), "1");
	CU_ASSERT_STRING_EQUAL(value_in(w, text, format(w, series, "0.001")), "3");
	CU_ASSERT_STRING_EQUAL(value_in(w, text, format(w, series, "10")), "25");
	CU_ASSERT_STRING_EQUAL(value_in(w, text, format(w, series, "+Inf")), "26");
	world_free(w);
}

static void slow_requests_are_logged(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *a;

	/* the fake clock moves by a millisecond at each look */
	w->app.slow_us = 1000;
	w->store->spent = (struct store_spent){ .us = 900, .round_trips = 3, .slowest_us = 700 };
	w->store->slowest = "session_enter+task_get";
	a = ASK(w, .path = "/api/me/tasks", .token = ada.access);
	CHECK(a, 200, NULL);
	CU_ASSERT(strstr(a->log, " event=slow ") &&
		  strstr(a->log, " route=/api/{user_id}/tasks ") != NULL);
	CU_ASSERT(strstr(a->log,
			 " database_us=900 round_trips=3 token_us=1000 hash_us=0 "
			 "statement=session_enter+task_get statement_us=700 request_id=") != NULL);
	w->store->spent = (struct store_spent){ 0 };
	w->store->slowest = NULL;
	a = ASK(w, .path = "/api/health");
	CU_ASSERT(strstr(a->log, " event=slow ") && !strstr(a->log, "statement"));
	VALUE("taskcell_slow_requests_total", "2");
	w->app.slow_us = 0;
	CU_ASSERT(!strstr(ASK(w, .path = "/api/health")->log, " event=slow "));
	w->app.slow_us = 3600 * US_PER_SECOND;
	CU_ASSERT(!strstr(ASK(w, .path = "/api/health")->log, " event=slow "));

	/* waiting for changes is no work */
	w->app.slow_us = 5 * US_PER_SECOND;
	a = ASK(w, .path = "/api/me/changes", .token = ada.access, .prefer = "wait=20");
	CHECK(a, 200, NULL);
	a = ASK(w, .path = format(w, "/api/me/changes?since=%s", text(a, "next")),
		.token = ada.access, .prefer = "wait=20");
	CHECK(a, 200, NULL);
	CU_ASSERT(w->pauses > 10 && !strstr(a->log, " event=slow "));
	world_free(w);
}

static void queries_are_traced(void)
{
	struct world *w = world_new();

	CHECK(ASK(w, .path = "/api/ready", .request_id = "one"), 200, NULL);
	CU_ASSERT_STRING_EQUAL(w->store->trace, "");
	w->app.trace_queries = true;
	CHECK(ASK(w, .path = "/api/ready", .request_id = "two"), 200, NULL);
	CU_ASSERT_STRING_EQUAL(w->store->trace, "two");
	world_free(w);
}

CU_TestInfo metrics_tests[] = {
	{ "who may read them", metrics_for_some_only },
	{ "requests", metrics_count_requests },
	{ "logins and refreshes", metrics_count_logins },
	{ "no turn to hash", metrics_gate_is_busy },
	{ "buckets", metrics_buckets },
	{ "slow requests", slow_requests_are_logged },
	{ "queries are traced", queries_are_traced },
	CU_TEST_INFO_NULL,
};
