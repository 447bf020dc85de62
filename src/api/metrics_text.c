/* The text format of Prometheus, version 0.0.4. */
#include "base/base.h"

#include <inttypes.h>

#include "api/metrics.h"
#include "api/routes.h"
#include "base/clock.h"

/* The name of a metric stands in one line with its type, for tests/lint/metrics. */
static void family(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void line(struct buf *out, const char *name, const char *label, const char *value,
		 uint64_t n)
{
	buf_printf(out, "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, value, n);
}

static void seconds(struct buf *out, uint64_t us)
{
	buf_printf(out, " %" PRIu64 ".%06" PRIu64 "\n", us / US_PER_SECOND, us % US_PER_SECOND);
}

/* --- requests by route ----------------------------------------------------------------------- */

static void route_labels(struct buf *out, size_t row)
{
	bool other = row == routes_count;

	buf_printf(out, "{method=\"%s\",route=\"%s\"",
		   other ? "other" : http_method_name(routes[row].method),
		   other ? "other" : routes[row].path);
}

static const uint64_t *row_counts(const struct board_view *v, size_t row)
{
	return v->counts + COUNT_ROUTE + row * ROUTE_COUNTS;
}

static void write_requests(struct buf *out, const struct board_view *v)
{
	family(out, "taskcell_requests_total", "counter", "Requests answered, by class of status.");
	for (size_t row = 0; row <= routes_count; row++) {
		for (size_t class = 0; class < ROUTE_CLASSES; class ++) {
			buf_printf(out, "taskcell_requests_total");
			route_labels(out, row);
			buf_printf(out, ",class=\"%zuxx\"} %" PRIu64 "\n", class + 2,
				   row_counts(v, row)[ROUTE_CLASS + class]);
		}
	}
}

static void write_durations(struct buf *out, const struct board_view *v)
{
	const char *const name = "taskcell_request_duration_seconds";

	family(out, "taskcell_request_duration_seconds", "histogram",
	       "Time from a whole request to its answer, waiting for changes left out.");
	for (size_t row = 0; row <= routes_count; row++) {
		const uint64_t *counts = row_counts(v, row);
		uint64_t n = 0;

		for (size_t i = 0; i < ROUTE_BUCKETS; i++) {
			n += counts[ROUTE_BUCKET + i];
			buf_printf(out, "%s_bucket", name);
			route_labels(out, row);
			if (i < ARRAY_LEN(metric_bounds))
				buf_printf(out, ",le=\"%g\"} %" PRIu64 "\n",
					   (double)metric_bounds[i] / US_PER_SECOND, n);
			else
				buf_printf(out, ",le=\"+Inf\"} %" PRIu64 "\n", n);
		}
		buf_printf(out, "%s_sum", name);
		route_labels(out, row);
		buf_putc(out, '}');
		seconds(out, counts[ROUTE_US]);
		buf_printf(out, "%s_count", name);
		route_labels(out, row);
		buf_printf(out, "} %" PRIu64 "\n", n);
	}
}

static void write_database(struct buf *out, const struct board_view *v)
{
	family(out, "taskcell_database_seconds_total", "counter",
	       "Time of requests that went into waiting for PostgreSQL.");
	for (size_t row = 0; row <= routes_count; row++) {
		buf_printf(out, "taskcell_database_seconds_total");
		route_labels(out, row);
		buf_putc(out, '}');
		seconds(out, row_counts(v, row)[ROUTE_DATABASE_US]);
	}
	family(out, "taskcell_database_round_trips_total", "counter",
	       "Round trips of statements to PostgreSQL.");
	for (size_t row = 0; row <= routes_count; row++) {
		buf_printf(out, "taskcell_database_round_trips_total");
		route_labels(out, row);
		buf_printf(out, "} %" PRIu64 "\n", row_counts(v, row)[ROUTE_ROUND_TRIPS]);
	}
}

/* --- tokens, logins, hashes ------------------------------------------------------------------ */

static const char *const labels[COUNT_PROBLEM] = {
#define X(name, label) [COUNT_##name] = label,
	LOGIN_COUNTS(X) REFRESH_COUNTS(X) THROTTLE_COUNTS(X) TOKEN_COUNTS(X) TIME_COUNTS(X)
#undef X
};

static void write_counts(struct buf *out, const struct board_view *v, const char *name,
			 const char *label, enum count first, enum count last)
{
	for (size_t i = first; i <= last; i++)
		line(out, name, label, labels[i], v->counts[i]);
}

/* A summary without quantiles: those of several processes could not be joined. */
static void write_time(struct buf *out, const struct board_view *v, const char *name,
		       enum count count)
{
	char label[40] = "";

	if (labels[count])
		(void)snprintf(label, sizeof(label), "{source=\"%s\"}", labels[count]);
	buf_printf(out, "%s_sum%s", name, label);
	seconds(out, v->counts[count + 1]);
	buf_printf(out, "%s_count%s %" PRIu64 "\n", name, label, v->counts[count]);
}

static void write_people(struct buf *out, const struct board_view *v)
{
	family(out, "taskcell_logins_total", "counter", "Attempts to log in.");
	write_counts(out, v, "taskcell_logins_total", "result", COUNT_LOGIN_SUCCESS,
		     COUNT_LOGIN_ERROR);
	family(out, "taskcell_refreshes_total", "counter", "Attempts to refresh a session.");
	write_counts(out, v, "taskcell_refreshes_total", "result", COUNT_REFRESH_SUCCESS,
		     COUNT_REFRESH_ERROR);
	family(out, "taskcell_throttled_total", "counter", "Requests that the throttle refused.");
	write_counts(out, v, "taskcell_throttled_total", "policy", COUNT_THROTTLED_ADDRESS,
		     COUNT_THROTTLED_SESSION);
	family(out, "taskcell_tokens_total", "counter", "Access tokens that were looked at.");
	write_counts(out, v, "taskcell_tokens_total", "result", COUNT_TOKEN_VALID, COUNT_TOKEN_BAD);
	family(out, "taskcell_token_verification_seconds", "summary",
	       "Time to verify an access token: its signature, or from the cache of those seen.");
	write_time(out, v, "taskcell_token_verification_seconds", COUNT_TOKEN_TIME_SIGNATURE);
	write_time(out, v, "taskcell_token_verification_seconds", COUNT_TOKEN_TIME_CACHE);
	family(out, "taskcell_password_hash_seconds", "summary",
	       "Time of hashing or comparing a password, without the wait for a turn.");
	write_time(out, v, "taskcell_password_hash_seconds", COUNT_HASH_TIME);
	family(out, "taskcell_password_hashes", "gauge", "Requests that hash, or wait to.");
	line(out, "taskcell_password_hashes", "state", "running", v->hashing[HASHING_RUNS]);
	line(out, "taskcell_password_hashes", "state", "waiting", v->hashing[HASHING_WAITS]);
}

static void write_problems(struct buf *out, const struct board_view *v)
{
	family(out, "taskcell_problems_total", "counter", "Problem documents sent, by code.");
	for (int e = API_OK + 1; e < API_ERROR_COUNT; e++)
		line(out, "taskcell_problems_total", "code",
		     api_error_info((enum api_error)e)->code, v->counts[COUNT_PROBLEM + e]);
	family(out, "taskcell_slow_requests_total", "counter", "Requests logged as slow.");
	buf_printf(out, "taskcell_slow_requests_total %" PRIu64 "\n", v->counts[COUNT_SLOW]);
}

/* --- processes ------------------------------------------------------------------------------- */

static const char *const pools[BOARD_POOLS] = { "api", "auth" };

static void write_memory(struct buf *out, const char *name, const uint64_t bytes[BOARD_POOLS])
{
	for (size_t i = 0; i < BOARD_POOLS; i++)
		line(out, name, "pool", pools[i], bytes[i]);
}

static void write_processes(struct buf *out, const struct board_view *v)
{
	static const char *const states[BOARD_STATES] = { "starting", "idle", "reading",
							  "running" };
	static const char *const causes[RESTART_CAUSES] = { "max_requests", "stuck", "unfit",
							    "failed", "signal" };

	family(out, "taskcell_workers", "gauge", "Worker processes, by what they do right now.");
	for (size_t i = 0; i < BOARD_POOLS; i++) {
		for (size_t k = 0; k < BOARD_STATES; k++)
			buf_printf(out, "taskcell_workers{pool=\"%s\",state=\"%s\"} %" PRIu64 "\n",
				   pools[i], states[k], v->workers[i][k]);
	}
	family(out, "taskcell_worker_restarts_total", "counter",
	       "Workers that had to be replaced, reloads left out.");
	for (size_t i = 0; i < RESTART_CAUSES; i++)
		line(out, "taskcell_worker_restarts_total", "cause", causes[i], v->restarts[i]);
	family(out, "taskcell_workers_resident_bytes", "gauge",
	       "Memory of the pool's workers, with shared pages counted for each.");
	write_memory(out, "taskcell_workers_resident_bytes", v->resident);
	family(out, "taskcell_workers_proportional_bytes", "gauge",
	       "Memory of the pool's workers, with shared pages divided among those who share.");
	write_memory(out, "taskcell_workers_proportional_bytes", v->proportional);
}

static void write_all(struct buf *out, const struct board_view *v, bool alone)
{
	family(out, "taskcell_info", "gauge",
	       "Version, and whether these numbers are of all workers or of one process.");
	buf_printf(out, "taskcell_info{version=\"%s\",scope=\"%s\"} 1\n", PACKAGE_VERSION,
		   alone ? "process" : "all");
	family(out, "taskcell_start_time_seconds", "gauge",
	       "When counting began, in Unix seconds.");
	buf_printf(out, "taskcell_start_time_seconds %" PRId64 "\n", v->began);
	write_requests(out, v);
	write_durations(out, v);
	write_database(out, v);
	write_people(out, v);
	write_problems(out, v);
	write_processes(out, v);
}

/* To those who may not see it there is nothing. An address that somebody else has to vouch for, and
 * that nobody whom we trust does, is no address. */
enum api_error service_metrics(struct call *c)
{
	struct board_view *v;

	if (!c->app->board || !c->address_sure ||
	    !net_list_has(&c->app->metrics_allow, &c->address))
		return API_NOT_FOUND;
	v = arena_alloc(c->arena, sizeof(*v));
	board_read(c->app->board, v);
	write_all(&c->response->body, v, c->app->alone);
	c->response->status = 200;
	c->response->content_type = "text/plain; version=0.0.4; charset=utf-8";
	return API_OK;
}
