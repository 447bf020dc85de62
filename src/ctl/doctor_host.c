#include "base/base.h"

#include "ctl/doctor.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <netdb.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "http/request.h"
#include "security/password.h"

enum {
	SLOW_MS = 1000, /* people wait, and logins pile up */
	FAST_MS = 50,   /* who has stolen the hashes guesses fast, too */
	MEASURED_COST = 13,
	MEMORY_SHARE = 4, /* hashing may take one part in so many of the memory */
};

/* --- files ----------------------------------------------------------------------------------- */

static const char *name_of(uid_t uid)
{
	const struct passwd *user = getpwuid(uid);

	return user ? user->pw_name : "a user without a name";
}

enum verdict check_user(struct doctor *d)
{
	const char *server = d->settings && d->settings->user[0] ? d->settings->user : NULL;
	const char *me = name_of(geteuid());

	if (geteuid() == 0 || (server && strcmp(me, server) != 0))
		return doctor_say(d, DOCTOR_WARNING,
				  "%s may do what the server may not, or not what it may; as the "
				  "server's user: runuser -u %s -- taskcellctl doctor",
				  me, server ? server : "taskcell");
	return doctor_say(d, DOCTOR_OK, "%s, which has to be the server's user", me);
}

enum verdict check_run_dir(struct doctor *d)
{
	const char *dir = d->settings ? d->settings->run_dir : "";
	struct stat st;

	if (!d->settings)
		return doctor_say(d, DOCTOR_SKIPPED, "mend the configuration first");
	if (stat(dir, &st) != 0)
		return doctor_say(d, DOCTOR_WRONG,
				  "%s: %s: make it, the server's own (install -d -o taskcell %s)",
				  dir, strerror(errno), dir);
	if (!S_ISDIR(st.st_mode))
		return doctor_say(d, DOCTOR_WRONG, "%s is no folder", dir);
	if (access(dir, W_OK | X_OK) != 0)
		return doctor_say(
			d, DOCTOR_WRONG,
			"%s belongs to %s and cannot be written: chown it to the server's "
			"user",
			dir, name_of(st.st_uid));
	if (st.st_mode & S_IWOTH)
		return doctor_say(
			d, DOCTOR_WRONG,
			"everybody may write into %s (mode %04o) and take the place of the "
			"sockets: chmod 755 %s",
			dir, (unsigned)(st.st_mode & 07777), dir);
	return doctor_say(d, DOCTOR_OK, "%s can be written", dir);
}

enum verdict check_spool_dir(struct doctor *d)
{
	const char *dir = d->settings ? d->settings->spool_dir : "";
	struct statvfs fs;
	uint64_t mib;

	if (!d->settings)
		return doctor_say(d, DOCTOR_SKIPPED, "mend the configuration first");
	if (access(dir, W_OK | X_OK) != 0 || statvfs(dir, &fs) != 0)
		return doctor_say(d, DOCTOR_WRONG,
				  "%s: %s: the server makes files there, so chown it to the "
				  "server's user, or set spool_dir to another folder",
				  dir, strerror(errno));
	mib = (uint64_t)fs.f_bavail * fs.f_frsize / (1024 * 1024);
	if (mib < REQUEST_IMPORT_MAX / (1024 * 1024))
		return doctor_say(d, DOCTOR_WARNING,
				  "%s has %llu MiB left, and an import may need %d: make room, or "
				  "set spool_dir to another folder",
				  dir, (unsigned long long)mib, REQUEST_IMPORT_MAX / (1024 * 1024));
	return doctor_say(d, DOCTOR_OK, "%s can be written; %llu MiB are free", dir,
			  (unsigned long long)mib);
}

enum verdict check_log_file(struct doctor *d)
{
	const char *path = d->settings ? d->settings->log_file : "";
	const char *what = path;
	struct stat st;

	if (!d->settings)
		return doctor_say(d, DOCTOR_SKIPPED, "mend the configuration first");
	if (!*path)
		return doctor_say(d, DOCTOR_OK, "none: the log goes to standard error");
	if (stat(path, &st) != 0)
		what = dirname(arena_strndup(d->arena, path, strlen(path)));
	else if (st.st_mode & S_IRWXO)
		return doctor_say(d, DOCTOR_WARNING,
				  "%s has mode %04o, and it has people's addresses in it: chmod o= "
				  "%s",
				  path, (unsigned)(st.st_mode & 07777), path);
	if (access(what, W_OK) != 0)
		return doctor_say(d, DOCTOR_WRONG, "%s: %s: make it the server's user's", what,
				  strerror(errno));
	return doctor_say(d, DOCTOR_OK, "%s can be written", path);
}

/* --- hashing --------------------------------------------------------------------------------- */

/* The time doubles with each step of the cost, so a high one need not be waited for. It is that of
 * the processor, so that a busy host does not look like a slow one. -1: there is no memory. */
static int64_t hash_ms(unsigned cost)
{
	static const char password[] = "correct horse battery staple";
	unsigned measured = cost < MEASURED_COST ? cost : MEASURED_COST;
	char hash[PASSWORD_HASH_MAX];
	clock_t start = clock();

	if (password_hash(measured, password, sizeof(password) - 1, hash) != PASSWORD_OK)
		return -1;
	return (int64_t)(clock() - start) * 1000 / CLOCKS_PER_SEC *
	       (INT64_C(1) << (cost - measured));
}

enum verdict check_scrypt(struct doctor *d)
{
	static const char mend[] = "taskcellctl hash calibrate recommends a cost";
	unsigned cost;
	int64_t ms;

	if (!d->settings)
		return doctor_say(d, DOCTOR_SKIPPED, "mend the configuration first");
	cost = (unsigned)d->settings->scrypt_cost;
	ms = hash_ms(cost);
	if (ms < 0)
		return doctor_say(d, DOCTOR_WRONG, "no memory for a hash of scrypt_cost %u: %s",
				  cost, mend);
	if (ms > SLOW_MS)
		return doctor_say(d, DOCTOR_WARNING,
				  "scrypt_cost = %u takes about %lld ms here, and people wait: %s",
				  cost, (long long)ms, mend);
	if (ms < FAST_MS)
		return doctor_say(
			d, DOCTOR_WARNING,
			"scrypt_cost = %u takes about %lld ms here, which is little for a "
			"thief of the hashes: %s",
			cost, (long long)ms, mend);
	return doctor_say(d, DOCTOR_OK, "scrypt_cost = %u takes about %lld ms here", cost,
			  (long long)ms);
}

enum verdict check_memory(struct doctor *d)
{
	int64_t have = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE) / (1024 * 1024);
	int64_t need;

	if (!d->settings)
		return doctor_say(d, DOCTOR_SKIPPED, "mend the configuration first");
	need = d->settings->scrypt_concurrency << (d->settings->scrypt_cost - 10);
	if (need > have / MEMORY_SHARE)
		return doctor_say(d, DOCTOR_WARNING,
				  "hashing may take %lld of %lld MiB: lower scrypt_concurrency or "
				  "scrypt_cost",
				  (long long)need, (long long)have);
	return doctor_say(d, DOCTOR_OK, "hashing takes %lld of %lld MiB at most", (long long)need,
			  (long long)have);
}

/* --- sockets --------------------------------------------------------------------------------- */

/* Bounded; a connection to an own socket, or on the loopback, is made or refused at once. */
static bool connect_to(int family, const struct sockaddr *address, socklen_t len)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval limit = { .tv_sec = 2 };
	/* EAGAIN: its queue is full, so somebody is there. */
	bool there = fd >= 0 &&
		     setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0 &&
		     (connect(fd, address, len) == 0 || errno == EAGAIN);
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return there;
}

static bool unix_answers(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return connect_to(AF_UNIX, (const struct sockaddr *)&address, sizeof(address));
}

/* address:port */
static bool tcp_answers(const char *text)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV };
	const char *colon = strrchr(text, ':');
	struct addrinfo *found;
	char host[64];
	bool there;

	(void)snprintf(host, sizeof(host), "%.*s", (int)(colon ? colon - text : 0), text);
	if (host[0] == '[') {
		memmove(host, host + 1, strlen(host));
		host[strcspn(host, "]")] = '\0';
	}
	if (!colon || getaddrinfo(host, colon + 1, &hints, &found) != 0) {
		errno = EINVAL;
		return false;
	}
	there = connect_to(found->ai_family, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return there;
}

/* The second is "" without a second pool. */
static void sockets_of(const struct settings *s, const char *list[2])
{
	list[0] = s->listen;
	list[1] = s->auth_workers > 0 ? s->listen_auth : "";
}

enum verdict check_socket(struct doctor *d)
{
	const char *list[2];

	if (!d->settings)
		return doctor_say(d, DOCTOR_SKIPPED, "mend the configuration first");
	sockets_of(d->settings, list);
	for (size_t i = 0; i < 2 && *list[i]; i++) {
		if (list[i][0] == '/' ? unix_answers(list[i]) : tcp_answers(list[i]))
			continue;
		if (errno == ENOENT && d->answers)
			return doctor_say(
				d, DOCTOR_OK,
				"there is no %s, and yet the site answers: the web server "
				"starts taskcell by itself",
				list[i]);
		return doctor_say(d, DOCTOR_WRONG,
				  "nobody answers on %s (%s): start taskcell (systemctl start "
				  "taskcell) and look at its log, or set listen and listen_auth as "
				  "it has them",
				  list[i], strerror(errno));
	}
	return doctor_say(d, DOCTOR_OK, "taskcell answers on %s%s%s", list[0],
			  *list[1] ? " and " : "", list[1]);
}

/* Whether the group may pass the folder of a socket; its own mode lets it connect. */
static bool may_pass(struct doctor *d, const char *path, gid_t group)
{
	struct stat st;

	return stat(dirname(arena_strndup(d->arena, path, strlen(path))), &st) == 0 &&
	       (st.st_mode & S_IXOTH || (st.st_gid == group && st.st_mode & S_IXGRP));
}

static enum verdict judge_socket(struct doctor *d, const char *path)
{
	const char *name = d->settings->listen_group;
	const struct group *group = *name ? getgrnam(name) : NULL;
	struct stat st;

	if (stat(path, &st) != 0)
		return doctor_say(d, DOCTOR_SKIPPED, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return doctor_say(d, DOCTOR_WRONG, "%s is no socket: remove it", path);
	if (st.st_mode & S_IRWXO)
		return doctor_say(d, DOCTOR_WRONG,
				  "everybody may connect to %s (mode %04o) and claim any address: "
				  "chmod 660 %s",
				  path, (unsigned)(st.st_mode & 07777), path);
	if (!(st.st_mode & S_IWGRP))
		return doctor_say(d, DOCTOR_WRONG,
				  "the web server cannot connect to %s (mode %04o): chmod 660 %s",
				  path, (unsigned)(st.st_mode & 07777), path);
	if (*name && !group)
		return doctor_say(d, DOCTOR_WRONG, "listen_group: there is no group %s", name);
	if (group && st.st_gid != group->gr_gid)
		return doctor_say(d, DOCTOR_WRONG,
				  "%s is not of the group %s (listen_group): restart taskcell",
				  path, name);
	if (group && !may_pass(d, path, group->gr_gid))
		return doctor_say(d, DOCTOR_WRONG,
				  "the group %s cannot enter the folder of %s: chmod 755 that "
				  "folder",
				  name, path);
	return DOCTOR_OK;
}

enum verdict check_socket_mode(struct doctor *d)
{
	const char *list[2];

	if (!d->settings)
		return doctor_say(d, DOCTOR_SKIPPED, "mend the configuration first");
	sockets_of(d->settings, list);
	for (size_t i = 0; i < 2; i++) {
		enum verdict verdict = list[i][0] == '/' ? judge_socket(d, list[i]) : DOCTOR_OK;

		if (verdict != DOCTOR_OK)
			return verdict;
	}
	if (list[0][0] != '/')
		return doctor_say(d, DOCTOR_OK,
				  "a port of the loopback: every user of this host may "
				  "connect");
	return doctor_say(d, DOCTOR_OK, "closed to others than the server's user and the group");
}
