#include "base/base.h"

#include "reference.h"

#include "fuzz.h"

struct reader {
	struct arena *arena;
	const char *p; /* at the next byte of a text that ends with a NUL, which no JSON holds */
	struct reading *out;
	size_t depth;
};

static bool read_value(struct reader *, struct value *);

static void skip_white(struct reader *r)
{
	r->p += strspn(r->p, " \t\n\r");
}

static void put_scalar(char **to, uint32_t c)
{
	int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;

	*(*to)++ = (char)(more ? (0xff00u >> (more + 1) & 0xff) | c >> (6 * more) : c);
	while (more--)
		*(*to)++ = (char)(0x80 | (c >> (6 * more) & 0x3f));
}

static bool read_hex4(struct reader *r, uint32_t *out)
{
	char digits[5] = "";

	memcpy(digits, r->p, strnlen(r->p, 4));
	if (strspn(digits, "0123456789abcdefABCDEF") != 4)
		return false;
	*out = (uint32_t)strtoul(digits, NULL, 16);
	r->p += 4;
	return true;
}

static bool read_escape(struct reader *r, char **to)
{
	static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	uint32_t c, low;
	const char *at;

	if (*r->p && (at = strchr(names, *r->p))) {
		*(*to)++ = meanings[at - names];
		r->p++;
		return true;
	}
	if (*r->p++ != 'u' || !read_hex4(r, &c))
		return false;
	if (c >= 0xdc00 && c <= 0xdfff)
		return false;
	if (c >= 0xd800 && c <= 0xdbff) {
		if (strncmp(r->p, "\\u", 2) != 0)
			return false;
		r->p += 2;
		if (!read_hex4(r, &low) || low < 0xdc00 || low > 0xdfff)
			return false;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	}
	if (!c)
		r->out->has_nul = true;
	put_scalar(to, c);
	return true;
}

static bool read_string(struct reader *r, const char **text, size_t *len)
{
	const char *end;
	char *start, *to;

	if (*r->p++ != '"')
		return false;
	for (end = r->p; *end && *end != '"'; end++)
		if (*end == '\\' && end[1])
			end++;
	/* no escape is shorter than what it stands for */
	to = start = arena_alloc(r->arena, (size_t)(end - r->p) + 1);
	while (*r->p != '"') {
		if ((unsigned char)*r->p < 0x20)
			return false;
		if (*r->p != '\\') {
			*to++ = *r->p++;
			continue;
		}
		r->p++;
		if (!read_escape(r, &to))
			return false;
	}
	r->p++;
	*text = start;
	*len = (size_t)(to - start);
	return true;
}

static bool read_digits(struct reader *r)
{
	size_t n = strspn(r->p, "0123456789");

	r->p += n;
	return n > 0;
}

static bool read_number(struct reader *r, struct value *v)
{
	const char *start = r->p;

	r->p += *r->p == '-';
	if (*r->p == '0')
		r->p++;
	else if (!read_digits(r))
		return false;
	if (*r->p == '.') {
		r->p++;
		if (!read_digits(r))
			return false;
	}
	if (*r->p == 'e' || *r->p == 'E') {
		r->p++;
		r->p += *r->p == '+' || *r->p == '-';
		if (!read_digits(r))
			return false;
	}
	v->len = (size_t)(r->p - start);
	v->text = arena_strndup(r->arena, start, v->len);
	return true;
}

/* The name of a member, which may have been in `first` and so on before, and what follows it. */
static bool read_name(struct reader *r, struct member *m, const struct member *first)
{
	if (!read_string(r, &m->name, &m->len))
		return false;
	for (; first; first = first->next)
		if (first->len == m->len && !memcmp(first->name, m->name, m->len))
			r->out->has_duplicate = true;
	r->out->members++;
	skip_white(r);
	if (*r->p++ != ':')
		return false;
	skip_white(r);
	return true;
}

static bool read_container(struct reader *r, struct value *v)
{
	bool object = *r->p++ == '{';
	char close = object ? '}' : ']';
	struct member *first = NULL, **end = &first;

	if (++r->depth > r->out->depth)
		r->out->depth = r->depth;
	skip_white(r);
	while (*r->p != close) {
		struct member *m = arena_alloc(r->arena, sizeof(*m));

		if ((object && !read_name(r, m, first)) || !read_value(r, &m->value))
			return false;
		*end = m;
		end = &m->next;
		skip_white(r);
		if (*r->p == close)
			break;
		if (*r->p++ != ',')
			return false;
		skip_white(r);
		if (*r->p == close)
			return false;
	}
	r->p++;
	r->depth--;
	v->inner = first;
	return true;
}

static bool read_value(struct reader *r, struct value *v)
{
	static const struct {
		const char *word;
		struct value value;
	} words[] = {
		{ "null", { .kind = VALUE_NULL } },
		{ "true", { .kind = VALUE_FLAG, .flag = true } },
		{ "false", { .kind = VALUE_FLAG } },
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strncmp(r->p, words[i].word, strlen(words[i].word)) != 0)
			continue;
		r->p += strlen(words[i].word);
		*v = words[i].value;
		return true;
	}
	*v = (struct value){ .kind = *r->p == '"'   ? VALUE_TEXT
				     : *r->p == '{' ? VALUE_OBJECT
				     : *r->p == '[' ? VALUE_ARRAY
						    : VALUE_NUMBER };
	if (v->kind == VALUE_TEXT)
		return read_string(r, &v->text, &v->len);
	if (v->kind == VALUE_NUMBER)
		return read_number(r, v);
	return read_container(r, v);
}

bool reference_read(struct arena *a, const char *text, size_t len, struct reading *out)
{
	const char *copy = arena_strndup(a, text, len);
	struct reader r = { .arena = a, .p = copy, .out = out };

	*out = (struct reading){ 0 };
	if (!fuzz_utf8(text, len, NULL))
		return false;
	skip_white(&r);
	if (*r.p != '{' || !read_value(&r, &out->body))
		return false;
	skip_white(&r);
	return r.p == copy + len;
}

const struct member *reference_find(const struct value *object, const char *name)
{
	const struct member *found = NULL;

	for (const struct member *m = object->inner; m; m = m->next)
		if (m->len == strlen(name) && !memcmp(m->name, name, m->len))
			found = m;
	return found;
}
