#include "base/base.h"

#include "base/buf.h"

#include <stdarg.h>

#include "base/log.h"

enum { FIRST_CAP = 4096 };

void buf_init(struct buf *b, size_t max)
{
	*b = (struct buf){ .max = max };
}

void buf_free(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ .max = b->max };
}

void buf_reset(struct buf *b, size_t keep)
{
	if (b->cap > keep)
		buf_free(b);
	b->len = 0;
	b->overflow = false;
}

char *buf_reserve(struct buf *b, size_t len)
{
	if (len > b->max - b->len) {
		b->overflow = true;
		return NULL;
	}
	if (len > b->cap - b->len) {
		size_t cap = b->cap ? b->cap : b->max < FIRST_CAP ? b->max : FIRST_CAP;
		char *data;

		while (len > cap - b->len)
			cap = cap > b->max / 2 ? b->max : cap * 2;
		/* one more for the end that vsnprintf writes */
		data = realloc(b->data, cap + 1);
		if (!data)
			fatal("out of memory");
		b->data = data;
		b->cap = cap;
	}
	return b->data + b->len;
}

void buf_commit(struct buf *b, size_t len)
{
	b->len += len;
}

void buf_append(struct buf *b, const void *bytes, size_t len)
{
	char *room;

	if (!len)
		return;
	room = buf_reserve(b, len);
	if (!room)
		return;
	memcpy(room, bytes, len);
	b->len += len;
}

void buf_putc(struct buf *b, char c)
{
	buf_append(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	char small[256], *room;
	va_list ap, again;
	int len;

	va_start(ap, fmt);
	va_copy(again, ap);
	len = vsnprintf(small, sizeof(small), fmt, ap);
	va_end(ap);
	if (len < 0) {
		b->overflow = true;
	} else if ((size_t)len < sizeof(small)) {
		buf_append(b, small, (size_t)len);
	} else {
		room = buf_reserve(b, (size_t)len);
		if (room) {
			(void)vsnprintf(room, (size_t)len + 1, fmt, again);
			b->len += (size_t)len;
		}
	}
	va_end(again);
}
