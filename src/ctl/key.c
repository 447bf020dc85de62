#include "base/base.h"

#include "ctl/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "security/keyring.h"
#include "store/admin.h"

/* --- a secret -------------------------------------------------------------------------------- */

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

/* `path` NULL: prints it. */
static int generate_secret(const char *path)
{
	char text[SECRET_TEXT_LEN + 2];
	int status = EXIT_SUCCESS;

	secret_generate(text);
	text[SECRET_TEXT_LEN] = '\n';
	text[SECRET_TEXT_LEN + 1] = '\0';
	if (!path)
		fputs(text, stdout);
	else if (!write_new(path, text, SECRET_TEXT_LEN + 1))
		status = ctl_fail("%s: %s", path,
				  errno == EEXIST ? "exists already and is not overwritten"
						  : strerror(errno));
	secret_wipe(text, sizeof(text));
	return status;
}

/* --- a directory of keys --------------------------------------------------------------------- */

static const char no_dir[] = "key_dir is not set; set it or use --dir";

static int64_t verify_s(const struct ctl *c)
{
	int64_t access = c->settings->access_token_lifetime;
	int64_t refresh = c->settings->refresh_idle_lifetime;

	return access > refresh ? access : refresh; /* as the server has it */
}

/* The directory of the option, else of the configuration, which is loaded in any case: it says how
 * long keys verify, and where the audit is. */
static bool find_dir(struct ctl *c, const char **dir)
{
	*dir = ctl_option(c, "dir");
	if (!ctl_open(c, SETTINGS_NEED_NOTHING))
		return false;
	if (!*dir)
		*dir = c->settings->key_dir;
	if (**dir)
		return true;
	ctl_fail("%s", no_dir);
	return false;
}

static void print_key(const struct keyring_entry *e)
{
	printf("%s %s %s\n", e->id, key_algorithm_name(e->algorithm), key_state_name(e->state));
}

/* What has been done stays done when the database cannot be told. */
static int audit(struct ctl *c, const char *what, const char *id)
{
	struct store_options options = ctl_store_options(c);
	enum store_result r;

	if (!*c->settings->database)
		return EXIT_SUCCESS;
	c->store = store_open(&options);
	r = admin_audit_add(c->store, "key_rotated", arena_printf(c->arena, "%s %s", what, id));
	return r == STORE_OK ? EXIT_SUCCESS
			     : ctl_store_failed("the key has changed, but not the audit", r);
}

/* Those who verify our tokens may know no other than that of the current key. */
static enum key_algorithm usual_algorithm(const char *dir)
{
	struct keyring ring;
	char why[KEYRING_WHY_MAX];

	if (keyring_read(dir, &ring, why))
		for (size_t i = 0; i < ring.n; i++)
			if (ring.entries[i].state == KEY_CURRENT)
				return ring.entries[i].algorithm;
	return KEY_HS256;
}

int ctl_key_generate(struct ctl *c)
{
	const char *name = ctl_option(c, "algorithm"), *dir = ctl_option(c, "dir");
	enum key_algorithm algorithm = KEY_HS256;
	struct keyring_entry made;
	char why[KEYRING_WHY_MAX];

	if (name && !key_algorithm_parse(name, &algorithm))
		return ctl_usage("--algorithm is HS256, ES256 or RS256");
	if (c->n > 0 && (name || dir))
		return ctl_usage("a FILE holds a secret; keys of --algorithm are in key_dir");
	if (c->n > 0) /* before there is a configuration that could be read */
		return generate_secret(c->args[0]);
	if (!dir) {
		if (!ctl_open(c, SETTINGS_NEED_NOTHING))
			return EXIT_FAILURE;
		dir = c->settings->key_dir;
	}
	if (!*dir && name)
		return ctl_fail("%s", no_dir);
	if (!*dir)
		return generate_secret(NULL);
	if (!name)
		algorithm = usual_algorithm(dir);
	if (!keyring_generate(dir, algorithm, &made, why))
		return ctl_fail("%s", why);
	print_key(&made);
	return EXIT_SUCCESS;
}

int ctl_key_rotate(struct ctl *c)
{
	struct keyring_entry current;
	char why[KEYRING_WHY_MAX];
	const char *dir;

	if (!find_dir(c, &dir))
		return EXIT_FAILURE;
	if (!keyring_rotate(dir, verify_s(c), &current, why))
		return ctl_fail("%s", why);
	print_key(&current);
	return audit(c, "current", current.id);
}

int ctl_key_retire(struct ctl *c)
{
	char why[KEYRING_WHY_MAX];
	const char *dir;

	if (!find_dir(c, &dir))
		return EXIT_FAILURE;
	if (!keyring_retire(dir, c->args[0], why))
		return ctl_fail("%s", why);
	return audit(c, "removed", c->args[0]);
}

int ctl_key_list(struct ctl *c)
{
	struct keyring ring;
	char why[KEYRING_WHY_MAX];
	const char *dir;

	if (!find_dir(c, &dir))
		return EXIT_FAILURE;
	if (!keyring_read(dir, &ring, why))
		return ctl_fail("%s", why);
	printf("KID       ALGORITHM  STATE    SINCE                     VERIFIES UNTIL\n");
	for (size_t i = 0; i < ring.n; i++) {
		const struct keyring_entry *e = &ring.entries[i];
		int64_t until = e->state == KEY_RETIRED ? keyring_ends_at(e, verify_s(c)) : 0;

		printf("%-8s  %-9s  %-7s  %-24s  %s\n", e->id, key_algorithm_name(e->algorithm),
		       key_state_name(e->state), ctl_time(c, e->since * US_PER_SECOND),
		       ctl_time(c, until * US_PER_SECOND));
	}
	return EXIT_SUCCESS;
}
