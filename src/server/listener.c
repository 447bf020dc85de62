#include "base/base.h"

#include "server/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
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
