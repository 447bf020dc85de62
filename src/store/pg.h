/* The driver, for src/store only: one connection, one pipeline with one Sync a call, and nothing
 * that blocks without a deadline. */
#ifndef TASKCELL_STORE_PG_H
#define TASKCELL_STORE_PG_H

#include <libpq-fe.h>

#include "store/statements.h"
#include "store/store.h"

enum { PG_STEPS_MAX = 10, PG_PARAMS_MAX = 14 };

/* What was logged last of the connection, so that only changes are logged. */
enum link_state { LINK_NEW, LINK_UP, LINK_DOWN, LINK_UNFIT };

struct store {
	char *conninfo;
	int connect_timeout_ms;
	int statement_timeout_ms;
	int64_t audit_keep_s;
	int64_t until; /* of the request; 0: none */
	bool prepared;
	bool pooled;      /* prepared statements get lost: nothing works with them */
	int64_t retry_at; /* clock_monotonic_us; before it no connection is tried */
	PGconn *conn;     /* NULL: none */
	bool farewell;    /* the server has said that it ends the connection */
	bool open;        /* between store_begin() and store_end() */
	enum store_result
		doomed; /* STORE_OK, or what the first call that failed in there answered */
	enum link_state state;
	int64_t reserved_at;             /* of the last throttle_reserve: its refund names it */
	char trace[STORE_TRACE_MAX + 1]; /* "": none */
	struct {
		int64_t us, slowest_us;
		unsigned round_trips;
		size_t n; /* statements of the slowest call */
		enum statement_id slowest[PG_STEPS_MAX];
	} spent;
};

/* --- calls ----------------------------------------------------------------------------------- */

/* One statement and its parameters. */
struct pg_step {
	enum statement_id statement;
	enum store_result on_foreign_key; /* for 23503; STORE_OK: not foreseen */
	enum store_result on_unique;      /* for 23505 likewise */
	int n;
	const char *values[PG_PARAMS_MAX];
	int lengths[PG_PARAMS_MAX];
	int formats[PG_PARAMS_MAX];
	char bytes[PG_PARAMS_MAX][sizeof(struct uuid)]; /* of those that are sent as binary */
};

/* One transaction; {0} and then filled. */
struct pg_call {
	bool fenced;   /* its first step is session_enter, and without a row of it nothing counts */
	bool untraced; /* nothing may stand before it */
	bool repeatable; /* it may run twice: a read, or a write that would change nothing again */
	size_t n;
	struct pg_step steps[PG_STEPS_MAX];
	PGresult *results[PG_STEPS_MAX];
};

/* Adds a step; then its parameters in order. Texts have to live until pg_run(); NULL is null. */
struct pg_step *pg_step(struct pg_call *, enum statement_id);
/* Begins a user's call with session_enter. */
void pg_enter(struct pg_call *, const struct principal *);
void pg_null(struct pg_step *);
void pg_text(struct pg_step *, const char *);
void pg_uuid(struct pg_step *, const struct uuid *);
void pg_int(struct pg_step *, int64_t);
void pg_bool(struct pg_step *, bool);
/* Microseconds since 1970, of the years that PostgreSQL has; INT64_MAX and INT64_MIN are the
 * infinities. */
void pg_time(struct pg_step *, int64_t us);
/* An array of texts. */
void pg_texts(struct pg_step *, struct arena *, const char *const *list, size_t n);

/* Runs the call. With STORE_OK each step has its result, which belongs to the arena, or without one
 * to the caller until pg_clear(); with any other answer none has. */
enum store_result pg_run(struct store *, struct arena *, struct pg_call *) MUST_CHECK;
void pg_clear(struct pg_call *);

/* --- values of a result, all binary ----------------------------------------------------------- */

const char *pg_get_text(const PGresult *, int row, int column); /* NULL for null */
struct uuid pg_get_uuid(const PGresult *, int row, int column);
int64_t pg_get_int(const PGresult *, int row, int column);
int pg_get_small(const PGresult *, int row, int column);
bool pg_get_bool(const PGresult *, int row, int column);    /* false for null */
int64_t pg_get_time(const PGresult *, int row, int column); /* 0 for null */
/* The texts of an array, none of them null, onto the arena; how many, at most `max`. */
size_t pg_get_texts(const PGresult *, int row, int column, struct arena *, const char **list,
		    size_t max);

/* --- the exchange below the calls ------------------------------------------------------------- */

enum pg_outcome {
	PG_DONE,   /* committed */
	PG_ERROR,  /* rolled back, the connection is good */
	PG_UNSENT, /* the connection is lost before the Sync had left: nothing was committed */
	PG_LOST,   /* the connection is lost, the outcome unknown */
	PG_LATE,   /* the deadline has passed, the outcome unknown */
};

struct pg_exchange {
	int64_t deadline; /* clock_monotonic_us */
	size_t n;         /* statements queued */
	PGresult **results;
	PGresult *error; /* with PG_ERROR; the caller clears it and what results there are */
	size_t failed; /* index of its statement; n: at commit, and then the connection has to go */
};

bool pg_queue(const struct store *, const struct pg_step *) MUST_CHECK;
/* Adds the Sync to what is queued and takes the answers. */
enum pg_outcome pg_exchange(PGconn *, struct pg_exchange *) MUST_CHECK;

/* --- the connection (connect.c) --------------------------------------------------------------- */

enum { PG_WHY_MAX = 256 };

/* A new connection, which drops notices, or NULL and the reason. */
PGconn *pg_connect(const char *conninfo, int64_t deadline, char why[PG_WHY_MAX]) MUST_CHECK;
/* Waits for poll(2) events of its socket: 1, or 0 when the deadline has passed. */
int pg_wait(const PGconn *, short events, int64_t deadline) MUST_CHECK;

/* Sees to it that there is a connection that looks alive, with everything prepared and checked.
 * STORE_OK, STORE_UNAVAILABLE or STORE_UNFIT. */
enum store_result link_ensure(struct store *, bool *fresh) MUST_CHECK;
/* The end of a step that may take so long and begins now, within the request's. */
int64_t link_deadline(const struct store *, int timeout_ms);
/* Drops the connection, without and with a record of it. */
void link_close(struct store *);
void link_lost(struct store *, const char *why);
void link_unfit(struct store *);
/* Prepared statements are not kept on the way: says what to do, and is unfit for good, since the
 * next one of that name might be somebody else's. */
void link_pooled(struct store *);

/* --- fitness (check.c) ------------------------------------------------------------------------ */

/* The statement that asks, and whether the answer will do; if not, says so in the log unless that
 * was the last thing logged. */
void check_ask(struct pg_step *);
bool check_answer(struct store *, const PGresult *) MUST_CHECK;

#endif
