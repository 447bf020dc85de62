/* What the tests of the store share: the migrated database of tests/with-postgres, connections,
 * accounts made quickly, and races between processes. Whatever goes wrong in here ends the test
 * program with a message; blocking libpq is fine in tests. */
#ifndef TASKCELL_TESTS_STORE_FIXTURE_H
#define TASKCELL_TESTS_STORE_FIXTURE_H

#include <libpq-fe.h>

#include "store/store.h"

/* For CU_SuiteInfo.pInitFunc: reads DATABASE_URL and DATABASE_ADMIN_URL and migrates once. With
 * TEST_PREPARED_STATEMENTS=off the stores of the tests prepare nothing. */
int fixture_setup(void);

/* The options of fixture_store(): the ordinary role, time-outs that a loaded machine keeps. */
extern struct store_options fixture_options;
struct store *fixture_store(void);
/* A connection of the superuser, whom no policy stops: for arranging and for looking. */
PGconn *fixture_admin(void);
/* A connection of the ordinary role without the store around it. */
PGconn *fixture_ordinary(void);

/* One statement, or several without results. */
void fixture_exec(PGconn *, const char *sql, ...) PRINTF_LIKE(2, 3);
/* The end of what PQsendQuery() began; waits for it. */
void fixture_finish(PGconn *);
/* The same as fixture_exec(), but the error is the caller's: the SQLSTATE, "00000" for success. */
const char *fixture_try(PGconn *, const char *sql, ...) PRINTF_LIKE(2, 3);
/* The first column of the one row of a query. */
int64_t fixture_int(PGconn *, const char *sql, ...) PRINTF_LIKE(2, 3);
/* The first column of all rows, each with a line feed behind it; to be freed. */
char *fixture_text(PGconn *, const char *sql, ...) PRINTF_LIKE(2, 3);

/* The text of an id for messages and SQL; holds until the eighth call after it. */
const char *fixture_id(const struct uuid *);

struct account {
	struct principal principal;
	char email[64];
	char email_key[64];
	const char *password_hash; /* the same for all: the store does not look into it */
};

/* Session lives of fixture accounts and of fixture_session(). */
enum { FIXTURE_IDLE_S = 3600, FIXTURE_ABSOLUTE_S = 7200 };

struct new_session fixture_session(void);
struct client fixture_client(void);
/* A new account with one session, and one with another e-mail each time. */
void fixture_account(struct store *, struct account *);
/* A task of that account. */
struct uuid fixture_task(struct store *, const struct principal *, const char *title);
/* The same with an id of one's own, and the result is the caller's. */
enum store_result fixture_create(struct store *, const struct principal *, const struct uuid *id,
				 const char *title);
/* How many tasks its list has, at most ten. */
enum store_result fixture_list(struct store *, const struct principal *, size_t *n);

int64_t fixture_revision(PGconn *admin, const struct principal *);
/* Sessions of the user that would let a request in. */
int64_t fixture_live_sessions(PGconn *admin, const struct principal *);

/* Audit rows of the user with this event; NULL: with any. */
int64_t fixture_events(PGconn *admin, const struct uuid *user_id, const char *event);
/* What is left of a user in all tables but the audit. */
int64_t fixture_rows(PGconn *admin, const struct uuid *user_id);

/* How many statements wait for locks, and to wait until `n` do, at most ten seconds. */
unsigned fixture_blocked(PGconn *admin);
void fixture_wait_blocked(PGconn *admin, unsigned n);
/* For loops that poll: sleeps a moment; ends the program when `deadline_us` (clock_monotonic_us)
 * has passed. */
void fixture_poll(int64_t deadline_us, const char *what);

/* Zeroed memory that children of a later fork share. Never freed. */
void *fixture_shared(size_t size);

struct racer {
	struct store *store; /* its own, connected before the start */
	struct arena *arena; /* emptied before each round */
	unsigned index;
	unsigned round;
};

struct race {
	unsigned racers;
	unsigned rounds;
	/* In the parent before each round, or NULL. What it changes lies in fixture_shared(). */
	void (*before)(unsigned round, void *arg);
	/* In each child, all released at one instant. */
	void (*run)(struct racer *, void *arg, void *result);
	void *arg;
	size_t result_size;
};

/* Forks the racers and returns rounds * racers results, in that order, in shared memory. A racer
 * that dies ends the test program. */
void *race(const struct race *);

/* One child beside the caller, for orders that locks force: fork_ready() returns when it has
 * connected, fork_go() lets `run` loose (round and index are 0), fork_join() waits for it and
 * returns its result. */
struct fork;
struct fork *fork_ready(const struct race *);
void fork_go(struct fork *);
/* Both. */
struct fork *fork_start(const struct race *);
/* Whether `run` has returned. */
bool fork_done(const struct fork *);
void *fork_join(struct fork *);

#endif
