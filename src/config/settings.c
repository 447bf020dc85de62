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

const char settings_default_path[] = SYSCONFDIR "/taskcell/taskcell.conf";

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
	struct given given[KEYS_MAX];
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
	for (size_t i = 0; i < config_keys_count; i++) {
		size_t len = strlen(config_keys[i].name);

		if (strncmp(name, config_keys[i].name, len) != 0)
			continue;
		*by_file = name[len] != '\0';
		if (!*by_file ||
		    ((config_keys[i].flags & SECRET) && strcmp(name + len, "_file") == 0))
			return &config_keys[i];
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
	g = &l->given[k - config_keys];
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

static void check_key(struct load *l, const struct key *k)
{
	struct given *g = &l->given[k - config_keys];

	if (g->text && (!g->by_file || secret_read(l, k, g)) && !key_set(k, g->text, l->out))
		refuse(l, k, g);
}

/* Keys in a folder of their own make jwt_secret needless. */
static void check_needed(struct load *l, const struct key *k, enum settings_need need)
{
	if (!l->given[k - config_keys].text && (k->need & need) &&
	    (k->need != SETTINGS_NEED_JWT_SECRET || !l->out->key_dir[0]))
		missing(l, k);
}

/* Blames a relation on whichever of two keys was given; the presets do not break it. */
static void mistake_between(struct load *l, const char *a, const char *b, const char *rule)
{
	bool by_file;
	const struct given *g = &l->given[key_find(a, &by_file) - config_keys];

	if (!g->text)
		g = &l->given[key_find(b, &by_file) - config_keys];
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
	for (size_t i = 0; i < config_keys_count; i++)
		key_preset(&config_keys[i], l.out);
	if (path)
		read_config(&l);
	read_environment(&l);
	for (size_t i = 0; i < config_keys_count; i++)
		check_key(&l, &config_keys[i]);
	for (size_t i = 0; i < config_keys_count; i++)
		check_needed(&l, &config_keys[i], need);
	if (!l.failed)
		check_relations(&l);
	for (size_t i = 0; i < config_keys_count; i++)
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

	for (size_t i = 0; i < config_keys_count; i++) {
		if (config_keys[i].flags & RELOADABLE || key_equal(&config_keys[i], old, fresh))
			continue;
		fprintf(errors, "%s: cannot change while the server runs; restart it\n",
			config_keys[i].name);
		may = false;
	}
	return may;
}

void settings_free(struct settings *s)
{
	for (size_t i = 0; s && i < config_keys_count; i++)
		key_free(&config_keys[i], s);
	free(s);
}

void settings_print(const struct settings *s, FILE *out)
{
	for (size_t i = 0; i < config_keys_count; i++)
		key_print(&config_keys[i], s, out);
}
