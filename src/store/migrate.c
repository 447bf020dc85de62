#include "base/base.h"

#include "store/migrate.h"

#include <poll.h>
#include <stdarg.h>

#include "base/clock.h"
#include "store/pg.h"

/* A step may rewrite a table, or wait for another runner's. */
enum { STEP_MAX_S = 60, LINE_MAX_LEN = 512 };

struct runner {
	PGconn *conn;
	enum store_result failure; /* of the last query() that gave NULL; it has been reported */
	void (*report)(void *arg, const char *line);
	void *arg;
};

/* The role's settings do not bind here: a migration may wait longer than a request. The number is
 * ours alone ("taskcell" in hex, shortened). */
static const char begin_sql[] =
	"begin; set local taskcell.admin = 'on'; set local lock_timeout = '60s';"
	" set local idle_in_transaction_session_timeout = '60s';"
	" select pg_advisory_xact_lock(8386676)";

/* IF NOT EXISTS would ask for the right to create schemas even when ours is there. */
static const char registry_sql[] =
	"do $$ begin\n"
	"if to_regnamespace('taskcell') is null then\n"
	"	create schema taskcell;\n"
	"	comment on schema taskcell is 'Accounts and tasks of taskcell';\n"
	"end if;\n"
	"if to_regclass('taskcell.migrations') is null then\n"
	"	create table taskcell.migrations (version bigint primary key, name text not null,\n"
	"		checksum text not null, applied_at timestamptz not null default now());\n"
	"	comment on table taskcell.migrations is 'What was done to this schema';\n"
	"	comment on column taskcell.migrations.version is 'From 1, without gaps';\n"
	"	comment on column taskcell.migrations.name is 'Name of the file';\n"
	"	comment on column taskcell.migrations.checksum is 'SHA-256 of the file, hex';\n"
	"	comment on column taskcell.migrations.applied_at is 'When it was applied here';\n"
	"end if;\n"
	"end $$";

/* For this database only: the role may have others. The last two: a page of a list is some rows of
 * an index that has their order, but under the policies the planner expects too few rows of a user
 * to see a gain in that, and would read and sort all of them for each page. What has to be sorted
 * still is; the cost that this adds on paper must not start the compiler. */
/* clang-format off */
#define ROLE_SETTINGS \
	"array[['lock_timeout', '2s'], ['idle_in_transaction_session_timeout', '10s'],\n" \
	"	['client_connection_check_interval', '1s'],\n" \
	"	['default_transaction_isolation', 'read committed'],\n" \
	"	['plan_cache_mode', 'force_generic_plan'], ['enable_sort', 'off'], ['jit', 'off']]"
/* clang-format on */

static const char settings_sql[] =
	"do $$ declare s text[]; begin\n"
	"foreach s slice 1 in array " ROLE_SETTINGS " loop\n"
	"	execute format('alter role %I in database %I set %I = %L', current_user,\n"
	"		current_database(), s[1], s[2]);\n"
	"end loop;\n"
	"end $$";

static const char unset_sql[] =
	"select s[i][1], s[i][2] from (select " ROLE_SETTINGS ") as wanted (s),\n"
	"	generate_subscripts(s, 1) as i\n"
	"where not exists (select from pg_catalog.pg_db_role_setting d\n"
	"	join pg_catalog.pg_roles r on r.oid = d.setrole\n"
	"	join pg_catalog.pg_database b on b.oid = d.setdatabase\n"
	"	where r.rolname = current_user and b.datname = current_database()\n"
	"	and s[i][1] || '=' || s[i][2] = any (d.setconfig))\n"
	"order by i";

static void say(const struct runner *runner, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void say(const struct runner *runner, const char *fmt, ...)
{
	char line[LINE_MAX_LEN];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	line[strcspn(line, "\n")] = '\0';
	runner->report(runner->arg, line);
}

/* The last result of what was sent, or NULL when the connection is lost or late. */
static PGresult *last_result(struct runner *runner)
{
	int64_t deadline = clock_monotonic_us() + STEP_MAX_S * US_PER_SECOND;
	PGresult *last = NULL;

	for (;;) {
		int left = PQflush(runner->conn);

		while (left >= 0 && !PQisBusy(runner->conn)) {
			PGresult *res = PQgetResult(runner->conn);

			if (res == NULL)
				return last;
			/* Of several statements the one that failed is the last. */
			PQclear(last);
			last = res;
		}
		if (left < 0 ||
		    pg_wait(runner->conn, (short)(left > 0 ? POLLIN | POLLOUT : POLLIN),
			    deadline) == 0 ||
		    PQconsumeInput(runner->conn) != 1) {
			PQclear(last);
			return NULL;
		}
	}
}

/* Runs SQL; with values, which are texts, one statement. NULL, reported, when it does not succeed.
 */
static PGresult *query(struct runner *runner, const char *what, const char *sql, int n,
		       const char *const *values)
{
	int sent = n == 0 ? PQsendQuery(runner->conn, sql)
			  : PQsendQueryParams(runner->conn, sql, n, NULL, values, NULL, NULL, 0);
	PGresult *res = sent == 1 ? last_result(runner) : NULL;
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	if (PQresultStatus(res) == PGRES_TUPLES_OK || PQresultStatus(res) == PGRES_COMMAND_OK)
		return res;
	if (state == NULL) {
		runner->failure = STORE_UNAVAILABLE;
		say(runner, "%s: the connection was lost, or there was no answer in %d s: %s", what,
		    STEP_MAX_S, PQerrorMessage(runner->conn));
	} else {
		runner->failure = strcmp(state, "55P03") == 0 ? STORE_BUSY : STORE_FAILED;
		say(runner, "%s: %s (SQLSTATE %s)", what,
		    PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY), state);
	}
	PQclear(res);
	return NULL;
}

static enum store_result run(struct runner *runner, const char *what, const char *sql)
{
	PGresult *res = query(runner, what, sql, 0, NULL);

	PQclear(res);
	return res != NULL ? STORE_OK : runner->failure;
}

static enum store_result refuse_strong_role(struct runner *runner)
{
	PGresult *res = query(runner, "role",
			      "select rolname from pg_catalog.pg_roles where rolname = current_user"
			      " and (rolsuper or rolbypassrls)",
			      0, NULL);
	bool strong;

	if (res == NULL)
		return runner->failure;
	strong = PQntuples(res) != 0;
	if (strong)
		say(runner,
		    "role %s is SUPERUSER or BYPASSRLS, which no policy stops: use an ordinary "
		    "role that "
		    "owns the database or its schema taskcell",
		    PQgetvalue(res, 0, 0));
	PQclear(res);
	return strong ? STORE_UNFIT : STORE_OK;
}

/* Compares what was applied with what we have: the same from the first on. */
static enum store_result compare(const struct runner *runner, const PGresult *applied)
{
	for (int i = 0; i < PQntuples(applied); i++) {
		const char *version = PQgetvalue(applied, i, 0);
		const char *name = PQgetvalue(applied, i, 1);
		const struct migration *ours = &migrations[i];

		if ((size_t)i >= migrations_count || strcmp(name, ours->name) != 0 ||
		    strtol(version, NULL, 10) != ours->version) {
			say(runner,
			    "migration %s (%s) of the database is unknown here: install the "
			    "taskcell "
			    "that applied it, or a later one",
			    version, name);
			return STORE_UNFIT;
		}
		if (strcmp(PQgetvalue(applied, i, 2), ours->checksum) != 0) {
			say(runner,
			    "migration %s was changed since it was applied: bring back the file as "
			    "it "
			    "was, and make the change a new migration",
			    name);
			return STORE_UNFIT;
		}
	}
	return STORE_OK;
}

/* Reads what was applied; *n are the first migrations, which need nothing. */
static enum store_result read_applied(struct runner *runner, size_t *n)
{
	PGresult *res = query(runner, "migrations",
			      "select version, name, checksum from taskcell.migrations"
			      " order by version",
			      0, NULL);
	enum store_result r;

	if (res == NULL)
		return runner->failure;
	r = compare(runner, res);
	*n = (size_t)PQntuples(res);
	PQclear(res);
	return r;
}

static enum store_result apply(struct runner *runner, const struct migration *migration)
{
	char version[16];
	const char *const values[] = { version, migration->name, migration->checksum };
	enum store_result r = run(runner, migration->name, migration->sql);
	PGresult *res;

	if (r != STORE_OK)
		return r;
	snprintf(version, sizeof(version), "%d", migration->version);
	res = query(runner, migration->name,
		    "insert into taskcell.migrations (version, name, checksum) values ($1, $2, $3)",
		    ARRAY_LEN(values), values);
	PQclear(res);
	return res != NULL ? STORE_OK : runner->failure;
}

/* One transaction under the lock: applies the next migration that is missing, or when none is, sets
 * the role's settings and is done. */
static enum store_result advance(struct runner *runner, bool *done)
{
	const char *name = NULL;
	size_t n = 0;
	enum store_result r = run(runner, "lock", begin_sql);

	if (r == STORE_OK)
		r = run(runner, "schema", registry_sql);
	if (r == STORE_OK)
		r = read_applied(runner, &n);
	if (r != STORE_OK)
		return r;
	*done = n == migrations_count;
	if (*done) {
		r = run(runner, "role settings", settings_sql);
	} else {
		name = migrations[n].name;
		r = apply(runner, &migrations[n]);
	}
	if (r == STORE_OK)
		r = run(runner, name != NULL ? name : "role settings", "commit");
	if (r == STORE_OK && name != NULL)
		say(runner, "%s applied", name);
	return r;
}

/* Whether there is a table to read what was applied from. */
static enum store_result find_registry(struct runner *runner, bool *found)
{
	PGresult *res =
		query(runner, "schema",
		      "select 1 where to_regclass('taskcell.migrations') is not null", 0, NULL);

	*found = PQntuples(res) != 0;
	PQclear(res);
	return res != NULL ? STORE_OK : runner->failure;
}

/* Only reads. Without the lock: it shows what is committed, also beside a runner. */
static enum store_result foresee(struct runner *runner)
{
	size_t n = 0;
	bool missing, registry;
	PGresult *res;
	enum store_result r = find_registry(runner, &registry);

	if (r == STORE_OK && registry)
		r = read_applied(runner, &n);
	if (r != STORE_OK)
		return r;
	missing = n < migrations_count;
	for (; n < migrations_count; n++)
		say(runner, "%s would be applied", migrations[n].name);
	res = query(runner, "role settings", unset_sql, 0, NULL);
	if (res == NULL)
		return runner->failure;
	missing |= PQntuples(res) > 0;
	for (int i = 0; i < PQntuples(res); i++)
		say(runner, "role setting %s would become %s", PQgetvalue(res, i, 0),
		    PQgetvalue(res, i, 1));
	PQclear(res);
	return missing ? STORE_STALE : STORE_OK;
}

enum store_result migrate(const struct store_options *options, bool dry_run,
			  void (*report)(void *arg, const char *line), void *arg)
{
	struct runner runner = { .report = report, .arg = arg };
	char why[PG_WHY_MAX];
	bool done = false;
	enum store_result r = STORE_UNAVAILABLE;

	runner.conn =
		pg_connect(options->conninfo,
			   clock_monotonic_us() + options->connect_timeout_ms * INT64_C(1000), why);
	if (runner.conn == NULL) {
		say(&runner, "%s", why);
		return r;
	}
	if (PQsetnonblocking(runner.conn, 1) == 0)
		r = refuse_strong_role(&runner);
	if (r == STORE_OK && dry_run)
		r = foresee(&runner);
	while (r == STORE_OK && !dry_run && !done)
		r = advance(&runner, &done);
	if (r == STORE_OK)
		say(&runner, "up to date");
	/* What is not committed goes with the connection. */
	PQfinish(runner.conn);
	return r;
}
