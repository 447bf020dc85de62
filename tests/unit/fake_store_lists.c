/* Reading tasks: lists, the trash, the change feed. */
#include "base/base.h"

#include "fake_store_inside.h"

#include "base/clock.h"
#include "base/codec.h"

#define DAY_US (86400 * US_PER_SECOND)

/* --- filters --------------------------------------------------------------------------------- */

static char *lower(struct arena *a, const char *s)
{
	char *copy = arena_strndup(a, s, strlen(s));

	for (char *p = copy; *p; p++)
		*p = ascii_lower(*p);
	return copy;
}

static bool has_tag(struct arena *a, const struct task *task, const char *tag)
{
	for (size_t i = 0; i < task->tags.n; i++) {
		if (strcmp(lower(a, task->tags.list[i]), lower(a, tag)) == 0)
			return true;
	}
	return false;
}

static bool is_word(char c)
{
	return ascii_is_alnum(c) || (unsigned char)c >= 0x80;
}

/* Whether a word is among those of a text, be it as the beginning of one (`prefix`). */
static bool has_word(const char *text, const char *word, size_t len, bool prefix)
{
	for (const char *p = text; *p;) {
		size_t n = 0;

		while (is_word(p[n]))
			n++;
		if (n >= len && (prefix || n == len) && memcmp(p, word, len) == 0)
			return true;
		p += n + (p[n] != '\0');
	}
	return false;
}

/* Every word has to be there; the last may be unfinished. */
static bool is_found(struct arena *a, const struct task *task, const char *search)
{
	const char *text = lower(a, arena_printf(a, "%s %s", task->title,
						 task->description ? task->description : ""));
	const char *p = lower(a, search);

	while (*p) {
		size_t n = 0;

		while (is_word(p[n]))
			n++;
		if (n && !has_word(text, p, n, !p[n]))
			return false;
		p += n + (p[n] != '\0');
	}
	return true;
}

static bool is_wanted(struct arena *a, const struct task *task, const struct task_query *q)
{
	if (q->completed != COMPLETED_ANY && task->completed != (q->completed == COMPLETED_YES))
		return false;
	if (q->priority >= 0 && (int)task->priority != q->priority)
		return false;
	if (q->tag && !has_tag(a, task, q->tag))
		return false;
	if (q->has_due_before && task->due.at >= q->due_before)
		return false;
	if (q->has_due_after && (!task->due.text || task->due.at < q->due_after))
		return false;
	return !q->search || is_found(a, task, q->search);
}

/* --- order ----------------------------------------------------------------------------------- */

static struct task_place place_of(struct arena *a, const struct task *t, enum task_sort sort)
{
	struct task_place place = { .id = t->id };

	switch (sort) {
	case SORT_CREATED_AT:
		place.number = t->created_at;
		break;
	case SORT_UPDATED_AT:
		place.number = t->updated_at;
		break;
	case SORT_TITLE:
		place.text = lower(a, t->title);
		break;
	case SORT_DUE_DATE:
		place.number = t->due.at;
		break;
	case SORT_PRIORITY:
		place.number = t->priority;
		break;
	}
	return place;
}

static int compare_places(const struct task_place *a, const struct task_place *b)
{
	int texts = a->text ? strcmp(a->text, b->text) : 0;

	if (texts)
		return texts;
	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return memcmp(a->id.bytes, b->id.bytes, sizeof(a->id.bytes));
}

struct row {
	struct task_place place;
	const struct task *task;
};

static int ascending(const void *a, const void *b)
{
	return compare_places(&((const struct row *)a)->place, &((const struct row *)b)->place);
}

static int descending(const void *a, const void *b)
{
	return ascending(b, a);
}

static bool is_behind(const struct task_query *q, const struct task_place *place)
{
	int order;

	if (!q->after)
		return true;
	order = compare_places(place, q->after);
	return q->descending ? order < 0 : order > 0;
}

static void read_list(struct arena *a, const struct row *rows, size_t n, struct task_list *out)
{
	*out = (struct task_list){ .n = n, .tasks = arena_array(a, n + 1, sizeof(*out->tasks)) };
	for (size_t i = 0; i < n; i++)
		fake_read_task(a, rows[i].task, &out->tasks[i]);
}

enum store_result store_task_list(struct store *s, struct arena *a, const struct principal *p,
				  const struct task_query *q, struct task_page *out)
{
	enum store_result r = fake_enter(s, __func__, p);
	struct row *rows = arena_array(a, s->n_tasks + 1, sizeof(*rows));
	size_t n = 0, limit = (size_t)q->limit;

	if (r != STORE_OK)
		return r;
	*out = (struct task_page){ .revision = fake_account_of(s, &p->user_id)->revision };
	out->unchanged = out->revision == q->known;
	for (size_t i = 0; i < s->n_tasks && !out->unchanged; i++) {
		const struct task *task = &s->tasks[i];

		if (!uuid_equal(&task->user_id, &p->user_id) || !is_wanted(a, task, q))
			continue;
		out->count += q->count;
		rows[n] = (struct row){ place_of(a, task, q->sort), task };
		n += is_behind(q, &rows[n].place);
	}
	qsort(rows, n, sizeof(*rows), q->descending ? descending : ascending);
	out->more = n > limit && limit;
	read_list(a, rows, n > limit ? limit : n, &out->list);
	s->n_listed += out->list.n;
	if (out->list.n)
		out->last = rows[out->list.n - 1].place;
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

/* --- the trash ------------------------------------------------------------------------------- */

struct task *fake_trash_of(struct store *s, const struct uuid *user_id, const struct uuid *id)
{
	for (size_t i = 0; i < s->n_trash; i++) {
		if (uuid_equal(&s->trash[i].user_id, user_id) && uuid_equal(&s->trash[i].id, id))
			return &s->trash[i];
	}
	return NULL;
}

bool fake_is_restorable(const struct task *t)
{
	return t && t->title && t->deleted_at > clock_now_us() - TRASH_KEEP_DAYS * DAY_US;
}

void fake_trash_take(struct store *s, struct task *t)
{
	*t = s->trash[--s->n_trash];
}

enum store_result store_trash_list(struct store *s, struct arena *a, const struct principal *p,
				   const struct trash_query *query, struct task_list *out)
{
	const struct trash_place *before = query->before;
	size_t limit = (size_t)query->limit;
	enum store_result r = fake_enter(s, __func__, p);
	struct row *rows = arena_array(a, s->n_trash + 1, sizeof(*rows));
	size_t n = 0;

	if (r != STORE_OK)
		return r;
	for (size_t i = 0; i < s->n_trash; i++) {
		const struct task *t = &s->trash[i];
		struct task_place place = { .number = t->deleted_at, .id = t->id };

		if (!uuid_equal(&t->user_id, &p->user_id) ||
		    !(query->expired ? t->title != NULL : fake_is_restorable(t)))
			continue;
		if (before &&
		    compare_places(&place, &(struct task_place){ .number = before->deleted_at,
								 .id = before->id }) >= 0)
			continue;
		rows[n++] = (struct row){ place, t };
	}
	qsort(rows, n, sizeof(*rows), descending);
	read_list(a, rows, n > limit ? limit : n, out);
	return STORE_OK;
}

enum store_result store_trash_restore(struct store *s, struct arena *a, const struct principal *p,
				      const struct uuid *id, struct task *out)
{
	enum store_result r = fake_enter_write(s, __func__, p);
	struct task *t = fake_trash_of(s, &p->user_id, id), *task;

	if (r != STORE_OK)
		return r;
	if (!fake_is_restorable(t))
		return STORE_NOT_FOUND;
	task = &s->tasks[fake_take(&s->n_tasks, FAKE_TASKS)];
	*task = *t;
	fake_trash_take(s, t);
	task->deleted_at = 0;
	task->updated_at = clock_now_us();
	task->version = fake_raise(s, p);
	fake_read_task(a, task, out);
	return STORE_OK;
}

enum store_result store_trash_delete(struct store *s, const struct principal *p,
				     const struct uuid *id)
{
	enum store_result r = fake_enter_write(s, __func__, p);
	struct task *t = fake_trash_of(s, &p->user_id, id);

	if (r != STORE_OK)
		return r;
	if (!fake_is_restorable(t))
		return STORE_NOT_FOUND;
	*t = (struct task){ .id = t->id,
			    .user_id = t->user_id,
			    .version = t->version,
			    .deleted_at = t->deleted_at };
	return STORE_OK;
}

/* --- numbers --------------------------------------------------------------------------------- */

enum store_result store_task_stats(struct store *s, const struct principal *p, int64_t today,
				   struct task_stats *out)
{
	enum store_result r = fake_enter(s, __func__, p);

	if (r != STORE_OK)
		return r;
	*out = (struct task_stats){ 0 };
	for (size_t i = 0; i < s->n_tasks; i++) {
		const struct task *t = &s->tasks[i];
		bool is_date = t->due.text && strlen(t->due.text) == 10;

		if (!uuid_equal(&t->user_id, &p->user_id))
			continue;
		out->total++;
		out->completed += t->completed;
		if (t->completed)
			continue;
		out->overdue += t->due.at < (is_date ? today : clock_now_us());
		out->due_today += t->due.at >= today && t->due.at < today + DAY_US;
	}
	out->pending = out->total - out->completed;
	for (size_t i = 0; i < s->n_trash; i++)
		out->trash += uuid_equal(&s->trash[i].user_id, &p->user_id) &&
			      fake_is_restorable(&s->trash[i]);
	return STORE_OK;
}

/* --- the change feed ------------------------------------------------------------------------- */

enum store_result store_revision(struct store *s, const struct principal *p, int64_t *revision)
{
	enum store_result r = fake_enter(s, __func__, p);

	if (r == STORE_OK)
		*revision = fake_account_of(s, &p->user_id)->revision;
	return r;
}

static int by_version(const void *left, const void *right)
{
	const struct change *a = left, *b = right;

	return a->task.version < b->task.version ? -1 : 1;
}

/* All that is behind the place, in no order. */
static void collect_changes(struct store *s, struct arena *a, const struct principal *p,
			    struct changes *out)
{
	const struct feed_place *from = &out->next;

	out->list = arena_array(a, s->n_tasks + s->n_trash + 1, sizeof(*out->list));
	for (size_t i = 0; i < s->n_tasks; i++) {
		const struct task *t = &s->tasks[i];

		if (uuid_equal(&t->user_id, &p->user_id) && t->version > from->since)
			fake_read_task(a, t, &out->list[out->n++].task);
	}
	for (size_t i = 0; i < s->n_trash; i++) {
		const struct task *t = &s->trash[i];

		if (!uuid_equal(&t->user_id, &p->user_id) || t->version <= from->since ||
		    t->version <= from->start)
			continue;
		out->list[out->n++] = (struct change){
			.deleted = true,
			.task = { .id = t->id, .version = t->version },
		};
	}
}

enum store_result store_changes(struct store *s, struct arena *a, const struct principal *p,
				const struct feed_place *place, int32_t limit, struct changes *out)
{
	enum store_result r = fake_enter(s, __func__, p);
	const struct fake_account *account = fake_account_of(s, &p->user_id);

	if (r != STORE_OK)
		return r;
	*out = (struct changes){ .next = { 0, account->revision } };
	if (place) {
		int64_t seen = place->since > place->start ? place->since : place->start;

		out->next = *place;
		out->gone = seen < account->feed_floor || seen > account->revision;
	}
	if (out->gone)
		return STORE_OK;
	collect_changes(s, a, p, out);
	qsort(out->list, out->n, sizeof(*out->list), by_version);
	out->more = out->n > (size_t)limit;
	if (out->more)
		out->n = (size_t)limit;
	if (out->n)
		out->next.since = out->list[out->n - 1].task.version;
	return STORE_OK;
}
