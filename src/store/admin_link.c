#include "base/base.h"

#include "store/admin_private.h"

#include "base/clock.h"
#include "base/log.h"

extern char **environ;

struct admin_link {
	PGconn *conn;
	char *conninfo;
	int timeout_ms;
};

struct admin_link *admin_link_open(const struct store_options *options)
{
	int64_t deadline = clock_monotonic_us() + options->connect_timeout_ms * INT64_C(1000);
	struct admin_link *link = calloc(1, sizeof(*link));
	char why[PG_WHY_MAX];

	if (link == NULL || (link->conninfo = strdup(options->conninfo)) == NULL)
		fatal("store: out of memory");
	link->timeout_ms = options->statement_timeout_ms;
	link->conn = pg_connect(link->conninfo, deadline, why);
	if (link->conn != NULL && PQsetnonblocking(link->conn, 1) == 0 &&
	    PQenterPipelineMode(link->conn) == 1)
		return link;
	log_message(LOG_WARNING, "database_unreachable", "%s",
		    link->conn == NULL ? why : PQerrorMessage(link->conn));
	admin_link_close(link);
	return NULL;
}

void admin_link_close(struct admin_link *link)
{
	PQfinish(link->conn);
	free(link->conninfo);
	free(link);
}

/* --- calls ----------------------------------------------------------------------------------- */

static void clear_result(void *result)
{
	PQclear(result);
}

/* As pg_run(), without the checks of a store and without a second attempt. */
static enum store_result link_run(struct admin_link *link, struct arena *arena,
				  struct pg_call *call)
{
	const struct store bare = { .conn = link->conn };
	struct pg_exchange x = {
		.deadline = clock_monotonic_us() + link->timeout_ms * INT64_C(1000),
		.n = call->n,
		.results = call->results,
	};
	enum pg_outcome outcome = PG_UNSENT;
	bool queued = true;

	for (size_t i = 0; i < call->n && queued; i++)
		queued = pg_queue(&bare, &call->steps[i]);
	if (queued)
		outcome = pg_exchange(link->conn, &x);
	if (outcome == PG_DONE) {
		for (size_t i = 0; arena != NULL && i < call->n; i++)
			arena_defer(arena, clear_result, call->results[i]);
		return STORE_OK;
	}
	if (outcome == PG_ERROR)
		log_message(LOG_ERROR, "statement_failed", "%s (SQLSTATE %s)",
			    PQresultErrorField(x.error, PG_DIAG_MESSAGE_PRIMARY),
			    PQresultErrorField(x.error, PG_DIAG_SQLSTATE));
	PQclear(x.error);
	pg_clear(call);
	return outcome == PG_ERROR ? STORE_FAILED : STORE_UNAVAILABLE;
}

enum store_result admin_schema_exists(struct admin_link *link, bool *exists)
{
	struct pg_call call = { 0 };
	enum store_result r;

	pg_step(&call, STATEMENT_ADMIN_SCHEMA_EXISTS);
	r = link_run(link, NULL, &call);
	if (r == STORE_OK)
		*exists = pg_get_bool(call.results[0], 0, 0);
	pg_clear(&call);
	return r;
}

static void counts_row(struct arena *arena, const PGresult *res, struct table_counts *counts)
{
	counts->n = (size_t)PQntuples(res);
	counts->tables = arena_array(arena, counts->n, sizeof(counts->tables[0]));
	for (size_t i = 0; i < counts->n; i++) {
		counts->tables[i].table = pg_get_text(res, (int)i, 0);
		counts->tables[i].rows = pg_get_int(res, (int)i, 1);
	}
}

enum store_result admin_table_counts(struct admin_link *link, struct arena *arena,
				     struct table_counts *counts)
{
	struct pg_call call = { 0 };
	enum store_result r;

	admin_step(&call, STATEMENT_ADMIN_TABLE_COUNTS);
	r = link_run(link, arena, &call);
	if (r == STORE_OK)
		counts_row(arena, call.results[1], counts);
	return r;
}

enum store_result admin_snapshot(struct admin_link *link, struct arena *arena, const char **id,
				 struct table_counts *counts)
{
	struct pg_call call = { 0 };
	enum { BEGUN, EXPORTED, ENTERED, COUNTED };
	enum store_result r;

	pg_step(&call, STATEMENT_ADMIN_SNAPSHOT_BEGIN);
	pg_step(&call, STATEMENT_ADMIN_SNAPSHOT_EXPORT);
	admin_step(&call, STATEMENT_ADMIN_TABLE_COUNTS);
	r = link_run(link, arena, &call);
	if (r != STORE_OK)
		return r;
	*id = pg_get_text(call.results[EXPORTED], 0, 0);
	counts_row(arena, call.results[COUNTED], counts);
	return STORE_OK;
}

static enum store_result run_alone(struct admin_link *link, enum statement_id statement)
{
	struct pg_call call = { 0 };
	enum store_result r;

	admin_step(&call, statement);
	r = link_run(link, NULL, &call);
	pg_clear(&call);
	return r;
}

enum store_result admin_restored(struct admin_link *link)
{
	return run_alone(link, STATEMENT_ADMIN_RESTORED);
}

enum store_result admin_feeds_over(struct admin_link *link)
{
	return run_alone(link, STATEMENT_ADMIN_FEEDS_OVER);
}

/* --- the environment of other programs ------------------------------------------------------- */

struct variables {
	struct arena *arena;
	size_t n;
	size_t max;
	char **list; /* ends with NULL */
};

static void set(struct variables *v, const char *name, const char *value)
{
	size_t len = strlen(name), i = 0;

	while (i < v->n && (strncmp(v->list[i], name, len) != 0 || v->list[i][len] != '='))
		i++;
	if (i == v->max)
		fatal("store: more than %zu variables", v->max);
	v->list[i] = arena_printf(v->arena, "%s=%s", name, value);
	arena_wipe_later(v->arena, v->list[i], strlen(v->list[i]));
	v->n += i == v->n;
}

static const char *get(const struct variables *v, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < v->n; i++)
		if (strncmp(v->list[i], name, len) == 0 && v->list[i][len] == '=')
			return v->list[i] + len + 1;
	return "";
}

/* The one server of a list that this connection has found: a snapshot is known there alone. */
static void set_server(struct variables *v, const PGconn *conn)
{
	const char *address = PQhostaddr(conn);

	set(v, "PGHOST", PQhost(conn));
	set(v, "PGPORT", PQport(conn));
	if (address != NULL && address[0] != '\0')
		set(v, "PGHOSTADDR", address);
}

char **admin_link_environment(struct admin_link *link, struct arena *arena)
{
	PQconninfoOption *options = PQconninfoParse(link->conninfo, NULL);
	struct variables v = { .arena = arena };
	size_t inherited = 0, named = 0;

	if (options == NULL)
		fatal("store: the connection string cannot be read any more");
	while (environ[inherited] != NULL)
		inherited++;
	while (options[named].keyword != NULL)
		named++;
	v.max = inherited + named + 4; /* of set_server() and PGOPTIONS */
	v.list = arena_array(arena, v.max + 1, sizeof(v.list[0]));
	for (; v.n < inherited; v.n++)
		v.list[v.n] = environ[v.n];
	/* What has no variable only tunes the connection; it is left out. */
	for (size_t i = 0; i < named; i++)
		if (options[i].val != NULL && options[i].envvar != NULL)
			set(&v, options[i].envvar, options[i].val);
	PQconninfoFree(options);
	set_server(&v, link->conn);
	set(&v, "PGOPTIONS", arena_printf(arena, "%s -c taskcell.admin=on", get(&v, "PGOPTIONS")));
	return v.list;
}
