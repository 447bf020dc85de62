#include "base/base.h"

#include "server/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/log.h"

/* A number of microseconds or a process id; 0 for anything else. */
static int64_t number_of(const char *text)
{
	int64_t n;

	return text && decimal_parse(text, strlen(text), INT64_MAX, &n) ? n : 0;
}

/* A path, or after an @ a name that is in no file system. */
static bool address_of(const char *name, struct sockaddr_un *to, socklen_t *len)
{
	size_t n = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || n < 2 || n >= sizeof(to->sun_path))
		return false;
	*to = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(to->sun_path, name, n);
	if (name[0] == '@')
		to->sun_path[0] = '\0';
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	return true;
}

void notify_init(struct notify *n)
{
	const char *name = getenv("NOTIFY_SOCKET"), *pid = getenv("WATCHDOG_PID");

	*n = (struct notify){ 0 };
	if (name && !address_of(name, &n->to, &n->to_len))
		log_message(LOG_WARNING, "master", "NOTIFY_SOCKET is no address of a socket");
	if (!pid || number_of(pid) == getpid())
		n->beat_us = number_of(getenv("WATCHDOG_USEC")) / 2;
	/* they are meant for this process alone */
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
}

void notify_send(const struct notify *n, const char *fmt, ...)
{
	char text[NOTIFY_MAX];
	va_list ap;
	int fd;

	if (!n->to_len)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
		     (const struct sockaddr *)&n->to, n->to_len);
	(void)close(fd);
}

void notify_reloading(const struct notify *n)
{
	notify_send(n, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_monotonic_us());
}

void notify_beat(struct notify *n, int64_t now, bool well)
{
	if (!n->beat_us || now < n->next_beat_us)
		return;
	n->next_beat_us = now + n->beat_us;
	if (well)
		notify_send(n, "WATCHDOG=1");
}

int notify_listen(const char *path)
{
	struct sockaddr_un address;
	socklen_t len;
	mode_t mask;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), bound = -1;

	if (fd >= 0 && !address_of(path, &address, &len)) {
		errno = ENAMETOOLONG;
	} else if (fd >= 0) {
		(void)unlink(path); /* of a process of the same number, long ago */
		mask = umask(0177); /* nobody else may say that the successor is ready */
		bound = bind(fd, (const struct sockaddr *)&address, len);
		umask(mask);
	}
	if (bound == 0)
		return fd;
	log_message(LOG_ERROR, "master", "cannot listen on %s: %s", path, strerror(errno));
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

bool notify_hear(int fd, char out[NOTIFY_MAX])
{
	ssize_t n = recv(fd, out, NOTIFY_MAX - 1, MSG_DONTWAIT);

	out[n > 0 ? n : 0] = '\0';
	return n > 0;
}

bool notify_says(const char *message, const char *line)
{
	size_t len = strlen(line);

	for (const char *p = message; *p; p += strspn(p, "\n")) {
		size_t n = strcspn(p, "\n");

		if (n == len && memcmp(p, line, n) == 0)
			return true;
		p += n;
	}
	return false;
}
