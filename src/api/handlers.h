/* The functions and body tables that the rows of routes.c name. Each handler takes a call that has
 * passed every check of its row and writes a reply or returns the error. */
#ifndef TASKCELL_API_HANDLERS_H
#define TASKCELL_API_HANDLERS_H

#include "api/call.h"

/* auth.c */
enum api_error auth_register(struct call *);
enum api_error auth_login(struct call *);
enum api_error auth_refresh(struct call *);
enum api_error auth_logout(struct call *);
enum api_error auth_session(struct call *);
extern const struct field_table register_body, login_body, refresh_body;

/* sessions.c */
enum api_error sessions_list(struct call *);
enum api_error sessions_end(struct call *);
enum api_error sessions_end_others(struct call *);

/* account.c */
enum api_error account_password(struct call *);
enum api_error account_get(struct call *);
enum api_error account_patch(struct call *);
enum api_error account_delete(struct call *);
enum api_error account_export(struct call *);
extern const struct field_table password_body, account_patch_body, account_delete_body;

/* tasks.c */
enum api_error tasks_list(struct call *);
enum api_error tasks_create(struct call *);
enum api_error tasks_get(struct call *);
enum api_error tasks_put(struct call *);
enum api_error tasks_patch(struct call *);
enum api_error tasks_complete(struct call *);
enum api_error tasks_delete(struct call *);
enum api_error tasks_clear_completed(struct call *);

/* task_input.c; each fills a struct task_input */
extern const struct field_table task_create_body, task_change_body, task_complete_body;
extern const struct field_table task_data_body; /* of any operation of a batch */

/* trash.c */
enum api_error trash_list(struct call *);
enum api_error trash_restore(struct call *);
enum api_error trash_delete(struct call *);

/* changes.c */
enum api_error changes_read(struct call *);
enum api_error stats_read(struct call *);

/* batch.c */
enum api_error batch_run(struct call *);
extern const struct field_table batch_body;

/* export.c, import.c; a list that is asked for as a file is handed on by tasks_list() */
struct list_query;
enum api_error tasks_export(struct call *, struct list_query *);
enum api_error tasks_import(struct call *);

/* service.c */
enum api_error service_health(struct call *);
enum api_error service_ready(struct call *);
enum api_error service_jwks(struct call *);
enum api_error service_openapi(struct call *);

#endif
