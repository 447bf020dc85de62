/* JSON bodies: json_scan() and json_bind(), then json_writer on what was bound.
 * Input: one byte of options, and the body. */
#include "base/base.h"

#include "fuzz.h"

#include "http/json_bind.h"
#include "http/json_scan.h"
#include "http/json_writer.h"
#include "http/request.h"
#include "reference.h"

enum { STRICT = 1, WITHOUT_SECRETS = 2 };

/* A table in a table in a table; not every one has a secret. */
struct leaf {
	struct json_text name, hidden;
	struct json_texts words;
};
struct branch {
	struct json_word op;
	struct json_int version;
	struct json_part leaf;
};
struct target {
	struct json_text plain, null, trimmed, both, secret, long_text;
	struct json_flag flag, must;
	struct json_int count;
	struct json_word word;
	struct json_texts tags;
	struct json_part leaf;
	struct json_parts branches;
};

static const char *const words[] = { "", "low", "high", NULL };

#define FIELD(target, member, kind, demands, least, most)                                          \
	.name = #member, .type = (kind), .rules = (demands), .min = (least), .max = (most),        \
	.offset = offsetof(struct target, member)
#define TEXT(name, rules, min, max)                                                                \
	{                                                                                          \
		FIELD(target, name, FIELD_TEXT, rules, min, max)                                   \
	}
#define FLAG(name, rules)                                                                          \
	{                                                                                          \
		FIELD(target, name, FIELD_FLAG, rules, 0, 0)                                       \
	}

static const struct field leaf_fields[] = {
	{ FIELD(leaf, name, FIELD_TEXT, FIELD_REQUIRED, 0, 5) },
	{ FIELD(leaf, words, FIELD_TEXTS, FIELD_NULLABLE, 1, 2), .max_items = 3 },
	{ FIELD(leaf, hidden, FIELD_TEXT, FIELD_SECRET, 0, 9) },
};
static const struct field_table leaf_table = FIELD_TABLE(leaf_fields, struct leaf);
static const struct field_table open_leaf_table = { leaf_fields, 2, sizeof(struct leaf) };

static const struct field branch_fields[] = {
	{ FIELD(branch, op, FIELD_WORD, FIELD_REQUIRED, 0, 0), .words = words },
	{ FIELD(branch, version, FIELD_INT, FIELD_TAG | FIELD_NULLABLE, 1, 1000000) },
	{ FIELD(branch, leaf, FIELD_PART, FIELD_NULLABLE, 0, 0), .table = &leaf_table },
};
static const struct field_table branch_table = FIELD_TABLE(branch_fields, struct branch);

static const struct field all_fields[] = {
	TEXT(plain, FIELD_REQUIRED, 1, 4),
	TEXT(null, FIELD_NULLABLE, 0, 3),
	TEXT(trimmed, FIELD_TRIMMED, 1, 3),
	TEXT(both, FIELD_NULLABLE | FIELD_TRIMMED | FIELD_REQUIRED, 2, 5),
	FLAG(flag, FIELD_NULLABLE),
	FLAG(must, FIELD_REQUIRED),
	{ FIELD(target, count, FIELD_INT, 0, 3, 70) },
	{ FIELD(target, word, FIELD_WORD, FIELD_NULLABLE, 0, 0), .words = words },
	{ FIELD(target, tags, FIELD_TEXTS, FIELD_TRIMMED, 0, 3), .max_items = 2 },
	{ FIELD(target, leaf, FIELD_PART, 0, 0, 0), .table = &open_leaf_table },
	{ FIELD(target, branches, FIELD_PARTS, FIELD_NULLABLE, 0, 0), .table = &branch_table,
	  .max_items = 3 },
	TEXT(secret, FIELD_SECRET, 2, 6),
	TEXT(long_text, FIELD_SECRET | FIELD_TRIMMED | FIELD_NULLABLE, 0, 10000),
};
static const struct field_table all = FIELD_TABLE(all_fields, struct target);
/* The same up to the first secret: whether there is one decides how a body is parsed. */
static const struct field_table open_ones = { all_fields, 10, sizeof(struct target) };

static const struct field any_fields[] = {
	TEXT(plain, 0, 0, SIZE_MAX),
};
static const struct field_table any = FIELD_TABLE(any_fields, struct target);

/* The property White_Space of Unicode. */
static bool is_white(int32_t c)
{
	return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
	       (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
	       c == 0x205f || c == 0x3000;
}

/* What a text is after the trimming. */
static void trim(const char **s, size_t *len)
{
	const char *p = *s, *end = p + *len, *start = end, *last = end;

	while (p < end) {
		const char *before = p;

		if (is_white(fuzz_scalar(&p, end)))
			continue;
		if (start == end)
			start = before;
		last = p;
	}
	*s = start;
	*len = (size_t)(last - start);
}

/* Holds a bound body against the reading of it. */
struct check {
	struct arena *arena;
	const struct field_errors *errors;
	size_t n; /* errors found so far */
	bool strict;
	bool bound; /* there is a target, and no error is expected */
};

static void expect(struct check *c, const char *prefix, const char *name, const char *code)
{
	const struct field_error *e;

	if (c->n++ >= FIELD_ERRORS_MAX)
		return;
	CHECK(c->n <= c->errors->n);
	e = &c->errors->list[c->n - 1];
	CHECK(!strcmp(e->field, arena_printf(c->arena, "%s%s", prefix, name)));
	CHECK(!strcmp(e->code, code));
	CHECK(e->detail[0]);
}

static void check_object(struct check *, const char *prefix, const struct field_table *,
			 const struct value *, const void *target);

/* The code that the contract demands for a text; NULL when it is fine, which is then left in
 * `*s`. */
static const char *text_code(const struct field *f, const struct value *v, const char **s,
			     size_t *len)
{
	size_t points = 0;

	if (v->kind != VALUE_TEXT)
		return "invalid_type";
	*s = v->text;
	*len = v->len;
	if (f->rules & FIELD_TRIMMED)
		trim(s, len);
	CHECK(fuzz_utf8(*s, *len, &points));
	return points < f->min ? "too_short" : points > f->max ? "too_long" : NULL;
}

static const char *check_text(const struct check *c, const struct field *f, const struct value *v,
			      const struct json_text *text)
{
	const char *s = NULL, *code;
	size_t len = 0;

	code = text_code(f, v, &s, &len);
	if (!code && c->bound)
		CHECK(text->present && text->len == len && strlen(text->s) == len &&
		      !memcmp(text->s, s, len));
	return code;
}

static const char *check_int(const struct check *c, const struct field *f, const struct value *v,
			     const struct json_int *number)
{
	struct if_match tags;
	double d;

	if (v->kind == VALUE_TEXT && f->rules & FIELD_TAG) {
		if (!if_match_parse(v->text, &tags) || tags.n != 1)
			return "invalid_value";
		CHECK(!c->bound || number->value == tags.versions[0]);
		return NULL;
	}
	if (v->kind != VALUE_NUMBER)
		return "invalid_type";
	d = strtod(v->text, NULL);
	/* beyond that every double is whole */
	if (d > -1e15 && d < 1e15 && d != (double)(int64_t)d)
		return "invalid_type";
	if (d < (double)f->min || d > (double)f->max)
		return "out_of_range";
	CHECK(!c->bound || number->value == (int64_t)d);
	return NULL;
}

static const char *check_word(const struct check *c, const struct field *f, const struct value *v,
			      const struct json_word *word)
{
	if (v->kind != VALUE_TEXT)
		return "invalid_type";
	for (int i = 0; f->words[i]; i++) {
		if (!strcmp(f->words[i], v->text)) {
			CHECK(!c->bound || word->index == i);
			return NULL;
		}
	}
	return "invalid_value";
}

/* Texts or objects; the target's list has them one behind the other. */
static const char *check_list(struct check *c, const char *prefix, const struct field *f,
			      const struct value *v, const void *target)
{
	const struct json_texts *texts = target;
	const struct json_parts *parts = target;
	size_t n = 0, i = 0;

	if (v->kind != VALUE_ARRAY)
		return "invalid_type";
	for (const struct member *e = v->inner; e; e = e->next)
		n++;
	if (n > f->max_items)
		return "too_many";
	if (!n && f->type == FIELD_PARTS)
		return "too_few";
	CHECK(!c->bound || (f->type == FIELD_TEXTS ? texts->n : parts->n) == n);
	for (const struct member *e = v->inner; e; e = e->next, i++) {
		const char *name = arena_printf(c->arena, "%s[%zu]", f->name, i), *code = NULL;
		const char *inner = arena_printf(c->arena, "%s%s.", prefix, name);

		if (f->type == FIELD_TEXTS)
			code = check_text(c, f, &e->value, c->bound ? &texts->list[i] : NULL);
		else if (e->value.kind != VALUE_OBJECT)
			code = "invalid_type";
		else
			check_object(c, inner, f->table, &e->value,
				     c->bound ? (const char *)parts->list + i * f->table->size
					      : NULL);
		if (code)
			expect(c, prefix, name, code);
	}
	return NULL;
}

static const char *check_part(struct check *c, const char *prefix, const struct field *f,
			      const struct value *v, const struct json_part *part)
{
	if (v->kind != VALUE_OBJECT)
		return "invalid_type";
	check_object(c, arena_printf(c->arena, "%s%s.", prefix, f->name), f->table, v,
		     c->bound ? part->value : NULL);
	return NULL;
}

/* A value that is there, and not a null that may be. */
static const char *check_value(struct check *c, const char *prefix, const struct field *f,
			       const struct value *v, const void *target)
{
	const struct json_flag *flag = target;

	switch (f->type) {
	case FIELD_TEXT:
		return check_text(c, f, v, target);
	case FIELD_FLAG:
		CHECK(!c->bound || flag->value == v->flag);
		return v->kind == VALUE_FLAG ? NULL : "invalid_type";
	case FIELD_INT:
		return check_int(c, f, v, target);
	case FIELD_WORD:
		return check_word(c, f, v, target);
	case FIELD_TEXTS:
	case FIELD_PARTS:
		return check_list(c, prefix, f, v, target);
	case FIELD_PART:
		return check_part(c, prefix, f, v, target);
	}
	return NULL;
}

/* Of a member that is absent or null. */
static void check_nothing(const struct field *f, bool present, const void *target)
{
	const struct json_text *text = target;
	const struct json_word *word = target;
	const struct json_part *part = target;
	const struct json_texts *texts = target;
	const struct json_parts *parts = target;

	CHECK(*(const bool *)target == present);
	CHECK(f->type != FIELD_TEXT || (!text->s && !text->len));
	CHECK(f->type != FIELD_WORD || word->index == (present ? -1 : 0));
	CHECK(f->type != FIELD_PART || !part->value);
	CHECK(f->type != FIELD_TEXTS || (!texts->n && !texts->list));
	CHECK(f->type != FIELD_PARTS || (!parts->n && !parts->list));
}

static bool is_unknown(const struct field_table *table, const char *name)
{
	for (size_t i = 0; i < table->n; i++)
		if (!strcmp(table->fields[i].name, name))
			return false;
	return strcmp(name, "id") != 0 && strcmp(name, "user_id") != 0;
}

static void check_object(struct check *c, const char *prefix, const struct field_table *table,
			 const struct value *object, const void *target)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct field *f = &table->fields[i];
		const struct member *m = reference_find(object, f->name);
		const void *at = c->bound ? (const char *)target + f->offset : NULL;
		const char *code = NULL;

		if (!m)
			code = f->rules & FIELD_REQUIRED ? "required" : NULL;
		else if (m->value.kind != VALUE_NULL || !(f->rules & FIELD_NULLABLE))
			code = check_value(c, prefix, f, &m->value, at);
		if (code)
			expect(c, prefix, f->name, code);
		else if (c->bound && (!m || m->value.kind == VALUE_NULL))
			check_nothing(f, !!m, at);
		else if (c->bound)
			CHECK(*(const bool *)at);
	}
	for (const struct member *m = object->inner; c->strict && m; m = m->next)
		if (is_unknown(table, m->name))
			expect(c, prefix, m->name, "unknown_field");
}

/* What is written can be read again, and says the same. */
static void check_writer(struct arena *a, const struct json_text *text)
{
	struct field_errors errors;
	struct json_writer w;
	struct target *again;
	struct buf out;
	size_t members;
	void *bound;

	buf_init(&out, 1 << 20);
	json_begin(&w, &out);
	json_object_open(&w);
	json_key(&w, "plain");
	json_string(&w, text->s);
	json_object_close(&w);
	CHECK(!out.overflow);
	CHECK(json_scan(out.data, out.len, &members) && members == 1);
	CHECK(json_bind(a, &any, out.data, out.len, true, &errors, &bound) == API_OK);
	again = bound;
	CHECK(again->plain.len == text->len && !memcmp(again->plain.s, text->s, text->len));
	buf_free(&out);
}

static void run(struct arena *a, const struct field_table *table, bool strict, const char *text,
		size_t len)
{
	struct field_errors errors;
	struct reading reading;
	struct check c;
	enum api_error result;
	size_t members = 0;
	void *bound = NULL;
	bool scanned, good;

	scanned = json_scan(text, len, &members);
	good = reference_read(a, text, len, &reading) && !reading.has_nul &&
	       reading.depth <= JSON_DEPTH_MAX;
	CHECK(scanned == good);
	result = json_bind(a, table, text, len, strict, &errors, &bound);
	CHECK((result == API_INVALID_JSON) == (!good || reading.has_duplicate));
	if (!good)
		return;
	CHECK(members == reading.members);
	if (reading.has_duplicate)
		return;
	CHECK(result == API_OK || result == API_VALIDATION_FAILED);
	CHECK((result == API_OK) == !!bound);
	c = (struct check){ a, &errors, 0, strict, !!bound };
	check_object(&c, "", table, &reading.body, bound);
	CHECK(errors.n == (c.n < FIELD_ERRORS_MAX ? c.n : FIELD_ERRORS_MAX));
	CHECK((c.n == 0) == !!bound);
	if (bound)
		for (size_t i = 0; i < table->n; i++) {
			const struct field *f = &table->fields[i];
			const void *field = (const char *)bound + f->offset;

			if (f->type == FIELD_TEXT && ((const struct json_text *)field)->s)
				check_writer(a, field);
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena *arena;

	if (!size)
		return 0;
	if (!arena)
		arena = arena_new(64 << 20);
	run(arena, data[0] & WITHOUT_SECRETS ? &open_ones : &all, data[0] & STRICT,
	    fuzz_copy(arena, data + 1, size - 1), size - 1);
	arena_reset(arena);
	return 0;
}
