/* Tasks: writing them, and several calls as one. */
#include "base/base.h"

#include "fake_store_inside.h"

#include "base/clock.h"
#include "fakes.h"

#define DAY_US (86400 * US_PER_SECOND)

/* --- several calls as one -------------------------------------------------------------------- */

enum store_result store_begin(struct store *s, bool snapshot)
{
	enum store_result r = fake_begin(s, __func__);

	if (s->before)
		give_up("a transaction inside a transaction");
	if (r != STORE_OK)
		return r;
	s->before = malloc(sizeof(*s));
	if (!s->before)
		give_up("out of memory");
	memcpy(s->before, s, sizeof(*s));
	s->before->before = NULL;
	s->snapshot = snapshot;
	return STORE_OK;
}

/* All rows as they were; what is known of the calls stays. */
static void roll_back(struct store *s)
{
	struct store *b = s->before;

	b->n_calls = s->n_calls;
	memcpy(b->calls, s->calls, sizeof(b->calls));
	b->fail_call = s->fail_call;
	b->fail_with = s->fail_with;
	b->hook_call = s->hook_call;
	b->hook = s->hook;
	memcpy(s, b, sizeof(*s));
	s->before = b;
}

enum store_result store_end(struct store *s, bool commit)
{
	enum store_result r = fake_begin(s, __func__);

	if (!s->before)
		give_up("the end of no transaction");
	if (!commit || r != STORE_OK)
		roll_back(s);
	free(s->before);
	s->before = NULL;
	s->snapshot = false;
	s->broken = STORE_OK;
	return commit ? r : STORE_OK;
}

/* --- rows ------------------------------------------------------------------------------------ */

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
	out->due.text = fake_copy(a, task->due.text);
	for (size_t i = 0; i < task->tags.n; i++)
		out->tags.list[i] = fake_copy(a, task->tags.list[i]);
}

static bool belongs(const struct uuid *user_id, const struct principal *p)
{
	return uuid_equal(user_id, &p->user_id);
}

enum store_result fake_enter_write(struct store *s, const char *name, const struct principal *p)
{
	enum store_result r = fake_enter(s, name, p);

	if (s->snapshot)
		give_up("a write in a snapshot");
	return r;
}

int64_t fake_raise(struct store *s, const struct principal *p)
{
	struct fake_account *account = fake_account_of(s, &p->user_id);
	int64_t now = clock_now_us();
	size_t kept = 0;

	for (size_t i = 0; i < s->n_trash; i++) {
		const struct task *t = &s->trash[i];

		if (!belongs(&t->user_id, p) || t->deleted_at > now - TOMBSTONE_KEEP_DAYS * DAY_US)
			s->trash[kept++] = *t;
		else if (t->version > account->feed_floor)
			account->feed_floor = t->version;
	}
	s->n_trash = kept;
	return ++account->revision;
}

/* --- creating -------------------------------------------------------------------------------- */

/* Its fields; strings are the caller's. */
static void set_fields(struct task *t, const struct new_task *new, int64_t now)
{
	t->title = new->title;
	t->description = new->description;
	t->completed = new->completed;
	if (!new->completed)
		t->completed_at = 0;
	else if (!t->completed_at)
		t->completed_at = new->completed_at ? new->completed_at : now;
	t->priority = new->priority;
	t->due = new->due;
	if (!new->due.text)
		t->due.at = INT64_MAX;
	t->tags = new->tags;
	t->updated_at = now;
}

static struct task *add_task(struct store *s, const struct principal *p, const struct new_task *new)
{
	int64_t now = clock_now_us();
	struct task made = { .id = new->id,
			     .user_id = p->user_id,
			     .created_at = new->created_at ? new->created_at : now };
	struct task *task;

	set_fields(&made, new, now);
	made.version = fake_raise(s, p);
	task = &s->tasks[fake_take(&s->n_tasks, FAKE_TASKS)];
	fake_read_task(s->memory, &made, task);
	return task;
}

static struct fake_key *key_of(struct store *s, const struct principal *p,
			       const struct idempotency *key)
{
	for (size_t i = 0; key && i < s->n_keys; i++) {
		struct fake_key *k = &s->keys[i];

		if (belongs(&k->user_id, p) && strcmp(k->key, key->key) == 0)
			return k;
	}
	return NULL;
}

static bool key_counts(const struct fake_key *k)
{
	return k && k->created_at > clock_now_us() - IDEMPOTENCY_KEEP_S * US_PER_SECOND;
}

static void keep_key(struct store *s, const struct principal *p, const struct idempotency *key,
		     const struct task *task)
{
	struct fake_key *k = key_of(s, p, key);

	if (!k)
		k = &s->keys[fake_take(&s->n_keys, FAKE_KEYS)];
	*k = (struct fake_key){
		.user_id = p->user_id,
		.key = fake_copy(s->memory, key->key),
		.digest = fake_copy(s->memory, key->digest),
		.task = *task,
		.created_at = clock_now_us(),
	};
}

enum store_result store_task_create(struct store *s, struct arena *a, const struct principal *p,
				    const struct new_task *new, const struct idempotency *key,
				    struct task *out, enum created *how)
{
	enum store_result r = fake_enter_write(s, __func__, p);
	const struct fake_key *known = key_of(s, p, key);
	const struct task *task = fake_task_of(s, &p->user_id, &new->id);

	if (r != STORE_OK)
		return r;
	*out = (struct task){ 0 };
	if (key_counts(known)) {
		*how = strcmp(known->digest, key->digest) == 0 ? CREATED_BEFORE : CREATED_OTHERWISE;
		if (*how == CREATED_BEFORE)
			fake_read_task(a, &known->task, out);
		return STORE_OK;
	}
	if (task)
		fake_read_task(a, task, out);
	if (task || fake_trash_of(s, &p->user_id, &new->id))
		return STORE_CONFLICT;
	*how = CREATED_NEW;
	task = add_task(s, p, new);
	if (key)
		keep_key(s, p, key, task);
	fake_read_task(a, task, out);
	return STORE_OK;
}

/* --- changing -------------------------------------------------------------------------------- */

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

static bool same_fields(const struct task *a, const struct task *b)
{
	if (!same_text(a->title, b->title) || !same_text(a->description, b->description) ||
	    !same_text(a->due.text, b->due.text) || a->completed != b->completed ||
	    a->priority != b->priority || a->tags.n != b->tags.n)
		return false;
	for (size_t i = 0; i < a->tags.n; i++) {
		if (strcmp(a->tags.list[i], b->tags.list[i]) != 0)
			return false;
	}
	return true;
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

/* What the task would be made of. */
static struct new_task changed(const struct task *t, const struct task_change *change)
{
	return (struct new_task){
		.title = change->set_title ? change->title : t->title,
		.description = change->set_description ? change->description : t->description,
		.completed = completed_after(t->completed, change->completed),
		.priority = change->set_priority ? change->priority : t->priority,
		.due = change->set_due ? change->due : t->due,
		.tags = change->set_tags ? change->tags : t->tags,
	};
}

/* Whether this changed anything. */
static bool update(struct store *s, const struct principal *p, struct task *task,
		   const struct new_task *fields)
{
	struct task next = *task;

	set_fields(&next, fields, clock_now_us());
	if (same_fields(&next, task))
		return false;
	next.version = fake_raise(s, p);
	fake_read_task(s->memory, &next, task);
	return true;
}

enum store_result store_task_change(struct store *s, struct arena *a, const struct principal *p,
				    const struct uuid *id, const struct task_change *change,
				    struct task *out)
{
	enum store_result r = fake_enter_write(s, __func__, p);
	struct task *task = fake_task_of(s, &p->user_id, id);
	struct new_task fields;

	if (r != STORE_OK)
		return r;
	if (!task)
		return STORE_NOT_FOUND;
	if (is_expected(&change->expected, task->version)) {
		fields = changed(task, change);
		(void)update(s, p, task, &fields);
	} else {
		r = STORE_STALE;
	}
	fake_read_task(a, task, out);
	return r;
}

static void into_trash(struct store *s, const struct principal *p, struct task *task,
		       struct task *deleted)
{
	task->version = fake_raise(s, p);
	task->deleted_at = clock_now_us();
	*deleted = s->trash[fake_take(&s->n_trash, FAKE_TRASH)] = *task;
	*task = s->tasks[--s->n_tasks];
}

enum store_result store_task_delete(struct store *s, struct arena *a, const struct principal *p,
				    const struct uuid *id, const struct versions *expected,
				    struct task *out)
{
	enum store_result r = fake_enter_write(s, __func__, p);
	struct task *task = fake_task_of(s, &p->user_id, id), deleted;

	if (r != STORE_OK)
		return r;
	if (!task)
		return STORE_NOT_FOUND;
	if (!is_expected(expected, task->version)) {
		fake_read_task(a, task, out);
		return STORE_STALE;
	}
	into_trash(s, p, task, &deleted);
	fake_read_task(a, &deleted, out);
	return STORE_OK;
}

enum store_result store_task_clear_completed(struct store *s, const struct principal *p,
					     int64_t *deleted)
{
	enum store_result r = fake_enter_write(s, __func__, p);
	struct task gone;

	if (r != STORE_OK)
		return r;
	*deleted = 0;
	for (size_t i = 0; i < s->n_tasks;) {
		if (!belongs(&s->tasks[i].user_id, p) || !s->tasks[i].completed) {
			i++;
			continue;
		}
		into_trash(s, p, &s->tasks[i], &gone);
		++*deleted;
	}
	return STORE_OK;
}

/* --- importing ------------------------------------------------------------------------------- */

static enum imported import(struct store *s, const struct principal *p, const struct new_task *new)
{
	struct task *task = fake_task_of(s, &p->user_id, &new->id);
	struct task *trashed = fake_trash_of(s, &p->user_id, &new->id);
	struct new_task restored = *new;

	if (task)
		return update(s, p, task, new) ? IMPORTED_CHANGED : IMPORTED_SAME;
	if (trashed) {
		restored.created_at = trashed->created_at;
		if (trashed->completed)
			restored.completed_at = trashed->completed_at;
		fake_trash_take(s, trashed);
	}
	(void)add_task(s, p, &restored);
	return trashed ? IMPORTED_TRASHED : IMPORTED_NEW;
}

enum store_result store_task_import(struct store *s, struct arena *a, const struct principal *p,
				    const struct new_task *new, bool dry_run, enum imported *out)
{
	enum store_result r = fake_enter_write(s, __func__, p);
	const struct task *task = fake_task_of(s, &p->user_id, &new->id);
	struct task next;

	(void)a;
	if (r != STORE_OK)
		return r;
	if (!dry_run) {
		*out = import(s, p, new);
		return STORE_OK;
	}
	*out = fake_trash_of(s, &p->user_id, &new->id) ? IMPORTED_TRASHED : IMPORTED_NEW;
	if (task) {
		next = *task;
		set_fields(&next, new, clock_now_us());
		*out = same_fields(&next, task) ? IMPORTED_SAME : IMPORTED_CHANGED;
	}
	return STORE_OK;
}
