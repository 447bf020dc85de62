#include "base/base.h"

#include "http/json_writer.h"

#include "base/codec.h"

/* What follows the backslash: 0 for a byte that stands for itself, `u` for \u00XX. */
static const char escapes[256] = {
	'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b',         't',           'n', 'u',
	'f', 'r', 'u', 'u', 'u', 'u', 'u', 'u', 'u',         'u',           'u', 'u',
	'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', ['"'] = '"', ['\\'] = '\\',
};

void json_begin(struct json_writer *w, struct buf *out)
{
	w->out = out;
	w->comma = false;
}

/* Appends text that is JSON already, behind a comma when one is due. */
static void append(struct json_writer *w, const char *json, size_t len)
{
	char *room = buf_reserve(w->out, len + 1);

	if (!room)
		return;
	if (w->comma)
		*room++ = ',';
	memcpy(room, json, len);
	buf_commit(w->out, len + w->comma);
}

static void append_value(struct json_writer *w, const char *json, size_t len)
{
	append(w, json, len);
	w->comma = true;
}

static void append_open(struct json_writer *w, const char *bracket)
{
	append(w, bracket, 1);
	w->comma = false;
}

static void append_close(struct json_writer *w, char bracket)
{
	buf_putc(w->out, bracket);
	w->comma = true;
}

void json_object_open(struct json_writer *w)
{
	append_open(w, "{");
}

void json_object_close(struct json_writer *w)
{
	append_close(w, '}');
}

void json_array_open(struct json_writer *w)
{
	append_open(w, "[");
}

void json_array_close(struct json_writer *w)
{
	append_close(w, ']');
}

void json_key(struct json_writer *w, const char *key)
{
	size_t len = strlen(key);
	char *room = buf_reserve(w->out, len + 4);

	if (!room)
		return;
	if (w->comma)
		*room++ = ',';
	*room++ = '"';
	memcpy(room, key, len);
	room[len] = '"';
	room[len + 1] = ':';
	buf_commit(w->out, len + 3 + w->comma);
	w->comma = false;
}

static void append_escape(struct buf *out, unsigned char c)
{
	static const char digits[] = "0123456789abcdef";
	char text[6] = { '\\', escapes[c], '0', '0', digits[c >> 4], digits[c & 15] };

	buf_append(out, text, escapes[c] == 'u' ? 6 : 2);
}

void json_string(struct json_writer *w, const char *value)
{
	const char *p = value;

	if (!value) {
		json_null(w);
		return;
	}
	append_value(w, "\"", 1);
	for (;;) {
		const char *run = p;

		/* the end is among what has to be escaped */
		while (!escapes[(unsigned char)*p])
			p++;
		buf_append(w->out, run, (size_t)(p - run));
		if (!*p)
			break;
		append_escape(w->out, (unsigned char)*p++);
	}
	buf_putc(w->out, '"');
}

void json_int(struct json_writer *w, int64_t value)
{
	char text[DECIMAL_LEN + 1];

	append_value(w, text, decimal_format(value, text));
}

void json_bool(struct json_writer *w, bool value)
{
	append_value(w, value ? "true" : "false", value ? 4 : 5);
}

void json_null(struct json_writer *w)
{
	append_value(w, "null", 4);
}

void json_raw(struct json_writer *w, const char *text, size_t len)
{
	append_value(w, text, len);
}

void json_uuid(struct json_writer *w, const struct uuid *uuid)
{
	char text[UUID_TEXT_LEN + 3] = { '"' };

	uuid_format(uuid, text + 1);
	text[UUID_TEXT_LEN + 1] = '"';
	append_value(w, text, UUID_TEXT_LEN + 2);
}

void json_time(struct json_writer *w, int64_t us)
{
	char text[RFC3339_LEN + 3] = { '"' };

	rfc3339_format(us, text + 1);
	text[RFC3339_LEN + 1] = '"';
	append_value(w, text, RFC3339_LEN + 2);
}
