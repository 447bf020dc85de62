#include "base/base.h"

#include "base/arena.h"

#include <stdarg.h>
#include <stdalign.h>

#include "base/log.h"
#include "base/secret.h"

enum { FIRST_BLOCK = 64 * 1024 };

struct block {
	struct block *next;
	size_t size; /* bytes in data */
	size_t used;
	alignas(max_align_t) unsigned char data[];
};

struct deferred {
	struct deferred *next;
	void (*fn)(void *);
	void *object;
};

struct arena {
	struct block *blocks; /* newest first; the last one is the first block, which is kept */
	struct deferred *deferred;
	size_t held; /* bytes in all blocks */
	size_t ceiling;
};

static struct block *block_new(size_t size)
{
	struct block *b = malloc(sizeof(*b) + size);

	if (!b)
		fatal("out of memory");
	b->next = NULL;
	b->size = size;
	b->used = 0;
	return b;
}

struct arena *arena_new(size_t ceiling)
{
	struct arena *a = calloc(1, sizeof(*a));

	if (!a)
		fatal("out of memory");
	a->held = ceiling < FIRST_BLOCK ? ceiling : FIRST_BLOCK;
	a->blocks = block_new(a->held);
	a->ceiling = ceiling;
	return a;
}

void arena_reset(struct arena *a)
{
	struct deferred *d = a->deferred;

	a->deferred = NULL;
	for (; d; d = d->next)
		d->fn(d->object);
	while (a->blocks->next) {
		struct block *b = a->blocks;

		a->blocks = b->next;
		free(b);
	}
	a->blocks->used = 0;
	a->held = a->blocks->size;
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	arena_reset(a);
	free(a->blocks);
	free(a);
}

void *arena_alloc(struct arena *a, size_t size)
{
	const size_t align = alignof(max_align_t);
	struct block *b = a->blocks;
	void *p;

	if (size > a->ceiling)
		fatal("a request needs more memory than its ceiling of %zu bytes", a->ceiling);
	size = (size + align - 1) / align * align;
	if (size > b->size - b->used) {
		size_t grow = size > FIRST_BLOCK ? size : FIRST_BLOCK;

		if (grow > a->ceiling - a->held)
			fatal("a request needs more memory than its ceiling of %zu bytes",
			      a->ceiling);
		b = block_new(grow);
		b->next = a->blocks;
		a->blocks = b;
		a->held += grow;
	}
	p = b->data + b->used;
	b->used += size;
	return memset(p, 0, size);
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
	if (size && n > SIZE_MAX / 2 / size)
		fatal("an array of %zu elements is too large", n);
	return arena_alloc(a, n * size);
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
	char *copy = arena_array(a, len + 1, 1);

	if (len)
		memcpy(copy, s, len);
	return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	char *text;
	int len;

	va_start(ap, fmt);
	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (len < 0)
		fatal("a format string is not valid: %s", fmt);
	text = arena_array(a, (size_t)len + 1, 1);
	(void)vsnprintf(text, (size_t)len + 1, fmt, again);
	va_end(again);
	return text;
}

void arena_defer(struct arena *a, void (*fn)(void *), void *object)
{
	struct deferred *d = arena_alloc(a, sizeof(*d));

	d->next = a->deferred;
	d->fn = fn;
	d->object = object;
	a->deferred = d;
}

struct span {
	void *p;
	size_t len;
};

static void wipe_span(void *object)
{
	struct span *s = object;

	secret_wipe(s->p, s->len);
}

void arena_wipe_later(struct arena *a, void *p, size_t len)
{
	struct span *s = arena_alloc(a, sizeof(*s));

	s->p = p;
	s->len = len;
	arena_defer(a, wipe_span, s);
}
