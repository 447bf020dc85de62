#include "base/base.h"

#include "http/request.h"

#include <strings.h>

#include "base/codec.h"

static const char *const method_names[] = {
	[HTTP_GET] = "GET",         [HTTP_HEAD] = "HEAD",   [HTTP_POST] = "POST",
	[HTTP_PUT] = "PUT",         [HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
	[HTTP_OPTIONS] = "OPTIONS", [HTTP_OTHER] = "OTHER",
};

enum http_method http_method_of(const char *token)
{
	for (enum http_method m = HTTP_GET; m < HTTP_OTHER; m++)
		if (!strcmp(token, method_names[m]))
			return m;
	return HTTP_OTHER;
}

const char *http_method_name(enum http_method method)
{
	return method_names[method];
}

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

/* Bytes of a token (RFC 9110, 5.6.2) at `p`. */
static size_t token_len(const char *p)
{
	return strspn(p, "!#$%&'*+-.^_`|~0123456789"
			 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

/* Behind the quoted string that begins at `p`; NULL when it does not end. */
static const char *skip_quoted(const char *p)
{
	for (p++; *p != '"'; p++) {
		if (*p == '\\')
			p++;
		if (!*p)
			return NULL;
	}
	return p + 1;
}

/* Whether the word at `p`, a token or a quoted string, is `value`. */
static bool word_is(const char *p, const char *value)
{
	size_t len = strlen(value);

	if (*p != '"')
		return token_len(p) == len && !memcmp(p, value, len);
	if (!skip_quoted(p))
		return false;
	for (p++; *p != '"'; p++, value++) {
		if (*p == '\\')
			p++;
		if (*p != *value)
			return false;
	}
	return !*value;
}

/* To the comma that ends a member of a list, or the end of the text. */
static const char *skip_member(const char *p)
{
	while (p && *p && *p != ',')
		p = *p == '"' ? skip_quoted(p) : p + 1;
	return p ? p : "";
}

/* The word of a preference, "" when it has none; NULL when there is no such preference. Of one that
 * is repeated only the first counts. */
static const char *find_preference(const char *header, const char *name)
{
	const char *p = header ? header : "";

	while (*p) {
		size_t len;

		p += strspn(p, " \t,");
		len = token_len(p);
		if (len == strlen(name) && !strncasecmp(p, name, len)) {
			p = skip_blanks(p + len);
			return *p == '=' ? skip_blanks(p + 1) : "";
		}
		p = skip_member(p);
	}
	return NULL;
}

bool prefer_has(const char *header, const char *name, const char *value)
{
	const char *word = find_preference(header, name);

	return word && word_is(word, value);
}

bool prefer_number(const char *header, const char *name, int64_t *out)
{
	const char *word = find_preference(header, name);

	return word && decimal_parse(word, token_len(word), INT64_MAX, out);
}

/* --- media types ----------------------------------------------------------------------------- */

enum { Q_MOST = 1000 };

/* A media range of an Accept header. */
struct range {
	const char *name;
	size_t len;
	int q; /* thousandths; -1 when it is malformed */
};

/* A weight (RFC 9110, 12.4.2) in thousandths, -1 when it is none. */
static int weight_parse(const char *p, size_t len)
{
	int64_t value;
	int q;

	if (!len || (*p != '0' && *p != '1') || (len > 1 && p[1] != '.') || len > 5)
		return -1;
	q = (*p - '0') * Q_MOST;
	for (size_t i = 2, unit = 100; i < len; i++, unit /= 10) {
		if (!decimal_parse(p + i, 1, 9, &value))
			return -1;
		q += (int)(value * (int64_t)unit);
	}
	return q > Q_MOST ? -1 : q;
}

/* Reads a range and its parameters; returns where the next one begins. */
static const char *range_read(const char *p, struct range *out)
{
	const char *end = skip_member(p), *param, *value;

	out->name = p;
	out->len = strcspn(p, " \t,;");
	out->q = Q_MOST;
	for (p = skip_blanks(p + out->len); *p == ';'; p = skip_blanks(p)) {
		param = skip_blanks(p + 1);
		p = param + token_len(param);
		if (*p != '=')
			continue;
		value = p + 1;
		p = *value == '"' ? skip_quoted(value) : value + token_len(value);
		if (!p)
			break;
		if (ascii_lower(*param) == 'q' && value == param + 2)
			out->q = weight_parse(value, (size_t)(p - value));
	}
	if (!p || (*p && *p != ','))
		out->q = -1;
	return end;
}

/* How exactly the range names the type: 0 when it does not. */
static int range_fits(const struct range *r, const char *type)
{
	size_t major = strcspn(type, "/") + 1;

	if (r->len == strlen(type) && !strncasecmp(r->name, type, r->len))
		return 3;
	if (r->len == major + 1 && !strncasecmp(r->name, type, major) && r->name[major] == '*')
		return 2;
	return r->len == 3 && !memcmp(r->name, "*/*", 3);
}

size_t accept_choose(const char *header, const char *const *offered, size_t n)
{
	int best_q = 0, best_exact = 0;
	size_t best = 0;

	for (size_t i = 0; header && i < n; i++) {
		int q = 0, exact = 0;
		struct range r;

		/* of the ranges that name it, the most exact one says how welcome it is */
		for (const char *p = header + strspn(header, " \t,"); *p; p += strspn(p, " \t,")) {
			int fits;

			p = range_read(p, &r);
			fits = range_fits(&r, offered[i]);
			if (r.q >= 0 && fits > exact) {
				exact = fits;
				q = r.q;
			}
		}
		if (q > best_q || (q && q == best_q && exact > best_exact)) {
			best_q = q;
			best_exact = exact;
			best = i;
		}
	}
	return best;
}

enum media_type media_type_of(const char *content_type)
{
	static const struct {
		const char *name;
		enum media_type type;
	} types[] = {
		{ "application/json", MEDIA_JSON },
		{ "application/merge-patch+json", MEDIA_MERGE_PATCH },
	};
	const char *start = skip_blanks(content_type ? content_type : "");
	size_t len = strcspn(start, " \t;");
	char after = *skip_blanks(start + len);

	if (!*start)
		return MEDIA_NONE;
	if (after && after != ';')
		return MEDIA_OTHER;
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		if (strlen(types[i].name) == len && !strncasecmp(start, types[i].name, len))
			return types[i].type;
	return MEDIA_OTHER;
}

/* Reads what stands between the quotes: digits, then perhaps the mark of a compression. */
static bool version_parse(const char *tag, size_t len, int64_t *out)
{
	const char *dash = memchr(tag, '-', len);
	size_t digits = dash ? (size_t)(dash - tag) : len;

	if (dash && digits + 1 == len)
		return false;
	for (size_t i = digits + 1; i < len; i++)
		if (ascii_lower(tag[i]) < 'a' || ascii_lower(tag[i]) > 'z')
			return false;
	/* tags compare by their characters: one with a zero in front is not ours; the list of a new
	 * account has the plain zero */
	return (tag[0] != '0' || digits == 1) && decimal_parse(tag, digits, INT64_MAX, out);
}

/* Reads one entity-tag and the blanks behind it; NULL when there is none at `p`. */
static const char *tag_read(const char *p, const char **tag, size_t *len)
{
	if (p[0] == 'W' && p[1] == '/')
		p += 2;
	if (*p != '"')
		return NULL;
	*tag = p + 1;
	*len = strcspn(*tag, "\"");
	p = *tag + *len;
	return *p ? skip_blanks(p + 1) : NULL;
}

static bool tags_parse(const char *header, struct if_match *out)
{
	const char *p = skip_blanks(header), *tag;
	size_t len;

	out->n = 0;
	out->any = *p == '*' && !*skip_blanks(p + 1);
	if (*p == '*')
		return true;
	for (p += strspn(p, " \t,"); *p; p += strspn(p, " \t,")) {
		int64_t version;

		p = tag_read(p, &tag, &len);
		if (!p || (*p && *p != ',')) {
			/* not a list of entity-tags: it matches nothing */
			out->n = 0;
			return true;
		}
		if (!version_parse(tag, len, &version))
			continue;
		if (out->n == IF_MATCH_MAX)
			return false;
		out->versions[out->n++] = version;
	}
	return true;
}

bool if_match_parse(const char *header, struct if_match *out)
{
	return tags_parse(header ? header : "*", out);
}

bool if_none_match_parse(const char *header, struct if_match *out)
{
	return tags_parse(header ? header : "", out);
}
