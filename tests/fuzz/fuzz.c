#include "base/base.h"

#include "fuzz.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

void fuzz_failed(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
	abort();
}

/* The real one ends the process without a trace that the fuzzer could keep. */
void fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	abort();
}

/* The same input always does the same. */
void random_bytes(void *out, size_t len)
{
	memset(out, 0x5a, len);
}

int64_t clock_now_us(void)
{
	return INT64_C(1800000000) * US_PER_SECOND;
}

int64_t clock_monotonic_us(void)
{
	return 0;
}

/* Records go nowhere. */
void log_begin(struct log_line *l, enum log_level level, const char *event)
{
	(void)l;
	(void)level;
	(void)event;
}

void log_str(struct log_line *l, const char *key, const char *value)
{
	(void)l;
	(void)key;
	(void)value;
}

void log_int(struct log_line *l, const char *key, int64_t value)
{
	(void)l;
	(void)key;
	(void)value;
}

void log_end(struct log_line *l)
{
	(void)l;
}

char *fuzz_copy(struct arena *a, const void *bytes, size_t len)
{
	char *copy = arena_alloc(a, len);

	if (len)
		memcpy(copy, bytes, len);
	return copy;
}

int32_t fuzz_scalar(const char **p, const char *end)
{
	static const int32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)*p;
	size_t left = (size_t)(end - *p), len;
	int32_t c;

	if (!left)
		return -1;
	len = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (!len || len > left || s[0] > 0xf7)
		return -1;
	c = len == 1 ? s[0] : s[0] & (0x7f >> len);
	for (size_t i = 1; i < len; i++) {
		if (s[i] >> 6 != 2)
			return -1;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return -1;
	*p += len;
	return c;
}

bool fuzz_utf8(const char *s, size_t len, size_t *points)
{
	const char *p = s;
	size_t n;

	for (n = 0; p < s + len; n++)
		if (fuzz_scalar(&p, s + len) < 0)
			return false;
	if (points)
		*points = n;
	return true;
}
