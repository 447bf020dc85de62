/* Tasks in results and parameters, for the files about tasks. */
#ifndef TASKCELL_STORE_TASK_ROWS_H
#define TASKCELL_STORE_TASK_ROWS_H

#include "store/pg.h"
#include "store/tasks.h"

/* What a task's row consists of; some statements have more behind it. */
enum {
	TASK_ID,
	TASK_USER_ID,
	TASK_TITLE,
	TASK_DESCRIPTION,
	TASK_COMPLETED,
	TASK_COMPLETED_AT,
	TASK_PRIORITY,
	TASK_DUE_DATE,
	TASK_DUE_AT,
	TASK_TAGS,
	TASK_VERSION,
	TASK_CREATED_AT,
	TASK_UPDATED_AT,
	TASK_COLUMNS
};

/* Reads them from `column` on. */
void task_row(const PGresult *, int row, int column, struct arena *, struct task *);
/* The rows of a result whose first columns are those. */
void task_rows(const PGresult *, struct arena *, struct task_list *);

/* Adds the ten parameters from the id to completed_at. */
void new_task_params(struct pg_step *, struct arena *, const struct new_task *);
/* Adds the two of a due date. */
void due_params(struct pg_step *, const struct due *);

/* Begins a call that writes, under the lock of the user: session_enter and user_lock. */
void pg_enter_locked(struct pg_call *, const struct principal *);
/* Whether user_lock, its second step, found the user: the account may have gone just then. */
bool user_was_locked(const struct pg_call *);
/* Adds the steps that remove what is too old in the trash, behind pg_enter_locked(). */
void trash_prune_steps(struct pg_call *, const struct uuid *user_id);

#endif
