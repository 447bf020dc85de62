#include "base/base.h"

#include "fake_store_inside.h"

#include "base/clock.h"

struct task *fake_task_of(struct store *s, const struct uuid *user_id, const struct uuid *id)
{
	for (size_t i = 0; i < s->n_tasks; i++) {
		if (uuid_equal(&s->tasks[i].user_id, user_id) && uuid_equal(&s->tasks[i].id, id))
			return &s->tasks[i];
	}
	return NULL;
}

void fake_read_task(struct arena *a, const struct task *task, struct task *out)
{
	*out = *task;
	out->title = fake_copy(a, task->title);
	out->description = fake_copy(a, task->description);
}

/* Newest first. */
static int compare_tasks(const void *left, const void *right)
{
	const struct task *a = left, *b = right;

	if (a->created_at != b->created_at)
		return a->created_at > b->created_at ? -1 : 1;
	return -memcmp(a->id.bytes, b->id.bytes, sizeof(a->id.bytes));
}

static bool is_wanted(const struct task *task, const struct principal *p,
		      const struct task_query *q)
{
	struct task place = { .id = q->cursor_id, .created_at = q->cursor_created_at };

	if (!uuid_equal(&task->user_id, &p->user_id))
		return false;
	if (q->completed != COMPLETED_ANY && task->completed != (q->completed == COMPLETED_YES))
		return false;
	return !q->has_cursor || compare_tasks(task, &place) > 0;
}

enum store_result store_task_list(struct store *s, struct arena *a, const struct principal *p,
				  const struct task_query *q, struct task_list *out)
{
	enum store_result r = fake_enter(s, __func__, p);

	if (r != STORE_OK)
		return r;
	out->n = 0;
	out->tasks = arena_array(a, s->n_tasks + 1, sizeof(*out->tasks));
	for (size_t i = 0; i < s->n_tasks; i++) {
		if (is_wanted(&s->tasks[i], p, q))
			fake_read_task(a, &s->tasks[i], &out->tasks[out->n++]);
	}
	qsort(out->tasks, out->n, sizeof(*out->tasks), compare_tasks);
	if (out->n > (size_t)q->limit)
		out->n = (size_t)q->limit;
	return STORE_OK;
}

enum store_result store_task_create(struct store *s, struct arena *a, const struct principal *p,
				    const struct new_task *new, struct task *out)
{
	enum store_result r = fake_enter(s, __func__, p);
	int64_t now = clock_now_us();
	struct task *task;

	if (r != STORE_OK)
		return r;
	task = &s->tasks[fake_take(&s->n_tasks, FAKE_TASKS)];
	*task = (struct task){
		.id = new->id,
		.user_id = p->user_id,
		.title = fake_copy(s->memory, new->title),
		.description = fake_copy(s->memory, new->description),
		.completed = new->completed,
		.completed_at = new->completed ? now : 0,
		.version = ++fake_account_of(s, &p->user_id)->revision,
		.created_at = now,
		.updated_at = now,
	};
	fake_read_task(a, task, out);
	return STORE_OK;
}

enum store_result store_task_get(struct store *s, struct arena *a, const struct principal *p,
				 const struct uuid *id, struct task *out)
{
	enum store_result r = fake_enter(s, __func__, p);
	const struct task *task = fake_task_of(s, &p->user_id, id);

	if (r != STORE_OK)
		return r;
	if (!task)
		return STORE_NOT_FOUND;
	fake_read_task(a, task, out);
	return STORE_OK;
}

static bool is_expected(const struct versions *expected, int64_t version)
{
	for (size_t i = 0; expected->list && i < expected->n; i++) {
		if (expected->list[i] == version)
			return true;
	}
	return !expected->list;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool completed_after(bool before, enum completed_change change)
{
	switch (change) {
	case COMPLETED_KEEP:
		return before;
	case COMPLETED_SET:
		return true;
	case COMPLETED_CLEAR:
		return false;
	case COMPLETED_FLIP:
		return !before;
	}
	return before;
}

enum store_result store_task_change(struct store *s, struct arena *a, const struct principal *p,
				    const struct uuid *id, const struct task_change *change,
				    struct task *out)
{
	enum store_result r = fake_enter(s, __func__, p);
	struct task *task = fake_task_of(s, &p->user_id, id);
	struct task next;

	if (r != STORE_OK)
		return r;
	if (!task)
		return STORE_NOT_FOUND;
	fake_read_task(a, task, out);
	if (!is_expected(&change->expected, task->version))
		return STORE_STALE;
	next = *task;
	if (change->set_title)
		next.title = fake_copy(s->memory, change->title);
	if (change->set_description)
		next.description = fake_copy(s->memory, change->description);
	next.completed = completed_after(task->completed, change->completed);
	if (same_text(next.title, task->title) && same_text(next.description, task->description) &&
	    next.completed == task->completed)
		return STORE_OK;
	next.updated_at = clock_now_us();
	if (!next.completed)
		next.completed_at = 0;
	else if (!task->completed)
		next.completed_at = next.updated_at;
	next.version = ++fake_account_of(s, &p->user_id)->revision;
	*task = next;
	fake_read_task(a, task, out);
	return STORE_OK;
}

enum store_result store_task_delete(struct store *s, struct arena *a, const struct principal *p,
				    const struct uuid *id, const struct versions *expected,
				    struct task *out)
{
	enum store_result r = fake_enter(s, __func__, p);
	struct task *task = fake_task_of(s, &p->user_id, id);

	if (r != STORE_OK)
		return r;
	if (!task)
		return STORE_NOT_FOUND;
	fake_read_task(a, task, out);
	if (!is_expected(expected, task->version))
		return STORE_STALE;
	fake_account_of(s, &p->user_id)->revision++;
	*task = s->tasks[--s->n_tasks];
	return STORE_OK;
}
