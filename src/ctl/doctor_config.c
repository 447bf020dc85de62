#include "base/base.h"

#include "ctl/doctor.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "security/keyring.h"

enum { LINE_LEN = 512, PASSWORD_FILE_MAX = 4096 };

/* --- configuration --------------------------------------------------------------------------- */

/* The value of a line `key = value` in place, or NULL. */
static char *value_in(char *line, const char *key)
{
	size_t len = strlen(key);

	line[strcspn(line, "\r\n")] = '\0';
	if (strncmp(line, key, len) != 0)
		return NULL;
	line += len;
	line += strspn(line, " \t");
	if (*line != '=')
		return NULL;
	line++;
	return line + strspn(line, " \t");
}

/* The path that a key ending in _file has; NULL: none. */
static const char *path_given(struct doctor *d, const char *key, const char *variable)
{
	const char *path = getenv(variable);
	FILE *file = path || !d->config ? NULL : fopen(d->config, "re");
	char line[LINE_LEN];

	while (!path && file && fgets(line, sizeof(line), file)) {
		const char *value = value_in(line, key);

		if (value)
			path = arena_strndup(d->arena, value, strcspn(value, " \t"));
	}
	if (file)
		fclose(file);
	return path;
}

/* Mistakes of jwt_secret belong to checks of their own. */
static const char *sort_mistakes(struct doctor *d, char *errors)
{
	const char *rest = NULL;
	char *next = errors;

	for (char *line = errors; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (!strcasestr(line, "jwt_secret"))
			rest = arena_printf(d->arena, "%s%s%s", rest ? rest : "", rest ? "; " : "",
					    line);
		else if (strstr(line, " has mode "))
			d->secret_mode = arena_strndup(d->arena, line, strlen(line));
		else
			d->secret_mistake = arena_strndup(d->arena, line, strlen(line));
	}
	return rest;
}

/* So that the rest can be looked at: the environment wins over the file. */
static void put_stand_in(struct doctor *d)
{
	char secret[SECRET_TEXT_LEN + 1];

	secret_generate(secret);
	unsetenv("TASKCELL_JWT_SECRET_FILE");
	setenv("TASKCELL_JWT_SECRET", secret, 1);
	secret_wipe(secret, sizeof(secret));
	d->stand_in = true;
}

static const char *load(struct doctor *d, enum settings_need need)
{
	char *errors = NULL;
	size_t len;
	FILE *out = open_memstream(&errors, &len);
	const char *mistakes;

	if (!out)
		return "out of memory";
	d->ctl->settings = settings_load(d->config, need, out);
	fclose(out);
	mistakes = d->ctl->settings ? NULL : sort_mistakes(d, errors);
	free(errors);
	return mistakes;
}

/* An unusable secret is no reason not to look at the rest, and neither is a database that is not
 * named. */
enum verdict check_configuration(struct doctor *d)
{
	const char *mistakes;

	d->config = settings_path(d->ctl->config);
	d->secret_file = path_given(d, "jwt_secret_file", "TASKCELL_JWT_SECRET_FILE");
	mistakes = load(d, SETTINGS_NEED_ALL);
	if (d->secret_mistake || d->secret_mode)
		put_stand_in(d);
	if (!d->ctl->settings)
		(void)load(d, SETTINGS_NEED_NOTHING);
	d->settings = d->ctl->settings;
	if (d->settings && !d->url && d->settings->public_url[0])
		d->url = d->settings->public_url;
	if (mistakes)
		return doctor_say(d, DOCTOR_WRONG, "%s", mistakes);
	return doctor_say(d, DOCTOR_OK, "%s is valid",
			  d->config ? d->config : "no file: the environment alone, which");
}

/* Whether a connection string has a password, as a key or in a URL. */
static bool has_password(const char *conninfo)
{
	const char *scheme = strstr(conninfo, "://"), *at = scheme ? strchr(scheme, '@') : NULL;

	return strstr(conninfo, "password") ||
	       (at && memchr(scheme + 3, ':', (size_t)(at - scheme - 3)));
}

static bool holds_secret(FILE *file)
{
	char line[LINE_LEN];
	bool found = false;

	while (!found && fgets(line, sizeof(line), file)) {
		const char *database = value_in(line, "database");

		found = value_in(line, "jwt_secret") || (database && has_password(database));
	}
	secret_wipe(line, sizeof(line));
	return found;
}

static bool file_has_password(const char *path)
{
	char text[PASSWORD_FILE_MAX + 1];
	FILE *file = fopen(path, "re");
	size_t n = file ? fread(text, 1, PASSWORD_FILE_MAX, file) : 0;
	bool found;

	if (file)
		fclose(file);
	text[n] = '\0';
	found = has_password(text);
	secret_wipe(text, sizeof(text));
	return found;
}

enum verdict check_configuration_mode(struct doctor *d)
{
	const char *database = path_given(d, "database_file", "TASKCELL_DATABASE_FILE");
	FILE *file = d->config ? fopen(d->config, "re") : NULL;
	bool secret = file && holds_secret(file);
	struct stat st;

	if (file)
		fclose(file);
	if (database && stat(database, &st) == 0 && st.st_mode & S_IRWXO &&
	    file_has_password(database))
		return doctor_say(d, DOCTOR_WRONG,
				  "%s has a password and mode %04o, open to everybody: chmod o= %s",
				  database, (unsigned)(st.st_mode & 07777), database);
	if (!d->config)
		return doctor_say(d, DOCTOR_OK, "there is no file");
	if (stat(d->config, &st) != 0)
		return doctor_say(d, DOCTOR_SKIPPED, "%s: %s", d->config, strerror(errno));
	if (st.st_mode & S_IWOTH)
		return doctor_say(d, DOCTOR_WRONG,
				  "everybody may change %s (mode %04o): chmod o= %s", d->config,
				  (unsigned)(st.st_mode & 07777), d->config);
	if (secret && st.st_mode & S_IROTH)
		return doctor_say(d, DOCTOR_WRONG,
				  "%s has a secret in it and everybody may read it (mode %04o): "
				  "chmod o= %s",
				  d->config, (unsigned)(st.st_mode & 07777), d->config);
	return doctor_say(d, DOCTOR_OK, "mode %04o%s", (unsigned)(st.st_mode & 07777),
			  secret ? "" : ", and no secret in it");
}

/* --- keys ------------------------------------------------------------------------------------ */

/* What the characters can hold at most: a secret of 32 hex digits is one of 128 bits. */
static size_t bits_of(const char *secret)
{
	size_t len = strlen(secret);

	if (strspn(secret, "0123456789") == len)
		return len * 10 / 3;
	if (strspn(secret, "0123456789abcdef") == len || strspn(secret, "0123456789ABCDEF") == len)
		return len * 4;
	return len * 6; /* base64; more than that is not typed */
}

enum verdict check_secret_length(struct doctor *d)
{
	static const char make[] = "make one: taskcellctl key generate FILE, and name it in "
				   "jwt_secret_file";
	size_t bits;

	if (d->secret_mistake)
		return doctor_say(d, DOCTOR_WRONG, "%s FILE, and name it in jwt_secret_file",
				  d->secret_mistake);
	if (!d->settings)
		return doctor_say(d, DOCTOR_SKIPPED, "mend the configuration first");
	if (d->stand_in)
		return doctor_say(d, DOCTOR_SKIPPED, "it cannot be read, see key_mode");
	if (!d->settings->jwt_secret[0])
		return doctor_say(d, DOCTOR_OK, "there is no jwt_secret: key_dir has the keys");
	bits = bits_of(d->settings->jwt_secret);
	if (bits < SECRET_MIN * 8)
		return doctor_say(d, DOCTOR_WARNING,
				  "the characters of jwt_secret hold %zu bits at most, fewer than "
				  "%d; %s",
				  bits, SECRET_MIN * 8, make);
	return doctor_say(d, DOCTOR_OK, "jwt_secret has %zu bytes",
			  strlen(d->settings->jwt_secret));
}

/* What is open to others, or somebody else's; NULL when nothing is. */
static const char *open_to_others(struct doctor *d, int dir_fd, const char *dir, const char *name,
				  mode_t wanted)
{
	struct stat st;
	const char *path = *name ? arena_printf(d->arena, "%s/%s", dir, name) : dir;

	if (fstatat(dir_fd, name, &st, *name ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH) != 0)
		return arena_printf(d->arena, "%s: %s", path, strerror(errno));
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return arena_printf(d->arena, "%s has mode %04o: chmod %04o %s", path,
				    (unsigned)(st.st_mode & 07777), (unsigned)wanted, path);
	if (st.st_uid != geteuid())
		return arena_printf(d->arena,
				    "%s belongs to another user: chown it to the server's", path);
	return NULL;
}

static bool is_key_file(const char *name)
{
	size_t len = strlen(name);

	return strcmp(name, "keyring") == 0 || (len > 4 && strcmp(name + len - 4, ".key") == 0);
}

enum verdict check_key_mode(struct doctor *d)
{
	const char *path = d->secret_file;
	const char *dir = d->settings ? d->settings->key_dir : "", *bad;
	struct dirent *entry;
	DIR *list;

	if (d->secret_mode)
		return doctor_say(d, DOCTOR_WRONG, "%s: chmod 600 %s", d->secret_mode,
				  path ? path : "it");
	if (!d->settings)
		return doctor_say(d, DOCTOR_SKIPPED, "mend the configuration first");
	if (!*dir)
		return doctor_say(d, DOCTOR_OK,
				  path && !d->stand_in ? "%s is its owner's alone"
						       : "there are no key files",
				  path);
	list = opendir(dir);
	d->keys_refused = true;
	if (!list)
		return doctor_say(
			d, DOCTOR_WRONG,
			"key_dir %s: %s: taskcellctl key generate makes it, as the server's user",
			dir, strerror(errno));
	bad = open_to_others(d, dirfd(list), dir, "", 0700);
	while (!bad && (entry = readdir(list)))
		if (is_key_file(entry->d_name))
			bad = open_to_others(d, dirfd(list), dir, entry->d_name, 0600);
	closedir(list);
	if (bad)
		return doctor_say(d, DOCTOR_WRONG, "%s", bad);
	d->keys_refused = false;
	return doctor_say(d, DOCTOR_OK, "%s and the keys in it are their owner's alone", dir);
}

/* As the server opens them. */
static bool opens(const struct settings *s)
{
	struct keys_options options = {
		.dir = s->key_dir,
		.secret = s->jwt_secret[0] ? s->jwt_secret : NULL,
		.issuer = s->jwt_issuer,
		.audience = s->jwt_audience,
		.verify_s = s->refresh_idle_lifetime,
	};
	struct keys *keys = keys_open(&options);

	keys_free(keys);
	return keys;
}

enum verdict check_keys(struct doctor *d)
{
	char why[KEYRING_WHY_MAX];
	struct keyring ring;
	const char *id = NULL;

	if (!d->settings)
		return doctor_say(d, DOCTOR_SKIPPED, "mend the configuration first");
	if (!d->settings->key_dir[0])
		return doctor_say(d, DOCTOR_OK, "jwt_secret signs: there is no key_dir");
	if (d->keys_refused)
		return doctor_say(d, DOCTOR_SKIPPED, "see key_mode");
	if (!keyring_read(d->settings->key_dir, &ring, why))
		return doctor_say(d, DOCTOR_WRONG, "%s/%s", d->settings->key_dir, why);
	for (size_t i = 0; i < ring.n; i++)
		if (ring.entries[i].state == KEY_CURRENT)
			id = ring.entries[i].id;
	if (!id)
		return doctor_say(d, DOCTOR_WRONG,
				  "no key in %s is current: taskcellctl key generate",
				  d->settings->key_dir);
	if (!opens(d->settings))
		return doctor_say(d, DOCTOR_WRONG, "%s", doctor_logged(d));
	return doctor_say(d, DOCTOR_OK, "%s signs, of %zu in %s", id, ring.n, d->settings->key_dir);
}
