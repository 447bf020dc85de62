#include "base/base.h"

#include "store/sessions.h"

/* Runs a counting statement, the reading of the wait and the sweeping. */
static enum store_result count(struct store *store, struct pg_call *call, const char *key,
			       struct throttle *throttle)
{
	enum { COUNTED, WAIT };
	enum store_result r;

	pg_text(pg_step(call, STATEMENT_THROTTLE_WAIT), key);
	pg_step(call, STATEMENT_THROTTLE_SWEEP);
	*throttle = (struct throttle){ 0 };
	r = pg_run(store, NULL, call);
	if (r != STORE_OK)
		return r;
	if (PQntuples(call->results[COUNTED]) == 1)
		return STORE_OK;
	/* The wait may have gone between the statements: then there is just none left. */
	throttle->retry_after_us = 1;
	if (PQntuples(call->results[WAIT]) == 1) {
		int64_t ends_at = pg_get_time(call->results[WAIT], 0, 0);
		int64_t now = pg_get_time(call->results[WAIT], 0, 1);

		if (ends_at > now)
			throttle->retry_after_us = ends_at - now;
	}
	return STORE_LIMITED;
}

enum store_result store_throttle_address(struct store *store, const char *key, int64_t limit,
					 struct throttle *throttle)
{
	struct pg_call call = { 0 };
	struct pg_step *step = pg_step(&call, STATEMENT_THROTTLE_ADDRESS);
	enum store_result r;

	pg_text(step, key);
	pg_int(step, limit);
	pg_int(step, THROTTLE_WINDOW_S);
	r = count(store, &call, key, throttle);
	pg_clear(&call);
	return r;
}

enum store_result store_throttle_reserve(struct store *store, const char *key,
					 struct throttle *throttle)
{
	struct pg_call call = { 0 };
	struct pg_step *step = pg_step(&call, STATEMENT_THROTTLE_RESERVE);
	enum store_result r;

	pg_text(step, key);
	pg_int(step, THROTTLE_FREE_FAILURES);
	pg_int(step, THROTTLE_WAIT_MAX_S);
	r = count(store, &call, key, throttle);
	if (r == STORE_OK)
		store->reserved_at = pg_get_time(call.results[0], 0, 0);
	pg_clear(&call);
	return r;
}

enum store_result store_throttle_refund(struct store *store, const char *key)
{
	struct pg_call call = { 0 };
	struct pg_step *step = pg_step(&call, STATEMENT_THROTTLE_REFUND);
	enum store_result r;

	pg_text(step, key);
	pg_time(step, store->reserved_at);
	r = pg_run(store, NULL, &call);
	pg_clear(&call);
	return r;
}

void throttle_clear_step(struct pg_call *call, const struct uuid *user_id,
			 const struct uuid *act_id, const char *key)
{
	struct pg_step *step;

	if (key == NULL)
		return;
	step = pg_step(call, STATEMENT_THROTTLE_CLEAR);
	pg_uuid(step, user_id);
	pg_uuid(step, act_id);
	pg_text(step, key);
}
