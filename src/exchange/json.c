#include "base/base.h"

#include "exchange/exchange_private.h"

#include "http/json_bind.h"
#include "http/json_writer.h"

/* --- writing --------------------------------------------------------------------------------- */

void write_task(struct json_writer *w, const struct task *t)
{
	json_object_open(w);
	json_key(w, "id");
	json_uuid(w, &t->id);
	json_key(w, "user_id");
	json_uuid(w, &t->user_id);
	json_key(w, "title");
	json_string(w, t->title);
	json_key(w, "description");
	json_string(w, t->description);
	json_key(w, "completed");
	json_bool(w, t->completed);
	json_key(w, "completed_at");
	if (t->completed)
		json_time(w, t->completed_at);
	else
		json_null(w);
	json_key(w, "priority");
	json_string(w, task_priority_names[t->priority]);
	json_key(w, "due_date");
	json_string(w, t->due.text);
	json_key(w, "tags");
	json_array_open(w);
	for (size_t i = 0; i < t->tags.n; i++)
		json_string(w, t->tags.list[i]);
	json_array_close(w);
	json_key(w, "version");
	json_int(w, t->version);
	json_key(w, "created_at");
	json_time(w, t->created_at);
	json_key(w, "updated_at");
	json_time(w, t->updated_at);
	if (t->deleted_at) {
		json_key(w, "deleted_at");
		json_time(w, t->deleted_at);
	}
	json_object_close(w);
}

void json_task(struct buf *out, const struct task *task, bool first)
{
	struct json_writer w;

	json_begin(&w, out);
	w.comma = !first;
	write_task(&w, task);
}

/* --- one task -------------------------------------------------------------------------------- */

struct members {
	struct json_text id;
	struct json_text title;
	struct json_text description;
	struct json_flag completed;
	struct json_text completed_at;
	struct json_word priority;
	struct json_text due_date;
	struct json_texts tags;
	struct json_text created_at;
};

/* Lengths are judged later, as those of every format. */
/* clang-format off */
#define TEXT_FIELD(name_) \
	{ .name = #name_, .type = FIELD_TEXT, .rules = FIELD_NULLABLE, \
	  .offset = offsetof(struct members, name_), .max = EXCHANGE_ROW_MAX }
static const struct field fields[] = {
	TEXT_FIELD(id),
	TEXT_FIELD(title),
	TEXT_FIELD(description),
	{ .name = "completed", .type = FIELD_FLAG, .offset = offsetof(struct members, completed) },
	TEXT_FIELD(completed_at),
	{ .name = "priority", .type = FIELD_WORD, .rules = FIELD_NULLABLE,
	  .offset = offsetof(struct members, priority), .words = task_priority_names },
	TEXT_FIELD(due_date),
	{ .name = "tags", .type = FIELD_TEXTS, .rules = FIELD_NULLABLE,
	  .offset = offsetof(struct members, tags), .max = EXCHANGE_ROW_MAX,
	  .max_items = TASK_TAGS_MAX },
	TEXT_FIELD(created_at),
};
/* clang-format on */
static const struct field_table table = FIELD_TABLE(fields, struct members);

static void read_members(const struct members *m, struct exchange_row *row)
{
	if (m->id.s)
		row_id(row, m->id.s);
	row->task.title = m->title.s ? m->title.s : "";
	row->task.description = m->description.s;
	row->task.completed = m->completed.value;
	if (m->completed_at.s)
		row_completed_at(row, m->completed_at.s);
	if (m->priority.present && m->priority.index >= 0)
		row->task.priority = (enum priority)m->priority.index;
	if (m->due_date.s)
		row_due(row, m->due_date.s);
	for (size_t i = 0; i < m->tags.n; i++)
		row_tag(row, m->tags.list[i].s);
	if (m->created_at.s)
		row_created_at(row, m->created_at.s);
}

static void read_element(struct arena *a, const char *text, size_t len, struct exchange_row *row)
{
	struct field_errors errors;
	enum api_error e;
	void *members;

	if (len > EXCHANGE_ROW_MAX) {
		row_fail(row, "The task is too long.");
		return;
	}
	e = json_bind(a, &table, text, len, false, &errors, &members);
	if (e == API_OK)
		read_members(members, row);
	else if (e == API_VALIDATION_FAILED)
		row_fail(row, arena_printf(a, "The field %s is not valid: %s", errors.list[0].field,
					   errors.list[0].detail));
	else
		row_fail(row, "The task must be one JSON object.");
}

/* --- the file around them -------------------------------------------------------------------- */

static char peek(struct exchange_reader *r)
{
	while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
		r->p++;
	return r->p < r->end ? *r->p : '\0';
}

static bool take(struct exchange_reader *r, char c)
{
	if (peek(r) != c)
		return false;
	r->p++;
	return true;
}

/* Moves behind a string that begins here. */
static bool skip_string(struct exchange_reader *r)
{
	for (r->p++; r->p < r->end && *r->p != '"'; r->p++)
		if (*r->p == '\\' && r->end - r->p > 1)
			r->p++;
	if (r->p == r->end)
		return false;
	r->p++;
	return true;
}

/* Moves behind the value that begins here, by its brackets and quotes alone: what is inside is
 * judged when it is bound. False when it does not end, or is empty. */
static bool skip_value(struct exchange_reader *r)
{
	const char *begin = r->p;
	size_t depth = 0;

	while (r->p < r->end) {
		char c = *r->p;

		if (c == '"') {
			if (!skip_string(r))
				return false;
			continue;
		}
		if (!depth && (c == ',' || c == ']' || c == '}'))
			break;
		if (c == '{' || c == '[')
			depth++;
		else if (c == '}' || c == ']')
			depth--;
		r->p++;
	}
	return !depth && r->p > begin;
}

/* Moves behind a member's name and its colon. */
static bool take_name(struct exchange_reader *r, bool *is_tasks)
{
	static const char tasks[] = "\"tasks\"";
	const char *name;

	if (peek(r) != '"')
		return false;
	name = r->p;
	if (!skip_string(r))
		return false;
	*is_tasks = (size_t)(r->p - name) == strlen(tasks) && !memcmp(name, tasks, strlen(tasks));
	return take(r, ':');
}

static bool open_array(struct exchange_reader *r)
{
	bool is_tasks = false;

	if (take(r, '['))
		return true;
	r->wrapped = true;
	if (!take(r, '{'))
		return false;
	for (;;) {
		if (!take_name(r, &is_tasks))
			return false;
		if (is_tasks)
			return take(r, '[');
		(void)peek(r);
		if (!skip_value(r) || !take(r, ','))
			return false;
	}
}

/* What follows the array, up to the end of the file. */
static bool close_array(struct exchange_reader *r)
{
	bool is_tasks;

	if (r->wrapped) {
		while (take(r, ',')) {
			if (!take_name(r, &is_tasks) || is_tasks)
				return false;
			(void)peek(r);
			if (!skip_value(r))
				return false;
		}
		if (!take(r, '}'))
			return false;
	}
	return !peek(r) && r->p == r->end;
}

bool json_next(struct exchange_reader *r, struct arena *a, struct exchange_row *row)
{
	const char *begin;

	if (!r->begun && !open_array(r))
		return reader_end(r,
				  "The file must be a JSON array of tasks, or an object with such "
				  "an array as its member tasks.");
	r->begun = true;
	if (take(r, ']')) {
		if (!close_array(r))
			return reader_end(r, "The JSON is not valid behind the array of tasks.");
		return reader_end(r, NULL);
	}
	if (r->used && !take(r, ','))
		return reader_end(r, "The array of tasks is not valid JSON, or it is cut.");
	r->used = true;
	(void)peek(r);
	begin = r->p;
	if (!skip_value(r))
		return reader_end(r, "The array of tasks is not valid JSON, or it is cut.");
	read_element(a, begin, (size_t)(r->p - begin), row);
	return true;
}
