#include "base/base.h"

#include "api/handlers.h"
#include "api/reply.h"
#include "base/codec.h"

enum {
	TITLE_MAX = 200,
	DESCRIPTION_MAX = 10000,
	LIST_MAX = 1000,
};

/* --- bodies ---------------------------------------------------------------------------------- */

struct task_input {
	struct json_text title;
	struct json_text description;
	struct json_flag completed;
};

/* clang-format off */
#define TITLE_FIELD(rules_) \
	{ .name = "title", .type = FIELD_TEXT, .rules = FIELD_TRIMMED | (rules_), \
	  .offset = offsetof(struct task_input, title), .min = 1, .max = TITLE_MAX }
#define DESCRIPTION_FIELD \
	{ .name = "description", .type = FIELD_TEXT, .rules = FIELD_NULLABLE, \
	  .offset = offsetof(struct task_input, description), .max = DESCRIPTION_MAX }
#define COMPLETED_FIELD \
	{ .name = "completed", .type = FIELD_FLAG, \
	  .offset = offsetof(struct task_input, completed) }
/* clang-format on */

static const struct field create_fields[] = {
	TITLE_FIELD(FIELD_REQUIRED),
	DESCRIPTION_FIELD,
	COMPLETED_FIELD,
};
static const struct field change_fields[] = {
	TITLE_FIELD(0),
	DESCRIPTION_FIELD,
	COMPLETED_FIELD,
};
static const struct field complete_fields[] = { COMPLETED_FIELD };

const struct field_table task_create_body = FIELD_TABLE(create_fields, struct task_input);
const struct field_table task_change_body = FIELD_TABLE(change_fields, struct task_input);
const struct field_table task_complete_body = FIELD_TABLE(complete_fields, struct task_input);

/* --- the list -------------------------------------------------------------------------------- */

/* A cursor is the place of the last task that was seen: created_at and id, big-endian. */
enum {
	CURSOR_BYTES = 8 + 16,
	CURSOR_LEN = BASE64_LEN(CURSOR_BYTES),
};

/* The years 1970 to 9999: what a client made up may lie outside what the database can compare. */
#define CURSOR_FIRST INT64_C(0)
#define CURSOR_LAST  (INT64_C(253402300800) * US_PER_SECOND)

static void cursor_write(const struct task *t, char out[CURSOR_LEN + 1])
{
	uint8_t bytes[CURSOR_BYTES];

	put_int64(bytes, t->created_at);
	memcpy(bytes + 8, t->id.bytes, sizeof(t->id.bytes));
	base64url_encode(bytes, sizeof(bytes), out);
}

static bool cursor_read(const char *text, struct task_query *q)
{
	uint8_t bytes[CURSOR_BYTES];
	size_t len;

	if (!base64url_decode(text, strlen(text), bytes, sizeof(bytes), &len) ||
	    len != sizeof(bytes))
		return false;
	q->has_cursor = true;
	q->cursor_created_at = get_int64(bytes);
	if (q->cursor_created_at < CURSOR_FIRST || q->cursor_created_at > CURSOR_LAST)
		return false;
	memcpy(q->cursor_id.bytes, bytes + 8, sizeof(q->cursor_id.bytes));
	return true;
}

/* The index of `value` among the words, -1 when it is none of them. */
static int word_of(const char *value, const char *const *words, int n)
{
	for (int i = 0; i < n; i++) {
		if (strcmp(value, words[i]) == 0)
			return i;
	}
	return -1;
}

struct list_query {
	struct task_query store;
	const char *completed, *status; /* as they were given, for the next link */
	bool limited;                   /* a limit was given */
	bool nothing;                   /* the two filters exclude each other */
};

static bool list_query_read(const struct query *query, struct list_query *q)
{
	static const char *const completed_words[] = { "false", "true" };
	static const char *const status_words[] = { "all", "pending", "completed" };
	const char *cursor = query_get(query, "cursor"), *given_limit = query_get(query, "limit");
	enum completed_filter status = COMPLETED_ANY;
	int64_t limit = LIST_MAX;
	int word;

	*q = (struct list_query){ .completed = query_get(query, "completed"),
				  .status = query_get(query, "status"),
				  .limited = given_limit != NULL };
	if (q->completed) {
		word = word_of(q->completed, completed_words, ARRAY_LEN(completed_words));
		if (word < 0)
			return false;
		q->store.completed = word ? COMPLETED_YES : COMPLETED_NO;
	}
	if (q->status) {
		word = word_of(q->status, status_words, ARRAY_LEN(status_words));
		if (word < 0)
			return false;
		status = (enum completed_filter)word;
	}
	if (q->store.completed == COMPLETED_ANY)
		q->store.completed = status;
	else
		q->nothing = status != COMPLETED_ANY && status != q->store.completed;
	if (given_limit &&
	    (!decimal_parse(given_limit, strlen(given_limit), LIST_MAX, &limit) || limit == 0))
		return false;
	q->store.limit = (int32_t)limit;
	return !cursor || cursor_read(cursor, &q->store);
}

/* All values in it have been read: words, a number, a cursor of ours, "me" or a UUID. A number may
 * have been given with a thousand zeros in front, so it is written anew. */
static void next_link(struct call *c, const struct list_query *q, size_t limit,
		      const struct task *last)
{
	char cursor[CURSOR_LEN + 1], limit_text[32] = "";

	cursor_write(last, cursor);
	if (q->limited)
		(void)snprintf(limit_text, sizeof(limit_text), "&limit=%zu", limit);
	response_header(c->response, "Link", "<%s/api/%s/tasks?cursor=%s%s%s%s%s%s>; rel=\"next\"",
			c->app->mount, c->param[0], cursor, limit_text,
			q->completed ? "&completed=" : "", q->completed ? q->completed : "",
			q->status ? "&status=" : "", q->status ? q->status : "");
}

enum api_error tasks_list(struct call *c)
{
	struct list_query q;
	struct task_list list;
	struct json_writer w;
	enum store_result r;
	size_t limit;

	if (!list_query_read(&c->query, &q))
		return API_INVALID_QUERY;
	limit = q.nothing ? 0 : (size_t)q.store.limit;
	/* one more than asked for tells whether there is a next page */
	q.store.limit = q.nothing ? 0 : q.store.limit + 1;
	r = store_task_list(c->store, c->arena, c->principal, &q.store, &list);
	if (r != STORE_OK)
		return api_from_store(r);
	if (list.n > limit) {
		list.n = limit;
		next_link(c, &q, limit, &list.tasks[limit - 1]);
	}
	reply_json(c, 200, &w);
	json_array_open(&w);
	for (size_t i = 0; i < list.n; i++)
		write_task(&w, &list.tasks[i]);
	json_array_close(&w);
	return API_OK;
}

/* --- one task -------------------------------------------------------------------------------- */

enum api_error tasks_create(struct call *c)
{
	const struct task_input *in = c->input;
	struct new_task new = {
		.id = uuid_v7(),
		.title = in->title.s,
		.description = in->description.s,
		.completed = in->completed.value,
	};
	char id[UUID_TEXT_LEN + 1];
	struct task task;
	enum store_result r = store_task_create(c->store, c->arena, c->principal, &new, &task);

	if (r != STORE_OK)
		return api_from_store(r);
	uuid_format(&task.id, id);
	response_header(c->response, "Location", "%s/api/%s/tasks/%s", c->app->mount, c->param[0],
			id);
	return reply_task(c, 201, &task);
}

enum api_error tasks_get(struct call *c)
{
	struct task task;
	enum store_result r = store_task_get(c->store, c->arena, c->principal, &c->task_id, &task);

	return r == STORE_OK ? reply_task(c, 200, &task) : api_from_store(r);
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

/* Turns the result of a write into the answer; a stale one carries the task as it is. */
static enum api_error written(struct call *c, enum store_result r, const struct task *task)
{
	struct task *current;

	if (r == STORE_OK)
		return reply_task(c, 200, task);
	if (r == STORE_STALE) {
		current = arena_alloc(c->arena, sizeof(*current));
		*current = *task;
		c->current = current;
	}
	return api_from_store(r);
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

static enum completed_change completed_change(const struct json_flag *f)
{
	if (!f->present)
		return COMPLETED_KEEP;
	return f->value ? COMPLETED_SET : COMPLETED_CLEAR;
}

static void change_of(const struct task_input *in, struct task_change *out)
{
	*out = (struct task_change){
		.set_title = in->title.present,
		.title = in->title.s,
		.set_description = in->description.present,
		.description = in->description.s,
		.completed = completed_change(&in->completed),
	};
}

enum api_error tasks_put(struct call *c)
{
	const struct task_input *in = c->input;
	struct task_change wanted;

	change_of(in, &wanted);
	if (prefer_has(c->request->prefer, "handling", "strict")) {
		/* a full replacement: what is absent takes its default */
		if (!in->title.present) {
			field_error_required(&c->fields, "title");
			return API_VALIDATION_FAILED;
		}
		wanted.set_description = true;
		if (!in->completed.present)
			wanted.completed = COMPLETED_CLEAR;
	}
	return change(c, &wanted);
}

enum api_error tasks_patch(struct call *c)
{
	struct task_change wanted = { .completed = COMPLETED_FLIP };

	if (c->input)
		change_of(c->input, &wanted);
	return change(c, &wanted);
}

enum api_error tasks_complete(struct call *c)
{
	const struct task_input *in = c->input;
	struct task_change wanted = { .completed = COMPLETED_FLIP };

	if (in && in->completed.present)
		wanted.completed = completed_change(&in->completed);
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
