#include "base/base.h"

#include "http/path.h"

#include "base/codec.h"
#include "http/text.h"

/* A decoded, terminated copy of a piece; NULL when it has a bad escape or a NUL. */
static const char *decode(struct arena *a, const char *piece, size_t len, bool plus)
{
	char *text = arena_array(a, len + 1, 1);
	size_t n;

	if (!percent_decode(piece, len, plus, text, &n))
		return NULL;
	text[n] = '\0';
	return text;
}

bool path_parse(struct arena *a, const char *raw, struct path *out)
{
	const char *p = raw;

	out->n = 0;
	if (*p != '/')
		return false;
	/* `p` is at a slash; one with nothing behind it is the trailing one */
	while (*p && p[1]) {
		size_t len = strcspn(++p, "/");
		const char *segment;

		if (!len || out->n == PATH_SEGMENTS_MAX)
			return false;
		segment = decode(a, p, len, false);
		if (!segment || strchr(segment, '/'))
			return false;
		out->segments[out->n++] = segment;
		p += len;
	}
	return true;
}

bool path_match(const struct path *path, const char *pattern, const char *params[PATH_SEGMENTS_MAX],
		unsigned *literals)
{
	size_t n_params = 0;

	*literals = 0;
	for (size_t i = 0; i < path->n; i++) {
		const char *segment = path->segments[i];

		if (*pattern++ != '/')
			return false;
		if (*pattern == '{') {
			params[n_params++] = segment;
			pattern += strcspn(pattern, "/");
			continue;
		}
		/* Routes are many, and most differ at once. */
		while (*segment && *segment == *pattern) {
			segment++;
			pattern++;
		}
		if (*segment || (*pattern && *pattern != '/'))
			return false;
		*literals |= 1u << (PATH_SEGMENTS_MAX - 1 - i);
	}
	return !*pattern;
}

/* Reads `name=value` or `name`, `len` bytes. */
static bool add_param(struct arena *a, const char *piece, size_t len, struct query *out)
{
	const char *equals = memchr(piece, '=', len);
	size_t name_len = equals ? (size_t)(equals - piece) : len;
	const char *name = decode(a, piece, name_len, true);
	const char *value = equals ? decode(a, equals + 1, len - name_len - 1, true) : "";

	if (!name || !value || out->n == QUERY_PARAMS_MAX)
		return false;
	if (!text_is_utf8(name, strlen(name)) || !text_is_utf8(value, strlen(value)))
		return false;
	out->params[out->n].name = name;
	out->params[out->n].value = value;
	out->n++;
	return true;
}

bool query_parse(struct arena *a, const char *raw, struct query *out)
{
	const char *p = raw ? raw : "";

	out->n = 0;
	for (;;) {
		size_t len = strcspn(p, "&");

		if (len && !add_param(a, p, len, out))
			return false;
		if (!p[len])
			return true;
		p += len + 1;
	}
}

const char *query_get(const struct query *q, const char *name)
{
	for (size_t i = 0; i < q->n; i++)
		if (!strcmp(q->params[i].name, name))
			return q->params[i].value;
	return NULL;
}
