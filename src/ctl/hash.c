#include "base/base.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/ctl.h"
#include "security/password.h"

enum {
	COST_FLOOR = 15, /* OWASP's least with r = 8 and p = 3 */
	TARGET_MS = 500, /* what people bear at a login; the server pays it, too */
	TOO_LONG_MS = 1000,
	RUNS = 3,
	MEMORY_SHARE = 4,     /* hashing may take one part in so many of the memory */
	CONCURRENCY_MAX = 64, /* of the setting */
};

struct measured {
	unsigned cost;
	int64_t ms;
};

static int64_t mebibytes(unsigned cost)
{
	return INT64_C(1) << (cost - 10); /* 128 * r * N bytes, r = 8 */
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The median of a few runs; -1 when there is no memory for it. */
static int64_t measure(unsigned cost)
{
	static const char password[] = "correct horse battery staple";
	char hash[PASSWORD_HASH_MAX];
	int64_t us[RUNS];

	for (size_t i = 0; i < RUNS; i++) {
		int64_t start = clock_monotonic_us();

		if (password_hash(cost, password, sizeof(password) - 1, hash) != PASSWORD_OK)
			return -1;
		us[i] = clock_monotonic_us() - start;
	}
	qsort(us, RUNS, sizeof(us[0]), by_size);
	return (us[RUNS / 2] + 500) / 1000;
}

/* From the floor on, each cost twice the one before, until one is clearly too slow or would not
 * leave the host its memory: a few seconds in all. */
static size_t measure_all(int64_t memory, struct measured *list)
{
	size_t n = 0;
	int64_t ms = 0;

	for (unsigned cost = COST_FLOOR; cost <= PASSWORD_COST_MAX && ms <= TOO_LONG_MS; cost++) {
		if (n && mebibytes(cost) > memory / MEMORY_SHARE)
			break;
		ms = measure(cost);
		if (ms < 0)
			break;
		list[n++] = (struct measured){ .cost = cost, .ms = ms };
		printf("%4u  %9ld  %6lld MiB  %7lld ms\n", cost, 1L << cost,
		       (long long)mebibytes(cost), (long long)ms);
		fflush(stdout);
	}
	return n;
}

/* As it could stand in the configuration. */
static void recommend(const struct measured *m, long processors, int64_t memory)
{
	int64_t half = processors > 1 ? processors / 2 : 1;
	int64_t fit = memory / MEMORY_SHARE / mebibytes(m->cost);
	int64_t k = half < fit ? half : fit;

	k = k < 1 ? 1 : k > CONCURRENCY_MAX ? CONCURRENCY_MAX : k;
	if (m->ms > TARGET_MS)
		printf("\n# A hash takes longer here than the %d ms that people should have to "
		       "wait, but a lower\n# cost would protect passwords too little (OWASP).\n",
		       TARGET_MS);
	else
		printf("\n# The highest cost at which a hash takes no more than %d ms%s.\n",
		       TARGET_MS,
		       m->cost == COST_FLOOR ? "; a lower one would\n# protect passwords too "
					       "little (OWASP)"
					     : "");
	printf("scrypt_cost = %u\n\n", m->cost);
	printf("# %s the %ld processor%s here, so that requests have the rest. Hashing takes at "
	       "most\n# %lld of %lld MiB of memory, and about %.1f people a second can log in.\n",
	       k < half         ? "What memory allows, of"
	       : processors > 1 ? "Half of"
				: "All of",
	       processors, processors == 1 ? "" : "s", (long long)(k * mebibytes(m->cost)),
	       (long long)memory, 1000.0 * (double)k / (double)(m->ms > 0 ? m->ms : 1));
	printf("scrypt_concurrency = %lld\n", (long long)k);
}

int ctl_hash_calibrate(struct ctl *c)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN), pages = sysconf(_SC_PHYS_PAGES);
	int64_t memory = (int64_t)pages * sysconf(_SC_PAGESIZE) / (1024 * 1024);
	struct measured list[PASSWORD_COST_MAX - COST_FLOOR + 1];
	size_t n, best = 0;

	(void)c;
	puts("cost          N      memory        time");
	n = measure_all(memory, list);
	if (n == 0)
		return ctl_fail("there is no memory for a hash of cost %d (%lld MiB)", COST_FLOOR,
				(long long)mebibytes(COST_FLOOR));
	for (size_t i = 1; i < n; i++) {
		if (list[i].ms <= TARGET_MS)
			best = i;
	}
	recommend(&list[best], processors > 0 ? processors : 1, memory);
	return EXIT_SUCCESS;
}
