#include "base/base.h"

#include "store/pg.h"

#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "base/log.h"

int pg_wait(const PGconn *conn, short events, int64_t deadline)
{
	struct pollfd p = { .fd = PQsocket(conn), .events = events };

	for (;;) {
		int64_t left = deadline - clock_monotonic_us();
		int n;

		if (left <= 0)
			return 0;
		n = poll(&p, 1, (int)(left / 1000 < 60000 ? left / 1000 + 1 : 60000));
		/* A socket that is no more is for libpq to find out. */
		if (n > 0 || (n < 0 && errno != EINTR))
			return 1;
	}
}

enum { REST_FROM_US = 100 * 1000 };

/* --- connecting ------------------------------------------------------------------------------ */

/* A list of libpq as it stands in the connection string, with the memory of its parsed form. */
struct hosts {
	PQconninfoOption *options;
	const char *host;
	const char *hostaddr;
	const char *port;
	int n;
};

static void hosts_read(struct hosts *hosts, const char *conninfo)
{
	*hosts = (struct hosts){ .options = PQconninfoParse(conninfo, NULL), .n = 1 };
	for (PQconninfoOption *o = hosts->options; o != NULL && o->keyword != NULL; o++) {
		if (strcmp(o->keyword, "host") == 0)
			hosts->host = o->val;
		else if (strcmp(o->keyword, "hostaddr") == 0)
			hosts->hostaddr = o->val;
		else if (strcmp(o->keyword, "port") == 0)
			hosts->port = o->val;
	}
	for (const char *c = hosts->host != NULL ? hosts->host : hosts->hostaddr;
	     c != NULL && (c = strchr(c, ',')) != NULL; c++)
		hosts->n++;
}

/* The i-th element of a list, the only one, or NULL. */
static const char *element(struct arena *arena, const char *list, int i)
{
	if (list == NULL || strchr(list, ',') == NULL)
		return list;
	for (; i > 0; i--) {
		list = strchr(list, ',');
		if (list == NULL)
			return NULL;
		list++;
	}
	return arena_strndup(arena, list, strcspn(list, ","));
}

static void set_why(char why[PG_WHY_MAX], const char *text)
{
	snprintf(why, PG_WHY_MAX, "%.*s", (int)strcspn(text, "\n"), text);
}

/* libpq would print them on standard error, past our log. */
static void ignore_notice(void *arg, const PGresult *res)
{
	(void)arg;
	(void)res;
}

static PGconn *connect_one(const char *const *keywords, const char *const *values, int64_t deadline,
			   char why[PG_WHY_MAX])
{
	PGconn *conn = PQconnectStartParams(keywords, values, 1);
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;

	if (conn == NULL)
		fatal("store: out of memory");
	PQsetNoticeReceiver(conn, ignore_notice, NULL);
	set_why(why, "");
	while (PQstatus(conn) != CONNECTION_BAD && next != PGRES_POLLING_OK &&
	       next != PGRES_POLLING_FAILED) {
		if (pg_wait(conn, next == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline) ==
		    0) {
			set_why(why, "no connection in time");
			break;
		}
		next = PQconnectPoll(conn);
	}
	if (next == PGRES_POLLING_OK)
		return conn;
	if (why[0] == '\0')
		set_why(why, PQerrorMessage(conn));
	PQfinish(conn);
	return NULL;
}

/* Without PQconnectdb() libpq has no time-out of its own, and a first host that is silent would use
 * up all the time: so each host of a list is tried by itself, with its share of what is left. */
PGconn *pg_connect(const char *conninfo, int64_t deadline, char why[PG_WHY_MAX])
{
	struct arena *arena = arena_new(65536);
	struct hosts hosts;
	PGconn *conn = NULL;

	hosts_read(&hosts, conninfo);
	if (hosts.options == NULL) {
		/* libpq would quote a part of it, maybe of the password */
		set_why(why, "the connection string cannot be read");
		hosts.n = 0;
	}
	for (int i = 0; i < hosts.n && conn == NULL; i++) {
		static const char *const keywords[] = { "dbname",
							"host",
							"hostaddr",
							"port",
							"client_encoding",
							"fallback_application_name",
							NULL };
		const char *const values[] = { conninfo,
					       element(arena, hosts.host, i),
					       element(arena, hosts.hostaddr, i),
					       element(arena, hosts.port, i),
					       "UTF8",
					       "taskcell",
					       NULL };
		int64_t now = clock_monotonic_us();

		conn = connect_one(keywords, values, now + (deadline - now) / (hosts.n - i), why);
	}
	PQconninfoFree(hosts.options);
	arena_free(arena);
	return conn;
}

/* --- the store's connection ------------------------------------------------------------------ */

struct store *store_open(const struct store_options *options)
{
	struct store *store = calloc(1, sizeof(*store));

	if (store == NULL || (store->conninfo = strdup(options->conninfo)) == NULL)
		fatal("store: out of memory");
	store->connect_timeout_ms = options->connect_timeout_ms;
	store->statement_timeout_ms = options->statement_timeout_ms;
	store->prepared = options->prepared_statements;
	store->audit_keep_s = options->audit_keep_s;
	return store;
}

void store_close(struct store *store)
{
	link_close(store);
	free(store->conninfo);
	free(store);
}

void link_close(struct store *store)
{
	PQfinish(store->conn);
	store->conn = NULL;
}

void link_lost(struct store *store, const char *why)
{
	if (store->state != LINK_DOWN)
		log_message(LOG_WARNING,
			    store->state == LINK_UP ? "database_lost" : "database_unreachable",
			    "%.*s", (int)strcspn(why, "\n"), why);
	store->state = LINK_DOWN;
	link_close(store);
}

void link_unfit(struct store *store)
{
	store->state = LINK_UNFIT;
	link_close(store);
}

void link_pooled(struct store *store)
{
	if (store->state != LINK_UNFIT)
		log_message(LOG_ERROR, "database_unfit",
			    "a pooler on the way to the database does not keep prepared "
			    "statements: set prepared_statements = off");
	store->pooled = true;
	link_unfit(store);
}

static void link_found(struct store *store)
{
	if (store->state == LINK_DOWN || store->state == LINK_UNFIT)
		log_message(LOG_INFO, "database_found", "connected again");
	store->state = LINK_UP;
}

/* What the server says unasked. Of that only its farewell matters: it comes before the end of the
 * connection can be seen. */
static void notice(void *arg, const PGresult *res)
{
	struct store *store = arg;
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);

	if (severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
		store->farewell = true;
}

/* Whether the idle connection still looks alive. libpq believes so until it reads. */
static bool link_alive(struct store *store)
{
	struct pollfd p = { .fd = PQsocket(store->conn), .events = POLLIN };

	while (poll(&p, 1, 0) != 0) {
		if (PQconsumeInput(store->conn) != 1 || PQisBusy(store->conn) || store->farewell)
			return false;
	}
	return PQstatus(store->conn) == CONNECTION_OK;
}

static enum store_result prepare_failed(struct store *store, const struct pg_exchange *x)
{
	const char *state = PQresultErrorField(x->error, PG_DIAG_SQLSTATE);
	struct log_line line;

	/* A new connection has none: another client of a pooler has prepared it. */
	if (strcmp(state, "42P05") == 0) {
		link_pooled(store);
		return STORE_UNFIT;
	}
	/* Class 42 and 3F: a table, a column or the schema is not there, or not ours. */
	if (strncmp(state, "42", 2) != 0 && strncmp(state, "3F", 2) != 0) {
		link_lost(store, PQresultErrorField(x->error, PG_DIAG_MESSAGE_PRIMARY));
		return STORE_UNAVAILABLE;
	}
	if (store->state != LINK_UNFIT) {
		log_begin(&line, LOG_ERROR, "database_unfit");
		log_str(&line, "message",
			"the schema is not the one this program was built for, or the role may not "
			"use it: run taskcellctl migrate");
		if (x->failed + 1 < x->n)
			log_str(&line, "statement", statements[x->failed].name);
		log_str(&line, "sqlstate", state);
		log_str(&line, "cause", PQresultErrorField(x->error, PG_DIAG_MESSAGE_PRIMARY));
		log_end(&line);
	}
	link_unfit(store);
	return STORE_UNFIT;
}

/* Asks for fitness, and before it prepares every statement of the server, so that a schema that
 * does not fit shows now; all in one round trip. */
static enum store_result prepare(struct store *store, int64_t deadline)
{
	PGresult *results[STATEMENT_PREPARED + 1] = { NULL };
	size_t n = store->prepared ? STATEMENT_PREPARED : 0;
	struct pg_exchange x = { .deadline = deadline, .n = n + 1, .results = results };
	struct pg_step ask = { 0 };
	enum pg_outcome outcome = PG_UNSENT;
	enum store_result r = STORE_UNAVAILABLE;
	bool queued = PQsetnonblocking(store->conn, 1) == 0 && PQenterPipelineMode(store->conn);

	check_ask(&ask);
	for (size_t i = 0; i < n && queued; i++)
		queued = PQsendPrepare(store->conn, statements[i].name, statements[i].text, 0,
				       NULL) == 1;
	if (queued && pg_queue(store, &ask))
		outcome = pg_exchange(store->conn, &x);
	if (outcome == PG_DONE && check_answer(store, results[n])) {
		r = STORE_OK;
		link_found(store);
	} else if (outcome == PG_DONE) {
		r = STORE_UNFIT;
		link_unfit(store);
	} else if (outcome == PG_ERROR) {
		r = prepare_failed(store, &x);
	} else {
		link_lost(store,
			  outcome == PG_LATE ? "no answer in time" : PQerrorMessage(store->conn));
	}
	PQclear(x.error);
	for (size_t i = 0; i < x.n; i++)
		PQclear(results[i]);
	return r;
}

void store_limit(struct store *store, int64_t until)
{
	store->until = until;
}

void store_reset(struct store *store)
{
	memset(&store->spent, 0, sizeof(store->spent));
	if (store->open) {
		enum store_result r = store_end(store, false);

		log_message(LOG_ERROR, "transaction_left_open", "taken back: %s",
			    r == STORE_OK ? "rolled back" : "the connection is closed");
	}
}

int64_t link_deadline(const struct store *store, int timeout_ms)
{
	int64_t deadline = clock_monotonic_us() + timeout_ms * INT64_C(1000);

	return store->until != 0 && store->until < deadline ? store->until : deadline;
}

/* Or each call would wait for a host that is silent. One that refuses, or ends the connection,
 * costs next to nothing and is asked again by the next call. */
static void rest(struct store *store, int64_t began)
{
	int64_t now = clock_monotonic_us();
	int64_t took = now - began;

	if (took >= REST_FROM_US)
		store->retry_at = now + (took < US_PER_SECOND ? took : US_PER_SECOND);
}

enum store_result link_ensure(struct store *store, bool *fresh)
{
	int64_t began = clock_monotonic_us();
	int64_t deadline = link_deadline(store, store->connect_timeout_ms);
	enum store_result r = STORE_UNAVAILABLE;
	char why[PG_WHY_MAX];

	*fresh = false;
	if (store->pooled)
		return STORE_UNFIT;
	if (store->conn != NULL && link_alive(store))
		return STORE_OK;
	if (store->conn != NULL)
		link_lost(store, "the server has ended the connection");
	/* On another connection the rest would be a transaction of its own. */
	if (store->open)
		return STORE_UNAVAILABLE;
	if (began < store->retry_at)
		return STORE_UNAVAILABLE;
	*fresh = true;
	store->conn = pg_connect(store->conninfo, deadline, why);
	if (store->conn == NULL) {
		link_lost(store, why);
	} else {
		store->farewell = false;
		PQsetNoticeReceiver(store->conn, notice, store);
		r = prepare(store, deadline);
	}
	if (r == STORE_UNAVAILABLE)
		rest(store, began);
	return r;
}
