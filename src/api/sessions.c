/* The caller's own sessions. */
#include "base/base.h"

#include "api/handlers.h"
#include "api/reply.h"

enum api_error sessions_list(struct call *c)
{
	struct session_list list;
	struct json_writer w;
	enum store_result r = store_session_list(c->store, c->arena, c->principal, &list);

	if (r != STORE_OK)
		return api_from_store(r);
	reply_json(c, 200, &w);
	write_sessions(&w, &list, &c->principal->session_id);
	return API_OK;
}

enum api_error sessions_end(struct call *c)
{
	enum store_result r =
		store_session_end_own(c->store, c->principal, &c->session_id, &c->client);

	return r == STORE_OK ? reply_empty(c, 204) : api_from_store(r);
}

enum api_error sessions_end_others(struct call *c)
{
	enum store_result r = store_session_end_others(c->store, c->principal, &c->client);

	return r == STORE_OK ? reply_empty(c, 204) : api_from_store(r);
}
