#include "base/base.h"

#include "api/metrics.h"

#include "api/handlers.h"
#include "api/routes.h"
#include "base/clock.h"

_Static_assert(COUNT_ROUTE + (ROUTES_MAX + 1) * ROUTE_COUNTS <= SLOT_COUNTS,
	       "SLOT_COUNTS is too small");

const int64_t metric_bounds[ROUTE_BUCKETS - 1] = {
	500,    1000,   2500,   5000,    10000,   25000,    50000,
	100000, 250000, 500000, 1000000, 2500000, 10000000,
};

static void add(const struct call *c, size_t i, uint64_t n)
{
	if (c->app->slot)
		slot_add(c->app->slot, i, n);
}

void metrics_count(const struct call *c, enum count what)
{
	add(c, what, 1);
}

int64_t metrics_time(const struct call *c, enum count what, int64_t began)
{
	int64_t us = clock_monotonic_us() - began;

	add(c, what, 1);
	add(c, (size_t)what + 1, (uint64_t)us);
	return us;
}

void metrics_token(struct call *c, enum token_result result, bool seen, int64_t began)
{
	switch (result) {
	case TOKEN_OK:
		metrics_count(c, COUNT_TOKEN_VALID);
		break;
	case TOKEN_EXPIRED:
		metrics_count(c, COUNT_TOKEN_PAST);
		break;
	case TOKEN_INVALID:
		metrics_count(c, COUNT_TOKEN_BAD);
		break;
	}
	c->token_us +=
		metrics_time(c, seen ? COUNT_TOKEN_TIME_CACHE : COUNT_TOKEN_TIME_SIGNATURE, began);
}

void metrics_hashing(const struct call *c, enum slot_hashing hashing)
{
	if (c->app->slot)
		slot_set_hashing(c->app->slot, hashing);
}

/* --- results --------------------------------------------------------------------------------- */

static enum count login_refused(const char *reason)
{
	static const struct {
		const char *reason;
		enum count count;
	} known[] = {
		{ "unknown_email", COUNT_LOGIN_UNKNOWN_EMAIL },
		{ "wrong_password", COUNT_LOGIN_WRONG_PASSWORD },
		{ "disabled", COUNT_LOGIN_DISABLED },
	};

	for (size_t i = 0; reason && i < ARRAY_LEN(known); i++) {
		if (strcmp(reason, known[i].reason) == 0)
			return known[i].count;
	}
	return COUNT_LOGIN_CHANGED;
}

static enum count login_result(const struct call *c, enum api_error e)
{
	if (e == API_OK)
		return COUNT_LOGIN_SUCCESS;
	if (e == API_INVALID_CREDENTIALS)
		return login_refused(c->reason);
	if (e == API_RATE_LIMITED)
		return COUNT_LOGIN_THROTTLED;
	if (e == API_HASHING_BUSY)
		return COUNT_LOGIN_BUSY;
	return c->response->status < 500 ? COUNT_LOGIN_MALFORMED : COUNT_LOGIN_ERROR;
}

static enum count refresh_result(const struct call *c, enum api_error e)
{
	if (e == API_OK)
		return COUNT_REFRESH_SUCCESS;
	if (e == API_INVALID_REFRESH_TOKEN && !c->reason)
		return COUNT_REFRESH_INVALID_TOKEN;
	if (e == API_INVALID_REFRESH_TOKEN)
		return strcmp(c->reason, "no_refresh_token") == 0 ? COUNT_REFRESH_MISSING
								  : COUNT_REFRESH_EXPIRED;
	if (e == API_SESSION_ENDED)
		return c->reused ? COUNT_REFRESH_REUSED : COUNT_REFRESH_SESSION_ENDED;
	if (e == API_CROSS_SITE)
		return COUNT_REFRESH_CROSS_SITE;
	if (e == API_RATE_LIMITED)
		return COUNT_REFRESH_THROTTLED;
	return c->response->status < 500 ? COUNT_REFRESH_MALFORMED : COUNT_REFRESH_ERROR;
}

static size_t bucket_of(int64_t us)
{
	size_t i = 0;

	while (i < ARRAY_LEN(metric_bounds) && us > metric_bounds[i])
		i++;
	return i;
}

void metrics_request(const struct call *c, enum api_error e, int64_t us,
		     const struct store_spent *spent)
{
	/* what no row serves has one in common, behind all others */
	size_t row = c->served ? (size_t)(c->route - routes) : routes_count;
	size_t base = COUNT_ROUTE + row * ROUTE_COUNTS;
	int class = c->response->status / 100 - 2;

	if (!c->app->slot)
		return;
	if (class >= 0 && class < ROUTE_CLASSES)
		add(c, base + ROUTE_CLASS + (size_t) class, 1);
	add(c, base + ROUTE_BUCKET + bucket_of(us), 1);
	add(c, base + ROUTE_US, (uint64_t)us);
	add(c, base + ROUTE_DATABASE_US, (uint64_t)spent->us);
	add(c, base + ROUTE_ROUND_TRIPS, spent->round_trips);
	if (e != API_OK)
		add(c, COUNT_PROBLEM + (size_t)e, 1);
	if (c->served && c->route->run == auth_login)
		metrics_count(c, login_result(c, e));
	if (c->served && c->route->run == auth_refresh)
		metrics_count(c, refresh_result(c, e));
}
