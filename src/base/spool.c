#include "base/base.h"

#include "base/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Not O_TMPFILE, which not every file system has. */
int spool_open(const char *dir)
{
	char path[4096];
	int len = snprintf(path, sizeof(path), "%s/spool.XXXXXX", dir), fd;

	if (len < 0 || (size_t)len >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		(void)unlink(path);
	return fd;
}

bool spool_write(int fd, const void *bytes, size_t len)
{
	const char *p = bytes;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}
