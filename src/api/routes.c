#include "base/base.h"

#include "api/routes.h"

#include "api/handlers.h"
#include "api/metrics.h"

/* clang-format off */
const struct route routes[] = {
	{ .method = HTTP_POST, .path = "/api/auth/register", .run = auth_register,
	  .body = &register_body, .flags = ROUTE_PUBLIC | ROUTE_THROTTLED | ROUTE_NO_STORE },
	{ .method = HTTP_POST, .path = "/api/auth/login", .run = auth_login,
	  .body = &login_body, .flags = ROUTE_PUBLIC | ROUTE_THROTTLED | ROUTE_NO_STORE },
	{ .method = HTTP_POST, .path = "/api/auth/refresh", .run = auth_refresh,
	  .body = &refresh_body, .flags = ROUTE_PUBLIC | ROUTE_NO_STORE | ROUTE_EMPTY_BODY },
	{ .method = HTTP_POST, .path = "/api/auth/logout", .run = auth_logout,
	  .body = &refresh_body, .flags = ROUTE_PUBLIC | ROUTE_NO_STORE | ROUTE_EMPTY_BODY },
	{ .method = HTTP_GET, .path = "/api/auth/session", .run = auth_session,
	  .flags = ROUTE_NO_STORE },
	{ .method = HTTP_GET, .path = "/api/auth/sessions", .run = sessions_list,
	  .flags = ROUTE_NO_STORE },
	{ .method = HTTP_DELETE, .path = "/api/auth/sessions", .run = sessions_end_others,
	  .flags = ROUTE_NO_STORE },
	{ .method = HTTP_DELETE, .path = "/api/auth/sessions/{session_id}", .run = sessions_end,
	  .flags = ROUTE_NO_STORE },
	{ .method = HTTP_POST, .path = "/api/auth/password", .run = account_password,
	  .body = &password_body, .flags = ROUTE_THROTTLED | ROUTE_NO_STORE },
	{ .method = HTTP_GET, .path = "/api/auth/account", .run = account_get,
	  .flags = ROUTE_NO_STORE },
	{ .method = HTTP_PATCH, .path = "/api/auth/account", .run = account_patch,
	  .body = &account_patch_body, .flags = ROUTE_NO_STORE },
	{ .method = HTTP_DELETE, .path = "/api/auth/account", .run = account_delete,
	  .body = &account_delete_body, .flags = ROUTE_NO_STORE },
	{ .method = HTTP_GET, .path = "/api/auth/export", .run = account_export,
	  .flags = ROUTE_NO_STORE },

	{ .method = HTTP_GET, .path = "/api/{user_id}/tasks", .run = tasks_list },
	{ .method = HTTP_POST, .path = "/api/{user_id}/tasks", .run = tasks_create,
	  .body = &task_create_body },
	{ .method = HTTP_DELETE, .path = "/api/{user_id}/tasks", .run = tasks_clear_completed },
	{ .method = HTTP_POST, .path = "/api/{user_id}/tasks/batch", .run = batch_run,
	  .body = &batch_body },
	{ .method = HTTP_POST, .path = "/api/{user_id}/tasks/import", .run = tasks_import,
	  .flags = ROUTE_IMPORT },
	{ .method = HTTP_GET, .path = "/api/{user_id}/trash", .run = trash_list },
	{ .method = HTTP_POST, .path = "/api/{user_id}/trash/{task_id}/restore",
	  .run = trash_restore },
	{ .method = HTTP_DELETE, .path = "/api/{user_id}/trash/{task_id}", .run = trash_delete },
	{ .method = HTTP_GET, .path = "/api/{user_id}/changes", .run = changes_read },
	{ .method = HTTP_GET, .path = "/api/{user_id}/stats", .run = stats_read },
	{ .method = HTTP_GET, .path = "/api/{user_id}/tasks/{task_id}", .run = tasks_get },
	{ .method = HTTP_PUT, .path = "/api/{user_id}/tasks/{task_id}", .run = tasks_put,
	  .body = &task_change_body },
	{ .method = HTTP_PATCH, .path = "/api/{user_id}/tasks/{task_id}", .run = tasks_patch,
	  .body = &task_change_body, .flags = ROUTE_EMPTY_BODY },
	{ .method = HTTP_DELETE, .path = "/api/{user_id}/tasks/{task_id}", .run = tasks_delete },
	{ .method = HTTP_PATCH, .path = "/api/{user_id}/tasks/{task_id}/complete",
	  .run = tasks_complete, .body = &task_complete_body, .flags = ROUTE_EMPTY_BODY },
	{ .method = HTTP_POST, .path = "/api/{user_id}/tasks/{task_id}/complete",
	  .run = tasks_complete, .body = &task_complete_body, .flags = ROUTE_EMPTY_BODY },

	{ .method = HTTP_GET, .path = "/api/health", .run = service_health,
	  .flags = ROUTE_PUBLIC | ROUTE_NO_STORE },
	{ .method = HTTP_GET, .path = "/api/ready", .run = service_ready,
	  .flags = ROUTE_PUBLIC | ROUTE_NO_STORE },
	{ .method = HTTP_GET, .path = "/api/metrics", .run = service_metrics,
	  .flags = ROUTE_PUBLIC | ROUTE_NO_STORE },
	{ .method = HTTP_GET, .path = "/api/openapi.json", .run = service_openapi,
	  .flags = ROUTE_PUBLIC | ROUTE_CACHED },
	{ .method = HTTP_GET, .path = "/.well-known/jwks.json", .run = service_jwks,
	  .flags = ROUTE_PUBLIC | ROUTE_CACHED },
};
/* clang-format on */

const size_t routes_count = ARRAY_LEN(routes);
_Static_assert(ARRAY_LEN(routes) <= ROUTES_MAX, "ROUTES_MAX is too small");
