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

bool prefer_has(const char *header, const char *name, const char *value)
{
	const char *p = header ? header : "";

	while (*p) {
		size_t len;

		p += strspn(p, " \t,");
		len = token_len(p);
		if (len == strlen(name) && !strncasecmp(p, name, len)) {
			/* of a preference that is repeated only the first one counts */
			p = skip_blanks(p + len);
			return word_is(*p == '=' ? skip_blanks(p + 1) : "", value);
		}
		p = skip_member(p);
	}
	return false;
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
	/* tags compare by their characters: one with a zero in front is not ours */
	return tag[0] != '0' && decimal_parse(tag, digits, INT64_MAX, out);
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

bool if_match_parse(const char *header, struct if_match *out)
{
	const char *p, *tag;
	size_t len;

	out->n = 0;
	out->any = !header;
	if (!header)
		return true;
	p = skip_blanks(header);
	if (*p == '*') {
		out->any = !*skip_blanks(p + 1);
		return true;
	}
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
