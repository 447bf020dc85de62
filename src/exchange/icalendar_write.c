#include "base/base.h"

#include "exchange/exchange_private.h"

#include "base/codec.h"

enum { LINE_MAX_OCTETS = 75 };

/* A content line that is folded before its 76th octet. */
struct folded {
	struct buf *out;
	size_t used;
};

/* Appends what must not be cut. */
static void put(struct folded *f, const char *bytes, size_t len)
{
	if (len > LINE_MAX_OCTETS - f->used) {
		buf_append(f->out, "\r\n ", 3);
		f->used = 1;
	}
	buf_append(f->out, bytes, len);
	f->used += len;
}

static void put_plain(struct folded *f, const char *s)
{
	for (; *s; s++)
		put(f, s, 1);
}

static size_t utf8_length(char lead)
{
	unsigned char c = (unsigned char)lead;

	return c < 0xc0 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* Valid UTF-8 as TEXT (RFC 5545, 3.3.11), which holds no control character but the tab. */
static void put_text(struct folded *f, const char *s)
{
	for (size_t len; *s; s += len) {
		unsigned char c = (unsigned char)*s;

		len = utf8_length(*s);
		if (c == '\n' || c == '\r') {
			put(f, "\\n", 2);
			if (c == '\r' && s[1] == '\n')
				len = 2;
		} else if (c == ',' || c == ';' || c == '\\') {
			char escaped[2] = { '\\', *s };

			put(f, escaped, 2);
		} else if ((c < ' ' && c != '\t') || c == 0x7f) {
			put(f, "\xef\xbf\xbd", 3);
		} else {
			put(f, s, len);
		}
	}
}

static void put_end(struct folded *f)
{
	buf_append(f->out, "\r\n", 2);
	f->used = 0;
}

static void put_property(struct buf *out, const char *name, const char *text)
{
	struct folded f = { .out = out };

	put_plain(&f, name);
	put(&f, ":", 1);
	put_text(&f, text);
	put_end(&f);
}

/* `exact`: how we had it, when that says more than the value. */
static void put_moment(struct buf *out, const char *name, int64_t us, const char *exact)
{
	struct folded f = { .out = out };
	char text[RFC3339_LEN + 1];

	put_plain(&f, name);
	if (exact) {
		put_plain(&f, ";" ICAL_EXACT "=\"");
		put_plain(&f, exact);
		put_plain(&f, "\"");
	}
	put(&f, ":", 1);
	rfc3339_format(us, text);
	for (const char *p = text; *p != '.'; p++)
		if (*p != '-' && *p != ':')
			put(&f, p, 1);
	put(&f, "Z", 1);
	put_end(&f);
}

/* With the milliseconds that the other formats have. */
static void put_time(struct buf *out, const char *name, int64_t us)
{
	char text[RFC3339_LEN + 1];

	rfc3339_format(us, text);
	put_moment(out, name, us, strstr(text, ".000Z") ? NULL : text);
}

static void put_due(struct buf *out, const struct due *due)
{
	const char *d = due->text;

	if (!strchr(d, ':'))
		buf_printf(out, "DUE;VALUE=DATE:%.4s%.2s%.2s\r\n", d, d + 5, d + 8);
	else
		put_moment(out, "DUE", due->at, d);
}

static void put_tags(struct buf *out, const struct tags *tags)
{
	struct folded f = { .out = out };

	put_plain(&f, "CATEGORIES:");
	for (size_t i = 0; i < tags->n; i++) {
		if (i)
			put(&f, ",", 1);
		put_text(&f, tags->list[i]);
	}
	put_end(&f);
}

/* As RFC 5545 (3.8.1.9) maps three levels to nine. */
static int priority_number(enum priority p)
{
	switch (p) {
	case PRIORITY_NONE:
		break;
	case PRIORITY_LOW:
		return 9;
	case PRIORITY_MEDIUM:
		return 5;
	case PRIORITY_HIGH:
		return 1;
	}
	return 0;
}

void icalendar_task(struct buf *out, const struct task *t)
{
	char id[UUID_TEXT_LEN + 1];

	buf_printf(out, "BEGIN:VTODO\r\n");
	uuid_format(&t->id, id);
	put_property(out, "UID", id);
	/* without a METHOD this is the time of the last change, so equal tasks give equal files */
	put_moment(out, "DTSTAMP", t->updated_at, NULL);
	put_time(out, "CREATED", t->created_at);
	put_time(out, "LAST-MODIFIED", t->updated_at);
	put_property(out, "SUMMARY", t->title);
	if (t->description)
		put_property(out, "DESCRIPTION", t->description);
	if (t->tags.n)
		put_tags(out, &t->tags);
	if (t->priority != PRIORITY_NONE)
		buf_printf(out, "PRIORITY:%d\r\n", priority_number(t->priority));
	if (t->due.text)
		put_due(out, &t->due);
	buf_printf(out, "STATUS:%s\r\n", t->completed ? "COMPLETED" : "NEEDS-ACTION");
	if (t->completed)
		put_time(out, "COMPLETED", t->completed_at);
	buf_printf(out, "END:VTODO\r\n");
}
