/* JSON bodies: json_scan() and json_bind(), then json_writer on what was bound.
 * Input: one byte of options, and the body. */
#include "base/base.h"

#include "fuzz.h"

#include "http/json_bind.h"
#include "http/json_scan.h"
#include "http/json_writer.h"
#include "reference.h"

enum { STRICT = 1, WITHOUT_SECRETS = 2 };

struct target {
	struct json_text plain, null, trimmed, both, secret, long_text;
	struct json_flag flag, must;
};

#define TEXT(name, rules, min, max)                                                                \
	{                                                                                          \
#name, FIELD_TEXT, (rules), offsetof(struct target, name), (min), (max)            \
	}
#define FLAG(name, rules)                                                                          \
	{                                                                                          \
#name, FIELD_FLAG, (rules), offsetof(struct target, name), 0, 0                    \
	}

static const struct field all_fields[] = {
	TEXT(plain, FIELD_REQUIRED, 1, 4),
	TEXT(null, FIELD_NULLABLE, 0, 3),
	TEXT(trimmed, FIELD_TRIMMED, 1, 3),
	TEXT(both, FIELD_NULLABLE | FIELD_TRIMMED | FIELD_REQUIRED, 2, 5),
	FLAG(flag, 0),
	FLAG(must, FIELD_REQUIRED),
	TEXT(secret, FIELD_SECRET, 2, 6),
	TEXT(long_text, FIELD_SECRET | FIELD_TRIMMED | FIELD_NULLABLE, 0, 10000),
};
static const struct field_table all = FIELD_TABLE(all_fields, struct target);
/* The same up to the first secret: whether there is one decides how a body is parsed. */
static const struct field_table open_ones = { all_fields, 6, sizeof(struct target) };

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

/* The code that the contract demands for a field; NULL when its value is fine, which is then left
 * in `*s`, NULL for a null. */
static const char *expected_code(const struct field *f, const struct member *m, const char **s,
				 size_t *len)
{
	size_t points = 0;

	*s = NULL;
	*len = 0;
	if (!m)
		return f->rules & FIELD_REQUIRED ? "required" : NULL;
	if (f->type == FIELD_FLAG)
		return m->value.kind == VALUE_FLAG ? NULL : "invalid_type";
	if (m->value.kind == VALUE_NULL && (f->rules & FIELD_NULLABLE))
		return NULL;
	if (m->value.kind != VALUE_TEXT)
		return "invalid_type";
	*s = m->value.text;
	*len = m->value.len;
	if (f->rules & FIELD_TRIMMED)
		trim(s, len);
	CHECK(fuzz_utf8(*s, *len, &points));
	return points < f->min ? "too_short" : points > f->max ? "too_long" : NULL;
}

static void check_error(const struct field_errors *errors, size_t n, const char *name,
			const char *code)
{
	if (n >= FIELD_ERRORS_MAX)
		return;
	CHECK(n < errors->n);
	CHECK(!strcmp(errors->list[n].field, name));
	CHECK(!strcmp(errors->list[n].code, code));
	CHECK(errors->list[n].detail[0]);
}

static void check_field(const struct field *f, const struct member *m, const char *s, size_t len,
			const char *target)
{
	const struct json_text *text = (const void *)(target + f->offset);
	const struct json_flag *flag = (const void *)(target + f->offset);

	if (f->type == FIELD_FLAG) {
		CHECK(flag->present == !!m);
		CHECK(flag->value == (m && m->value.flag));
		return;
	}
	CHECK(text->present == !!m);
	CHECK(!text->s == !s);
	CHECK(text->len == len);
	if (s)
		CHECK(!memcmp(text->s, s, len) && strlen(text->s) == len);
}

static bool is_unknown(const struct field_table *table, const char *name)
{
	for (size_t i = 0; i < table->n; i++)
		if (!strcmp(table->fields[i].name, name))
			return false;
	return strcmp(name, "id") != 0 && strcmp(name, "user_id") != 0;
}

/* Holds a bound body against the reading of it. */
static void check_binding(const struct field_table *table, const struct reading *reading,
			  bool strict, const struct field_errors *errors, const char *target)
{
	size_t n = 0, len;
	const char *s;

	for (size_t i = 0; i < table->n; i++) {
		const struct field *f = &table->fields[i];
		const struct member *m = reference_find(reading, f->name);
		const char *code = expected_code(f, m, &s, &len);

		if (code)
			check_error(errors, n++, f->name, code);
		else if (target)
			check_field(f, m, s, len, target);
	}
	for (const struct member *m = reading->first; strict && m; m = m->next)
		if (is_unknown(table, m->name))
			check_error(errors, n++, m->name, "unknown_field");
	CHECK(errors->n == (n < FIELD_ERRORS_MAX ? n : FIELD_ERRORS_MAX));
	CHECK((n == 0) == !!target);
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
	check_binding(table, &reading, strict, &errors, bound);
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
