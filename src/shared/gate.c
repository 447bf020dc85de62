#include "base/base.h"

#include "shared/gate.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum { RETRY_US = 10 * 1000 };

bool gate_open(struct gate *gate, const char *path, int slots)
{
	gate->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	gate->slots = slots;
	gate->held = -1;
	return gate->fd >= 0;
}

void gate_close(struct gate *gate)
{
	if (gate->fd >= 0)
		(void)close(gate->fd);
	gate->fd = -1;
	gate->held = -1;
}

static bool lock_byte(const struct gate *gate, int i, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = i, .l_len = 1 };

	return fcntl(gate->fd, F_OFD_SETLK, &lock) == 0;
}

/* Processes begin at different bytes, so that they seldom ask for the same one. False with errno
 * set when none was free. */
static bool try_all(struct gate *gate)
{
	int first = (int)(getpid() % gate->slots);

	for (int i = 0; i < gate->slots; i++) {
		int at = (first + i) % gate->slots;

		if (lock_byte(gate, at, F_WRLCK)) {
			gate->held = at;
			return true;
		}
		if (errno != EAGAIN && errno != EACCES && errno != EINTR)
			return false;
	}
	errno = EAGAIN;
	return false;
}

bool gate_enter(struct gate *gate, int wait_ms)
{
	int64_t deadline = clock_monotonic_us() + (int64_t)wait_ms * 1000;

	for (;;) {
		struct timespec pause = { 0 };
		int64_t left;

		if (try_all(gate))
			return true;
		if (errno != EAGAIN) {
			log_message(LOG_ERROR, "gate", "locking fails: %s", strerror(errno));
			return false;
		}
		left = deadline - clock_monotonic_us();
		if (left <= 0)
			return false;
		pause.tv_nsec = (left < RETRY_US ? left : RETRY_US) * 1000;
		(void)nanosleep(&pause, NULL); /* a signal only makes the next try earlier */
	}
}

void gate_leave(struct gate *gate)
{
	if (gate->held >= 0 && !lock_byte(gate, gate->held, F_UNLCK))
		log_message(LOG_ERROR, "gate", "unlocking fails: %s", strerror(errno));
	gate->held = -1;
}
