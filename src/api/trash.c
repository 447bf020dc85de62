#include "base/base.h"

#include "api/handlers.h"
#include "api/reply.h"
#include "api/task_query.h"

enum api_error trash_list(struct call *c)
{
	struct trash_query query = { 0 };
	struct trash_place before;
	struct task_list list;
	struct list_query q;
	enum store_result r;
	size_t limit;

	if (!trash_query_read(c, &q))
		return API_INVALID_QUERY;
	limit = (size_t)q.store.limit;
	before = (struct trash_place){ q.after.number, q.after.id };
	query.before = q.store.after ? &before : NULL;
	query.limit = q.store.limit + 1; /* tells whether there is a next page */
	r = store_trash_list(c->store, c->arena, c->principal, &query, &list);
	if (r != STORE_OK)
		return api_from_store(r);
	if (list.n > limit) {
		const struct task *last = &list.tasks[limit - 1];

		list.n = limit;
		list_query_next(c, &q, "trash",
				&(struct task_place){ .number = last->deleted_at, .id = last->id });
	}
	return reply_tasks(c, &list);
}

enum api_error trash_restore(struct call *c)
{
	struct task task;
	enum store_result r =
		store_trash_restore(c->store, c->arena, c->principal, &c->task_id, &task);

	return r == STORE_OK ? reply_task(c, 200, &task) : api_from_store(r);
}

enum api_error trash_delete(struct call *c)
{
	enum store_result r = store_trash_delete(c->store, c->principal, &c->task_id);

	return r == STORE_OK ? reply_empty(c, 204) : api_from_store(r);
}
