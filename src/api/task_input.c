#include "base/base.h"

#include "api/task_input.h"

#include "api/handlers.h"
#include "base/codec.h"
#include "base/log.h"
#include "exchange/exchange.h"
#include "http/text.h"

enum {
	TITLE_MAX = 200,
	DESCRIPTION_MAX = 10000,
	TAG_MAX = 40,
	DUE_MAX = 64,
};

/* --- values ---------------------------------------------------------------------------------- */

bool task_id_is(const char *s, size_t len)
{
	static const struct uuid nil;
	struct uuid id;

	/* all zeros are no id: they stand for none */
	return uuid_parse(s, len, &id) && !uuid_equal(&id, &nil);
}

static bool due_is(const char *s, size_t len)
{
	int64_t at;

	return date_parse(s, len, &at) || rfc3339_parse(s, len, &at);
}

/* --- tables ---------------------------------------------------------------------------------- */

/* clang-format off */
#define ID_FIELD \
	{ .name = "id", .type = FIELD_TEXT, .rules = FIELD_NULLABLE, \
	  .offset = offsetof(struct task_input, id), .max = UUID_TEXT_LEN, \
	  .is = task_id_is, .wrong = TASK_ID_WRONG }
#define TITLE_FIELD(rules_) \
	{ .name = "title", .type = FIELD_TEXT, .rules = FIELD_TRIMMED | (rules_), \
	  .offset = offsetof(struct task_input, title), .min = 1, .max = TITLE_MAX }
#define DESCRIPTION_FIELD \
	{ .name = "description", .type = FIELD_TEXT, .rules = FIELD_NULLABLE, \
	  .offset = offsetof(struct task_input, description), .max = DESCRIPTION_MAX }
#define COMPLETED_FIELD \
	{ .name = "completed", .type = FIELD_FLAG, \
	  .offset = offsetof(struct task_input, completed) }
#define PRIORITY_FIELD \
	{ .name = "priority", .type = FIELD_WORD, .rules = FIELD_NULLABLE, \
	  .offset = offsetof(struct task_input, priority), .words = task_priority_names }
#define DUE_DATE_FIELD \
	{ .name = "due_date", .type = FIELD_TEXT, .rules = FIELD_NULLABLE, \
	  .offset = offsetof(struct task_input, due_date), .max = DUE_MAX, .is = due_is, \
	  .wrong = "It must be a date, YYYY-MM-DD, or a date-time as in RFC 3339." }
#define TAGS_FIELD \
	{ .name = "tags", .type = FIELD_TEXTS, \
	  .rules = FIELD_NULLABLE | FIELD_TRIMMED | FIELD_UNIQUE, \
	  .offset = offsetof(struct task_input, tags), .min = 1, .max = TAG_MAX, \
	  .max_items = TASK_TAGS_MAX }
/* clang-format on */

static const struct field create_fields[] = {
	ID_FIELD,          TITLE_FIELD(FIELD_REQUIRED),
	DESCRIPTION_FIELD, COMPLETED_FIELD,
	PRIORITY_FIELD,    DUE_DATE_FIELD,
	TAGS_FIELD,
};
static const struct field change_fields[] = {
	TITLE_FIELD(0), DESCRIPTION_FIELD, COMPLETED_FIELD,
	PRIORITY_FIELD, DUE_DATE_FIELD,    TAGS_FIELD,
};
static const struct field complete_fields[] = { COMPLETED_FIELD };
static const struct field data_fields[] = {
	ID_FIELD,       TITLE_FIELD(0), DESCRIPTION_FIELD, COMPLETED_FIELD,
	PRIORITY_FIELD, DUE_DATE_FIELD, TAGS_FIELD,
};

const struct field_table task_create_body = FIELD_TABLE(create_fields, struct task_input);
const struct field_table task_change_body = FIELD_TABLE(change_fields, struct task_input);
const struct field_table task_complete_body = FIELD_TABLE(complete_fields, struct task_input);
const struct field_table task_data_body = FIELD_TABLE(data_fields, struct task_input);

/* --- what a table cannot say ----------------------------------------------------------------- */

/* A task while its members are judged. */
struct judge {
	struct arena *arena;
	struct field_errors *errors;
	const char *prefix;
	bool ok;
};

static void refuse(struct judge *j, const char *field, const char *code, const char *detail)
{
	field_error_add(j->errors, arena_printf(j->arena, "%s%s", j->prefix, field), code, detail);
	j->ok = false;
}

/* That of a path has been read by no table. */
static void judge_id(struct judge *j, const struct json_text *given, struct uuid *out)
{
	*out = uuid_v7();
	if (given->s &&
	    (!task_id_is(given->s, given->len) || !uuid_parse(given->s, given->len, out)))
		refuse(j, "id", "invalid_value", TASK_ID_WRONG);
}

static struct due read_due(const struct json_text *given)
{
	struct due due = { .text = given->s };

	if (given->s && !date_parse(given->s, given->len, &due.at) &&
	    !rfc3339_parse(given->s, given->len, &due.at))
		fatal("a due date that due_is() would not have");
	return due;
}

static struct tags read_tags(const struct json_texts *given)
{
	struct tags tags = { .n = given->n };

	for (size_t i = 0; i < given->n; i++)
		tags.list[i] = given->list[i].s;
	return tags;
}

static enum priority read_priority(const struct json_word *given)
{
	return given->present && given->index >= 0 ? (enum priority)given->index : PRIORITY_NONE;
}

static void demand_title(struct judge *j, const struct task_input *in)
{
	if (in->title.present)
		return;
	field_error_required(j->errors, arena_printf(j->arena, "%stitle", j->prefix));
	j->ok = false;
}

bool task_input_new(struct call *c, const char *prefix, const struct task_input *in,
		    struct new_task *out)
{
	struct judge j = { c->arena, &c->fields, prefix, true };

	*out = (struct new_task){
		.title = in->title.s,
		.description = in->description.s,
		.completed = in->completed.value,
		.priority = read_priority(&in->priority),
		.due = read_due(&in->due_date),
		.tags = read_tags(&in->tags),
	};
	judge_id(&j, &in->id, &out->id);
	demand_title(&j, in);
	return j.ok;
}

static enum completed_change completed_change(const struct json_flag *given, bool replace)
{
	if (!given->present)
		return replace ? COMPLETED_CLEAR : COMPLETED_KEEP;
	return given->value ? COMPLETED_SET : COMPLETED_CLEAR;
}

bool task_input_change(struct call *c, const char *prefix, const struct task_input *in,
		       bool replace, struct task_change *out)
{
	struct judge j = { c->arena, &c->fields, prefix, true };

	*out = (struct task_change){
		.set_title = in->title.present,
		.title = in->title.s,
		.set_description = replace || in->description.present,
		.description = in->description.s,
		.completed = completed_change(&in->completed, replace),
		.set_priority = replace || in->priority.present,
		.priority = read_priority(&in->priority),
		.set_due = replace || in->due_date.present,
		.due = read_due(&in->due_date),
		.set_tags = replace || in->tags.present,
		.tags = read_tags(&in->tags),
	};
	if (replace)
		demand_title(&j, in);
	return j.ok;
}

/* --- tasks that were not read by a table ----------------------------------------------------- */

/* The bounds of one text. */
struct bounds {
	const char *field;
	size_t min, max; /* code points */
};

static void judge_text(struct judge *j, const struct bounds *b, const char *s, size_t len)
{
	size_t length = text_length(s, len);

	if (length < b->min)
		refuse(j, b->field, "too_short", "It must not be empty.");
	else if (length > b->max)
		refuse(j, b->field, "too_long",
		       arena_printf(j->arena, "It must have at most %zu characters.", b->max));
}

static const char *judge_trimmed(struct judge *j, const struct bounds *b, const char *s)
{
	size_t len = strlen(s);

	text_trim(&s, &len);
	judge_text(j, b, s, len);
	return arena_strndup(j->arena, s, len);
}

/* Tags are few, so each is compared with those before it. */
static void judge_tags(struct judge *j, const struct tags *tags)
{
	for (size_t i = 0; i < tags->n; i++) {
		for (size_t k = 0; k < i; k++) {
			if (strcmp(tags->list[i], tags->list[k]) != 0)
				continue;
			refuse(j, arena_printf(j->arena, "tags[%zu]", i), "duplicate",
			       "It is there already.");
			break;
		}
	}
}

bool task_input_check(struct arena *a, struct field_errors *errors, struct new_task *t)
{
	static const struct bounds title = { "title", 1, TITLE_MAX },
				   description = { "description", 0, DESCRIPTION_MAX },
				   due = { "due_date", 1, DUE_MAX };
	struct judge j = { a, errors, "", true };

	t->title = judge_trimmed(&j, &title, t->title ? t->title : "");
	if (t->description)
		judge_text(&j, &description, t->description, strlen(t->description));
	if (t->due.text)
		judge_text(&j, &due, t->due.text, strlen(t->due.text));
	for (size_t i = 0; i < t->tags.n; i++) {
		const struct bounds tag = { arena_printf(a, "tags[%zu]", i), 1, TAG_MAX };

		t->tags.list[i] = judge_trimmed(&j, &tag, t->tags.list[i]);
	}
	judge_tags(&j, &t->tags);
	return j.ok;
}
