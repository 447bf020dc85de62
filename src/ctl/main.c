#include "base/base.h"

#include <errno.h>
#include <sysexits.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "store/migrate.h"

/* `args` is what help prints and what command lines are read by: NAME is an argument that has to be
 * there, [NAME] one that may, [--name] a flag, [--name VALUE] an option with a value. */
struct command {
	const char *name; /* one or two words */
	const char *args; /* NULL: takes none */
	int (*run)(struct ctl *);
	const char *help;
};

static int run_config(struct ctl *c)
{
	if (!ctl_open(c, SETTINGS_NEED_NOTHING))
		return EXIT_FAILURE;
	settings_print(c->settings, stdout);
	return EXIT_SUCCESS;
}

static void print_line(void *arg, const char *line)
{
	fprintf(arg, "%s\n", line);
	fflush(arg);
}

/* Comes before everything else on a new machine, so it wants no jwt_secret. */
static int run_migrate(struct ctl *c)
{
	bool dry_run = ctl_option(c, "dry-run") != NULL;
	struct store_options options;
	enum store_result r;

	if (!ctl_open(c, SETTINGS_NEED_DATABASE))
		return EXIT_FAILURE;
	options = ctl_store_options(c);
	r = migrate(&options, dry_run, print_line, stdout);
	if (dry_run && r == STORE_STALE)
		return EXIT_MISSING;
	return r == STORE_OK ? EXIT_SUCCESS : ctl_store_failed("not migrated", r);
}

static int run_version(struct ctl *c)
{
	(void)c;
	puts("taskcellctl " PACKAGE_VERSION);
	return EXIT_SUCCESS;
}

static int run_help(struct ctl *);

static const struct command commands[] = {
	{ "config", NULL, run_config, "print the values in effect, secrets left out" },
	{ "migrate", "[--dry-run]", run_migrate,
	  "bring the database to this program's schema, or only print what is missing" },

	{ "user list", "[PATTERN]", ctl_user_list, "list users whose e-mail contains PATTERN" },
	{ "user show", "USER", ctl_user_show, "print what is kept of a user, by e-mail or id" },
	{ "user add", "EMAIL [--name NAME]", ctl_user_add,
	  "make an account; asks for the password" },
	{ "user disable", "USER", ctl_user_disable, "end all sessions and allow no login" },
	{ "user enable", "USER", ctl_user_enable, "allow logins again" },
	{ "user delete", "USER", ctl_user_delete, "remove the user and everything of theirs" },
	{ "user password", "USER", ctl_user_password,
	  "set a new password and end all sessions; asks for it" },
	{ "session list", "USER", ctl_session_list, "list the sessions of a user that live" },
	{ "session end", "[USER] [ID] [--all]", ctl_session_end,
	  "end one session of a user, all of them or, with --all alone, everyone's" },
	{ "invite add", "[--uses N] [--days N] [--note TEXT]", ctl_invite_add,
	  "make an invitation and print its code, which is not kept" },
	{ "invite list", NULL, ctl_invite_list, "list the invitations" },
	{ "invite delete", "DIGEST", ctl_invite_delete,
	  "remove an invitation by the beginning of its digest" },
	{ "audit", "[USER] [--event EVENT] [--since TIME] [--limit N]", ctl_audit,
	  "print what was done to accounts, the newest first" },
	{ "sweep", NULL, ctl_sweep, "remove expired sessions, counts, audit rows, invitations" },
	{ "backup", "FILE", ctl_backup, "dump the database to a new FILE and check what it holds" },
	{ "restore", "FILE", ctl_restore,
	  "load a dump into an empty database and end everyone's sessions" },
	{ "key generate", "[FILE] [--dir DIR] [--algorithm NAME]", ctl_key_generate,
	  "make a key in the key directory; or a secret, in a new FILE or printed" },
	{ "key rotate", "[--dir DIR]", ctl_key_rotate, "sign with the next key from now on" },
	{ "key retire", "KID [--dir DIR]", ctl_key_retire, "remove a key that does not sign" },
	{ "key list", "[--dir DIR]", ctl_key_list, "list the keys and their states" },
	{ "hash calibrate", NULL, ctl_hash_calibrate, "measure this host, recommend scrypt_cost" },
	{ "install-site", "DIR [URL] [--home DIR]", ctl_install_site,
	  "make a site of one's own in the folder DIR of a shared host, or renew it" },
	{ "import better-auth", "[DATABASE_URL] [--dry-run]", ctl_import_better_auth,
	  "bring over the users of a Better Auth database" },

	{ "doctor", "[URL]", ctl_doctor, "look for what is wrong, and say how to mend it" },

	{ "version", NULL, run_version, "print the version" },
	{ "help", NULL, run_help, "print this text" },
};

static int run_help(struct ctl *c)
{
	enum { COLUMN = 24 };

	(void)c;
	puts("Usage: taskcellctl [-c FILE] COMMAND\n\nCommands:");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const struct command *k = &commands[i];
		int width = printf("  %s%s%s", k->name, k->args ? " " : "", k->args ? k->args : "");

		if (width >= COLUMN) {
			putchar('\n');
			width = 0;
		}
		printf("%*s%s\n", COLUMN - width, "", k->help);
	}
	printf("\nOptions:\n"
	       "  -c FILE               configuration; without it TASKCELL_CONFIG names the file,\n"
	       "                        or %s is read if it exists\n"
	       "  -h                    print this text\n\n"
	       "A USER is an e-mail or an id. Passwords are asked for twice on a terminal, and "
	       "are\n"
	       "a line of standard input elsewhere.\n"
	       "Every key can come from the environment as well: workers as TASKCELL_WORKERS.\n"
	       "Exit status: 0 success, 1 failure, 2 migrate --dry-run found something missing,\n"
	       "64 wrong usage.\n",
	       settings_default_path);
	return EXIT_SUCCESS;
}

/* --- command lines --------------------------------------------------------------------------- */

/* An element of a command's `args`. */
struct element {
	const char *name; /* without brackets and dashes */
	size_t len;
	bool may_lack;
	bool is_option;
	bool has_value; /* of an option */
};

static bool next_element(const char **args, struct element *e)
{
	const char *s = *args;

	if (!s || !*s)
		return false;
	*e = (struct element){ .may_lack = *s == '[' };
	s += e->may_lack;
	*args = s + strcspn(s, e->may_lack ? "]" : " ") + e->may_lack;
	*args += **args == ' ';
	e->is_option = strncmp(s, "--", 2) == 0;
	e->name = e->is_option ? s + 2 : s;
	e->len = strcspn(e->name, " ]");
	e->has_value = e->is_option && e->name[e->len] == ' ';
	return true;
}

/* How many of the words are this command's name; 0 when they are not. */
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

/* Takes an option with its value; how many words these are, 0 when something is wrong. */
static int take_option(struct ctl *c, const struct command *k, int argc, char **argv)
{
	const char *args = k->args, *name = argv[0] + 2;
	size_t len = strcspn(name, "=");
	struct element e;
	bool found = false;

	while (!found && next_element(&args, &e))
		found = e.is_option && e.len == len && memcmp(e.name, name, len) == 0;
	if (argv[0][1] != '-' || !found) {
		ctl_usage("unknown option: %s", argv[0]);
		return 0;
	}
	if (!e.has_value && name[len]) {
		ctl_usage("takes no value: --%.*s", (int)len, name);
		return 0;
	}
	if (e.has_value && !name[len] && argc < 2) {
		ctl_usage("needs a value: %s", argv[0]);
		return 0;
	}
	if (c->n_options == CTL_ARGS_MAX) {
		ctl_usage("too many options: %s", k->name);
		return 0;
	}
	c->options[c->n_options].name = arena_strndup(c->arena, name, len);
	c->options[c->n_options++].value = !e.has_value ? NULL
					   : name[len]  ? name + len + 1
							: argv[1];
	return e.has_value && !name[len] ? 2 : 1;
}

static bool read_arguments(struct ctl *c, const struct command *k, int argc, char **argv)
{
	const char *args = k->args;
	size_t most = 0;
	struct element e;
	bool options = true;

	while (argc > 0) {
		int taken = 1;

		if (options && strcmp(argv[0], "--") == 0)
			options = false;
		else if (options && argv[0][0] == '-' && argv[0][1])
			taken = take_option(c, k, argc, argv);
		else if (c->n < CTL_ARGS_MAX)
			c->args[c->n++] = argv[0];
		if (!taken)
			return false;
		argc -= taken;
		argv += taken;
	}
	while (next_element(&args, &e)) {
		if (e.is_option)
			continue;
		if (!e.may_lack && most == c->n) {
			ctl_usage("%s needs %.*s", k->name, (int)e.len, e.name);
			return false;
		}
		most++;
	}
	if (c->n > most)
		ctl_usage("too many arguments: %s", k->name);
	return c->n <= most;
}

static int run_command(struct ctl *c, int argc, char **argv)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		const struct command *k = &commands[i];
		int words = words_of(k, argc, argv);

		if (words)
			return read_arguments(c, k, argc - words, argv + words) ? k->run(c)
										: EX_USAGE;
	}
	return ctl_usage("unknown command: %s%s%s", argv[0], argc > 1 ? " " : "",
			 argc > 1 ? argv[1] : "");
}

int main(int argc, char **argv)
{
	struct ctl c = { 0 };
	int option, status;

	/* "+": options end at the command */
	while ((option = getopt(argc, argv, "+:c:h")) != -1) {
		if (option == 'c')
			c.config = optarg;
		else if (option == 'h')
			return run_help(&c);
		else
			return ctl_usage("%s: -%c",
					 option == ':' ? "needs a value" : "unknown option",
					 optopt);
	}
	if (optind == argc)
		return ctl_usage("no command");
	c.arena = arena_new(SIZE_MAX);
	status = run_command(&c, argc - optind, argv + optind);
	if (c.store)
		store_close(c.store);
	arena_free(c.arena);
	settings_free(c.settings);
	if (fflush(stdout) != 0 || ferror(stdout))
		return ctl_fail("standard output: %s", strerror(errno));
	return status;
}
