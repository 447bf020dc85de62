#include "base/base.h"

#include "store/fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/migrate.h"
#include "store/tasks.h"

enum {
	WAIT_MAX_MS = 30000, /* for anything that only waits for this machine */
	BLOCKED_MAX_S = 10,
	ARENA_MAX = 16 * 1024 * 1024,
	SQL_MAX = 16 * 1024,
};

struct store_options fixture_options = { .connect_timeout_ms = 20000,
					 .statement_timeout_ms = 20000,
					 .prepared_statements = true,
					 .audit_keep_s = 86400 };
static const char *admin_conninfo;

/* --- connections ----------------------------------------------------------------------------- */

static void report(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "%s\n", line);
}

int fixture_setup(void)
{
	const char *prepared = getenv("TEST_PREPARED_STATEMENTS");
	enum store_result r;

	if (fixture_options.conninfo != NULL)
		return 0;
	fixture_options.conninfo = getenv("DATABASE_URL");
	admin_conninfo = getenv("DATABASE_ADMIN_URL");
	if (fixture_options.conninfo == NULL || admin_conninfo == NULL)
		fatal("no database: run this behind tests/with-postgres");
	if (prepared != NULL && strcmp(prepared, "off") == 0)
		fixture_options.prepared_statements = false;
	r = migrate(&fixture_options, false, report, NULL);
	if (r != STORE_OK)
		fatal("migrate: store result %d", (int)r);
	return 0;
}

struct store *fixture_store(void)
{
	return store_open(&fixture_options);
}

static PGconn *connect_to(const char *conninfo)
{
	PGconn *conn = PQconnectdb(conninfo);

	if (PQstatus(conn) != CONNECTION_OK)
		fatal("connect: %s", PQerrorMessage(conn));
	return conn;
}

PGconn *fixture_admin(void)
{
	return connect_to(admin_conninfo);
}

PGconn *fixture_ordinary(void)
{
	return connect_to(fixture_options.conninfo);
}

/* --- statements ------------------------------------------------------------------------------ */

static PGresult *query(PGconn *conn, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);

static PGresult *query(PGconn *conn, const char *fmt, va_list ap)
{
	char sql[SQL_MAX];
	int len = vsnprintf(sql, sizeof(sql), fmt, ap);

	if (len < 0 || (size_t)len >= sizeof(sql))
		fatal("statement too long: %s", fmt);
	return PQexec(conn, sql);
}

static void expect(PGconn *conn, PGresult *res, const char *fmt, bool rows)
{
	ExecStatusType status = PQresultStatus(res);

	if (status != PGRES_TUPLES_OK && (rows || status != PGRES_COMMAND_OK))
		fatal("%s: %s", fmt, PQerrorMessage(conn));
}

void fixture_exec(PGconn *conn, const char *fmt, ...)
{
	va_list ap;
	PGresult *res;

	va_start(ap, fmt);
	res = query(conn, fmt, ap);
	va_end(ap);
	expect(conn, res, fmt, false);
	PQclear(res);
}

void fixture_finish(PGconn *conn)
{
	PGresult *res;

	while ((res = PQgetResult(conn)) != NULL) {
		expect(conn, res, "what was sent", false);
		PQclear(res);
	}
}

const char *fixture_try(PGconn *conn, const char *fmt, ...)
{
	static char state[6];
	const char *field;
	va_list ap;
	PGresult *res;

	va_start(ap, fmt);
	res = query(conn, fmt, ap);
	va_end(ap);
	field = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	if (field == NULL)
		expect(conn, res, fmt, false);
	snprintf(state, sizeof(state), "%s", field == NULL ? "00000" : field);
	PQclear(res);
	return state;
}

int64_t fixture_int(PGconn *conn, const char *fmt, ...)
{
	int64_t value;
	va_list ap;
	PGresult *res;

	va_start(ap, fmt);
	res = query(conn, fmt, ap);
	va_end(ap);
	expect(conn, res, fmt, true);
	if (PQntuples(res) != 1 || PQgetisnull(res, 0, 0))
		fatal("%s: %d rows, or null", fmt, PQntuples(res));
	value = strtoll(PQgetvalue(res, 0, 0), NULL, 10);
	PQclear(res);
	return value;
}

char *fixture_text(PGconn *conn, const char *fmt, ...)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	va_list ap;
	PGresult *res;

	va_start(ap, fmt);
	res = query(conn, fmt, ap);
	va_end(ap);
	expect(conn, res, fmt, true);
	if (out == NULL)
		fatal("out of memory");
	for (int i = 0; i < PQntuples(res); i++)
		fprintf(out, "%s\n", PQgetvalue(res, i, 0));
	fclose(out);
	PQclear(res);
	return text;
}

const char *fixture_id(const struct uuid *id)
{
	static char texts[8][UUID_TEXT_LEN + 1];
	static unsigned next;
	char *text = texts[next++ % ARRAY_LEN(texts)];

	uuid_format(id, text);
	return text;
}

/* --- accounts and tasks ---------------------------------------------------------------------- */

struct new_session fixture_session(void)
{
	return (struct new_session){
		.id = uuid_v7(),
		.key_id = "k1",
		.idle_s = FIXTURE_IDLE_S,
		.absolute_s = FIXTURE_ABSOLUTE_S,
	};
}

struct client fixture_client(void)
{
	return (struct client){
		.address = "192.0.2.7",
		.network = "192.0.2.7",
		.user_agent = "fixture",
		.request_id = "request-1",
	};
}

void fixture_account(struct store *store, struct account *account)
{
	static unsigned serial;
	struct arena *arena = arena_new(ARENA_MAX);
	struct user user;
	struct session session;
	struct new_account create = { .user_id = uuid_v7(),
				      .session = fixture_session(),
				      .client = fixture_client() };
	enum store_result r;

	account->principal.user_id = create.user_id;
	account->principal.session_id = create.session.id;
	account->password_hash = "fixture-hash";
	serial++;
	snprintf(account->email, sizeof(account->email), "User%u.%ld@Example.org", serial,
		 (long)getpid());
	snprintf(account->email_key, sizeof(account->email_key), "user%u.%ld@example.org", serial,
		 (long)getpid());
	create.email = account->email;
	create.email_key = account->email_key;
	create.password_hash = account->password_hash;
	r = store_account_create(store, arena, &create, &user, &session);
	if (r != STORE_OK)
		fatal("fixture account: store result %d", (int)r);
	arena_free(arena);
}

enum store_result fixture_create(struct store *store, const struct principal *principal,
				 const struct uuid *id, const char *title)
{
	struct arena *arena = arena_new(ARENA_MAX);
	struct new_task create = { .id = *id, .title = title };
	struct task task;
	enum created created;
	enum store_result r =
		store_task_create(store, arena, principal, &create, NULL, &task, &created);

	arena_free(arena);
	return r;
}

struct uuid fixture_task(struct store *store, const struct principal *principal, const char *title)
{
	struct uuid id = uuid_v7();
	enum store_result r = fixture_create(store, principal, &id, title);

	if (r != STORE_OK)
		fatal("fixture task: store result %d", (int)r);
	return id;
}

enum store_result fixture_list(struct store *store, const struct principal *principal, size_t *n)
{
	struct arena *arena = arena_new(ARENA_MAX);
	struct task_query query = { .priority = -1, .descending = true, .limit = 10, .known = -1 };
	struct task_page page;
	enum store_result r = store_task_list(store, arena, principal, &query, &page);

	*n = page.list.n;
	arena_free(arena);
	return r;
}

int64_t fixture_revision(PGconn *admin, const struct principal *p)
{
	return fixture_int(admin, "select revision from taskcell.users where id = '%s'",
			   fixture_id(&p->user_id));
}

int64_t fixture_live_sessions(PGconn *admin, const struct principal *p)
{
	return fixture_int(admin,
			   "select count(*) from taskcell.sessions s"
			   " join taskcell.credentials c using (user_id, epoch)"
			   " where user_id = '%s' and revoked_at is null and expires_at > now()"
			   " and idle_expires_at > now() and disabled_at is null",
			   fixture_id(&p->user_id));
}

int64_t fixture_events(PGconn *admin, const struct uuid *user_id, const char *event)
{
	return fixture_int(admin,
			   "select count(*) from taskcell.audit where user_id = '%s'"
			   " and event like '%s'",
			   fixture_id(user_id), event != NULL ? event : "%");
}

int64_t fixture_rows(PGconn *admin, const struct uuid *user_id)
{
	static const char *const tables[] = { "user_emails", "credentials", "sessions",
					      "tasks",       "trash",       "idempotency" };
	int64_t n = fixture_int(admin, "select count(*) from taskcell.users where id = '%s'",
				fixture_id(user_id));

	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		n += fixture_int(admin, "select count(*) from taskcell.%s where user_id = '%s'",
				 tables[i], fixture_id(user_id));
	return n;
}

/* --- waiting --------------------------------------------------------------------------------- */

void fixture_poll(int64_t deadline_us, const char *what)
{
	struct timespec moment = { .tv_nsec = 2 * 1000 * 1000 };

	if (clock_monotonic_us() > deadline_us)
		fatal("waited too long: %s", what);
	nanosleep(&moment, NULL);
}

unsigned fixture_blocked(PGconn *admin)
{
	/* Not pg_stat_activity: a transaction sees that as it was when it first looked. */
	return (unsigned)fixture_int(admin, "select count(*) from pg_locks where not granted");
}

void fixture_wait_blocked(PGconn *admin, unsigned n)
{
	int64_t deadline = clock_monotonic_us() + BLOCKED_MAX_S * US_PER_SECOND;

	while (fixture_blocked(admin) < n)
		fixture_poll(deadline, "for statements that block");
}

/* --- races ----------------------------------------------------------------------------------- */

void *fixture_shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		fatal("mmap: %s", strerror(errno));
	return p;
}

/* A racer writes one byte into `ready` before each round, and after the last. All of them wait for
 * one byte of a pipe that then holds one for each: the writing of it is the instant. Even and odd
 * rounds have different pipes, or the fast would take the bytes of the slow. */
struct fork {
	pid_t pid;
	int ready;
	int start; /* of fork_ready() */
	char *results;
};

static void child(const struct race *race, unsigned index, int ready, const int start[2],
		  char *results)
{
	struct racer racer = { .index = index };
	char byte = 0;

	/* Nobody is left behind when the test program is killed. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	racer.store = fixture_store();
	racer.arena = arena_new(ARENA_MAX);
	if (store_check(racer.store) != STORE_OK)
		fatal("racer %u: no store", index);
	for (racer.round = 0; racer.round < race->rounds; racer.round++) {
		arena_reset(racer.arena);
		if (write(ready, &byte, 1) != 1 || read(start[racer.round % 2], &byte, 1) != 1)
			_exit(1);
		race->run(&racer, race->arg,
			  results + (racer.round * race->racers + index) * race->result_size);
	}
	store_close(racer.store);
	arena_free(racer.arena);
	_exit(write(ready, &byte, 1) == 1 ? 0 : 1);
}

static struct fork fork_racer(const struct race *race, unsigned index, const int start[2],
			      char *results)
{
	struct fork f = { .start = -1, .results = results };
	int ready[2];

	if (pipe(ready) != 0)
		fatal("pipe: %s", strerror(errno));
	/* Or the child would print what the parent has buffered, too. */
	fflush(NULL);
	f.pid = fork();
	if (f.pid < 0)
		fatal("fork: %s", strerror(errno));
	if (f.pid == 0) {
		close(ready[0]);
		child(race, index, ready[1], start, results);
	}
	close(ready[1]);
	f.ready = ready[0];
	return f;
}

/* The end of file in place of the byte says that the racer died. */
static void await_ready(const struct fork *f)
{
	struct pollfd p = { .fd = f->ready, .events = POLLIN };
	char byte;

	if (poll(&p, 1, WAIT_MAX_MS) != 1)
		fatal("racer %ld did not come back", (long)f->pid);
	if (read(f->ready, &byte, 1) != 1)
		fatal("racer %ld died", (long)f->pid);
}

static void reap(struct fork *f)
{
	int status;

	if (waitpid(f->pid, &status, 0) != f->pid || status != 0)
		fatal("racer %ld ended badly", (long)f->pid);
	close(f->ready);
}

void *race(const struct race *race)
{
	struct fork *forks = calloc(race->racers, sizeof(*forks));
	char *bytes = calloc(race->racers, 1);
	char *results = fixture_shared(race->rounds * race->racers * race->result_size);
	int even[2], odd[2];

	if (forks == NULL || bytes == NULL || pipe(even) != 0 || pipe(odd) != 0)
		fatal("race: %s", strerror(errno));
	for (unsigned i = 0; i < race->racers; i++)
		forks[i] = fork_racer(race, i, (int[]){ even[0], odd[0] }, results);
	for (unsigned round = 0; round <= race->rounds; round++) {
		for (unsigned i = 0; i < race->racers; i++)
			await_ready(&forks[i]);
		if (round == race->rounds)
			break;
		if (race->before != NULL)
			race->before(round, race->arg);
		if (write(round % 2 ? odd[1] : even[1], bytes, race->racers) !=
		    (ssize_t)race->racers)
			fatal("race: %s", strerror(errno));
	}
	for (unsigned i = 0; i < race->racers; i++)
		reap(&forks[i]);
	for (int i = 0; i < 2; i++) {
		close(even[i]);
		close(odd[i]);
	}
	free(bytes);
	free(forks);
	return results;
}

struct fork *fork_ready(const struct race *race)
{
	struct fork *f = calloc(1, sizeof(*f));
	int start[2];

	if (f == NULL || pipe(start) != 0)
		fatal("fork_ready: %s", strerror(errno));
	*f = fork_racer(race, 0, (int[]){ start[0], -1 }, fixture_shared(race->result_size));
	f->start = start[1];
	close(start[0]);
	await_ready(f);
	return f;
}

void fork_go(struct fork *f)
{
	if (write(f->start, "", 1) != 1)
		fatal("fork_go: %s", strerror(errno));
}

struct fork *fork_start(const struct race *race)
{
	struct fork *f = fork_ready(race);

	fork_go(f);
	return f;
}

bool fork_done(const struct fork *f)
{
	struct pollfd p = { .fd = f->ready, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

void *fork_join(struct fork *f)
{
	void *results = f->results;

	await_ready(f);
	reap(f);
	close(f->start);
	free(f);
	return results;
}
