#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "config/settings.h"
#include "security/keys.h"
#include "store/migrate.h"

enum { EXIT_MISSING = 2 }; /* of migrate --dry-run */

struct call {
	const char *config; /* of -c, or NULL */
	const char *arg;    /* the command's own argument, or NULL */
};

struct command {
	const char *name; /* one or two words */
	const char *args; /* NULL: takes none; else one that may be left out */
	int (*run)(const struct call *);
	const char *help;
};

static int usage(const char *problem, const char *what)
{
	fprintf(stderr, "taskcellctl: %s%s%s\nTry: taskcellctl help\n", problem, what ? ": " : "",
		what ? what : "");
	return EX_USAGE;
}

static int run_config(const struct call *c)
{
	struct settings *s = settings_load(settings_path(c->config), SETTINGS_NEED_NOTHING, stderr);

	if (!s)
		return EXIT_FAILURE;
	settings_print(s, stdout);
	settings_free(s);
	return EXIT_SUCCESS;
}

static void print_line(void *arg, const char *line)
{
	fprintf(arg, "%s\n", line);
	fflush(arg);
}

static const char *why_not(enum store_result r)
{
	switch (r) {
	case STORE_UNAVAILABLE:
		return "no connection to the database, or it was lost";
	case STORE_UNFIT:
		return "the database does not fit this program";
	case STORE_BUSY:
		return "the database was busy for too long";
	case STORE_OK:
	case STORE_NO_SESSION:
	case STORE_NOT_FOUND:
	case STORE_CONFLICT:
	case STORE_STALE:
	case STORE_LIMITED:
	case STORE_REFUSED:
	case STORE_FAILED:
		break;
	}
	return "the database reported an error";
}

/* Comes before everything else on a new machine, so it wants no jwt_secret. */
static int run_migrate(const struct call *c)
{
	bool dry_run = c->arg != NULL;
	struct settings *s;
	struct store_options options;
	enum store_result r;

	if (dry_run && strcmp(c->arg, "--dry-run") != 0)
		return usage("unknown option", c->arg);
	s = settings_load(settings_path(c->config), SETTINGS_NEED_DATABASE, stderr);
	if (!s)
		return EXIT_FAILURE;
	log_open(STDERR_FILENO, (enum log_level)s->log_level);
	options = (struct store_options){
		.conninfo = s->database,
		.connect_timeout_ms = (int)s->connect_timeout,
		.statement_timeout_ms = (int)s->statement_timeout,
	};
	r = migrate(&options, dry_run, print_line, stdout);
	settings_free(s);
	if (dry_run && r == STORE_STALE)
		return EXIT_MISSING;
	if (r != STORE_OK)
		fprintf(stderr, "taskcellctl: not migrated: %s\n", why_not(r));
	return r == STORE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Leaves no half-written file behind. */
static bool write_new(const char *path, const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600), saved;
	bool ok;

	if (fd < 0)
		return false;
	errno = EIO; /* of a short write, which sets none */
	ok = fchmod(fd, 0600) == 0 && write(fd, text, len) == (ssize_t)len && fsync(fd) == 0;
	saved = errno;
	if (close(fd) != 0 && ok) {
		saved = errno;
		ok = false;
	}
	if (!ok)
		unlink(path);
	errno = saved;
	return ok;
}

static int run_key_generate(const struct call *c)
{
	char text[SECRET_TEXT_LEN + 2];
	bool ok = true;

	secret_generate(text);
	text[SECRET_TEXT_LEN] = '\n';
	text[SECRET_TEXT_LEN + 1] = '\0';
	if (!c->arg) {
		fputs(text, stdout);
	} else if (!write_new(c->arg, text, SECRET_TEXT_LEN + 1)) {
		fprintf(stderr, "taskcellctl: %s: %s\n", c->arg,
			errno == EEXIST ? "exists already and is not overwritten"
					: strerror(errno));
		ok = false;
	}
	secret_wipe(text, sizeof(text));
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_version(const struct call *c)
{
	(void)c;
	puts("taskcellctl " PACKAGE_VERSION);
	return EXIT_SUCCESS;
}

static int run_help(const struct call *);

static const struct command commands[] = {
	{ "config", NULL, run_config, "print the values in effect, secrets left out" },
	{ "migrate", "[--dry-run]", run_migrate,
	  "bring the database to this program's schema, or only print what is missing" },
	{ "key generate", "[FILE]", run_key_generate,
	  "make a secret of 256 bits; write it to a new FILE (mode 0600) or print it" },
	{ "version", NULL, run_version, "print the version" },
	{ "help", NULL, run_help, "print this text" },
};

static int run_help(const struct call *c)
{
	(void)c;
	puts("Usage: taskcellctl [-c FILE] COMMAND\n\nCommands:");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const struct command *k = &commands[i];
		int width = printf("  %s%s%s", k->name, k->args ? " " : "", k->args ? k->args : "");

		printf("%*s%s\n", 24 - width, "", k->help);
	}
	printf("\nOptions:\n"
	       "  -c FILE               configuration; without it TASKCELL_CONFIG names the file,\n"
	       "                        or %s is read if it exists\n"
	       "  -h                    print this text\n\n"
	       "Every key can come from the environment as well: workers as TASKCELL_WORKERS.\n"
	       "Exit status: 0 success, 1 failure, 2 migrate --dry-run found something missing,\n"
	       "64 wrong usage.\n",
	       settings_default_path);
	return EXIT_SUCCESS;
}

/* How many of the arguments are this command's name; 0 when they are not. */
static int words_of(const struct command *k, int argc, char **argv)
{
	const char *space = strchr(k->name, ' ');
	size_t len = space ? (size_t)(space - k->name) : strlen(k->name);

	if (strlen(argv[0]) != len || memcmp(argv[0], k->name, len) != 0)
		return 0;
	if (!space)
		return 1;
	return argc > 1 && strcmp(argv[1], space + 1) == 0 ? 2 : 0;
}

static int run_command(struct call *call, int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const struct command *k = &commands[i];
		int words = words_of(k, argc, argv);

		if (words == 0)
			continue;
		if (argc - words > (k->args ? 1 : 0))
			return usage("too many arguments", k->name);
		call->arg = argc > words ? argv[words] : NULL;
		return k->run(call);
	}
	return usage("unknown command", argv[0]);
}

int main(int argc, char **argv)
{
	struct call call = { NULL, NULL };
	int option, status;

	/* "+": options end at the command */
	while ((option = getopt(argc, argv, "+:c:h")) != -1) {
		const char letter[] = { '-', (char)optopt, '\0' };

		if (option == 'c')
			call.config = optarg;
		else if (option == 'h')
			return run_help(&call);
		else
			return usage(option == ':' ? "needs a value" : "unknown option", letter);
	}
	if (optind == argc)
		return usage("no command", NULL);
	status = run_command(&call, argc - optind, argv + optind);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "taskcellctl: standard output: %s\n", strerror(errno));
		return EXIT_FAILURE;
	}
	return status;
}
