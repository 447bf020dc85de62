#include "base/base.h"

#include "api/handlers.h"
#include "api/reply.h"

enum api_error service_health(struct call *c)
{
	return reply_status(c, "ok");
}

enum api_error service_ready(struct call *c)
{
	if (store_ready(c->store) != STORE_OK) {
		c->detail = "The database does not answer, or its schema is not the expected one.";
		return API_UNAVAILABLE;
	}
	return reply_status(c, "ready");
}
