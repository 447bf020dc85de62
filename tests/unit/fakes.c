#include "base/base.h"

#include "fakes.h"

#include "base/clock.h"
#include "base/random.h"

static int64_t now_us = FAKE_START_S * US_PER_SECOND;
static int64_t monotonic_us;
static uint64_t counter;

void fake_clock_set(int64_t us)
{
	now_us = us;
}

void fake_clock_advance(int64_t us)
{
	now_us += us;
	monotonic_us += us > 0 ? us : 0;
}

int64_t clock_now_us(void)
{
	return now_us;
}

int64_t clock_monotonic_us(void)
{
	monotonic_us += 1000;
	return monotonic_us;
}

/* Counts: every eight bytes are the next number, big-endian. */
void random_bytes(void *out, size_t len)
{
	uint8_t *p = out;

	for (size_t i = 0; i < len; i++) {
		if (i % 8 == 0)
			counter++;
		p[i] = (uint8_t)(counter >> (56 - 8 * (i % 8)));
	}
}

void give_up(const char *why)
{
	fprintf(stderr, "the test cannot go on: %s\n", why);
	abort();
}
