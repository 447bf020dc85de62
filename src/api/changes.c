#include "base/base.h"

#include <inttypes.h>

#include "api/handlers.h"
#include "api/reply.h"
#include "api/task_query.h"
#include "base/clock.h"
#include "base/codec.h"

enum {
	CHANGES_MAX = 1000,
	WAIT_MAX_S = 25, /* below the read time-out of the web server's files */
	LOOK_MS = 1000,
	TOKEN_VERSION = 1,
	TOKEN_BYTES = 1 + 8 + 8, /* version, since, start */
	TOKEN_LEN = BASE64_LEN(TOKEN_BYTES),
};

/* --- the token ------------------------------------------------------------------------------- */

static void token_write(const struct feed_place *place, char out[TOKEN_LEN + 1])
{
	uint8_t bytes[TOKEN_BYTES] = { TOKEN_VERSION };

	put_int64(bytes + 1, place->since);
	put_int64(bytes + 9, place->start);
	base64url_encode(bytes, sizeof(bytes), out);
}

static bool token_read(const char *token, struct feed_place *out)
{
	uint8_t bytes[TOKEN_BYTES];
	size_t len;

	if (!base64url_decode(token, strlen(token), bytes, sizeof(bytes), &len) ||
	    len != sizeof(bytes) || bytes[0] != TOKEN_VERSION)
		return false;
	out->since = get_int64(bytes + 1);
	out->start = get_int64(bytes + 9);
	return out->since >= 0 && out->start >= 0;
}

/* --- reading and waiting --------------------------------------------------------------------- */

struct feed_query {
	struct feed_place since;
	const struct feed_place *place; /* `since`, or NULL: from the start */
	int32_t limit;
	int64_t wait_s;
};

static bool feed_query_read(struct call *c, struct feed_query *q)
{
	const char *since = query_get(&c->query, "since");
	int64_t limit;

	*q = (struct feed_query){ 0 };
	if (since) {
		c->detail = "The parameter since is not a token of this service.";
		if (!token_read(since, &q->since))
			return false;
		c->detail = NULL;
		q->place = &q->since;
	}
	if (!query_limit(c, CHANGES_MAX, &limit))
		return false;
	q->limit = (int32_t)limit;
	if (!prefer_number(c->request->prefer, "wait", &q->wait_s))
		q->wait_s = 0;
	else if (q->wait_s > WAIT_MAX_S)
		q->wait_s = WAIT_MAX_S;
	return true;
}

static enum store_result read_changes(struct call *c, const struct feed_query *q,
				      struct changes *out)
{
	return store_changes(c->store, c->arena, c->principal, q->place, q->limit, out);
}

static bool wait_a_while(struct call *c, int ms)
{
	int64_t began = clock_monotonic_us();
	bool on = c->app->pause(c->app, ms);

	c->waited_us += clock_monotonic_us() - began;
	return on;
}

/* Looks at the revision alone until it moves, since that costs least. `waited`: to the end, or
 * until there was something to tell. */
static enum store_result wait_for_changes(struct call *c, const struct feed_query *q,
					  struct changes *out, bool *waited)
{
	int64_t end = clock_monotonic_us() + q->wait_s * US_PER_SECOND, seen = out->next.since;

	while (!out->n && !out->gone) {
		int64_t left_ms = (end - clock_monotonic_us()) / 1000, revision;
		enum store_result r;

		if (left_ms <= 0)
			break;
		if (!wait_a_while(c, left_ms < LOOK_MS ? (int)left_ms : LOOK_MS))
			return STORE_OK;
		r = store_revision(c->store, c->principal, &revision);
		if (r != STORE_OK)
			return r;
		if (revision == seen)
			continue;
		/* a revision may move without a change to tell of: look once for each */
		seen = revision;
		r = read_changes(c, q, out);
		if (r != STORE_OK)
			return r;
	}
	*waited = true;
	return STORE_OK;
}

/* Preference-Applied tells an empty answer that was waited for from one that nobody had the time to
 * wait for: whoever asks again after that should wait by himself. */
static enum store_result read_or_wait(struct call *c, const struct feed_query *q,
				      struct changes *out)
{
	enum store_result r = read_changes(c, q, out);
	bool applied = out->n;

	if (r != STORE_OK || out->gone || !q->wait_s)
		return r;
	if (!out->n && gate_enter(c->app->waiting, 0)) {
		r = wait_for_changes(c, q, out, &applied);
		gate_leave(c->app->waiting);
	}
	if (applied)
		response_headerf(c->response, "Preference-Applied", "wait=%" PRId64, q->wait_s);
	return r;
}

/* --- the routes ------------------------------------------------------------------------------ */

static void write_change(struct json_writer *w, const struct change *change)
{
	if (!change->deleted) {
		write_task(w, &change->task);
		return;
	}
	json_object_open(w);
	json_key(w, "id");
	json_uuid(w, &change->task.id);
	json_key(w, "deleted");
	json_bool(w, true);
	json_key(w, "version");
	json_int(w, change->task.version);
	json_object_close(w);
}

enum api_error changes_read(struct call *c)
{
	char next[TOKEN_LEN + 1];
	struct changes changes = { 0 };
	struct feed_query q;
	struct json_writer w;
	enum store_result r;

	if (!feed_query_read(c, &q))
		return API_INVALID_QUERY;
	r = read_or_wait(c, &q, &changes);
	if (r != STORE_OK)
		return api_from_store(r);
	if (changes.gone) {
		response_headerf(c->response, "Link", "<%s/api/%s/changes>; rel=\"start\"",
				 c->app->mount, c->param[0]);
		return API_GONE;
	}
	token_write(&changes.next, next);
	reply_json(c, 200, &w);
	json_object_open(&w);
	json_key(&w, "changes");
	json_array_open(&w);
	for (size_t i = 0; i < changes.n; i++)
		write_change(&w, &changes.list[i]);
	json_array_close(&w);
	json_key(&w, "next");
	json_string(&w, next);
	json_key(&w, "more");
	json_bool(&w, changes.more);
	json_object_close(&w);
	return API_OK;
}

enum api_error stats_read(struct call *c)
{
	const int64_t day = 24 * 3600 * US_PER_SECOND;
	const char *given = query_get(&c->query, "today");
	int64_t today = clock_now_us() / day * day;
	struct task_stats stats;
	struct json_writer w;
	enum store_result r;

	if (given && !date_parse(given, strlen(given), &today)) {
		c->detail = "The parameter today must be a date, YYYY-MM-DD.";
		return API_INVALID_QUERY;
	}
	r = store_task_stats(c->store, c->principal, today, &stats);
	if (r != STORE_OK)
		return api_from_store(r);
	reply_json(c, 200, &w);
	json_object_open(&w);
	json_key(&w, "total");
	json_int(&w, stats.total);
	json_key(&w, "pending");
	json_int(&w, stats.pending);
	json_key(&w, "completed");
	json_int(&w, stats.completed);
	json_key(&w, "overdue");
	json_int(&w, stats.overdue);
	json_key(&w, "due_today");
	json_int(&w, stats.due_today);
	json_key(&w, "trash");
	json_int(&w, stats.trash);
	json_object_close(&w);
	return API_OK;
}
