#include "base/base.h"

#include "store/pg.h"

#include <poll.h>

#include "base/clock.h"
#include "base/log.h"

enum { RERUNS_MAX = 3 };

/* --- one exchange ---------------------------------------------------------------------------- */

bool pg_queue(const struct store *store, const struct pg_step *step)
{
	const struct statement *statement = &statements[step->statement];

	if (step->n != statement->params)
		fatal("store: %s takes %d parameters, not %d", statement->name, statement->params,
		      step->n);
	if (store->prepared && (int)step->statement < STATEMENT_PREPARED)
		return PQsendQueryPrepared(store->conn, statement->name, step->n, step->values,
					   step->lengths, step->formats, 1) == 1;
	return PQsendQueryParams(store->conn, statement->text, step->n, NULL, step->values,
				 step->lengths, step->formats, 1) == 1;
}

/* An error after which the connection is of no use, or that tells of one. */
static bool error_ends_link(const PGresult *error)
{
	const char *state = PQresultErrorField(error, PG_DIAG_SQLSTATE);
	const char *severity = PQresultErrorField(error, PG_DIAG_SEVERITY_NONLOCALIZED);

	return state == NULL || severity == NULL || strcmp(severity, "ERROR") != 0 ||
	       strncmp(state, "08", 2) == 0 || strncmp(state, "57P", 3) == 0;
}

/* Where the taking of answers stands. */
struct progress {
	size_t i;     /* statement whose answer is due; n: the Sync's */
	bool got;     /* that answer has come, its end not */
	int nothings; /* ends in a row */
	bool over;
	enum pg_outcome outcome;
};

static void end(struct progress *p, enum pg_outcome outcome)
{
	p->over = true;
	p->outcome = outcome;
}

static void take_error(struct pg_exchange *x, struct progress *p, PGresult *res)
{
	if (x->error != NULL || error_ends_link(res)) {
		PQclear(res);
		end(p, PG_LOST);
		return;
	}
	x->error = res;
	x->failed = p->i;
	p->got = true;
	/* In place of the Sync: the commit failed. Not every libpq then reports the Sync, too. */
	if (p->i == x->n)
		end(p, PG_ERROR);
}

/* Takes one result. A row is not yet success: that is the Sync alone, which follows the commit. */
static void take(struct pg_exchange *x, struct progress *p, PGresult *res)
{
	ExecStatusType status = PQresultStatus(res);

	p->nothings = 0;
	if (status == PGRES_PIPELINE_SYNC) {
		PQclear(res);
		if (x->error == NULL && p->i != x->n)
			end(p, PG_LOST);
		else
			end(p, x->error == NULL ? PG_DONE : PG_ERROR);
	} else if (status == PGRES_FATAL_ERROR) {
		take_error(x, p, res);
	} else if ((status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) && p->i < x->n &&
		   !p->got) {
		x->results[p->i] = res;
		p->got = true;
	} else {
		PQclear(res);
		p->got = true;
		if (status != PGRES_PIPELINE_ABORTED)
			end(p, PG_LOST);
	}
}

static void take_all(PGconn *conn, struct pg_exchange *x, struct progress *p)
{
	while (!p->over && !PQisBusy(conn)) {
		PGresult *res = PQgetResult(conn);

		if (res != NULL) {
			take(x, p, res);
		} else if (PQstatus(conn) == CONNECTION_BAD || p->nothings++ > 1) {
			end(p, PG_LOST);
		} else if (p->got) {
			p->got = false;
			p->i++;
		}
	}
}

enum pg_outcome pg_exchange(PGconn *conn, struct pg_exchange *x)
{
	struct progress p = { 0 };
	bool sent = false;

	if (PQpipelineSync(conn) != 1)
		return PG_UNSENT;
	for (;;) {
		if (!sent) {
			int left = PQflush(conn);

			if (left < 0)
				return PG_UNSENT;
			sent = left == 0;
		}
		take_all(conn, x, &p);
		if (p.over)
			return p.outcome == PG_LOST && !sent ? PG_UNSENT : p.outcome;
		if (pg_wait(conn, (short)(sent ? POLLIN : POLLIN | POLLOUT), x->deadline) == 0)
			return PG_LATE;
		/* It flushes before it reads, so the Sync may have left after all. */
		if (PQconsumeInput(conn) != 1)
			return PG_LOST;
	}
}

/* --- calls ----------------------------------------------------------------------------------- */

struct pg_step *pg_step(struct pg_call *call, enum statement_id statement)
{
	struct pg_step *step;

	if (call->n == PG_STEPS_MAX)
		fatal("store: more than %d steps", PG_STEPS_MAX);
	step = &call->steps[call->n++];
	step->statement = statement;
	return step;
}

void pg_enter(struct pg_call *call, const struct principal *principal)
{
	struct pg_step *step = pg_step(call, STATEMENT_SESSION_ENTER);

	call->fenced = true;
	pg_uuid(step, &principal->user_id);
	pg_uuid(step, &principal->session_id);
}

void pg_clear(struct pg_call *call)
{
	for (size_t i = 0; i < call->n; i++) {
		PQclear(call->results[i]);
		call->results[i] = NULL;
	}
}

static bool fence_is_shut(const struct pg_call *call)
{
	return call->fenced && call->results[0] != NULL && PQntuples(call->results[0]) == 0;
}

/* Never the detail, which has values, nor the message of a data error, which may quote one. */
static void log_failure(const struct pg_call *call, const struct pg_exchange *x)
{
	const char *state = PQresultErrorField(x->error, PG_DIAG_SQLSTATE);
	struct log_line line;

	log_begin(&line, LOG_ERROR, "statement_failed");
	log_str(&line, "statement",
		x->failed < call->n ? statements[call->steps[x->failed].statement].name : "commit");
	log_str(&line, "sqlstate", state);
	if (strncmp(state, "22", 2) != 0)
		log_str(&line, "message", PQresultErrorField(x->error, PG_DIAG_MESSAGE_PRIMARY));
	log_end(&line);
}

/* What an error means; `rerun` when the transaction may simply run again. */
static enum store_result judge(const struct pg_call *call, const struct pg_exchange *x, bool *rerun)
{
	static const struct {
		char state[6];
		bool rerun;
		enum store_result result;
	} known[] = {
		{ "40001", true, STORE_BUSY },         /* serialization failure */
		{ "40P01", true, STORE_BUSY },         /* deadlock */
		{ "55P03", false, STORE_BUSY },        /* lock not available */
		{ "57014", false, STORE_BUSY },        /* cancelled */
		{ "53100", false, STORE_BUSY },        /* disk full */
		{ "53200", false, STORE_BUSY },        /* out of memory */
		{ "25006", false, STORE_UNAVAILABLE }, /* read-only: a standby */
		{ "22021", false, STORE_REFUSED },     /* not a character */
		{ "22003", false, STORE_REFUSED },     /* number out of range */
		{ "22008", false, STORE_REFUSED },     /* time out of range */
	};
	const char *state = PQresultErrorField(x->error, PG_DIAG_SQLSTATE);
	const struct pg_step *step = x->failed < call->n ? &call->steps[x->failed] : NULL;

	*rerun = false;
	if (fence_is_shut(call))
		return STORE_NO_SESSION;
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		if (strcmp(state, known[i].state) == 0) {
			*rerun = known[i].rerun;
			return known[i].result;
		}
	}
	if (step != NULL && step->on_foreign_key != STORE_OK && strcmp(state, "23503") == 0)
		return step->on_foreign_key;
	if (step != NULL && step->on_unique != STORE_OK && strcmp(state, "23505") == 0)
		return step->on_unique;
	log_failure(call, x);
	return STORE_FAILED;
}

/* Invalid SQL statement name: what was prepared on this connection is not there. */
static bool statement_is_gone(const struct store *store, const struct pg_exchange *x)
{
	return store->prepared &&
	       strcmp(PQresultErrorField(x->error, PG_DIAG_SQLSTATE), "26000") == 0;
}

enum verdict { FINAL, RERUN, RESEND };

/* Sends a call and takes its answers. With a name to trace by one statement stands before its
 * own. */
static enum pg_outcome exchange(struct store *store, struct pg_call *call, struct pg_exchange *x)
{
	size_t before = store->trace[0] != '\0' && !call->untraced ? 1 : 0;
	struct pg_step trace = { .statement = STATEMENT_TRACE };
	PGresult *results[PG_STEPS_MAX + 1] = { NULL };
	enum pg_outcome outcome = PG_UNSENT;
	bool queued = true;

	if (before != 0) {
		pg_text(&trace, store->trace);
		queued = pg_queue(store, &trace);
	}
	for (size_t i = 0; i < call->n && queued; i++)
		queued = pg_queue(store, &call->steps[i]);
	x->n = call->n + before;
	x->results = results;
	if (queued)
		outcome = pg_exchange(store->conn, x);
	store->spent.round_trips++;
	if (before != 0)
		PQclear(results[0]);
	memcpy(call->results, results + before, call->n * sizeof(results[0]));
	x->n = call->n;
	x->results = call->results;
	x->failed -= x->failed != 0 ? before : 0;
	return outcome;
}

static enum store_result attempt(struct store *store, struct pg_call *call, int64_t deadline,
				 enum verdict *verdict)
{
	struct pg_exchange x = { .deadline = deadline };
	enum pg_outcome outcome = exchange(store, call, &x);
	enum store_result r = STORE_UNAVAILABLE;
	bool rerun = false;

	*verdict = FINAL;
	switch (outcome) {
	case PG_DONE:
		r = fence_is_shut(call) ? STORE_NO_SESSION : STORE_OK;
		break;
	case PG_ERROR:
		if (statement_is_gone(store, &x)) {
			r = STORE_UNFIT;
			link_pooled(store);
			break;
		}
		r = judge(call, &x, &rerun);
		*verdict = rerun ? RERUN : FINAL;
		/* Nothing was written: another host of the list may be the primary by now. */
		if (r == STORE_UNAVAILABLE)
			*verdict = RESEND;
		if (x.failed == call->n || r == STORE_UNAVAILABLE)
			link_close(store);
		break;
	case PG_UNSENT:
		*verdict = RESEND;
		link_lost(store, PQerrorMessage(store->conn));
		break;
	case PG_LOST:
		*verdict = call->repeatable ? RESEND : FINAL;
		link_lost(store, PQerrorMessage(store->conn));
		break;
	case PG_LATE:
		link_lost(store, "no answer in time");
		break;
	}
	PQclear(x.error);
	if (r != STORE_OK)
		pg_clear(call);
	return r;
}

static void clear_result(void *result)
{
	PQclear(result);
}

/* Inside a transaction nothing runs twice: what was before in it would be missing. */
static enum store_result run(struct store *store, struct pg_call *call)
{
	int64_t deadline = 0;
	bool resent = false;
	int runs = 0;

	for (;;) {
		enum verdict verdict;
		bool fresh;
		enum store_result r;

		if (store->until != 0 && clock_monotonic_us() >= store->until)
			return STORE_UNAVAILABLE;
		r = link_ensure(store, &fresh);
		if (r != STORE_OK)
			return r;
		if (fresh || deadline == 0)
			deadline = link_deadline(store, store->statement_timeout_ms);
		r = attempt(store, call, deadline, &verdict);
		if (store->open || verdict == FINAL)
			return r;
		if (verdict == RESEND ? resent : ++runs == RERUNS_MAX)
			return r;
		resent = resent || verdict == RESEND;
	}
}

static void note_time(struct store *store, const struct pg_call *call, int64_t us)
{
	store->spent.us += us;
	if (us < store->spent.slowest_us)
		return;
	store->spent.slowest_us = us;
	store->spent.n = call->n;
	for (size_t i = 0; i < call->n; i++)
		store->spent.slowest[i] = call->steps[i].statement;
}

enum store_result pg_run(struct store *store, struct arena *arena, struct pg_call *call)
{
	enum store_result r;
	int64_t began;

	if (store->open && store->doomed != STORE_OK)
		return store->doomed;
	began = clock_monotonic_us();
	r = run(store, call);
	note_time(store, call, clock_monotonic_us() - began);
	if (store->open)
		store->doomed = r;
	for (size_t i = 0; r == STORE_OK && arena != NULL && i < call->n; i++)
		arena_defer(arena, clear_result, call->results[i]);
	return r;
}

void store_spent(const struct store *store, struct store_spent *out)
{
	*out = (struct store_spent){
		.us = store->spent.us,
		.round_trips = store->spent.round_trips,
		.slowest_us = store->spent.slowest_us,
	};
}

void store_slowest(const struct store *store, char out[STORE_NAMES_MAX])
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < store->spent.n && len < STORE_NAMES_MAX; i++)
		len += (size_t)snprintf(out + len, STORE_NAMES_MAX - len, "%s%s", i != 0 ? "+" : "",
					statements[store->spent.slowest[i]].name);
}

void store_trace(struct store *store, const char *name)
{
	(void)snprintf(store->trace, sizeof(store->trace), "%s", name);
}

/* --- several calls as one -------------------------------------------------------------------- */

enum store_result store_begin(struct store *store, bool snapshot)
{
	struct pg_call call = { .untraced = true, .repeatable = true };
	enum store_result r;

	if (store->open)
		fatal("store: a transaction inside another");
	pg_step(&call,
		snapshot ? STATEMENT_TRANSACTION_BEGIN_SNAPSHOT : STATEMENT_TRANSACTION_BEGIN);
	r = pg_run(store, NULL, &call);
	pg_clear(&call);
	store->open = r == STORE_OK;
	store->doomed = STORE_OK;
	return r;
}

enum store_result store_end(struct store *store, bool commit)
{
	struct pg_call call = { .untraced = true };
	enum store_result doomed = store->doomed;
	enum store_result r;

	if (!store->open)
		fatal("store: the end of no transaction");
	pg_step(&call, commit && doomed == STORE_OK ? STATEMENT_TRANSACTION_COMMIT
						    : STATEMENT_TRANSACTION_ROLLBACK);
	store->doomed = STORE_OK; /* or the step would not be sent */
	r = pg_run(store, NULL, &call);
	/* COMMIT of a transaction that has failed is a rollback, and no error. */
	if (r == STORE_OK && commit && doomed == STORE_OK &&
	    strcmp(PQcmdStatus(call.results[0]), "COMMIT") != 0)
		r = STORE_FAILED;
	pg_clear(&call);
	store->open = false;
	/* What is open on it ends with the connection. */
	if (r != STORE_OK)
		link_close(store);
	return commit && doomed != STORE_OK ? doomed : r;
}
