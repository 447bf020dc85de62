/* A whole application without server and database, and questions to it. Each answer is held against
 * what is promised of all answers: headers, the form of problem documents, one log record a request
 * and no secret in it. */
#ifndef TASKCELL_TESTS_UNIT_WORLD_H
#define TASKCELL_TESTS_UNIT_WORLD_H

#include "base/base.h"

#include "api/call.h"
#include "cunit.h"
#include "fake_store.h"
#include "fakes.h"
#include "look.h"
#include "security/token.h"

enum { SECRETS_MAX = 256 };

#define ISSUER   "https://tasks.example"
#define AUDIENCE "taskcell"
#define SECRET   "a secret of 256 bits and some more"
#define PASSWORD "correct-horse-battery"
#define ORIGIN   "https://tasks.example"

struct world {
	struct app app;
	struct store *store;
	struct arena *memory; /* of answers, until world_free() */
	struct arena *arena;  /* of one request */
	struct response response;
	struct gate gate;
	char gate_path[64];
	struct gate waiting; /* one may wait */
	char waiting_path[64];
	unsigned pauses;                  /* of requests that waited; each moves the clocks */
	bool stopping;                    /* a pause answers that it is time to stop */
	void (*on_pause)(struct world *); /* what others do meanwhile */
	int log[2];
	unsigned asked;
	size_t n_secrets;
	const char *secrets[SECRETS_MAX];
};

struct world *world_new(void);
void world_free(struct world *);

struct ask {
	const char *method;        /* NULL: GET */
	const char *path;          /* with the query, if any, behind `?` */
	const char *token;         /* sent as Bearer */
	const char *authorization; /* sent as it is */
	const char *body;
	const char *type; /* NULL: application/json when there is a body; "": none */
	const char *if_match;
	const char *prefer;
	const char *address;    /* NULL: 192.0.2.1 */
	const char *agent;      /* NULL: test/1.0 */
	const char *request_id; /* NULL: a new one */
	const char *cookie;
	const char *origin;
	const char *site; /* Sec-Fetch-Site */
	const char *forwarded_for;
	const char *if_none_match;
	const char *accept;
	const char *idempotency_key;
	const char *request_method; /* of a preflight */
	enum body_state state;
};

struct answer {
	int status;
	const char *type; /* or NULL */
	const char *headers;
	const char *body; /* terminated */
	size_t body_len;
	struct json_object *json; /* NULL without a body */
	const char *log;          /* every record of this request */
};

/* Dispatches one request. The answer lives as long as the world. */
const struct answer *ask(struct world *, const struct ask *);
#define ASK(w, ...) ask((w), &(struct ask){ __VA_ARGS__ })

#define REGISTER .method = "POST", .path = "/api/auth/register"
#define LOGIN    .method = "POST", .path = "/api/auth/login"
/* The body of both. */
const char *credentials(struct world *, const char *email, const char *password);
const struct answer *login(struct world *, const char *email, const char *password);
const struct answer *refresh(struct world *, const char *token);
/* Whether an access token opens anything. */
bool lives(struct world *, const char *access);
/* Whether an account's audit has the event; `detail` NULL: whatever it is. `user_id` NULL: the rows
 * of unknown accounts. */
bool has_event(const struct world *, const struct uuid *user_id, const char *event,
	       const char *detail);
/* Count and wait of the only account, or session, that was throttled, NULL when none was. */
struct fake_throttle *account_throttle(struct world *);
struct fake_throttle *session_throttle(struct world *);

/* A path, with its query, of the row's pattern; `id` is the task's or session's. */
const char *route_path(struct world *, const struct route *, const char *user, const char *id);
/* A body that the row takes; NULL when it takes none. */
const char *route_body(const struct route *);

/* Whether it has this status and, in a problem document, this code; says on standard error what it
 * has instead. */
bool answer_is(const struct answer *, int status, const char *code);
#define CHECK(answer, status, code) CU_ASSERT(answer_is((answer), (status), (code)))

/* The value of a header, NULL when it is absent. */
const char *header(struct world *, const struct answer *, const char *name);
bool header_is(struct world *, const struct answer *, const char *name, const char *value);
/* The value of the refresh cookie that the answer sets; NULL when it sets none. The header is held
 * against its promise: `max_age_s`, and every attribute to the letter. */
const char *cookie_of(struct world *, const struct answer *, int64_t max_age_s);
/* Holds the claims of an auth response's access token against their promise. */
void check_claims(struct world *, const struct answer *, const struct fake_session *);
/* Members of the body by a path such as "errors.0.field" (look.h). */
const char *text(const struct answer *, const char *path);
bool text_is(const struct answer *, const char *path, const char *value);
int64_t number(const struct answer *, const char *path);
int flag(const struct answer *, const char *path);
int length(const struct answer *, const char *path);
bool is_null(const struct answer *, const char *path);

/* Somebody with an account, a live session and its tokens, put there past the API. */
struct person {
	const char *email;
	struct principal principal;
	const char *id;
	const char *access;
	const char *refresh;
};
struct person person_new(struct world *, const char *email);
/* A further live session of the same person. */
struct person person_again(struct world *, const struct person *);

/* An invitation for so many accounts; its code. */
const char *invite_new(struct world *, int64_t uses);

/* A task made through the API; its id. */
const char *task_new(struct world *, const struct person *, const char *title);
/* An access token of our own key. */
const char *token_of(struct world *, struct keys *, const struct token_claims *);
const char *format(struct world *, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Forgets which calls of the store there have been, and faults and hooks with them. */
void calls_reset(struct world *);
bool was_called(const struct world *, const char *function);

#endif
