/* The arena of the harnesses: an allocation of its own for each piece, of exactly its size, so that
 * the address sanitizer sees what the blocks of the real one hide: a step over the end of a piece,
 * and its use after the reset. */
#include "base/base.h"

#include "base/arena.h"

#include <stdarg.h>

#include "base/secret.h"
#include "fuzz.h"

struct piece {
	struct piece *next;
	void *bytes;
};

struct deferred {
	struct deferred *next;
	void (*fn)(void *);
	void *object;
	size_t wipe; /* bytes at `object`, in place of a function */
};

struct arena {
	struct piece *pieces;
	struct deferred *deferred;
	size_t held, ceiling;
};

static void *zeroed(size_t size)
{
	void *p = calloc(1, size);

	CHECK(p);
	return p;
}

struct arena *arena_new(size_t ceiling)
{
	struct arena *a = zeroed(sizeof(*a));

	a->ceiling = ceiling;
	return a;
}

void arena_reset(struct arena *a)
{
	for (struct deferred *d = a->deferred, *next; d; d = next) {
		next = d->next;
		if (d->fn)
			d->fn(d->object);
		else
			secret_wipe(d->object, d->wipe);
		free(d);
	}
	for (struct piece *p = a->pieces, *next; p; p = next) {
		next = p->next;
		free(p->bytes);
		free(p);
	}
	*a = (struct arena){ .ceiling = a->ceiling };
}

void arena_free(struct arena *a)
{
	if (a)
		arena_reset(a);
	free(a);
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct piece *p = zeroed(sizeof(*p));

	CHECK(size <= a->ceiling - a->held);
	a->held += size;
	p->bytes = zeroed(size);
	p->next = a->pieces;
	a->pieces = p;
	return p->bytes;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	size_t product;

	CHECK(!__builtin_mul_overflow(n, size, &product));
	return arena_alloc(a, product);
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *copy = arena_alloc(a, len + 1);

	if (len)
		memcpy(copy, s, len);
	return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	char *text, *copy;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	CHECK(len >= 0);
	copy = arena_strndup(a, text, (size_t)len);
	free(text);
	return copy;
}

static struct deferred *defer(struct arena *a, void *object)
{
	struct deferred *d = zeroed(sizeof(*d));

	d->next = a->deferred;
	d->object = object;
	a->deferred = d;
	return d;
}

void arena_defer(struct arena *a, void (*fn)(void *), void *object)
{
	defer(a, object)->fn = fn;
}

void arena_wipe_later(struct arena *a, void *p, size_t len)
{
	defer(a, p)->wipe = len;
}
