#include "base/base.h"

#include "ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/admin.h"
#include "store/migrate.h"

/* All that a back-up or a restore works with. */
struct work {
	struct ctl *c;
	struct admin_link *link;
	char **env; /* of the programs */
};

static bool work_begin(struct work *w, struct ctl *c)
{
	struct store_options options;

	*w = (struct work){ .c = c };
	if (!ctl_open(c, SETTINGS_NEED_DATABASE))
		return false;
	options = ctl_store_options(c);
	w->link = admin_link_open(&options);
	if (w->link)
		w->env = admin_link_environment(w->link, c->arena);
	else
		ctl_store_failed("the database", STORE_UNAVAILABLE);
	return w->link;
}

/* --- programs -------------------------------------------------------------------------------- */

/* Control-C is for the program; we clean up behind it. */
static void ignore_interrupt(bool ignored)
{
	struct sigaction action = { .sa_handler = ignored ? SIG_IGN : SIG_DFL };

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
}

/* Starts a program of PostgreSQL, with `out` as its standard output and nothing to read. -1 when
 * that fails, which has been said. */
static pid_t start(const struct work *w, char *const argv[], int out)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t interrupt;
	pid_t pid = -1;
	int error;

	ignore_interrupt(true);
	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigdefault(&attributes, &interrupt);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	error = posix_spawnp(&pid, argv[0], &files, &attributes, argv, w->env);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	if (!error)
		return pid;
	ignore_interrupt(false);
	ctl_fail("%s: %s", argv[0], strerror(error));
	return -1;
}

/* Whether it ended well; if not, it has said why, and we say so. */
static bool ended_well(pid_t pid, const char *name)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	ignore_interrupt(false);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	ctl_fail("%s failed", name);
	return false;
}

/* --- rows ------------------------------------------------------------------------------------ */

/* The table's entry by name, made if there is none. */
static struct table_rows *table_named(struct arena *a, struct table_counts *counts, size_t max,
				      const char *name, size_t len)
{
	for (size_t i = 0; i < counts->n; i++) {
		if (strlen(counts->tables[i].table) == len &&
		    memcmp(counts->tables[i].table, name, len) == 0)
			return &counts->tables[i];
	}
	if (counts->n == max)
		return NULL;
	counts->tables[counts->n].table = arena_strndup(a, name, len);
	return &counts->tables[counts->n++];
}

/* Reads `COPY taskcell.t (…) FROM stdin;`, its rows, and `\.`, and skips what is between. */
static bool count_rows(struct arena *a, FILE *script, struct table_counts *counts)
{
	static const char begin[] = "COPY taskcell.";
	enum { TABLES_MAX = 64 };
	struct table_rows *open = NULL;
	char *line = NULL;
	size_t size = 0;
	bool ok = true;

	*counts = (struct table_counts){
		.tables = arena_array(a, TABLES_MAX, sizeof(counts->tables[0])),
	};
	while (ok && getline(&line, &size, script) > 0) {
		if (open && strcmp(line, "\\.\n") == 0) {
			open = NULL;
		} else if (open) {
			open->rows++;
		} else if (strncmp(line, begin, sizeof(begin) - 1) == 0) {
			const char *name = line + sizeof(begin) - 1;

			open = table_named(a, counts, TABLES_MAX, name, strcspn(name, " "));
			ok = open != NULL;
		}
	}
	free(line);
	return ok && !open && !ferror(script);
}

/* What a dump holds, as pg_restore reads it. */
static bool count_dump(const struct work *w, const char *file, struct table_counts *counts)
{
	char *argv[] = { "pg_restore", "--data-only", "--file=-", "--", (char *)file, NULL };
	int ends[2];
	FILE *script;
	pid_t pid;
	bool ok;

	if (pipe2(ends, O_CLOEXEC) != 0) {
		ctl_fail("no pipe: %s", strerror(errno));
		return false;
	}
	script = fdopen(ends[0], "r");
	if (!script) {
		ctl_fail("no pipe: %s", strerror(errno));
		close(ends[0]);
		close(ends[1]);
		return false;
	}
	pid = start(w, argv, ends[1]);
	close(ends[1]);
	ok = pid >= 0 && count_rows(w->c->arena, script, counts);
	fclose(script);
	if (pid < 0 || !ended_well(pid, argv[0]))
		return false;
	if (!ok)
		ctl_fail("%s: cannot be read to its end", file);
	return ok;
}

static bool say_missing(const char *what, const struct table_rows *want, int64_t got)
{
	ctl_fail("%s has %lld rows of %s, not %lld", what, (long long)got, want->table,
		 (long long)want->rows);
	return false;
}

/* Says so if `got`, of `what`, has not the tables and rows of `want`. */
static bool counts_equal(const char *what, const struct table_counts *want,
			 const struct table_counts *got)
{
	bool equal = got->n == want->n;

	for (size_t i = 0; i < want->n; i++) {
		const struct table_rows *w = &want->tables[i];
		int64_t rows = -1;

		for (size_t j = 0; j < got->n; j++) {
			if (strcmp(got->tables[j].table, w->table) == 0)
				rows = got->tables[j].rows;
		}
		if (rows != w->rows)
			return say_missing(what, w, rows < 0 ? 0 : rows);
	}
	if (!equal)
		ctl_fail("%s has %zu tables, not %zu", what, got->n, want->n);
	return equal;
}

static void print_counts(const struct table_counts *counts)
{
	for (size_t i = 0; i < counts->n; i++)
		printf("%-24s  %12lld\n", counts->tables[i].table,
		       (long long)counts->tables[i].rows);
}

/* --- back-up --------------------------------------------------------------------------------- */

static bool dump(const struct work *w, const char *snapshot, int out)
{
	char *argv[] = { "pg_dump",
			 "--format=custom",
			 "--schema=taskcell",
			 "--enable-row-security",
			 arena_printf(w->c->arena, "--snapshot=%s", snapshot),
			 NULL };
	pid_t pid = start(w, argv, out);

	if (pid < 0 || !ended_well(pid, argv[0]))
		return false;
	if (fsync(out) == 0)
		return true;
	ctl_fail("not written: %s", strerror(errno));
	return false;
}

/* Dumps into `part` and compares what it holds then. */
static bool back_up(const struct work *w, const char *part, int out)
{
	struct table_counts want, got;
	const char *snapshot;
	enum store_result r = admin_snapshot(w->link, w->c->arena, &snapshot, &want);

	if (r != STORE_OK) {
		ctl_store_failed("no snapshot", r);
		return false;
	}
	if (!want.n) {
		ctl_fail("the database has no tables of taskcell");
		return false;
	}
	if (!dump(w, snapshot, out) || !count_dump(w, part, &got) ||
	    !counts_equal("the dump", &want, &got))
		return false;
	print_counts(&want);
	return true;
}

/* The name is kept only once the directory is on the disk. */
static bool put_in_place(const char *part, const char *file)
{
	const char *slash = strrchr(file, '/');
	char *dir = slash ? strndup(file, (size_t)(slash - file) + 1) : strdup(".");
	int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	bool ok = fd >= 0 && rename(part, file) == 0 && fsync(fd) == 0;

	if (!ok)
		ctl_fail("%s: %s", file, strerror(errno));
	if (fd >= 0)
		close(fd);
	free(dir);
	return ok;
}

int ctl_backup(struct ctl *c)
{
	const char *file = c->args[0], *part = arena_printf(c->arena, "%s.part", file);
	struct stat st;
	struct work w;
	bool ok;
	int out;

	if (lstat(file, &st) == 0)
		return ctl_fail("%s: exists already and is not overwritten", file);
	if (!work_begin(&w, c))
		return EXIT_FAILURE;
	out = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
	if (out < 0) {
		ctl_fail("%s: %s", part,
			 errno == EEXIST ? "is there, of a back-up that runs or was cut off"
					 : strerror(errno));
		admin_link_close(w.link);
		return EXIT_FAILURE;
	}
	ok = back_up(&w, part, out) && put_in_place(part, file);
	close(out);
	if (!ok)
		unlink(part);
	admin_link_close(w.link);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- restoring ------------------------------------------------------------------------------- */

static void print_line(void *arg, const char *line)
{
	fprintf(arg, "%s\n", line);
	fflush(arg);
}

static bool database_is_empty(const struct work *w)
{
	bool exists;
	enum store_result r = admin_schema_exists(w->link, &exists);

	if (r != STORE_OK)
		ctl_store_failed("the database", r);
	else if (exists)
		ctl_fail("the database has a schema taskcell already: restore into another one");
	return r == STORE_OK && !exists;
}

static bool load(const struct work *w, const char *file)
{
	/* Where to connect is in the environment; without --dbname it would print SQL. */
	char *argv[] = { "pg_restore",
			 "--single-transaction",
			 "--exit-on-error",
			 "--no-owner",
			 "--no-privileges",
			 "--enable-row-security",
			 "--dbname=postgresql://",
			 "--",
			 (char *)file,
			 NULL };
	pid_t pid = start(w, argv, STDOUT_FILENO);

	return pid >= 0 && ended_well(pid, argv[0]);
}

/* Compares, and ends the sessions before migrating makes the database fit for a server. */
static bool finish(const struct work *w, const struct table_counts *want)
{
	struct store_options options = ctl_store_options(w->c);
	struct table_counts got;
	enum store_result r = admin_table_counts(w->link, w->c->arena, &got);

	if (r == STORE_OK && !counts_equal("the database", want, &got))
		return false;
	if (r == STORE_OK)
		r = admin_restored(w->link);
	if (r == STORE_OK)
		r = migrate(&options, false, print_line, stdout);
	if (r == STORE_OK)
		r = admin_feeds_over(w->link);
	if (r == STORE_OK)
		r = admin_audit_add(w->c->store, "sessions_ended", "restored");
	if (r != STORE_OK)
		ctl_store_failed("restored, but not fit for use", r);
	return r == STORE_OK;
}

int ctl_restore(struct ctl *c)
{
	const char *file = c->args[0];
	struct table_counts want;
	struct work w;
	bool ok;

	if (access(file, R_OK) != 0)
		return ctl_fail("%s: %s", file, strerror(errno));
	if (!work_begin(&w, c))
		return EXIT_FAILURE;
	ok = database_is_empty(&w) && count_dump(&w, file, &want);
	if (ok && !want.n) {
		ctl_fail("%s: not a back-up of taskcell", file);
		ok = false;
	}
	ok = ok && load(&w, file) && finish(&w, &want);
	admin_link_close(w.link);
	if (!ok)
		return EXIT_FAILURE;
	print_counts(&want);
	puts("All sessions have been ended: everybody has to log in again.");
	return EXIT_SUCCESS;
}
