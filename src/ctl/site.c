#include "base/base.h"

#include "ctl/ctl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/spool.h"
#include "security/keyring.h"

/* A site of one's own on a host that belongs to somebody else: programs, configuration and what
 * they write in one folder (`home`), what the web server reads in another (`dir`). All of it comes
 * from the binary tarball (`tree`) in which this very program is. */
struct site {
	struct ctl *c;
	struct arena *arena;
	const char *tree;
	const char *home;
	const char *dir;
	const char *url; /* of the command line, or NULL */
	const char *mount;
	const char *conf;
	bool fresh; /* nothing of ours is in `dir` yet */
};

static bool failed(const char *path)
{
	ctl_fail("%s: %s", path, strerror(errno));
	return false;
}

/* --- files ----------------------------------------------------------------------------------- */

/* A file that takes its place whole, in one moment: whoever has the old one open or runs it goes on
 * with that. */
struct fresh_file {
	const char *path, *part;
	int fd;
};

static bool fresh_open(struct site *s, const char *path, struct fresh_file *f)
{
	f->path = path;
	f->part = arena_printf(s->arena, "%s.new", path);
	(void)unlink(f->part); /* of a run that was cut off */
	f->fd = open(f->part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0600);
	return f->fd >= 0 || failed(f->part);
}

static bool fresh_write(const struct fresh_file *f, const char *bytes, size_t len)
{
	return spool_write(f->fd, bytes, len) || failed(f->part);
}

static bool fresh_close(const struct fresh_file *f, bool ok, mode_t mode)
{
	if (ok && (fchmod(f->fd, mode) != 0 || fsync(f->fd) != 0))
		ok = failed(f->part);
	close(f->fd);
	if (ok && rename(f->part, f->path) != 0)
		ok = failed(f->path);
	if (!ok)
		(void)unlink(f->part);
	return ok;
}

static bool put_text(struct site *s, const char *path, const char *text, mode_t mode)
{
	struct fresh_file f;

	return fresh_open(s, path, &f) &&
	       fresh_close(&f, fresh_write(&f, text, strlen(text)), mode);
}

static bool copy_file(struct site *s, const char *from, const char *to, mode_t mode)
{
	char piece[64 * 1024];
	struct fresh_file f;
	ssize_t n = -1;
	bool ok = true;
	int fd = open(from, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return failed(from);
	if (!fresh_open(s, to, &f)) {
		close(fd);
		return false;
	}
	while (ok && (n = read(fd, piece, sizeof(piece))) > 0)
		ok = fresh_write(&f, piece, (size_t)n);
	if (ok && n < 0)
		ok = failed(from);
	close(fd);
	return fresh_close(&f, ok, mode);
}

/* The mode is exact for a folder that is made here, whatever the umask; others stay as they are. */
static bool make_dir(const char *path, mode_t mode)
{
	struct stat st;

	if (mkdir(path, mode) == 0)
		return chmod(path, mode) == 0 || failed(path);
	if (errno == EEXIST && stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
		errno = ENOTDIR;
	return errno == EEXIST || failed(path);
}

static bool visit(struct site *s, const char *from, const char *to, bool copy);

/* Copies a folder with all that is in it or, without `copy`, demands that no file of it would take
 * the place of one that is there. */
static bool visit_all(struct site *s, const char *from, const char *to, bool copy)
{
	DIR *dir = opendir(from);
	struct dirent *entry;
	bool ok = true;

	if (!dir)
		return failed(from);
	while (ok && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		ok = visit(s, arena_printf(s->arena, "%s/%s", from, entry->d_name),
			   arena_printf(s->arena, "%s/%s", to, entry->d_name), copy);
	}
	closedir(dir);
	return ok;
}

static bool must_be_free(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0)
		errno = EEXIST;
	return errno == ENOENT || errno == ENOTDIR || failed(path);
}

static bool visit(struct site *s, const char *from, const char *to, bool copy)
{
	struct stat st;

	if (stat(from, &st) != 0)
		return failed(from);
	if (S_ISDIR(st.st_mode))
		return (!copy || make_dir(to, 0755)) && visit_all(s, from, to, copy);
	return copy ? copy_file(s, from, to, st.st_mode & S_IXUSR ? 0755 : 0644) : must_be_free(to);
}

/* The whole of a text, on the arena; NULL when it cannot be read. */
static const char *read_text(struct site *s, const char *path)
{
	FILE *f = fopen(path, "re");
	char *text = NULL;
	const char *kept = NULL;
	size_t size = 0;
	ssize_t len;

	if (!f)
		return NULL;
	len = getdelim(&text, &size, '\0', f);
	if (!ferror(f))
		kept = arena_strndup(s->arena, len > 0 ? text : "", len > 0 ? (size_t)len : 0);
	free(text);
	fclose(f);
	return kept;
}

/* --- templates ------------------------------------------------------------------------------- */

static const char *value_of(const struct site *s, const char *name, size_t len)
{
	const struct {
		const char *name, *value;
	} values[] = {
		{ "HOME", s->home },
		{ "MOUNT", s->mount },
		{ "URL", s->url },
	};

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		if (strlen(values[i].name) == len && memcmp(values[i].name, name, len) == 0)
			return values[i].value;
	}
	return "";
}

/* A template with each @NAME@ replaced; NULL when it cannot be read, which has been said. */
static const char *render(struct site *s, const char *name)
{
	const char *path = arena_printf(s->arena, "%s/share/taskcell/site/%s", s->tree, name);
	const char *rest = read_text(s, path), *out = "", *mark, *end;

	if (!rest) {
		failed(path);
		return NULL;
	}
	while ((mark = strchr(rest, '@')) && (end = strchr(mark + 1, '@'))) {
		out = arena_printf(s->arena, "%s%.*s%s", out, (int)(mark - rest), rest,
				   value_of(s, mark + 1, (size_t)(end - mark - 1)));
		rest = end + 1;
	}
	return arena_printf(s->arena, "%s%s", out, rest);
}

/* --- places ---------------------------------------------------------------------------------- */

static bool find_tree(struct site *s)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *templates;

	if (len < 0)
		return failed("/proc/self/exe");
	for (int levels = 0; levels < 2; levels++) {
		while (len > 0 && self[--len] != '/')
			;
	}
	s->tree = arena_strndup(s->arena, self, (size_t)len);
	templates = arena_printf(s->arena, "%s/share/taskcell/site", s->tree);
	if (access(templates, F_OK) == 0)
		return true;
	ctl_fail("%s: %s: this is done by the taskcellctl of a binary tarball", templates,
		 strerror(errno));
	return false;
}

/* Without links and dots, so that it can be compared, and written into files. */
static const char *resolve(struct site *s, const char *path)
{
	char *real = realpath(path, NULL);
	const char *kept = real ? arena_strndup(s->arena, real, strlen(real)) : NULL;

	free(real);
	if (!kept)
		failed(path);
	return kept;
}

/* The web server would hand out the configuration. */
static bool keep_apart(const struct site *s)
{
	size_t len = strlen(s->dir);

	if (strncmp(s->home, s->dir, len) != 0 || (s->home[len] && s->home[len] != '/'))
		return true;
	ctl_fail("%s is inside of %s, which the web server shows to everybody: use --home", s->home,
		 s->dir);
	return false;
}

static bool find_places(struct site *s)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789/._+~-";
	const char *user = getenv("HOME"), *home = ctl_option(s->c, "home");

	if (!home && (!user || *user != '/')) {
		ctl_fail("HOME is not set: use --home");
		return false;
	}
	if (!home)
		home = arena_printf(s->arena, "%s/taskcell", user);
	if (!make_dir(home, 0755) || !make_dir(s->c->args[0], 0755))
		return false;
	s->home = resolve(s, home);
	s->dir = resolve(s, s->c->args[0]);
	if (!s->home || !s->dir || !keep_apart(s))
		return false;
	if (s->home[strspn(s->home, plain)]) { /* it becomes part of a shell's line */
		ctl_fail("%s has odd characters: use --home", s->home);
		return false;
	}
	s->conf = arena_printf(s->arena, "%s/etc/taskcell.conf", s->home);
	return true;
}

/* The first time nothing of the user's may be in the way; later, everything is ours. */
static bool find_state(struct site *s)
{
	const char *path = arena_printf(s->arena, "%s/.htaccess", s->dir);
	const char *wrapper = arena_printf(s->arena, "%s/taskcell.fcgi", s->dir);
	const char *web = arena_printf(s->arena, "%s/share/taskcell/web", s->tree);
	const char *theirs = read_text(s, path), *ours = render(s, "htaccess");
	size_t line;

	if (!ours)
		return false;
	line = strcspn(ours, "\n") + 1;
	s->fresh = !theirs || strncmp(theirs, ours, line) != 0;
	if (!s->fresh || (must_be_free(path) && must_be_free(wrapper) &&
			  (access(web, F_OK) != 0 || visit(s, web, s->dir, false))))
		return true;
	ctl_fail("move it away, or install into a new folder of %s", s->dir);
	return false;
}

/* --- steps ----------------------------------------------------------------------------------- */

/* The path of a URL, without a slash at its end. */
static const char *path_of(struct site *s, const char *url)
{
	const char *host = strstr(url, "://");
	const char *path = strchr(host ? host + 3 : url, '/');
	size_t len = path ? strlen(path) : 0;

	while (len > 0 && path[len - 1] == '/')
		len--;
	return path ? arena_strndup(s->arena, path, len) : "";
}

/* Reading it checks the URL, so it is written before all else, and not kept if that is wrong. */
static bool make_config(struct site *s)
{
	const char *text;

	if (!s->url) {
		ctl_fail("install-site needs URL the first time, such as https://example.org");
		return false;
	}
	s->mount = path_of(s, s->url);
	text = render(s, "taskcell.conf");
	if (!text || !put_text(s, s->conf, text, 0600))
		return false;
	s->c->config = s->conf;
	if (ctl_open(s->c, SETTINGS_NEED_NOTHING))
		return true;
	(void)unlink(s->conf);
	return false;
}

static bool keep_config(struct site *s)
{
	s->c->config = s->conf;
	if (!ctl_open(s->c, SETTINGS_NEED_NOTHING))
		return false;
	if (s->url && strcmp(s->url, s->c->settings->public_url) != 0) {
		ctl_fail("%s is kept, and its public_url is not %s: change it there", s->conf,
			 s->url);
		return false;
	}
	s->mount = s->c->settings->mount;
	return true;
}

static bool install_config(struct site *s)
{
	const char *etc = arena_printf(s->arena, "%s/etc", s->home);
	const char *var = arena_printf(s->arena, "%s/var", s->home);
	const char *keys;
	struct keyring_entry made;
	char why[KEYRING_WHY_MAX];

	if (!make_dir(etc, 0700) || !make_dir(var, 0700))
		return false;
	if (access(s->conf, F_OK) == 0 ? !keep_config(s) : !make_config(s))
		return false;
	keys = s->c->settings->key_dir;
	if (!*keys || access(keys, F_OK) == 0 || keyring_generate(keys, KEY_HS256, &made, why))
		return true;
	ctl_fail("%s", why);
	return false;
}

/* Libraries before the programs that want them. */
static bool install_programs(struct site *s)
{
	static const char *const parts[] = { "lib", "bin", "share" };

	for (size_t i = 0; i < ARRAY_LEN(parts) && strcmp(s->tree, s->home) != 0; i++) {
		if (!visit(s, arena_printf(s->arena, "%s/%s", s->tree, parts[i]),
			   arena_printf(s->arena, "%s/%s", s->home, parts[i]), true))
			return false;
	}
	return true;
}

/* What somebody has added to it must not be lost without a word. */
static bool install_htaccess(struct site *s)
{
	const char *path = arena_printf(s->arena, "%s/.htaccess", s->dir);
	const char *old = arena_printf(s->arena, "%s/.htaccess.old", s->dir);
	const char *text = render(s, "htaccess"), *was = read_text(s, path);

	if (!text)
		return false;
	if (was && strcmp(was, text) != 0) {
		(void)unlink(old);
		if (link(path, old) != 0)
			return failed(old);
		printf("%s was another one; it is %s now.\n", path, old);
	}
	return put_text(s, path, text, 0644);
}

/* .htaccess first: by that a later run knows the rest for ours, should this one be cut off. The
 * script last: for mod_fcgid a new file is a new program, so from then on no request goes to a
 * process of the old one. */
static bool install_web(struct site *s)
{
	const char *web = arena_printf(s->arena, "%s/share/taskcell/web", s->tree);
	const char *script = render(s, "taskcell.fcgi");

	return script && install_htaccess(s) &&
	       (access(web, F_OK) != 0 || visit(s, web, s->dir, true)) &&
	       put_text(s, arena_printf(s->arena, "%s/taskcell.fcgi", s->dir), script, 0755);
}

int ctl_install_site(struct ctl *c)
{
	struct site s = {
		.c = c,
		.arena = c->arena,
		.url = c->n > 1 ? c->args[1] : NULL,
	};

	if (geteuid() == 0)
		return ctl_fail("run this as the user whose site it is, not as root");
	if (!find_tree(&s) || !find_places(&s) || !find_state(&s) || !install_config(&s) ||
	    !install_programs(&s) || !install_web(&s))
		return EXIT_FAILURE;
	printf("taskcell " PACKAGE_VERSION " is in %s, and its site in %s.\n", s.home, s.dir);
	if (!*c->settings->database)
		printf("Next: set `database` in %s.\n", s.conf);
	return EXIT_SUCCESS;
}
