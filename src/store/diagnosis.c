#include "base/base.h"

#include "store/diagnosis.h"

#include "base/clock.h"
#include "store/pg.h"

static const char *copy(struct arena *arena, const char *text)
{
	return arena_strndup(arena, text ? text : "", text ? strlen(text) : 0);
}

/* As the connection string, or the environment that libpq reads, says it. */
static const char *where_to(struct arena *arena, const char *conninfo)
{
	static const char *const shown[] = { "host", "hostaddr", "port", "dbname", "user" };
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	const char *where = "";

	for (PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++) {
		const char *value = o->val;

		if (value == NULL && o->envvar != NULL)
			value = getenv(o->envvar);
		for (size_t i = 0; value != NULL && i < ARRAY_LEN(shown); i++)
			if (strcmp(o->keyword, shown[i]) == 0)
				where = arena_printf(arena, "%s%s%s=%s", where, *where ? " " : "",
						     o->keyword, value);
	}
	PQconninfoFree(options);
	return where;
}

/* -1 is none. */
static void lower(int64_t *most, int64_t limit)
{
	if (limit >= 0 && limit < *most)
		*most = limit;
}

/* The server's time is of some moment between sending and receiving. */
static int64_t ahead(int64_t before, int64_t theirs, int64_t after)
{
	if (theirs < before)
		return before - theirs;
	return theirs > after ? after - theirs : 0;
}

static bool ask(PGconn *conn, const struct store_options *options, struct arena *arena,
		struct diagnosis *d)
{
	const struct store bare = { .conn = conn };
	struct pg_call call = { 0 };
	struct pg_exchange x = {
		.deadline = clock_monotonic_us() + options->connect_timeout_ms * INT64_C(1000),
		.n = 1,
		.results = call.results,
	};
	int64_t before = clock_now_us();
	const PGresult *res;
	bool ok;

	pg_step(&call, STATEMENT_ADMIN_DIAGNOSIS);
	ok = PQsetnonblocking(conn, 1) == 0 && PQenterPipelineMode(conn) == 1 &&
	     pg_queue(&bare, &call.steps[0]) && pg_exchange(conn, &x) == PG_DONE &&
	     PQntuples(call.results[0]) == 1;
	if (ok) {
		res = call.results[0];
		d->role = copy(arena, pg_get_text(res, 0, 0));
		d->strong = pg_get_bool(res, 0, 1);
		d->encoding = copy(arena, pg_get_text(res, 0, 2));
		d->ahead_us = ahead(before, pg_get_time(res, 0, 3), clock_now_us());
		d->connections = pg_get_int(res, 0, 4);
		lower(&d->connections, pg_get_int(res, 0, 5));
		lower(&d->connections, pg_get_int(res, 0, 6));
		d->pooled = pg_get_int(res, 0, 7) != PQbackendPID(conn);
	} else {
		d->why = x.error != NULL
				 ? copy(arena, PQresultErrorField(x.error, PG_DIAG_MESSAGE_PRIMARY))
				 : "connected, but there is no answer";
	}
	PQclear(x.error);
	pg_clear(&call);
	return ok;
}

void diagnose(const struct store_options *options, struct arena *arena, struct diagnosis *d)
{
	char why[PG_WHY_MAX];
	PGconn *conn =
		pg_connect(options->conninfo,
			   clock_monotonic_us() + options->connect_timeout_ms * INT64_C(1000), why);

	*d = (struct diagnosis){ .where = where_to(arena, options->conninfo) };
	if (conn == NULL) {
		d->why = copy(arena, why);
		return;
	}
	if (ask(conn, options, arena, d))
		d->where = arena_printf(arena, "host=%s port=%s dbname=%s user=%s", PQhost(conn),
					PQport(conn), PQdb(conn), PQuser(conn));
	PQfinish(conn);
}
