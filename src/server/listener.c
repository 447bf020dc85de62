#include "base/base.h"

#include "server/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

enum { BACKLOG = 1024 }; /* a full backlog of a unix socket is an instant 502 */

static bool complain(const char *what, const char *address)
{
	log_message(LOG_ERROR, "listen", "%s %s: %s", what, address, strerror(errno));
	return false;
}

static bool take_lock(struct listener *l)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char name[sizeof(((struct sockaddr_un *)0)->sun_path) + sizeof(".lock")];

	(void)snprintf(name, sizeof(name), "%s.lock", l->path);
	l->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (l->lock_fd < 0)
		return complain("cannot open", name);
	if (fcntl(l->lock_fd, F_OFD_SETLK, &lock) == 0)
		return true;
	if (errno != EAGAIN && errno != EACCES)
		return complain("cannot lock", name);
	log_message(LOG_ERROR, "listen", "another taskcell serves %s", l->path);
	return false;
}

/* Only ever removes a socket. */
static bool remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT || complain("cannot look at", path);
	if (!S_ISSOCK(st.st_mode)) {
		log_message(LOG_ERROR, "listen", "%s exists and is not a socket", path);
		return false;
	}
	return unlink(path) == 0 || complain("cannot remove", path);
}

static bool give_to_group(const char *path, const char *group)
{
	struct group *g;

	if (!*group)
		return true;
	errno = 0;
	g = getgrnam(group);
	if (!g) {
		log_message(LOG_ERROR, "listen", "listen_group: there is no group %s", group);
		return false;
	}
	return chown(path, (uid_t)-1, g->gr_gid) == 0 || complain("cannot set the group of", path);
}

static bool open_unix(struct listener *l, const char *path, const char *group)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	mode_t mask;
	int bound;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return complain("cannot bind", path);
	}
	memcpy(address.sun_path, path, strlen(path));
	(void)snprintf(l->path, sizeof(l->path), "%s", path);
	if (!take_lock(l) || !remove_stale(path))
		return false;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return complain("cannot make a socket for", path);
	mask = umask(0117); /* from the first moment 0660 */
	bound = bind(l->fd, (const struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (bound != 0)
		return complain("cannot bind", path);
	return give_to_group(path, group);
}

/* The configuration has made sure of the form and that it is on the loopback. */
static bool open_tcp(struct listener *l, const char *address)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
				  .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE };
	struct addrinfo *found;
	const char *colon = strrchr(address, ':');
	char host[64];
	int one = 1, bound;

	if (!colon || (size_t)(colon - address) >= sizeof(host)) {
		errno = EINVAL;
		return complain("cannot read", address);
	}
	(void)snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
	if (host[0] == '[') { /* [::1] */
		memmove(host, host + 1, strlen(host));
		host[strcspn(host, "]")] = '\0';
	}
	if (getaddrinfo(host, colon + 1, &hints, &found) != 0) {
		errno = EINVAL;
		return complain("cannot read", address);
	}
	l->fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bound = l->fd < 0 ? -1 : setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bound == 0)
		bound = bind(l->fd, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	return bound == 0 || complain("cannot bind", address);
}

bool listener_open(struct listener *l, const char *address, const char *group)
{
	*l = (struct listener){ .fd = -1, .lock_fd = -1 };
	if ((address[0] == '/' ? open_unix(l, address, group) : open_tcp(l, address)) &&
	    (listen(l->fd, BACKLOG) == 0 || complain("cannot listen on", address)))
		return true;
	listener_close(l);
	return false;
}

/* --- sockets that were given ----------------------------------------------------------------- */

static bool refuse_given(const char *name, const char *why)
{
	log_message(LOG_ERROR, "listen", "the socket %s that was given %s", name, why);
	return false;
}

/* Whoever reaches the socket says who a client is: that is for the web server of this host. */
static bool is_local(int fd)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)&address;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&address;

	if (getsockname(fd, (struct sockaddr *)&address, &len) != 0)
		return false;
	return address.ss_family == AF_UNIX ||
	       (address.ss_family == AF_INET &&
		ntohl(in4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET) ||
	       (address.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr));
}

static bool take_one(struct listener *l, int fd, const char *name)
{
	int listening = 0, type = 0, flags = fcntl(fd, F_GETFL);
	socklen_t len = sizeof(listening);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) != 0 || !listening ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_STREAM)
		return refuse_given(name, "is no listening stream socket");
	if (!is_local(fd))
		return refuse_given(name, "is neither a unix socket nor on the loopback");
	if (l->fd >= 0)
		return refuse_given(name, "is there twice");
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
	    fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return refuse_given(name, strerror(errno));
	l->fd = fd;
	return true;
}

static bool take_named(struct listener *l, const char *const *names, size_t n, int fd,
		       const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(name, names[i]) == 0)
			return take_one(&l[i], fd, name);
	}
	return refuse_given(*name ? name : "without a name",
			    "has to have the name (FileDescriptorName) of a pool: api, auth");
}

/* The number of names, which colons separate, or -1. */
static int take_all(struct listener *l, const char *const *names, size_t n, const char *given)
{
	char *copy = strdup(given), *rest = copy, *name;
	int taken = 0;

	if (!copy)
		fatal("out of memory");
	while (taken >= 0 && (name = strsep(&rest, ":")))
		taken = take_named(l, names, n, FIRST_GIVEN + taken, name) ? taken + 1 : -1;
	free(copy);
	return taken;
}

int listener_take_given(struct listener *l, const char *const *names, size_t n)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS"),
		   *given = getenv("LISTEN_FDNAMES");
	char ours[24], as_many[24];
	int taken = 0;

	(void)snprintf(ours, sizeof(ours), "%ld", (long)getpid());
	if (pid && count && strcmp(pid, ours) == 0 && strcmp(count, "0") != 0) {
		taken = take_all(l, names, n, given ? given : "");
		(void)snprintf(as_many, sizeof(as_many), "%d", taken);
		if (taken >= 0 && strcmp(count, as_many) != 0)
			taken = refuse_given(given, "is not all that there are") ? 0 : -1;
	}
	/* they are meant for this process alone */
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	return taken;
}

/* --- the end --------------------------------------------------------------------------------- */

void listener_hide(struct listener *l)
{
	if (l->fd >= 0 && *l->path)
		(void)unlink(l->path);
	l->path[0] = '\0';
}

void listener_close(struct listener *l)
{
	listener_hide(l);
	if (l->fd >= 0)
		(void)close(l->fd);
	if (l->lock_fd >= 0)
		(void)close(l->lock_fd);
	*l = (struct listener){ .fd = -1, .lock_fd = -1 };
}
