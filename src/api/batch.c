#include "base/base.h"

#include "api/handlers.h"
#include "api/reply.h"
#include "api/task_input.h"
#include "http/problem.h"

enum { OPERATIONS_MAX = 100 };

/* --- the body -------------------------------------------------------------------------------- */

enum op { OP_CREATE, OP_UPDATE, OP_DELETE, OP_COMPLETE, OP_RESTORE };

static const char *const op_words[] = { "create", "update", "delete", "complete", "restore", NULL };

struct operation {
	struct json_word op;
	struct json_text id;
	struct json_int if_match;
	struct json_part data; /* struct task_input */
};
struct batch_input {
	struct json_flag atomic;
	struct json_parts operations;
};

/* clang-format off */
static const struct field operation_fields[] = {
	{ .name = "op", .type = FIELD_WORD, .rules = FIELD_REQUIRED,
	  .offset = offsetof(struct operation, op), .words = op_words },
	{ .name = "id", .type = FIELD_TEXT,
	  .offset = offsetof(struct operation, id), .max = UUID_TEXT_LEN,
	  .is = task_id_is, .wrong = TASK_ID_WRONG },
	{ .name = "if_match", .type = FIELD_INT, .rules = FIELD_TAG,
	  .offset = offsetof(struct operation, if_match), .max = INT64_MAX },
	{ .name = "data", .type = FIELD_PART,
	  .offset = offsetof(struct operation, data), .table = &task_data_body },
};
static const struct field_table operation_table =
	FIELD_TABLE(operation_fields, struct operation);
static const struct field batch_fields[] = {
	{ .name = "atomic", .type = FIELD_FLAG, .offset = offsetof(struct batch_input, atomic) },
	{ .name = "operations", .type = FIELD_PARTS, .rules = FIELD_REQUIRED,
	  .offset = offsetof(struct batch_input, operations), .table = &operation_table,
	  .max_items = OPERATIONS_MAX },
};
/* clang-format on */

const struct field_table batch_body = FIELD_TABLE(batch_fields, struct batch_input);

/* --- what is to be done, judged before anything is ------------------------------------------- */

struct step {
	enum op op;
	struct uuid id;
	struct new_task new;
	struct task_change change;
	int64_t version; /* what change.expected points to */
};

static void refuse(struct call *c, const char *prefix, const char *field, const char *code,
		   const char *detail)
{
	field_error_add(&c->fields, arena_printf(c->arena, "%s%s", prefix, field), code, detail);
}

/* A new task may go without an id; its data may have one, as in a request of its own. */
static void plan_id(struct call *c, const char *prefix, const struct operation *o, struct step *s)
{
	bool there = o->id.present && uuid_parse(o->id.s, o->id.len, &s->id);

	if (!there && s->op != OP_CREATE)
		field_error_required(&c->fields, arena_printf(c->arena, "%sid", prefix));
}

/* A condition that nobody looks at would be a false promise. */
static void plan_if_match(struct call *c, const char *prefix, const struct operation *o,
			  struct step *s)
{
	if (!o->if_match.present)
		return;
	if (s->op == OP_CREATE || s->op == OP_RESTORE)
		refuse(c, prefix, "if_match", "not_allowed",
		       "There is no version yet that it could be held against.");
	s->version = o->if_match.value;
	s->change.expected = (struct versions){ &s->version, 1 };
}

static void plan_data(struct call *c, const char *prefix, const struct operation *o, struct step *s)
{
	const char *inside = arena_printf(c->arena, "%sdata.", prefix);
	struct task_input in = { 0 };

	if (o->data.present)
		in = *(const struct task_input *)o->data.value;
	else if (s->op == OP_CREATE || s->op == OP_UPDATE)
		field_error_required(&c->fields, arena_printf(c->arena, "%sdata", prefix));
	switch (s->op) {
	case OP_CREATE:
		if (o->data.present && task_input_new(c, inside, &in, &s->new) && o->id.present)
			s->new.id = s->id;
		break;
	case OP_UPDATE:
		/* entries in c->fields are what counts */
		if (!task_input_change(c, inside, &in, false, &s->change))
			return;
		break;
	case OP_COMPLETE:
		/* not a flip: done twice, it is done */
		s->change.completed = in.completed.present && !in.completed.value ? COMPLETED_CLEAR
										  : COMPLETED_SET;
		break;
	case OP_DELETE:
	case OP_RESTORE:
		break;
	}
}

/* False when there are field errors. */
static bool plan(struct call *c, const struct batch_input *in, struct step *steps)
{
	const struct operation *operations = in->operations.list;

	for (size_t i = 0; i < in->operations.n; i++) {
		const char *prefix = arena_printf(c->arena, "operations[%zu].", i);

		steps[i].op = (enum op)operations[i].op.index;
		plan_id(c, prefix, &operations[i], &steps[i]);
		plan_data(c, prefix, &operations[i], &steps[i]);
		plan_if_match(c, prefix, &operations[i], &steps[i]);
	}
	return !c->fields.n;
}

/* --- doing it -------------------------------------------------------------------------------- */

static enum store_result run_step(struct call *c, const struct step *s, struct task *task)
{
	enum created created;

	switch (s->op) {
	case OP_CREATE:
		return store_task_create(c->store, c->arena, c->principal, &s->new, NULL, task,
					 &created);
	case OP_UPDATE:
	case OP_COMPLETE:
		return store_task_change(c->store, c->arena, c->principal, &s->id, &s->change,
					 task);
	case OP_DELETE:
		return store_task_delete(c->store, c->arena, c->principal, &s->id,
					 &s->change.expected, task);
	case OP_RESTORE:
		return store_trash_restore(c->store, c->arena, c->principal, &s->id, task);
	}
	return STORE_FAILED;
}

/* The error of a step; a task that is in its way becomes c->current. */
static enum api_error step_error(struct call *c, enum store_result r, const struct task *task)
{
	if (r == STORE_OK)
		return API_OK;
	if (r == STORE_STALE)
		return reply_conflict(c, API_PRECONDITION_FAILED, task);
	if (r == STORE_CONFLICT)
		return reply_id_taken(c, API_TASK_EXISTS, task);
	return api_from_store(r);
}

static int status_of(enum api_error e, enum op op)
{
	if (e != API_OK)
		return api_error_info(e)->status;
	return op == OP_CREATE ? 201 : 200;
}

/* Whether it is no answer to the operation: the session has ended, or the fault is ours. What comes
 * after it would fare no better. */
static bool ends_all(enum api_error e)
{
	return e != API_OK &&
	       (api_error_info(e)->status == 401 || api_error_info(e)->status >= 500);
}

static void write_current(struct json_writer *w, const void *task)
{
	json_key(w, "current");
	write_task(w, task);
}

/* One entry of the answer; `e` with c->current, or the task. */
static void write_item(const struct call *c, struct json_writer *w, enum api_error e,
		       const struct task *task)
{
	const struct problem p = {
		.error = e,
		.detail = c->detail,
		.request_id = c->request->request_id,
		.extra = c->current ? write_current : NULL,
		.extra_arg = c->current,
	};

	if (e == API_OK) {
		json_key(w, "task");
		write_task(w, task);
	} else {
		json_key(w, "problem");
		problem_json(w, &p);
	}
}

/* Does the steps one after the other and writes what becomes of each. Returns what fails all of
 * them: in an atomic batch the first failure. */
static enum api_error run_steps(struct call *c, const struct step *steps, size_t n, bool atomic,
				struct json_writer *w)
{
	enum api_error e = API_OK;

	for (size_t i = 0; i < n; i++) {
		struct task task = { 0 };

		c->current = NULL;
		c->detail = NULL;
		if (!ends_all(e))
			e = step_error(c, run_step(c, &steps[i], &task), &task);
		if (e != API_OK && atomic && !ends_all(e))
			c->failed_index = (int)i;
		if (e != API_OK && (atomic || (i == 0 && ends_all(e))))
			return e;
		json_object_open(w);
		json_key(w, "index");
		json_int(w, (int64_t)i);
		json_key(w, "status");
		json_int(w, status_of(e, steps[i].op));
		write_item(c, w, e, &task);
		json_object_close(w);
	}
	return API_OK;
}

/* The end of an atomic batch. */
static enum api_error settle(struct call *c, enum api_error e)
{
	enum store_result r = store_end(c->store, e == API_OK);
	struct task *current;

	if (e == API_OK)
		return r == STORE_OK ? API_OK : api_from_store(r);
	if (c->current) {
		/* what was read may be what an earlier operation wrote, and is undone */
		current = arena_alloc(c->arena, sizeof(*current));
		r = store_task_get(c->store, c->arena, c->principal, &c->current->id, current);
		c->current = r == STORE_OK ? current : NULL;
	}
	return e;
}

enum api_error batch_run(struct call *c)
{
	const struct batch_input *in = c->input;
	size_t n = in->operations.n;
	struct step *steps = arena_array(c->arena, n, sizeof(*steps));
	bool atomic = in->atomic.value;
	struct json_writer w;
	enum store_result r;
	enum api_error e;

	if (!plan(c, in, steps))
		return API_VALIDATION_FAILED;
	if (atomic && (r = store_begin(c->store, false)) != STORE_OK)
		return api_from_store(r);
	reply_json(c, atomic ? 200 : 207, &w);
	json_object_open(&w);
	json_key(&w, "items");
	json_array_open(&w);
	e = run_steps(c, steps, n, atomic, &w);
	json_array_close(&w);
	json_object_close(&w);
	return atomic ? settle(c, e) : e;
}
