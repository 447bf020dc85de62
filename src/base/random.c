#include "base/base.h"

#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

#include "base/log.h"

void random_bytes(void *out, size_t len)
{
	unsigned char *p = out;

	while (len) {
		ssize_t got = getrandom(p, len, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			fatal("the kernel gives no random bytes: errno %d", errno);
		p += got;
		len -= (size_t)got;
	}
}
