/* What a user takes away: tasks in a format of files, or everything that is kept. It is as of one
 * moment, and goes through a file in pieces, so that memory does not grow with it. */
#include "base/base.h"

#include "api/handlers.h"

#include "api/reply.h"
#include "api/task_query.h"

enum {
	EXPORT_PAGE = 500,
	EXPORT_MEMORY = 128 * 1024 * 1024, /* a page of tasks of the greatest size, and some */
};

/* --- tasks ----------------------------------------------------------------------------------- */

static enum api_error write_list(struct call *c, enum exchange_format format,
				 const struct task_list *list, bool first)
{
	for (size_t i = 0; i < list->n; i++) {
		exchange_task(format, &c->response->body, &list->tasks[i], first && i == 0);
		if (reply_spill(c) != API_OK)
			return API_UNAVAILABLE;
	}
	restart_deadline(c);
	return API_OK;
}

/* Every task of a list_query, page by page. */
static enum api_error write_tasks(struct call *c, struct arena *a, void *query)
{
	struct list_query *q = query;
	struct task_page page = { .more = true };
	enum api_error e = API_OK;

	q->store.limit = EXPORT_PAGE;
	for (bool first = true; e == API_OK && page.more; first = false) {
		enum store_result r = store_task_list(c->store, a, c->principal, &q->store, &page);

		if (r != STORE_OK)
			return api_from_store(r);
		e = write_list(c, q->format, &page.list, first);
		q->after = page.last;
		q->store.after = &q->after;
		/* the only part of a place that lies on the page's memory */
		if (page.more && page.last.text)
			q->after.text =
				arena_strndup(c->arena, page.last.text, strlen(page.last.text));
		arena_reset(a);
	}
	return e;
}

/* Runs it as of one moment, with memory for its pages. */
static enum api_error in_snapshot(struct call *c,
				  enum api_error (*write)(struct call *, struct arena *, void *),
				  void *arg)
{
	enum store_result r = store_begin(c->store, true);
	enum api_error e;

	if (r != STORE_OK)
		return api_from_store(r);
	e = write(c, piece_arena(c, EXPORT_MEMORY), arg);
	r = store_end(c->store, e == API_OK);
	return e == API_OK && r != STORE_OK ? api_from_store(r) : e;
}

/* Every task that the filters choose, in their order. */
enum api_error tasks_export(struct call *c, struct list_query *q)
{
	static const char *const names[] = { "tasks.json", "tasks.csv", "tasks.ics" };
	static const char mark[] = "\xef\xbb\xbf";
	struct buf *body = &c->response->body;
	bool link = query_get(&c->query, "format"); /* in a page, for a person to save */
	enum api_error e = API_OK;

	q->store.count = false;
	q->store.known = -1;
	c->response->status = 200;
	c->response->content_type = exchange_media_type(q->format);
	/* programs for spreadsheets take a file without it for another encoding */
	if (link && q->format == EXCHANGE_CSV)
		buf_append(body, mark, strlen(mark));
	exchange_begin(q->format, body);
	if (!q->nothing)
		e = in_snapshot(c, write_tasks, q);
	exchange_end(q->format, body);
	/* an error is nothing to save */
	if (link && e == API_OK)
		response_headerf(c->response, "Content-Disposition", "attachment; filename=\"%s\"",
				 names[q->format]);
	return e;
}

/* --- the whole account ----------------------------------------------------------------------- */

static void write_event(struct json_writer *w, const struct audit_event *event)
{
	json_object_open(w);
	json_key(w, "at");
	json_time(w, event->at);
	json_key(w, "event");
	json_string(w, event->event);
	json_key(w, "session_id");
	if (event->has_session)
		json_uuid(w, &event->session_id);
	else
		json_null(w);
	json_key(w, "ip");
	json_string(w, event->ip);
	json_key(w, "user_agent");
	json_string(w, event->user_agent);
	json_key(w, "detail");
	json_string(w, event->detail);
	json_object_close(w);
}

static enum api_error write_events(struct call *c, struct arena *a, struct json_writer *w)
{
	struct audit_events events = { .n = EXPORT_PAGE };
	struct audit_place place, *after = NULL;

	while (events.n == EXPORT_PAGE) {
		enum store_result r =
			store_audit_list(c->store, a, c->principal, after, EXPORT_PAGE, &events);

		if (r != STORE_OK)
			return api_from_store(r);
		for (size_t i = 0; i < events.n; i++)
			write_event(w, &events.list[i]);
		place = events.last;
		after = &place;
		arena_reset(a);
		restart_deadline(c);
		if (reply_spill(c) != API_OK)
			return API_UNAVAILABLE;
	}
	return API_OK;
}

static enum api_error write_trash(struct call *c, struct arena *a)
{
	struct trash_query query = { .limit = EXPORT_PAGE, .expired = true };
	struct task_list list = { .n = EXPORT_PAGE };
	struct trash_place place;
	enum api_error e = API_OK;

	while (e == API_OK && list.n == EXPORT_PAGE) {
		enum store_result r = store_trash_list(c->store, a, c->principal, &query, &list);

		if (r != STORE_OK)
			return api_from_store(r);
		e = write_list(c, EXCHANGE_JSON, &list, !query.before);
		if (list.n)
			place = (struct trash_place){ list.tasks[list.n - 1].deleted_at,
						      list.tasks[list.n - 1].id };
		query.before = &place;
		arena_reset(a);
	}
	return e;
}

static enum api_error write_head(struct call *c, struct arena *a, struct json_writer *w)
{
	struct account_export account;
	enum store_result r = store_account_export(c->store, a, c->principal, &account);

	if (r != STORE_OK)
		return api_from_store(r);
	json_key(w, "user");
	write_user(w, &account.user);
	json_key(w, "account");
	json_object_open(w);
	json_key(w, "updated_at");
	json_time(w, account.updated_at);
	json_key(w, "password_changed_at");
	json_time(w, account.password_changed_at);
	json_object_close(w);
	json_key(w, "sessions");
	write_sessions(w, &account.sessions, &c->principal->session_id);
	arena_reset(a);
	return API_OK;
}

static enum api_error write_account(struct call *c, struct arena *a, void *writer)
{
	struct list_query all = { .store = { .priority = -1, .known = -1 },
				  .format = EXCHANGE_JSON };
	struct json_writer *w = writer;
	enum api_error e = write_head(c, a, w);

	json_key(w, "tasks");
	json_array_open(w);
	if (e == API_OK)
		e = write_tasks(c, a, &all);
	json_array_close(w);
	json_key(w, "trash");
	json_array_open(w);
	if (e == API_OK)
		e = write_trash(c, a);
	json_array_close(w);
	json_key(w, "audit");
	json_array_open(w);
	if (e == API_OK)
		e = write_events(c, a, w);
	json_array_close(w);
	return e;
}

enum api_error account_export(struct call *c)
{
	struct json_writer w;
	enum api_error e;

	reply_json(c, 200, &w);
	json_object_open(&w);
	e = in_snapshot(c, write_account, &w);
	json_object_close(&w);
	return e;
}
