/* The query of a task list: reading it, its cursors, the link to what follows. */
#ifndef TASKCELL_API_TASK_QUERY_H
#define TASKCELL_API_TASK_QUERY_H

#include "api/call.h"
#include "exchange/exchange.h"

struct list_query {
	struct task_query store;
	bool nothing;                /* two filters exclude each other */
	bool file;                   /* all of it is asked for as a file, by `format` or Accept */
	enum exchange_format format; /* with `file` */
	const char *link;        /* the query without its cursor, encoded: "" or "&name=value…" */
	struct task_place after; /* what store.after points to */
	uint8_t digest[8];       /* of user, filters and sort: a cursor is bound to it */
};

/* Each of these is false when something is not allowed (c->detail says what): 400 invalid_query. */

bool list_query_read(struct call *, struct list_query *) MUST_CHECK;
/* Of the trash: `limit` and a cursor, whose place has the time of the deletion as its number. */
bool trash_query_read(struct call *, struct list_query *) MUST_CHECK;
/* Of clearing: nothing but completed=true, since what is not understood would delete more. */
bool clear_query_read(struct call *) MUST_CHECK;
/* `limit`, from 1 to `most`; `most` when it is absent. */
bool query_limit(struct call *, int64_t most, int64_t *limit) MUST_CHECK;

/* Links to the page behind a place of `collection`, "tasks" or "trash". */
void list_query_next(struct call *, const struct list_query *, const char *collection,
		     const struct task_place *);

#endif
