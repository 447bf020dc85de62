#include "base/base.h"

#include "api/authenticate.h"
#include "api/cors.h"
#include "api/metrics.h"
#include "api/reply.h"
#include "api/routes.h"
#include "api/throttle.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/problem.h"
#include "http/text.h"

enum {
	ADDRESS_MAX = 64,     /* of one that is none */
	USER_AGENT_MAX = 255, /* kept of it, in bytes */
};

#define WARN_AGAIN_US (3600 * US_PER_SECOND)

enum api_error api_from_store(enum store_result r)
{
	switch (r) {
	case STORE_NO_SESSION:
		return API_SESSION_ENDED;
	case STORE_NOT_FOUND:
		return API_NOT_FOUND;
	case STORE_STALE:
		return API_PRECONDITION_FAILED;
	case STORE_REFUSED:
		return API_INVALID_REQUEST;
	case STORE_BUSY:
	case STORE_UNAVAILABLE:
	case STORE_UNFIT:
		return API_UNAVAILABLE;
	case STORE_OK:
	case STORE_CONFLICT: /* callers that can meet these two name their own error */
	case STORE_LIMITED:
	case STORE_FAILED:
		return API_INTERNAL_ERROR;
	}
	return API_INTERNAL_ERROR;
}

/* --- the client ------------------------------------------------------------------------------ */

/* Somebody has put a proxy in front and not told us: all of its clients would count as one. Or a
 * client sends the header by itself, so not a record a request. */
static void warn_of_forwarded(struct call *c)
{
	int64_t now = clock_monotonic_us(), *last = &c->app->forwarded_warned_at;
	struct log_line l;

	if (*last && now - *last < WARN_AGAIN_US)
		return;
	*last = now;
	log_begin(&l, LOG_WARNING, "forwarded_ignored");
	log_str(&l, "address", c->client.address);
	log_str(&l, "message", "X-Forwarded-For is ignored as long as trusted_proxies is empty");
	log_str(&l, "request_id", c->request->request_id);
	log_end(&l);
}

static void find_client(struct call *c)
{
	const struct net_list *trusted = &c->app->trusted_proxies;
	const struct request *r = c->request;
	struct net_address peer;
	char *text, *network;

	c->client.request_id = r->request_id;
	c->client.user_agent = text_keep(c->arena, r->user_agent, USER_AGENT_MAX);
	if (net_address_parse(r->remote_addr, strlen(r->remote_addr), &peer)) {
		c->address = net_client(trusted, &peer, r->forwarded_for);
		c->address_sure = !r->forwarded_for || (net_list_has(trusted, &peer) &&
							!net_list_has(trusted, &c->address));
		text = arena_alloc(c->arena, NET_TEXT_MAX);
		network = arena_alloc(c->arena, NET_TEXT_MAX);
		net_address_format(&c->address, text);
		net_client_format(&c->address, network);
		c->client.address = text;
		c->client.network = network;
	} else {
		c->client.address = text_keep(c->arena, r->remote_addr, ADDRESS_MAX);
		if (!c->client.address)
			c->client.address = "";
		c->client.network = c->client.address;
	}
	if (r->forwarded_for && !trusted->n)
		warn_of_forwarded(c);
}

/* --- the steps ------------------------------------------------------------------------------- */

static bool method_is_served(enum http_method asked, enum http_method row)
{
	return asked == row || (asked == HTTP_HEAD && row == HTTP_GET);
}

/* The methods of the rows of one pattern, in the order of the enum. */
static const char *allowed_methods(struct arena *a, const char *pattern)
{
	unsigned methods = 1u << HTTP_OPTIONS;
	const char *list = "";

	for (size_t i = 0; i < routes_count; i++) {
		if (strcmp(routes[i].path, pattern) == 0)
			methods |= 1u << routes[i].method;
	}
	if (methods & 1u << HTTP_GET)
		methods |= 1u << HTTP_HEAD;
	for (unsigned m = HTTP_GET; m < HTTP_OTHER; m++) {
		if (methods & 1u << m)
			list = arena_printf(a, "%s%s%s", list, *list ? ", " : "",
					    http_method_name((enum http_method)m));
	}
	return list;
}

/* The row with the most literal pattern decides which path this is; the method only then. `allow`:
 * the methods of the path, when it is not one of them. */
static enum api_error find_route(struct call *c, const char **allow)
{
	const char *param[PATH_SEGMENTS_MAX];
	const char *pattern = NULL;
	unsigned literals, best = 0;
	struct path path;

	if (!path_parse(c->arena, c->request->path, &path))
		return API_NOT_FOUND;
	for (size_t i = 0; i < routes_count; i++) {
		/* a path has its rows together, and its constant once */
		if ((i > 0 && routes[i].path == routes[i - 1].path) ||
		    !path_match(&path, routes[i].path, param, &literals))
			continue;
		if (!pattern || literals > best) {
			pattern = routes[i].path;
			best = literals;
			memcpy(c->param, param, sizeof(param));
		}
	}
	if (!pattern)
		return API_NOT_FOUND;
	for (size_t i = 0; i < routes_count; i++) {
		if (strcmp(routes[i].path, pattern) != 0)
			continue;
		/* on OPTIONS and 405 any row of the path will do for headers and the log */
		if (!c->route || method_is_served(c->request->method, routes[i].method))
			c->route = &routes[i];
	}
	c->served = method_is_served(c->request->method, c->route->method);
	if (c->served)
		return API_OK;
	*allow = allowed_methods(c->arena, pattern);
	response_header(c->response, "Allow", *allow);
	return c->request->method == HTTP_OPTIONS ? API_OK : API_METHOD_NOT_ALLOWED;
}

/* `{user_id}` has to be the caller's, the others have to be ids at all. All that is not answers
 * like a row that does not exist. */
static enum api_error own_path(struct call *c)
{
	static const char user[] = "/{user_id}/", task[] = "/{task_id}",
			  session[] = "/{session_id}";
	struct uuid id;

	if (strstr(c->route->path, session) &&
	    !uuid_parse(c->param[0], strlen(c->param[0]), &c->session_id))
		return API_NOT_FOUND;
	if (!strstr(c->route->path, user))
		return API_OK;
	if (strcmp(c->param[0], "me") != 0 && (!uuid_parse(c->param[0], strlen(c->param[0]), &id) ||
					       !uuid_equal(&id, &c->principal->user_id)))
		return API_NOT_FOUND;
	if (strstr(c->route->path, task) &&
	    !uuid_parse(c->param[1], strlen(c->param[1]), &c->task_id))
		return API_NOT_FOUND;
	return API_OK;
}

static enum api_error check_size(struct call *c)
{
	const struct request *r = c->request;
	bool import = c->route->flags & ROUTE_IMPORT;

	if (r->body_state == BODY_LOST)
		return API_UNAVAILABLE;
	if (r->body_state != BODY_TOO_LARGE && (import || r->body_len <= REQUEST_BODY_MAX))
		return API_OK;
	if (import)
		c->detail = "The body is larger than 64 MiB.";
	return API_BODY_TOO_LARGE;
}

static enum api_error bind_body(struct call *c)
{
	const struct request *r = c->request;
	enum media_type type = media_type_of(r->content_type);

	if (!c->route->body)
		return API_OK;
	if (r->body_len == 0)
		return c->route->flags & ROUTE_EMPTY_BODY ? API_OK : API_INVALID_JSON;
	if (type != MEDIA_JSON && !(type == MEDIA_MERGE_PATCH && r->method == HTTP_PATCH))
		return API_UNSUPPORTED_MEDIA_TYPE;
	return json_bind(c->arena, c->route->body, r->body, r->body_len,
			 prefer_has(r->prefer, "handling", "strict"), &c->fields, &c->input);
}

/* The order of the contract, the same for every route. */
static enum api_error run(struct call *c)
{
	const char *allow = "";
	enum api_error e = find_route(c, &allow);

	if (c->app->slot)
		slot_set_request(c->app->slot, c->route ? (int)(c->route - routes) : SLOT_NO_ROUTE,
				 c->request->request_id);
	cors_headers(c);
	if (e == API_OK && c->request->method == HTTP_OPTIONS) {
		(void)cors_preflight(c, allow);
		return reply_empty(c, 204);
	}
	if (e == API_OK && c->request->body_state == BODY_CUT)
		e = API_INVALID_REQUEST;
	if (e == API_OK && c->route->flags & ROUTE_THROTTLED)
		e = throttle_address(c);
	if (e == API_OK && !(c->route->flags & ROUTE_PUBLIC))
		e = authenticate(c);
	if (e == API_OK)
		e = own_path(c);
	if (e == API_OK && !query_parse(c->arena, c->request->query, &c->query))
		e = API_INVALID_QUERY;
	if (e == API_OK)
		e = check_size(c);
	if (e == API_OK)
		e = bind_body(c);
	if (e == API_OK)
		e = c->route->run(c);
	return e;
}

static void write_extra(struct json_writer *w, const void *call)
{
	const struct call *c = call;

	if (c->failed_index >= 0) {
		json_key(w, "index");
		json_int(w, c->failed_index);
	}
	if (c->current) {
		json_key(w, "current");
		write_task(w, c->current);
	}
}

static void render_error(struct call *c, enum api_error e)
{
	const struct problem p = {
		.error = e,
		.detail = c->detail,
		.request_id = c->request->request_id,
		.fields = &c->fields,
		.extra = write_extra,
		.extra_arg = c,
	};

	problem_write(c->response, &p);
}

static void common_headers(struct call *c, enum api_error e)
{
	unsigned flags = c->route ? c->route->flags : ROUTE_NO_STORE;
	bool ran = e == API_OK && c->request->method != HTTP_OPTIONS;

	response_header(c->response, "X-Request-Id", c->request->request_id);
	if (!(flags & ROUTE_CACHED) || !ran)
		response_header(c->response, "Cache-Control",
				flags & (ROUTE_NO_STORE | ROUTE_CACHED) ? "no-store"
									: "private, no-cache");
	response_header(c->response, "X-Content-Type-Options", "nosniff");
}

/* Failures of somebody who wants to be somebody; whoever watches the log for them needs to know
 * where they come from. */
static bool is_auth_failure(const struct call *c, enum api_error e)
{
	return c->response->status == 401 || e == API_WRONG_PASSWORD || e == API_CROSS_SITE;
}

static void log_call(const struct call *c, enum api_error e, int64_t us)
{
	char user[UUID_TEXT_LEN + 1];
	struct log_line l;

	if (is_auth_failure(c, e)) {
		log_begin(&l, LOG_WARNING, "auth_failed");
		log_str(&l, "address", c->client.address);
		log_str(&l, "reason", c->reason ? c->reason : api_error_info(e)->code);
		log_str(&l, "route", c->route->path);
		log_str(&l, "request_id", c->request->request_id);
		log_end(&l);
	}
	log_begin(&l, LOG_INFO, "request");
	log_str(&l, "method", http_method_name(c->request->method));
	log_str(&l, "route", c->route ? c->route->path : "-");
	log_int(&l, "status", c->response->status);
	if (e != API_OK)
		log_str(&l, "code", api_error_info(e)->code);
	log_int(&l, "us", us);
	if (c->principal) {
		uuid_format(&c->principal->user_id, user);
		log_str(&l, "user", user);
	}
	log_str(&l, "request_id", c->request->request_id);
	log_end(&l);
}

/* Where the time has gone, of a request that took long. */
static void log_slow(const struct call *c, int64_t us, const struct store_spent *spent)
{
	char statement[STORE_NAMES_MAX];
	struct log_line l;

	metrics_count(c, COUNT_SLOW);
	log_begin(&l, LOG_WARNING, "slow");
	log_str(&l, "route", c->route ? c->route->path : "-");
	log_int(&l, "us", us);
	log_int(&l, "database_us", spent->us);
	log_int(&l, "round_trips", spent->round_trips);
	log_int(&l, "token_us", c->token_us);
	log_int(&l, "hash_us", c->hash_us);
	store_slowest(c->store, statement);
	log_str(&l, "statement", statement[0] ? statement : NULL);
	if (statement[0])
		log_int(&l, "statement_us", spent->slowest_us);
	log_str(&l, "request_id", c->request->request_id);
	log_end(&l);
}

/* Its wait for changes was no work. */
static void account(const struct call *c, enum api_error e, int64_t us)
{
	struct store_spent spent;

	us -= c->waited_us;
	store_spent(c->store, &spent);
	metrics_request(c, e, us, &spent);
	if (c->app->slow_us && us >= c->app->slow_us)
		log_slow(c, us, &spent);
}

void dispatch(struct app *app, struct arena *arena, const struct request *request,
	      struct response *response)
{
	struct call c = {
		.app = app,
		.store = app->store,
		.arena = arena,
		.request = request,
		.response = response,
		.failed_index = -1,
	};
	int64_t began = clock_monotonic_us(), us;
	enum api_error e;

	if (app->trace_queries)
		store_trace(c.store, request->request_id);
	find_client(&c);
	e = run(&c);
	common_headers(&c, e);
	if (e == API_OK && (response->body.overflow || response->headers.overflow)) {
		log_message(LOG_ERROR, "response_too_large", "route %s", c.route->path);
		e = API_INTERNAL_ERROR;
		response_reset(response);
		cors_headers(&c);
		common_headers(&c, e);
	}
	if (e != API_OK)
		render_error(&c, e);
	us = clock_monotonic_us() - began;
	log_call(&c, e, us);
	account(&c, e, us);
}
