#include "base/base.h"

#include "http/json_scan.h"

#include "base/codec.h"
#include "http/text.h"

struct level {
	char close; /* the bracket that ends it */
	bool used;  /* holds a value already */
};

struct scanner {
	const char *p;
	const char *end;
	size_t members;
	size_t depth;
	struct level levels[JSON_DEPTH_MAX];
};

static char peek(const struct scanner *s)
{
	/* a NUL of the text is as unwelcome as its end, wherever one looks */
	return s->p < s->end ? *s->p : '\0';
}

static bool take(struct scanner *s, char c)
{
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

static void skip_space(struct scanner *s)
{
	while (peek(s) == ' ' || peek(s) == '\t' || peek(s) == '\n' || peek(s) == '\r')
		s->p++;
}

static bool literal(struct scanner *s, const char *word)
{
	size_t len = strlen(word);

	if (len > (size_t)(s->end - s->p) || memcmp(s->p, word, len))
		return false;
	s->p += len;
	return true;
}

static bool digits(struct scanner *s)
{
	const char *start = s->p;

	while (peek(s) >= '0' && peek(s) <= '9')
		s->p++;
	return s->p > start;
}

static bool number(struct scanner *s)
{
	(void)take(s, '-');
	if (!take(s, '0') && !digits(s))
		return false;
	if (take(s, '.') && !digits(s))
		return false;
	if (take(s, 'e') || take(s, 'E')) {
		if (!take(s, '+'))
			(void)take(s, '-');
		return digits(s);
	}
	return true;
}

static bool hex4(struct scanner *s, unsigned *out)
{
	unsigned value = 0;

	for (int i = 0; i < 4; i++) {
		int digit = hex_value(peek(s));

		if (digit < 0)
			return false;
		value = value << 4 | (unsigned)digit;
		s->p++;
	}
	*out = value;
	return true;
}

/* What follows `\u`: never U+0000, and surrogates only as a pair. */
static bool unicode_escape(struct scanner *s)
{
	unsigned unit, low;

	if (!hex4(s, &unit) || unit == 0)
		return false;
	if (unit < 0xd800 || unit > 0xdfff)
		return true;
	return unit < 0xdc00 && literal(s, "\\u") && hex4(s, &low) && low >= 0xdc00 &&
	       low <= 0xdfff;
}

/* The rest of a string, behind its first quote. */
static bool string(struct scanner *s)
{
	while (s->p < s->end) {
		unsigned char c = (unsigned char)*s->p++;

		if (c == '"')
			return true;
		if (c < 0x20)
			return false;
		if (c != '\\')
			continue;
		c = (unsigned char)peek(s);
		if (!c || !strchr("\"\\/bfnrtu", c))
			return false;
		s->p++;
		if (c == 'u' && !unicode_escape(s))
			return false;
	}
	return false;
}

static bool open_level(struct scanner *s, char close)
{
	if (s->depth == JSON_DEPTH_MAX)
		return false;
	s->levels[s->depth++] = (struct level){ .close = close };
	return true;
}

static bool value(struct scanner *s)
{
	if (take(s, '{'))
		return open_level(s, '}');
	if (take(s, '['))
		return open_level(s, ']');
	if (take(s, '"'))
		return string(s);
	return literal(s, "true") || literal(s, "false") || literal(s, "null") || number(s);
}

/* The next member or element of the innermost open container up to its value (of a container only
 * the opening bracket), or that container's end. */
static bool step(struct scanner *s)
{
	struct level *top = &s->levels[s->depth - 1];

	skip_space(s);
	if (take(s, top->close)) {
		s->depth--;
		return true;
	}
	if (top->used) {
		if (!take(s, ','))
			return false;
		skip_space(s);
	}
	top->used = true;
	if (top->close == '}') {
		if (!take(s, '"') || !string(s))
			return false;
		skip_space(s);
		if (!take(s, ':'))
			return false;
		skip_space(s);
		s->members++;
	}
	return value(s);
}

bool json_scan(const char *text, size_t len, size_t *members)
{
	struct scanner s = { .p = text, .end = text + len };

	if (!text_is_utf8(text, len))
		return false;
	skip_space(&s);
	if (!take(&s, '{') || !open_level(&s, '}'))
		return false;
	while (s.depth > 0)
		if (!step(&s))
			return false;
	skip_space(&s);
	*members = s.members;
	return s.p == s.end;
}
