/* What the harnesses share. A harness reads one input, holds what it gets against a second, plain
 * opinion, and aborts where the two differ; the sanitizers see the rest. */
#ifndef TASKCELL_FUZZ_H
#define TASKCELL_FUZZ_H

#include "base/arena.h"

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fuzz_failed(__FILE__, __LINE__, #condition);                               \
	} while (0)

void fuzz_failed(const char *file, int line, const char *condition) NO_RETURN;

/* A copy of exactly `len` bytes, so that a read behind them is seen. */
char *fuzz_copy(struct arena *, const void *bytes, size_t len);

/* The next code point of `*p`, -1 when there is no valid one before `end` (RFC 3629). */
int32_t fuzz_scalar(const char **p, const char *end);
/* False when the bytes are no UTF-8; `points`, unless NULL, is the number of code points. */
bool fuzz_utf8(const char *s, size_t len, size_t *points) MUST_CHECK;

/* The harness. Always 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
