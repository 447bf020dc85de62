#include "base/base.h"

#include "store/better_auth.h"

#include <poll.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/pg.h"

struct reader {
	PGconn *conn;
	int timeout_ms;
};

/* Waits for the whole answer: 1, or 0 when the connection is lost or late. */
static int await(const struct reader *r)
{
	int64_t deadline = clock_monotonic_us() + r->timeout_ms * INT64_C(1000);

	for (;;) {
		int left = PQflush(r->conn);

		if (left == 0 && !PQisBusy(r->conn))
			return 1;
		if (left < 0 ||
		    !pg_wait(r->conn, (short)(left > 0 ? POLLIN | POLLOUT : POLLIN), deadline) ||
		    PQconsumeInput(r->conn) != 1)
			return 0;
	}
}

/* Class 42 and 3F: a table, a column or the schema is not there, or may not be read. */
static enum store_result failed(const struct reader *r, const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	if (!state) {
		log_message(LOG_WARNING, "database_lost",
			    "the Better Auth database: connection lost, or no answer in %d ms",
			    r->timeout_ms);
		return STORE_UNAVAILABLE;
	}
	log_message(LOG_ERROR, "statement_failed", "the Better Auth database: %s (SQLSTATE %s)",
		    PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY), state);
	return !strncmp(state, "42", 2) || !strncmp(state, "3F", 2) ? STORE_UNFIT : STORE_FAILED;
}

/* STORE_OK with a result that the caller clears. */
static enum store_result query(const struct reader *r, enum statement_id id, PGresult **out)
{
	enum store_result result = STORE_OK;

	*out = NULL;
	if (PQsendQueryParams(r->conn, statements[id].text, 0, NULL, NULL, NULL, NULL, 0) == 1 &&
	    await(r))
		*out = PQgetResult(r->conn);
	if (PQresultStatus(*out) != PGRES_TUPLES_OK && PQresultStatus(*out) != PGRES_COMMAND_OK) {
		result = failed(r, *out);
		PQclear(*out);
		*out = NULL;
	} else if (!await(r) || PQgetResult(r->conn)) { /* the end of the answer */
		PQclear(*out);
		*out = NULL;
		result = failed(r, NULL);
	}
	return result;
}

static const char *text_at(const PGresult *res, int row, int column)
{
	return PQgetisnull(res, row, column) ? NULL : PQgetvalue(res, row, column);
}

static enum store_result read_page(const struct reader *r, better_auth_fn *fn, void *arg,
				   bool *more)
{
	PGresult *page;
	enum store_result result = query(r, STATEMENT_BETTER_AUTH_NEXT, &page);

	*more = PQntuples(page) > 0;
	for (int i = 0; i < PQntuples(page) && *more; i++) {
		struct better_auth_user u = {
			.id = PQgetvalue(page, i, 0),
			.email = PQgetvalue(page, i, 1),
			.name = text_at(page, i, 2),
			.created_at = strtoll(PQgetvalue(page, i, 3), NULL, 10),
			.password = text_at(page, i, 4),
			.banned = *PQgetvalue(page, i, 5) == 't',
		};

		*more = fn(arg, &u);
	}
	PQclear(page);
	return result;
}

/* What is open ends with the connection. */
enum store_result better_auth_read(const char *conninfo, int timeout_ms, better_auth_fn *fn,
				   void *arg)
{
	char why[PG_WHY_MAX];
	struct reader r = {
		.conn = pg_connect(conninfo, clock_monotonic_us() + timeout_ms * INT64_C(1000),
				   why),
		.timeout_ms = timeout_ms,
	};
	enum store_result result;
	bool more = true;
	PGresult *res;

	if (!r.conn) {
		log_message(LOG_WARNING, "database_unreachable", "the Better Auth database: %s",
			    why);
		return STORE_UNAVAILABLE;
	}
	result = PQsetnonblocking(r.conn, 1) == 0 ? STORE_OK : STORE_UNAVAILABLE;
	if (result == STORE_OK) {
		result = query(&r, STATEMENT_BETTER_AUTH_BEGIN, &res);
		PQclear(res);
	}
	if (result == STORE_OK) {
		result = query(&r, STATEMENT_BETTER_AUTH_OPEN, &res);
		PQclear(res);
	}
	while (result == STORE_OK && more)
		result = read_page(&r, fn, arg, &more);
	PQfinish(r.conn);
	return result;
}
