/* A user's tasks. Every function takes the principal first and runs behind `session_enter`: each
 * may answer STORE_NO_SESSION. One transaction and one round trip each. */
#ifndef TASKCELL_STORE_TASKS_H
#define TASKCELL_STORE_TASKS_H

#include "store/store.h"

enum {
	TASK_TAGS_MAX = 20,
	TRASH_KEEP_DAYS = 30,     /* then a deleted task cannot be restored */
	TOMBSTONE_KEEP_DAYS = 90, /* then the change feed has forgotten that it was there */
	IDEMPOTENCY_KEEP_S = 86400,
};

enum priority { PRIORITY_NONE, PRIORITY_LOW, PRIORITY_MEDIUM, PRIORITY_HIGH };

/* A date stays a date. `text` is as it was given, YYYY-MM-DD or an RFC 3339 date-time; `at` is what
 * orders and filters: the date's midnight in UTC, or the moment. NULL: none. */
struct due {
	const char *text;
	int64_t at;
};

struct tags {
	size_t n;
	const char *list[TASK_TAGS_MAX];
};

struct task {
	struct uuid id;
	struct uuid user_id;
	const char *title;
	const char *description; /* or NULL */
	bool completed;
	int64_t completed_at; /* only when completed */
	enum priority priority;
	struct due due;
	struct tags tags;
	int64_t version;
	int64_t created_at;
	int64_t updated_at;
	int64_t deleted_at; /* of a task in the trash, else 0 */
};

struct task_list {
	size_t n;
	struct task *tasks;
};

/* --- reading ---------------------------------------------------------------------------------- */

enum completed_filter { COMPLETED_ANY, COMPLETED_NO, COMPLETED_YES };

/* Ties are broken by id, in the direction of the order. A task without a due date comes behind
 * those that have one when ascending, before them when descending. Titles by lower(title),
 * collation C. */
enum task_sort { SORT_CREATED_AT, SORT_UPDATED_AT, SORT_TITLE, SORT_DUE_DATE, SORT_PRIORITY };

/* The sort value of a task, as a cursor keeps it. */
struct task_place {
	int64_t number;   /* time or priority; INT64_MAX for no due date */
	const char *text; /* of SORT_TITLE: lower(title) as the database has it, else NULL */
	struct uuid id;
};

struct task_query {
	enum completed_filter completed;
	int priority;    /* enum priority, or -1 */
	const char *tag; /* or NULL; one of the task's tags, in any case */
	bool has_due_before, has_due_after;
	int64_t due_before; /* due.at < due_before */
	int64_t due_after;  /* due.at >= due_after */
	const char *search; /* or NULL: words as people type them, the last maybe not whole; of
				 ASCII punctuation only quotes and a minus before a word */
	enum task_sort sort;
	bool descending;
	int32_t limit;
	const struct task_place *after; /* NULL: from the start */
	bool count;    /* also the number of all that match, wherever the page begins */
	int64_t known; /* a revision: if the owner's still is this one, nothing is read; -1 */
};

struct task_page {
	int64_t revision;      /* of the owner, not newer than the rows */
	bool unchanged;        /* it is `known`: no rows were read */
	int64_t count;         /* with query->count */
	struct task_list list; /* at most `limit` */
	bool more;             /* there are rows behind the last one: the store looks one further */
	struct task_place last; /* of the last row of `list`, when there is one */
};

enum store_result store_task_list(struct store *, struct arena *, const struct principal *,
				  const struct task_query *, struct task_page *) MUST_CHECK;
enum store_result store_task_get(struct store *, struct arena *, const struct principal *,
				 const struct uuid *id, struct task *) MUST_CHECK;

/* Deleted tasks that can be restored, the last deleted first. */
struct trash_place {
	int64_t deleted_at;
	struct uuid id;
};
struct trash_query {
	const struct trash_place *before; /* those behind this place; NULL: from the start */
	int32_t limit;
	bool expired; /* also those whose time is over, while their content is there */
};
enum store_result store_trash_list(struct store *, struct arena *, const struct principal *,
				   const struct trash_query *, struct task_list *) MUST_CHECK;

struct task_stats {
	int64_t total, pending, completed;
	int64_t overdue;   /* pending, due before today, or at a moment that has passed */
	int64_t due_today; /* pending, due on that day */
	int64_t trash;
};
/* `today`: midnight in UTC of the caller's date. */
enum store_result store_task_stats(struct store *, const struct principal *, int64_t today,
				   struct task_stats *) MUST_CHECK;

/* --- the change feed -------------------------------------------------------------------------- */

/* A place in the feed. `start` is the owner's revision when the reading from nothing began: what
 * was deleted before it never reached this reader. */
struct feed_place {
	int64_t since;
	int64_t start;
};

struct change {
	bool deleted; /* only task.id and task.version count */
	struct task task;
};
struct changes {
	bool gone; /* the place is older than what is remembered, or not of this database */
	size_t n;
	struct change *list; /* by version, ascending */
	bool more;
	struct feed_place next;
};

/* Everything of the caller that has changed behind `place` (NULL: everything there is), at most
 * `limit`. Rows and `next` are of one moment. */
enum store_result store_changes(struct store *, struct arena *, const struct principal *,
				const struct feed_place *, int32_t limit,
				struct changes *) MUST_CHECK;
/* The owner's revision alone, for whoever waits for a change. */
enum store_result store_revision(struct store *, const struct principal *,
				 int64_t *revision) MUST_CHECK;

/* --- writing ---------------------------------------------------------------------------------- */

struct new_task {
	struct uuid id;
	const char *title;
	const char *description; /* or NULL */
	bool completed;
	enum priority priority;
	struct due due;
	struct tags tags;
	int64_t created_at;   /* 0: now; an import keeps the old time */
	int64_t completed_at; /* 0: now, when completed */
};

/* A client's key for a request that may be sent twice, and the digest of what it asks. */
struct idempotency {
	const char *key;    /* at most 255 bytes */
	const char *digest; /* hex */
};

enum created {
	CREATED_NEW,
	CREATED_BEFORE,    /* the same request, answered again: the task as it was then */
	CREATED_OTHERWISE, /* the key was used for another request; no task */
};

/* With `idempotency` (or NULL) key and task are written in one transaction, and of racers with one
 * key one makes the task. STORE_CONFLICT when the id is taken, in the trash as well; then `task` is
 * the one that is there, if it is not in the trash (has an id of its own then: all zeros). */
enum store_result store_task_create(struct store *, struct arena *, const struct principal *,
				    const struct new_task *, const struct idempotency *,
				    struct task *, enum created *) MUST_CHECK;

/* Versions that will do; NULL array: every one. */
struct versions {
	const int64_t *list;
	size_t n;
};

enum completed_change { COMPLETED_KEEP, COMPLETED_SET, COMPLETED_CLEAR, COMPLETED_FLIP };

struct task_change {
	struct versions expected;
	bool set_title;
	const char *title;
	bool set_description;
	const char *description; /* or NULL */
	enum completed_change completed;
	bool set_priority;
	enum priority priority;
	bool set_due;
	struct due due;
	bool set_tags;
	struct tags tags;
};

/* The version moves only when something changes. STORE_STALE fills the task as it is. */
enum store_result store_task_change(struct store *, struct arena *, const struct principal *,
				    const struct uuid *id, const struct task_change *,
				    struct task *) MUST_CHECK;
/* Into the trash. Fills the task as it was, with its new version; STORE_STALE as above. */
enum store_result store_task_delete(struct store *, struct arena *, const struct principal *,
				    const struct uuid *id, const struct versions *expected,
				    struct task *) MUST_CHECK;
/* Moves every completed task to the trash. */
enum store_result store_task_clear_completed(struct store *, const struct principal *,
					     int64_t *deleted) MUST_CHECK;
/* Out of the trash; STORE_NOT_FOUND when it is not there or its time is over. */
enum store_result store_trash_restore(struct store *, struct arena *, const struct principal *,
				      const struct uuid *id, struct task *) MUST_CHECK;
/* For good; its tombstone stays for the feed. */
enum store_result store_trash_delete(struct store *, const struct principal *,
				     const struct uuid *id) MUST_CHECK;

enum imported { IMPORTED_NEW, IMPORTED_CHANGED, IMPORTED_SAME, IMPORTED_TRASHED };

/* Creates the task, or sets all its fields when its id is there (from the trash as well: restored).
 * `dry_run` says what would be done. */
enum store_result store_task_import(struct store *, struct arena *, const struct principal *,
				    const struct new_task *, bool dry_run,
				    enum imported *) MUST_CHECK;

#endif
