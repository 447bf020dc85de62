/* One request on its way through the application, and the application it goes through. */
#ifndef TASKCELL_API_CALL_H
#define TASKCELL_API_CALL_H

#include "base/arena.h"
#include "base/net.h"
#include "http/api_error.h"
#include "http/json_bind.h"
#include "http/path.h"
#include "http/request.h"
#include "http/response.h"
#include "security/keys.h"
#include "shared/gate.h"
#include "shared/scoreboard.h"
#include "store/tasks.h"

/* What stays the same from request to request. Set up by the server, or by a test. */
struct app {
	struct store *store;
	struct keys *keys;
	struct gate *gate;
	struct board *board; /* what is counted; NULL in tests */
	struct slot *slot;   /* of this worker in it; NULL in tests */
	bool alone;          /* nobody else counts there */
	const char *mount;   /* "" or "/x" */
	int64_t access_s;
	int64_t refresh_idle_s;
	int64_t refresh_absolute_s;
	int64_t refresh_grace_s;
	unsigned scrypt_cost;
	int scrypt_wait_ms;
	bool registration_open; /* anybody; with `registration_invite` whoever has an invitation */
	bool registration_invite;
	bool throttle;
	int64_t throttle_address_per_minute;
	const char *site_name;
	const char *public_origin; /* scheme://host[:port] of public_url; "" when unknown */
	bool cookie_mode;          /* public_url has no path, so that the host is ours */
	bool cookie_secure;        /* public_url is https */
	const char *cors_origins;  /* separated by blanks or commas; "" */
	struct net_list trusted_proxies;
	struct net_list metrics_allow; /* who may read /api/metrics */
	int64_t slow_us;               /* a request that takes as long is logged; 0: none is */
	bool trace_queries;
	const char *spool_dir; /* for bodies that are kept in files */
	struct gate *waiting;  /* of long polls, a quarter of the workers */
	/* Sleeps, with signals open. False when the worker is about to stop or is needed elsewhere:
	 * answer now. Restarts the request's deadline, which counts work and not waiting. */
	bool (*pause)(struct app *, int ms);
	int64_t forwarded_warned_at; /* monotonic, of the last warning of its kind; 0: never */
};

struct route;

struct call {
	struct app *app;
	struct store *store; /* app->store */
	struct arena *arena;
	const struct request *request;
	struct response *response;
	struct client client; /* the address is the caller's, behind trusted proxies */
	struct net_address address;
	bool address_sure; /* it is not what a proxy that is none of ours says, or a proxy's own */
	const struct route *route;            /* NULL while unknown */
	bool served;                          /* the row is of the request's method, too */
	bool reused;                          /* a refresh token that was replaced long ago */
	int64_t token_us, hash_us, waited_us; /* of the request's time; the last is no work */
	struct principal who;
	const struct principal *principal;    /* `who`, the one that asks; NULL while not known */
	int64_t token_expires_at;             /* Unix seconds, with a principal from a token */
	const char *param[PATH_SEGMENTS_MAX]; /* path parameters as text */
	struct uuid task_id;                  /* of {task_id}, when the route has it */
	struct uuid session_id;               /* of {session_id}, likewise */
	struct query query;
	void *input; /* the bound body, of the type the route's table fills; NULL without one */
	struct field_errors fields;
	const char *detail;         /* overrides the error's sentence */
	const char *reason;         /* why authentication failed, for the log; the code when NULL */
	const struct task *current; /* with API_PRECONDITION_FAILED and API_TASK_EXISTS, or NULL */
	int failed_index; /* of a batch: the operation that failed, from 0; -1: no batch */
	bool cookie;      /* the answer's refresh token goes into a cookie */
};

/* Takes one request through every step of the contract and leaves a whole response, whatever
 * happens. Logs one record. */
void dispatch(struct app *, struct arena *, const struct request *, struct response *);

/* The error of a store's result other than STORE_OK. */
enum api_error api_from_store(enum store_result);

#endif
