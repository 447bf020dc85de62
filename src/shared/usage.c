#include "base/base.h"

#include "shared/usage.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/codec.h"

enum { TEXT_MAX = 4096, KIB = 1024 };

/* The number of a line such as "Pss:                 166 kB". */
static int64_t kib_of(const char *text, const char *name)
{
	const char *p = strstr(text, name);
	int64_t n = 0;

	if (!p)
		return 0;
	p += strlen(name);
	p += strspn(p, " ");
	return decimal_parse(p, strspn(p, "0123456789"), INT64_MAX / KIB, &n) ? n * KIB : 0;
}

void usage_memory(int64_t *resident, int64_t *proportional)
{
	int fd = open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
	char text[TEXT_MAX + 1];
	ssize_t n = fd >= 0 ? read(fd, text, TEXT_MAX) : 0;

	if (fd >= 0)
		(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	*resident = kib_of(text, "\nRss:");
	*proportional = kib_of(text, "\nPss:");
}
