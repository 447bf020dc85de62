#include "base/base.h"

#include "ctl/doctor.h"

#include "store/migrate.h"

enum { CLOCK_MAX_US = 3 * 1000 * 1000, TIMEOUT_MS = 10 * 1000 };

static struct store_options options_of(const struct doctor *d)
{
	struct store_options options = ctl_store_options(d->ctl);

	options.statement_timeout_ms = TIMEOUT_MS;
	return options;
}

enum verdict check_database(struct doctor *d)
{
	struct store_options options;

	if (!d->settings)
		return doctor_say(d, DOCTOR_SKIPPED, "mend the configuration first");
	if (!d->settings->database[0])
		return doctor_say(d, DOCTOR_SKIPPED, "`database` is not set, see configuration");
	options = options_of(d);
	diagnose(&options, d->arena, &d->database);
	if (d->database.why)
		return doctor_say(d, DOCTOR_WRONG,
				  "%s: %s: is PostgreSQL up, and is `database` right?",
				  d->database.where, d->database.why);
	return doctor_say(d, DOCTOR_OK, "%s answers%s", d->database.where,
			  d->database.pooled ? ", behind a pooler" : "");
}

static enum verdict no_database(struct doctor *d)
{
	return doctor_say(d, DOCTOR_SKIPPED, "there is no database to ask");
}

enum verdict check_role(struct doctor *d)
{
	if (d->database.why)
		return no_database(d);
	if (d->database.strong)
		return doctor_say(
			d, DOCTOR_WRONG,
			"%s is SUPERUSER or BYPASSRLS, which no policy stops: ALTER ROLE "
			"%s NOSUPERUSER NOBYPASSRLS, or better use a role of taskcell's own",
			d->database.role, d->database.role);
	return doctor_say(d, DOCTOR_OK, "%s is an ordinary role", d->database.role);
}

enum verdict check_encoding(struct doctor *d)
{
	if (d->database.why)
		return no_database(d);
	if (strcmp(d->database.encoding, "UTF8") != 0)
		return doctor_say(d, DOCTOR_WRONG,
				  "the database has the encoding %s: make a new one with CREATE "
				  "DATABASE … ENCODING 'UTF8' TEMPLATE template0",
				  d->database.encoding);
	return doctor_say(d, DOCTOR_OK, "UTF8");
}

/* Tokens are dated by this host, sessions by the database. */
enum verdict check_clock(struct doctor *d)
{
	int64_t us = d->database.ahead_us;

	if (d->database.why)
		return no_database(d);
	if (us > CLOCK_MAX_US || us < -CLOCK_MAX_US)
		return doctor_say(d, DOCTOR_WARNING,
				  "this host's clock is %.0f s %s the database's: set both by NTP "
				  "(timedatectl set-ntp true)",
				  (double)(us > 0 ? us : -us) / 1e6,
				  us > 0 ? "ahead of" : "behind");
	return doctor_say(d, DOCTOR_OK, "this host's and the database's agree");
}

enum verdict check_connections(struct doctor *d)
{
	int64_t need, have = d->database.connections;

	if (d->database.why)
		return no_database(d);
	need = d->settings->workers + d->settings->auth_workers;
	if (d->database.pooled)
		return doctor_say(d, DOCTOR_OK, "a pooler shares them out");
	if (need > have)
		return doctor_say(d, DOCTOR_WRONG,
				  "workers + auth_workers are %lld, but the role may have %lld "
				  "connections: fewer workers, or raise max_connections (or the "
				  "CONNECTION LIMIT of the role or the database)",
				  (long long)need, (long long)have);
	if (2 * need > have)
		return doctor_say(d, DOCTOR_WARNING,
				  "a reload needs %lld connections for a moment, and the role may "
				  "have %lld: fewer workers, or raise max_connections",
				  (long long)(2 * need), (long long)have);
	return doctor_say(d, DOCTOR_OK, "%lld of %lld, twice that during a reload", (long long)need,
			  (long long)have);
}

/* --- schema ---------------------------------------------------------------------------------- */

/* The first of each kind; those of the role settings come last. */
static void take_line(void *arg, const char *line)
{
	struct doctor *d = arg;
	const char **to =
		strncmp(line, "role setting ", 13) == 0 ? &d->role_mistake : &d->schema_mistake;

	if (!*to && strcmp(line, "up to date") != 0)
		*to = arena_strndup(d->arena, line, strlen(line));
}

enum verdict check_schema(struct doctor *d)
{
	struct store_options options;
	enum store_result r;

	d->migrate_refused = true;
	if (d->database.why)
		return no_database(d);
	if (d->database.strong)
		return doctor_say(d, DOCTOR_SKIPPED, "mend the role first");
	options = options_of(d);
	r = migrate(&options, true, take_line, d);
	d->migrate_refused = r != STORE_OK && r != STORE_STALE;
	if (d->migrate_refused)
		return doctor_say(d, DOCTOR_WRONG, "%s",
				  d->schema_mistake ? d->schema_mistake : "it cannot be read");
	if (d->schema_mistake)
		return doctor_say(d, DOCTOR_WRONG,
				  "it is older than this program (%s): "
				  "taskcellctl migrate",
				  d->schema_mistake);
	return doctor_say(d, DOCTOR_OK, "it is this program's: %d migrations",
			  (int)migrations_count);
}

enum verdict check_role_settings(struct doctor *d)
{
	if (d->migrate_refused)
		return doctor_say(d, DOCTOR_SKIPPED, "see schema");
	if (d->role_mistake)
		return doctor_say(d, DOCTOR_WRONG, "%s: taskcellctl migrate", d->role_mistake);
	return doctor_say(d, DOCTOR_OK, "as taskcellctl migrate has set them");
}

/* --- as the server does ---------------------------------------------------------------------- */

static enum store_result try(const struct doctor *d, bool prepared)
{
	struct store_options options = options_of(d);
	struct store *store;
	enum store_result r;

	options.prepared_statements = prepared;
	store = store_open(&options);
	r = store_check(store);
	store_close(store);
	return r;
}

enum verdict check_row_security(struct doctor *d)
{
	if (d->migrate_refused || d->schema_mistake || d->role_mistake)
		return doctor_say(d, DOCTOR_SKIPPED, "see schema and role_settings");
	(void)doctor_logged(d);
	if (try(d, false) != STORE_OK)
		return doctor_say(d, DOCTOR_WRONG, "%s", doctor_logged(d));
	d->database_fits = true;
	return doctor_say(d, DOCTOR_OK, "it is forced, and holds for this role");
}

enum verdict check_prepared_statements(struct doctor *d)
{
	if (!d->database_fits)
		return doctor_say(d, DOCTOR_SKIPPED, "see row_security");
	if (!d->settings->prepared_statements)
		return doctor_say(d, DOCTOR_OK, "off%s",
				  d->database.pooled ? ", behind a pooler" : "");
	if (try(d, true) != STORE_OK)
		return doctor_say(d, DOCTOR_WRONG, "%s", doctor_logged(d));
	return doctor_say(d, DOCTOR_OK, "on, and kept");
}
