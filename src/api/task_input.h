/* Tasks as bodies and files have them: shared by single writes, batches and imports. */
#ifndef TASKCELL_API_TASK_INPUT_H
#define TASKCELL_API_TASK_INPUT_H

#include "api/call.h"

/* What the tables task_create_body, task_change_body and task_complete_body fill. */
struct task_input {
	struct json_text id;
	struct json_text title;
	struct json_text description;
	struct json_flag completed;
	struct json_word priority;
	struct json_text due_date;
	struct json_texts tags;
};

/* A UUID that may be a task's: not all zeros. */
bool task_id_is(const char *s, size_t len) MUST_CHECK;
#define TASK_ID_WRONG "It must be a UUID."

/* What a field table cannot say: there is a title, the id of a path is a UUID. Adds field errors
 * under `prefix` ("" or "operations[3].data."); false when there are any. Without an id the task
 * gets a new one. */
bool task_input_new(struct call *, const char *prefix, const struct task_input *,
		    struct new_task *) MUST_CHECK;
/* The same for a change: members present are set. With `replace` absent members take their defaults
 * and a title is demanded. `expected` is the caller's to fill. */
bool task_input_change(struct call *, const char *prefix, const struct task_input *, bool replace,
		       struct task_change *) MUST_CHECK;

/* Judges a task that no table has read, as imports have them, by the same rules; title and tags are
 * trimmed. False when errors were added. */
bool task_input_check(struct arena *, struct field_errors *, struct new_task *) MUST_CHECK;

#endif
