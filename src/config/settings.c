#include "base/base.h"
#include "config/settings.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ini.h>

#include "base/log.h"
#include "base/secret.h"
#include "config/key.h"

enum {
	NAME_MAX_LEN = 40, /* longer than any key with _file */
	CONFIG_MAX = 64 * 1024,
	LINE_MAX_LEN = INI_MAX_LINE - 3, /* what inih takes without splitting */
	SHOWN_MAX = 60,
};

static const char *const off_on[] = { "off", "on", NULL };
static const char *const closed_open[] = { "closed", "open", NULL };
static const char *const levels[] = { "error", "warning", "info", "debug", NULL };

const char settings_default_path[] = SYSCONFDIR "/taskcell/taskcell.conf";

/* tests/lint/settings compares this table with conf/taskcell.conf and docs/configuration.md. */
#define KEY(member) .name = #member, .offset = offsetof(struct settings, member)
/* clang-format off */
static const struct key keys[] = {
	{ KEY(listen), .type = TYPE_SOCKET, .min = 1, .max = SUN_PATH_MAX,
	  .preset = "/run/taskcell/taskcell.sock", .help = "socket of the first pool" },
	{ KEY(listen_auth), .type = TYPE_SOCKET, .min = 0, .max = SUN_PATH_MAX,
	  .preset = "/run/taskcell/auth.sock", .help = "socket of the second pool" },
	{ KEY(listen_group), .type = TYPE_TEXT, .min = 0, .max = 255,
	  .preset = "", .help = "group of unix sockets" },
	{ KEY(user), .type = TYPE_TEXT, .min = 0, .max = 255,
	  .preset = "", .help = "user to become when started as root" },
	{ KEY(group), .type = TYPE_TEXT, .min = 0, .max = 255,
	  .preset = "", .help = "group to become when started as root" },
	{ KEY(pid_file), .type = TYPE_PATH, .min = 0, .max = 4000,
	  .preset = "", .help = "file for the master's process id" },
	{ KEY(log_file), .type = TYPE_PATH, .min = 0, .max = 4000,
	  .preset = "", .help = "file for the log" },
	{ KEY(workers), .type = TYPE_INT, .flags = RELOADABLE, .min = 1, .max = 256,
	  .preset = "8", .help = "processes of the first pool" },
	{ KEY(auth_workers), .type = TYPE_INT, .flags = RELOADABLE, .min = 0, .max = 64,
	  .preset = "2", .help = "processes of the second pool" },
	{ KEY(max_requests), .type = TYPE_INT, .flags = RELOADABLE, .min = 0, .max = 1000000000,
	  .preset = "0", .help = "requests after which a worker is replaced" },
	{ KEY(keep_connections), .type = TYPE_INT, .flags = RELOADABLE, .min = 0, .max = 1024,
	  .preset = "512", .help = "connections of the web server that a worker keeps" },
	{ KEY(run_dir), .type = TYPE_PATH, .min = 1, .max = 4000,
	  .preset = "/run/taskcell", .help = "folder of lock files" },
	{ KEY(mount), .type = TYPE_MOUNT, .flags = RELOADABLE, .min = 0, .max = 255,
	  .preset = "", .help = "prefix of every path" },
	{ KEY(request_timeout), .type = TYPE_INT, .flags = RELOADABLE, .min = 1, .max = 300,
	  .preset = "15", .help = "seconds a request may take" },
	{ KEY(statement_timeout), .type = TYPE_INT, .flags = RELOADABLE, .min = 100, .max = 60000,
	  .preset = "5000", .help = "milliseconds a call of the database may take" },
	{ KEY(connect_timeout), .type = TYPE_INT, .flags = RELOADABLE, .min = 100, .max = 60000,
	  .preset = "2000", .help = "milliseconds connecting to the database may take" },
	{ KEY(stop_timeout), .type = TYPE_INT, .flags = RELOADABLE, .min = 1, .max = 300,
	  .preset = "20", .help = "seconds running requests have when the server stops" },
	{ KEY(database), .type = TYPE_SECRET, .flags = RELOADABLE | SECRET, .min = 1, .max = 4096,
	  .need = SETTINGS_NEED_DATABASE, .preset = "", .help = "connection string of libpq" },
	{ KEY(prepared_statements), .type = TYPE_FLAG, .flags = RELOADABLE, .words = off_on,
	  .preset = "on", .help = "whether statements are prepared once a connection" },
	{ KEY(jwt_secret), .type = TYPE_SECRET, .flags = RELOADABLE | SECRET | PRIVATE,
	  .min = 32, .max = 512,
	  .need = SETTINGS_NEED_JWT_SECRET, .preset = "", .help = "what tokens are signed with" },
	{ KEY(jwt_issuer), .type = TYPE_TEXT, .flags = RELOADABLE, .min = 1, .max = 255,
	  .preset = "taskcell", .help = "iss of access tokens" },
	{ KEY(jwt_audience), .type = TYPE_TEXT, .flags = RELOADABLE, .min = 1, .max = 255,
	  .preset = "taskcell", .help = "aud of access tokens" },
	{ KEY(access_token_lifetime), .type = TYPE_INT, .flags = RELOADABLE,
	  .min = 60, .max = 86400,
	  .preset = "900", .help = "seconds an access token is good" },
	{ KEY(refresh_idle_lifetime), .type = TYPE_INT, .flags = RELOADABLE,
	  .min = 60, .max = 31536000,
	  .preset = "1209600", .help = "seconds a session lives without a refresh" },
	{ KEY(refresh_absolute_lifetime), .type = TYPE_INT, .flags = RELOADABLE,
	  .min = 60, .max = 31536000,
	  .preset = "5184000", .help = "seconds a session lives at most" },
	{ KEY(refresh_grace), .type = TYPE_INT, .flags = RELOADABLE, .min = 0, .max = 300,
	  .preset = "30", .help = "seconds a refresh token may be used again" },
	{ KEY(scrypt_cost), .type = TYPE_INT, .flags = RELOADABLE, .min = 10, .max = 20,
	  .preset = "15", .help = "cost of a password hash (log2 N)" },
	{ KEY(scrypt_concurrency), .type = TYPE_INT, .flags = RELOADABLE, .min = 1, .max = 64,
	  .preset = "2", .help = "password hashes at one time on this host" },
	{ KEY(scrypt_wait), .type = TYPE_INT, .flags = RELOADABLE, .min = 0, .max = 10000,
	  .preset = "250", .help = "milliseconds a request waits for its turn to hash" },
	{ KEY(registration), .type = TYPE_FLAG, .flags = RELOADABLE, .words = closed_open,
	  .preset = "open", .help = "whether anyone may register" },
	{ KEY(throttle), .type = TYPE_FLAG, .flags = RELOADABLE, .words = off_on,
	  .preset = "on", .help = "limits on attempts to log in or register" },
	{ KEY(throttle_address_per_minute), .type = TYPE_INT, .flags = RELOADABLE,
	  .min = 1, .max = 100000,
	  .preset = "20", .help = "attempts to log in or register of one address in a minute" },
	{ KEY(log_level), .type = TYPE_LEVEL, .flags = RELOADABLE, .words = levels,
	  .preset = "info", .help = "the least important records that are written" },
};
/* clang-format on */

/* A value as it was found, before it is checked. */
struct given {
	char *text; /* NULL: in no source */
	char name[NAME_MAX_LEN + 1];
	int line; /* 0: in the environment */
	bool by_file;
};

struct load {
	struct settings *out;
	FILE *errors;
	const char *path;
	int line; /* where collect() reads */
	bool failed;
	struct given given[ARRAY_LEN(keys)];
};

/* --- mistakes -------------------------------------------------------------------------------- */

/* Turns names of the environment into keys and back. Small letters become capitals, which no key
 * has, so that TASKCELL_workers stays unknown. */
static char swap_case(char c)
{
	return (char)(islower((unsigned char)c) ? toupper((unsigned char)c)
						: tolower((unsigned char)c));
}

/* `name` is NULL for a line as a whole. */
static void PRINTF_LIKE(4, 5)
	mistake(struct load *l, int line, const char *name, const char *fmt, ...)
{
	va_list ap;

	l->failed = true;
	if (line > 0) {
		fprintf(l->errors, "%s:%d: %s%s", l->path, line, name ? name : "",
			name ? ": " : "");
	} else {
		fputs("environment: TASKCELL_", l->errors);
		for (; name && *name; name++)
			fputc(swap_case(*name), l->errors);
		fputs(": ", l->errors);
	}
	va_start(ap, fmt);
	vfprintf(l->errors, fmt, ap);
	va_end(ap);
	fputc('\n', l->errors);
}

/* A value fit for a message: short, and without control characters. */
static const char *shown(const char *text, char out[SHOWN_MAX + 4])
{
	size_t i;

	for (i = 0; i < SHOWN_MAX && text[i]; i++)
		out[i] = (char)(isprint((unsigned char)text[i]) ? text[i] : '?');
	memcpy(out + i, text[i] ? "..." : "", text[i] ? 4 : 1);
	return out;
}

/* A name is shown only if it looks like one: the second line of a broken secret does not. */
static void mistake_unknown(struct load *l, const char *name)
{
	size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_");
	bool is_name = len > 0 && len <= NAME_MAX_LEN && !name[len];

	mistake(l, l->line, is_name || l->line == 0 ? name : NULL, "unknown key");
}

/* --- sources --------------------------------------------------------------------------------- */

struct contents {
	char *text; /* terminated */
	size_t len;
	mode_t mode;
};

static void contents_free(struct contents *c)
{
	if (c->text)
		secret_wipe(c->text, c->len);
	free(c->text);
}

/* On false errno says why; EFBIG for more than `max` bytes. */
static bool contents_read(const char *path, size_t max, struct contents *out)
{
	struct stat st;
	ssize_t n = -1;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY), saved;

	*out = (struct contents){ .text = calloc(1, max + 2) };
	if (fd < 0 || !out->text || fstat(fd, &st) != 0)
		goto done;
	out->mode = st.st_mode;
	while ((n = read(fd, out->text + out->len, max + 1 - out->len)) != 0) {
		if (n > 0)
			out->len += (size_t)n;
		else if (errno != EINTR)
			goto done;
	}
	if (out->len > max) {
		errno = EFBIG;
		n = -1;
	}
done:
	saved = errno;
	if (fd >= 0)
		close(fd);
	if (n != 0)
		contents_free(out);
	errno = saved;
	return n == 0;
}

static const struct key *key_find(const char *name, bool *by_file)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		size_t len = strlen(keys[i].name);

		if (strncmp(name, keys[i].name, len) != 0)
			continue;
		*by_file = name[len] != '\0';
		if (!*by_file || ((keys[i].flags & SECRET) && strcmp(name + len, "_file") == 0))
			return &keys[i];
	}
	return NULL;
}

/* The handler of inih, and called for each variable of the environment. */
static int collect(void *arg, const char *section, const char *name, const char *value)
{
	struct load *l = arg;
	bool by_file;
	const struct key *k = key_find(name, &by_file);
	struct given *g;

	(void)section;
	if (!k) {
		mistake_unknown(l, name);
		return 1;
	}
	g = &l->given[k - keys];
	/* The environment is read last and takes the place of the file. */
	if (g->text && (g->line > 0) == (l->line > 0)) {
		if (g->by_file != by_file)
			mistake(l, l->line, name, "give either %s or %s_file, not both", k->name,
				k->name);
		else if (l->line > 0)
			mistake(l, l->line, name, "was already given in line %d", g->line);
		else
			mistake(l, l->line, name, "was already given");
		return 1;
	}
	text_wipe_free(g->text);
	*g = (struct given){ .text = text_copy(value), .line = l->line, .by_file = by_file };
	memcpy(g->name, name, strlen(name) + 1);
	return 1;
}

/* Lines go to inih one by one: its Debian build tells no line numbers, splits long lines silently
 * and joins an indented line to the value before. */
static void read_line(struct load *l, const char *p, size_t len)
{
	char line[INI_MAX_LINE];
	size_t blanks = 0;

	while (blanks < len && isspace((unsigned char)p[blanks]))
		blanks++;
	if (memchr(p, '\0', len)) {
		mistake(l, l->line, NULL, "has a NUL byte");
	} else if (blanks == len || p[blanks] == '#' || p[blanks] == ';') {
		return;
	} else if (len > LINE_MAX_LEN) {
		mistake(l, l->line, NULL,
			"is longer than %d bytes; give a secret by its ..._file key, anything else "
			"in the environment",
			LINE_MAX_LEN);
	} else if (blanks > 0) {
		mistake(l, l->line, NULL,
			"begins with a blank; keys begin their line, and a value is one line");
	} else if (p[0] == '[') {
		mistake(l, l->line, NULL, "there are no sections; write the keys alone");
	} else {
		memcpy(line, p, len);
		line[len] = '\0';
		if (ini_parse_string(line, collect, l) != 0)
			mistake(l, l->line, NULL, "is not `key = value`");
		secret_wipe(line, sizeof(line));
	}
}

static void read_config(struct load *l)
{
	struct contents c;
	const char *p, *end;

	if (!contents_read(l->path, CONFIG_MAX, &c)) {
		fprintf(l->errors, "%s: %s\n", l->path, strerror(errno));
		l->failed = true;
		return;
	}
	p = c.text;
	end = c.text + c.len;
	if (strncmp(p, "\xEF\xBB\xBF", 3) == 0)
		p += 3;
	while (p < end) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		size_t len = (size_t)((eol ? eol : end) - p);

		l->line++;
		read_line(l, p, len);
		p = eol ? eol + 1 : end;
	}
	contents_free(&c);
}

static void read_environment(struct load *l)
{
	static const char prefix[] = "TASKCELL_";

	l->line = 0;
	/* clearenv() leaves no environ at all */
	for (char **e = environ; e && *e; e++) {
		const char *name = *e + sizeof(prefix) - 1, *value;
		char key[NAME_MAX_LEN + 1];
		size_t len = 0;

		if (strncmp(*e, prefix, sizeof(prefix) - 1) != 0 || !(value = strchr(name, '=')))
			continue;
		for (; name + len < value && len < NAME_MAX_LEN; len++)
			key[len] = swap_case(name[len]);
		key[len] = '\0';
		if (strcmp(key, "config") != 0) /* which file, see settings_path() */
			collect(l, "", key, value + 1);
	}
}

/* --- checks ---------------------------------------------------------------------------------- */

/* What is allowed, to be freed. */
static char *allowed(const struct key *k)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		fatal("out of memory");
	key_describe(k, out);
	if (fclose(out) != 0)
		fatal("out of memory");
	return text;
}

static void refuse(struct load *l, const struct key *k, const struct given *g)
{
	char *use = allowed(k), value[SHOWN_MAX + 4];

	if (k->type != TYPE_SECRET)
		mistake(l, g->line, g->name, "\"%s\" is not allowed for the %s; use %s",
			shown(g->text, value), k->help, use);
	else if ((int64_t)strlen(g->text) > k->max)
		mistake(l, g->line, g->name, "is longer than %" PRId64 " bytes", k->max);
	else
		mistake(l, g->line, g->name, "is too short; use %s", use);
	free(use);
}

static void missing(struct load *l, const struct key *k)
{
	char *use = allowed(k);

	mistake(l, 0, k->name, "is not set, nor is %s or %s_file in %s; use %s", k->name, k->name,
		l->path ? l->path : "a file", use);
	free(use);
}

/* Puts the file's content in the place of its name. */
static bool secret_read(struct load *l, const struct key *k, struct given *g)
{
	struct contents c;
	char path[SHOWN_MAX + 4];

	shown(g->text, path);
	if (g->text[0] != '/') {
		mistake(l, g->line, g->name, "\"%s\" is not an absolute path", path);
		return false;
	}
	if (!contents_read(g->text, (size_t)k->max + 1, &c)) {
		mistake(l, g->line, g->name, "%s: %s", path, strerror(errno));
		return false;
	}
	if ((k->flags & PRIVATE) && (c.mode & (S_IRWXG | S_IRWXO))) {
		mistake(l, g->line, g->name,
			"%s has mode %04o; only its owner may have access (0600)", path,
			(unsigned)(c.mode & 07777));
	} else if (memchr(c.text, '\0', c.len)) {
		mistake(l, g->line, g->name, "%s has a NUL byte", path);
	} else {
		if (c.len > 0 && c.text[c.len - 1] == '\n')
			c.text[c.len - 1] = '\0';
		free(g->text);
		g->text = c.text;
		return true;
	}
	contents_free(&c);
	return false;
}

static void check_key(struct load *l, const struct key *k, enum settings_need need)
{
	struct given *g = &l->given[k - keys];

	if (g->text) {
		if ((!g->by_file || secret_read(l, k, g)) && !key_set(k, g->text, l->out))
			refuse(l, k, g);
	} else if (k->need & need) {
		missing(l, k);
	}
}

/* Blames a relation on whichever of two keys was given; the presets do not break it. */
static void mistake_between(struct load *l, const char *a, const char *b, const char *rule)
{
	bool by_file;
	const struct given *g = &l->given[key_find(a, &by_file) - keys];

	if (!g->text)
		g = &l->given[key_find(b, &by_file) - keys];
	mistake(l, g->line, g->name, "%s", rule);
}

static void check_relations(struct load *l)
{
	struct settings *s = l->out;

	if (s->statement_timeout >= s->request_timeout * 1000)
		mistake_between(l, "statement_timeout", "request_timeout",
				"statement_timeout (ms) must be shorter than request_timeout (s)");
	if (s->refresh_idle_lifetime > s->refresh_absolute_lifetime)
		mistake_between(l, "refresh_idle_lifetime", "refresh_absolute_lifetime",
				"refresh_idle_lifetime must not be longer than "
				"refresh_absolute_lifetime");
	if (s->auth_workers > 0 && s->listen_auth[0] == '\0')
		mistake_between(l, "listen_auth", "auth_workers",
				"listen_auth must be set unless auth_workers is 0");
	if (s->auth_workers > 0 && strcmp(s->listen, s->listen_auth) == 0)
		mistake_between(l, "listen_auth", "listen", "listen and listen_auth must differ");
}

/* --- contract -------------------------------------------------------------------------------- */

const char *settings_path(const char *option)
{
	const char *path = option ? option : getenv("TASKCELL_CONFIG");

	if (path && (option || path[0]))
		return path;
	/* A file that is there but cannot be read is an error to report, not one to pass over. */
	if (access(settings_default_path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
		return NULL;
	return settings_default_path;
}

struct settings *settings_load(const char *path, enum settings_need need, FILE *errors)
{
	struct load l = { .out = calloc(1, sizeof(*l.out)), .errors = errors, .path = path };

	if (!l.out)
		fatal("out of memory");
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		key_preset(&keys[i], l.out);
	if (path)
		read_config(&l);
	read_environment(&l);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		check_key(&l, &keys[i], need);
	if (!l.failed)
		check_relations(&l);
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		text_wipe_free(l.given[i].text);
	if (l.failed) {
		settings_free(l.out);
		return NULL;
	}
	if (l.out->auth_workers == 0)
		text_set(&l.out->listen_auth, "");
	return l.out;
}

bool settings_may_replace(const struct settings *old, const struct settings *fresh, FILE *errors)
{
	bool may = true;

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (keys[i].flags & RELOADABLE || key_equal(&keys[i], old, fresh))
			continue;
		fprintf(errors, "%s: cannot change while the server runs; restart it\n",
			keys[i].name);
		may = false;
	}
	return may;
}

void settings_free(struct settings *s)
{
	for (size_t i = 0; s && i < ARRAY_LEN(keys); i++)
		key_free(&keys[i], s);
	free(s);
}

void settings_print(const struct settings *s, FILE *out)
{
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		key_print(&keys[i], s, out);
}
