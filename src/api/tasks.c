#include "base/base.h"

#include <inttypes.h>

#include "api/handlers.h"
#include "api/reply.h"
#include "api/task_input.h"
#include "api/task_query.h"
#include "base/codec.h"

enum { KEY_MAX = 255 }; /* of an Idempotency-Key */

/* --- conditions ------------------------------------------------------------------------------ */

/* The versions that the client has. Where there are too many to be read none counts, and it gets
 * what it may have once more. */
static struct if_match *client_versions(struct call *c)
{
	struct if_match *m = arena_alloc(c->arena, sizeof(*m));

	if (!if_none_match_parse(c->request->if_none_match, m))
		m->n = 0;
	return m;
}

static bool client_has(const struct if_match *m, int64_t version)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->versions[i] == version)
			return true;
	}
	return m->any;
}

static enum api_error not_modified(struct call *c, int64_t version)
{
	response_headerf(c->response, "ETag", "\"%" PRId64 "\"", version);
	return reply_empty(c, 304);
}

/* If-Match as the versions that will do. */
static enum api_error expected_versions(struct call *c, struct versions *out)
{
	struct if_match *m = arena_alloc(c->arena, sizeof(*m));

	if (!if_match_parse(c->request->if_match, m)) {
		c->detail = "If-Match names too many versions.";
		return API_INVALID_REQUEST;
	}
	out->list = m->any ? NULL : m->versions;
	out->n = m->n;
	return API_OK;
}

/* --- the list -------------------------------------------------------------------------------- */

/* Of several revisions only the greatest can still be the owner's. */
static int64_t greatest(const struct if_match *m)
{
	int64_t most = -1;

	for (size_t i = 0; i < m->n; i++) {
		if (m->versions[i] > most)
			most = m->versions[i];
	}
	return most;
}

static enum api_error reply_list(struct call *c, const struct list_query *q,
				 const struct task_page *page)
{
	response_headerf(c->response, "ETag", "\"%" PRId64 "\"", page->revision);
	if (q->store.count)
		response_headerf(c->response, "X-Total-Count", "%" PRId64,
				 q->nothing ? 0 : page->count);
	if (page->more && !q->nothing)
		list_query_next(c, q, "tasks", &page->last);
	return reply_tasks(c, &page->list);
}

enum api_error tasks_list(struct call *c)
{
	struct if_match *known = client_versions(c);
	struct task_page page = { 0 };
	struct list_query q;
	enum store_result r;

	if (!list_query_read(c, &q))
		return API_INVALID_QUERY;
	response_header(c->response, "Vary", "Accept");
	if (q.file)
		return tasks_export(c, &q);
	q.store.known = greatest(known);
	if (q.nothing)
		q.store.limit = 0;
	r = store_task_list(c->store, c->arena, c->principal, &q.store, &page);
	if (r != STORE_OK)
		return api_from_store(r);
	if (page.unchanged || client_has(known, page.revision))
		return not_modified(c, page.revision);
	return reply_list(c, &q, &page);
}

enum api_error tasks_clear_completed(struct call *c)
{
	struct json_writer w;
	enum store_result r;
	int64_t deleted;

	if (!clear_query_read(c))
		return API_INVALID_QUERY;
	r = store_task_clear_completed(c->store, c->principal, &deleted);
	if (r != STORE_OK)
		return api_from_store(r);
	reply_json(c, 200, &w);
	json_object_open(&w);
	json_key(&w, "deleted");
	json_int(&w, deleted);
	json_object_close(&w);
	return API_OK;
}

/* --- a new task ------------------------------------------------------------------------------ */

/* Where a request that may be sent twice asks for the same: method, route and body. */
static const char *request_digest(struct call *c)
{
	static const char what[] = "POST /api/{user_id}/tasks\n";
	size_t len = sizeof(what) - 1 + c->request->body_len;
	char *text = arena_alloc(c->arena, len), *hex = arena_alloc(c->arena, 2 * DIGEST_LEN + 1);
	uint8_t digest[DIGEST_LEN];

	memcpy(text, what, sizeof(what) - 1);
	memcpy(text + sizeof(what) - 1, c->request->body, c->request->body_len);
	digest_sha256(text, len, digest);
	hex_encode(digest, sizeof(digest), hex);
	return hex;
}

/* `out->key` is NULL when there is none. */
static enum api_error read_key(struct call *c, struct idempotency *out)
{
	const char *key = c->request->idempotency_key;
	size_t len = 0;

	*out = (struct idempotency){ 0 };
	if (!key)
		return API_OK;
	while (key[len] >= '!' && key[len] <= '~')
		len++;
	if (!len || key[len] || len > KEY_MAX) {
		c->detail = "An Idempotency-Key has 1 to 255 visible ASCII characters.";
		return API_INVALID_REQUEST;
	}
	*out = (struct idempotency){ key, request_digest(c) };
	return API_OK;
}

/* `taken`: what it is when the id is in use. */
static enum api_error create(struct call *c, const struct new_task *new,
			     const struct idempotency *key, enum api_error taken)
{
	enum created how = CREATED_NEW;
	char id[UUID_TEXT_LEN + 1];
	struct task task = { 0 };
	enum store_result r =
		store_task_create(c->store, c->arena, c->principal, new, key, &task, &how);

	if (r == STORE_CONFLICT)
		return reply_id_taken(c, taken, &task);
	if (r != STORE_OK)
		return api_from_store(r);
	if (how == CREATED_OTHERWISE)
		return API_IDEMPOTENCY_KEY_REUSED;
	if (how == CREATED_BEFORE)
		response_header(c->response, "Idempotency-Replayed", "true");
	uuid_format(&task.id, id);
	response_headerf(c->response, "Location", "%s/api/%s/tasks/%s", c->app->mount, c->param[0],
			 id);
	return reply_task(c, 201, &task);
}

enum api_error tasks_create(struct call *c)
{
	struct idempotency key;
	struct new_task new;
	enum api_error e;

	if (!task_input_new(c, "", c->input, &new))
		return API_VALIDATION_FAILED;
	e = read_key(c, &key);
	if (e != API_OK)
		return e;
	return create(c, &new, key.key ? &key : NULL, API_TASK_EXISTS);
}

/* PUT with If-None-Match: *. The id of the path is judged like a member. */
static enum api_error put_new(struct call *c)
{
	struct task_input in = *(const struct task_input *)c->input;
	struct new_task new;

	if (c->request->if_match || !client_versions(c)->any) {
		c->detail = "If-None-Match of a PUT must be *, and without If-Match.";
		return API_INVALID_REQUEST;
	}
	in.id = (struct json_text){ true, c->param[1], strlen(c->param[1]) };
	if (!task_input_new(c, "", &in, &new))
		return API_VALIDATION_FAILED;
	return create(c, &new, NULL, API_PRECONDITION_FAILED);
}

/* --- one task -------------------------------------------------------------------------------- */

enum api_error tasks_get(struct call *c)
{
	struct task task;
	enum store_result r = store_task_get(c->store, c->arena, c->principal, &c->task_id, &task);

	if (r != STORE_OK)
		return api_from_store(r);
	if (client_has(client_versions(c), task.version))
		return not_modified(c, task.version);
	return reply_task(c, 200, &task);
}

/* Turns the result of a write into the answer; a stale one carries the task as it is. */
static enum api_error written(struct call *c, enum store_result r, const struct task *task)
{
	if (r == STORE_OK)
		return reply_task(c, 200, task);
	return r == STORE_STALE ? reply_conflict(c, API_PRECONDITION_FAILED, task)
				: api_from_store(r);
}

static enum api_error change(struct call *c, struct task_change *change)
{
	enum api_error e = expected_versions(c, &change->expected);
	struct task task;

	if (e != API_OK)
		return e;
	return written(
		c, store_task_change(c->store, c->arena, c->principal, &c->task_id, change, &task),
		&task);
}

enum api_error tasks_put(struct call *c)
{
	bool replace = prefer_has(c->request->prefer, "handling", "strict");
	struct task_change wanted;

	if (c->request->if_none_match)
		return put_new(c);
	if (!task_input_change(c, "", c->input, replace, &wanted))
		return API_VALIDATION_FAILED;
	return change(c, &wanted);
}

enum api_error tasks_patch(struct call *c)
{
	struct task_change wanted = { .completed = COMPLETED_FLIP };

	if (c->input && !task_input_change(c, "", c->input, false, &wanted))
		return API_VALIDATION_FAILED;
	return change(c, &wanted);
}

enum api_error tasks_complete(struct call *c)
{
	const struct task_input *in = c->input;
	struct task_change wanted = { .completed = COMPLETED_FLIP };

	if (in && in->completed.present)
		wanted.completed = in->completed.value ? COMPLETED_SET : COMPLETED_CLEAR;
	return change(c, &wanted);
}

enum api_error tasks_delete(struct call *c)
{
	struct versions expected;
	enum api_error e = expected_versions(c, &expected);
	struct task task;
	enum store_result r;

	if (e != API_OK)
		return e;
	r = store_task_delete(c->store, c->arena, c->principal, &c->task_id, &expected, &task);
	if (r == STORE_OK && prefer_has(c->request->prefer, "return", "minimal"))
		return reply_empty(c, 204);
	return written(c, r, &task);
}
