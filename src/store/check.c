#include "base/base.h"

#include "base/log.h"
#include "store/migrate.h"
#include "store/pg.h"

/* The columns of the statement `fitness`, and what to do when one is not true. */
static const char *const demands[] = {
	"the database role is SUPERUSER or BYPASSRLS, which no policy stops: use an ordinary role",
	"taskcell.admin is on for this role, which opens every row to it: reset the setting",
	"row-level security is not forced on what persons see: migrate a fresh database, or "
	"restore it",
	"row_security is off for this role, and row-level security then refuses every statement: "
	"reset the setting",
	"the schema is not the one this program was built for: run taskcellctl migrate, or the "
	"taskcell that fits",
	"default_transaction_isolation is not read committed: run taskcellctl migrate",
	"lock_timeout is not set for the role: run taskcellctl migrate",
	"idle_in_transaction_session_timeout is not set for the role: run taskcellctl migrate",
	"client_connection_check_interval is not set for the role: run taskcellctl migrate",
};

/* And the columns behind them. */
enum { DEMANDS = ARRAY_LEN(demands), KEPT_NAME = DEMANDS, BACKEND_PID };

void check_ask(struct pg_step *step)
{
	step->statement = STATEMENT_FITNESS;
	pg_int(step, (int64_t)migrations_count);
	pg_text(step, migrations[migrations_count - 1].checksum);
}

/* A pooler tells its clients a process number of its own making. One that keeps prepared statements
 * for them gives these names of its own; where the server knows ours by the very name we gave it,
 * the next transaction may meet a connection that has none of them, or another program's. */
static bool is_pooled(const struct store *store, const PGresult *res)
{
	return store->prepared && pg_get_bool(res, 0, KEPT_NAME) &&
	       pg_get_int(res, 0, BACKEND_PID) != PQbackendPID(store->conn);
}

bool check_answer(struct store *store, const PGresult *res)
{
	bool fit = true;

	if (PQntuples(res) != 1) {
		if (store->state != LINK_UNFIT)
			log_message(LOG_ERROR, "database_unfit",
				    "the database role cannot be looked up");
		return false;
	}
	if (is_pooled(store, res)) {
		link_pooled(store);
		return false;
	}
	for (int i = 0; i < DEMANDS; i++) {
		if (pg_get_bool(res, 0, i))
			continue;
		fit = false;
		if (store->state != LINK_UNFIT)
			log_message(LOG_ERROR, "database_unfit", "%s", demands[i]);
	}
	return fit;
}

enum store_result store_check(struct store *store)
{
	struct pg_call call = { .repeatable = true, .n = 1 };
	enum store_result r;
	bool fresh;

	r = link_ensure(store, &fresh);
	if (r != STORE_OK || fresh)
		return r;
	check_ask(&call.steps[0]);
	r = pg_run(store, NULL, &call);
	if (r == STORE_OK && !check_answer(store, call.results[0])) {
		r = STORE_UNFIT;
		link_unfit(store);
	}
	pg_clear(&call);
	return r == STORE_OK || r == STORE_UNFIT ? r : STORE_UNAVAILABLE;
}

enum store_result store_ready(struct store *store)
{
	struct pg_call call = { .repeatable = true };
	enum store_result r = store_check(store);

	if (r != STORE_OK)
		return r;
	pg_step(&call, STATEMENT_READY);
	r = pg_run(store, NULL, &call);
	if (r == STORE_OK && !pg_get_bool(call.results[0], 0, 0)) {
		r = STORE_UNAVAILABLE;
		link_close(store); /* another host of the list may be the primary by now */
	}
	pg_clear(&call);
	return r;
}
