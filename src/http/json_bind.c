#include "base/base.h"

#include "http/json_bind.h"

#include <json-c/json.h>
#include <limits.h>

#include "base/log.h"
#include "base/secret.h"
#include "http/json_scan.h"
#include "http/request.h"
#include "http/text.h"

static const char required_detail[] = "This field is required.";

void field_error_add(struct field_errors *errors, const char *field, const char *code,
		     const char *detail)
{
	if (errors->n == FIELD_ERRORS_MAX)
		return;
	errors->list[errors->n++] = (struct field_error){ field, code, detail };
}

void field_error_required(struct field_errors *errors, const char *field)
{
	field_error_add(errors, field, "required", required_detail);
}

static struct lh_entry *first_member(struct json_object *object)
{
	return lh_table_head(json_object_get_object(object));
}

/* The depth is bounded by the scan. */
static void wipe_texts(struct json_object *value)
{
	if (json_object_is_type(value, json_type_string)) {
		/* a constant pointer to the object's own bytes, and the object is ours alone */
		secret_wipe((char *)(uintptr_t)json_object_get_string(value),
			    (size_t)json_object_get_string_len(value));
	} else if (json_object_is_type(value, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(value); i++)
			wipe_texts(json_object_array_get_idx(value, i));
	} else if (json_object_is_type(value, json_type_object)) {
		for (struct lh_entry *e = first_member(value); e; e = lh_entry_next(e))
			wipe_texts(lh_entry_v(e));
	}
}

/* Frees a parsed body. Its texts are overwritten whatever they are: a client may have sent a secret
 * under any name. */
static void tree_free(void *object)
{
	wipe_texts(object);
	json_object_put(object);
}

/* json-c collects each string in a buffer that it neither wipes when it grows nor when it frees it.
 * Parsing a blank string as long as the body makes the buffer large enough before the body is
 * parsed, and overwrites it afterwards. */
static void parse_blank(struct arena *a, struct json_tokener *parser, size_t len)
{
	char *blank = arena_array(a, len + 2, 1);

	memset(blank, ' ', len + 2);
	blank[0] = blank[len + 1] = '"';
	json_object_put(json_tokener_parse_ex(parser, blank, (int)len + 2));
}

/* Parses what json_scan() accepted. NULL when json-c does not share its opinion. */
static struct json_object *parse(struct arena *a, const char *text, size_t len, bool secret)
{
	/* json-c counts a value inside the innermost container as one level more */
	struct json_tokener *parser = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
	struct json_object *tree;

	if (!parser)
		fatal("out of memory");
	json_tokener_set_flags(parser, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	if (secret)
		parse_blank(a, parser, len);
	tree = json_tokener_parse_ex(parser, text, (int)len);
	if (tree)
		arena_defer(a, tree_free, tree);
	if (secret)
		parse_blank(a, parser, len);
	json_tokener_free(parser);
	return tree;
}

/* Members of all objects together; the depth is bounded by the scan. */
static size_t count_members(struct json_object *value)
{
	size_t n = 0;

	if (json_object_is_type(value, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(value); i++)
			n += count_members(json_object_array_get_idx(value, i));
	} else if (json_object_is_type(value, json_type_object)) {
		for (struct lh_entry *e = first_member(value); e; e = lh_entry_next(e))
			n += 1 + count_members(lh_entry_v(e));
	}
	return n;
}

/* One object of the body while its members are bound. */
struct binder {
	struct arena *arena;
	struct field_errors *errors;
	bool strict;
	const char *prefix; /* of its members' names: "operations[3].data." */
};

static void bind_members(const struct binder *, const struct field_table *, struct json_object *,
			 void *target);

static void refuse(const struct binder *b, const char *name, const char *code, const char *detail)
{
	if (*b->prefix)
		name = arena_printf(b->arena, "%s%s", b->prefix, name);
	field_error_add(b->errors, name, code, detail);
}

static void refuse_type(const struct binder *b, const struct field *f, const char *wanted)
{
	refuse(b, f->name, "invalid_type",
	       arena_printf(b->arena, "It must be %s%s.", wanted,
			    f->rules & FIELD_NULLABLE ? " or null" : ""));
}

static void bind_text(const struct binder *b, const struct field *f, struct json_object *value,
		      struct json_text *out)
{
	const char *s, *detail;
	size_t len, length;

	if (!json_object_is_type(value, json_type_string)) {
		refuse_type(b, f, "a string");
		return;
	}
	s = json_object_get_string(value);
	len = (size_t)json_object_get_string_len(value);
	if (f->rules & FIELD_TRIMMED)
		text_trim(&s, &len);
	length = text_length(s, len);
	if (length < f->min) {
		detail = arena_printf(b->arena, "It must have at least %zu characters.", f->min);
		refuse(b, f->name, "too_short", f->min == 1 ? "It must not be empty." : detail);
		return;
	}
	if (length > f->max) {
		detail = arena_printf(b->arena, "It must have at most %zu characters.", f->max);
		refuse(b, f->name, "too_long", detail);
		return;
	}
	if (f->is && !f->is(s, len)) {
		refuse(b, f->name, "invalid_value", f->wrong);
		return;
	}
	out->s = arena_strndup(b->arena, s, len);
	out->len = len;
	if (f->rules & FIELD_SECRET)
		arena_wipe_later(b->arena, (char *)(uintptr_t)out->s, len);
}

/* The version of an entity-tag. */
static bool tag_value(struct json_object *value, int64_t *out)
{
	struct if_match tags;

	if (!if_match_parse(json_object_get_string(value), &tags) || tags.n != 1)
		return false;
	*out = tags.versions[0];
	return true;
}

/* False when it is no whole number. 1.0 and 1e3 are; one that is too large for its type is left at
 * the type's end. */
static bool whole_value(struct json_object *value, int64_t *out)
{
	const double most = 9007199254740992; /* up to which a double is exact */
	double d;

	if (json_object_is_type(value, json_type_int)) {
		*out = json_object_get_int64(value);
		return true;
	}
	if (!json_object_is_type(value, json_type_double))
		return false;
	d = json_object_get_double(value);
	*out = d < -most ? INT64_MIN : d > most ? INT64_MAX : (int64_t)d;
	return *out == INT64_MIN || *out == INT64_MAX || d == (double)*out;
}

static void bind_int(const struct binder *b, const struct field *f, struct json_object *value,
		     struct json_int *out)
{
	bool tag = f->rules & FIELD_TAG;

	if (tag && json_object_is_type(value, json_type_string)) {
		if (!tag_value(value, &out->value))
			refuse(b, f->name, "invalid_value", "It must be one ETag of ours.");
		return;
	}
	if (!whole_value(value, &out->value))
		refuse_type(b, f, tag ? "a whole number or an ETag" : "a whole number");
	else if (out->value < 0 || out->value == INT64_MAX || (size_t)out->value < f->min ||
		 (size_t)out->value > f->max)
		refuse(b, f->name, "out_of_range",
		       arena_printf(b->arena, "It must be between %zu and %zu.", f->min, f->max));
}

static const char *word_list(struct arena *a, const char *const *words)
{
	const char *list = words[0];

	for (size_t i = 1; words[i]; i++)
		list = arena_printf(a, "%s%s%s", list, words[i + 1] ? ", " : " or ", words[i]);
	return list;
}

static void bind_word(const struct binder *b, const struct field *f, struct json_object *value,
		      struct json_word *out)
{
	if (!json_object_is_type(value, json_type_string)) {
		refuse_type(b, f, "a string");
		return;
	}
	for (int i = 0; f->words[i]; i++) {
		if (!strcmp(f->words[i], json_object_get_string(value))) {
			out->index = i;
			return;
		}
	}
	refuse(b, f->name, "invalid_value",
	       arena_printf(b->arena, "It must be %s.", word_list(b->arena, f->words)));
}

/* False when it is no array or has too many elements. */
static bool list_length(const struct binder *b, const struct field *f, struct json_object *value,
			size_t *n)
{
	if (!json_object_is_type(value, json_type_array)) {
		refuse_type(b, f, "an array");
		return false;
	}
	*n = json_object_array_length(value);
	if (*n <= f->max_items)
		return true;
	refuse(b, f->name, "too_many",
	       arena_printf(b->arena, "It must have at most %zu entries.", f->max_items));
	return false;
}

/* The lists are short, so each text is compared with those before it. */
static bool is_repeated(const struct json_text *list, size_t i)
{
	for (size_t k = 0; k < i && list[i].s; k++) {
		if (list[k].s && strcmp(list[i].s, list[k].s) == 0)
			return true;
	}
	return false;
}

static void bind_texts(const struct binder *b, const struct field *f, struct json_object *value,
		       struct json_texts *out)
{
	struct field one = *f;

	if (!list_length(b, f, value, &out->n))
		return;
	one.rules &= ~(unsigned)FIELD_NULLABLE; /* the array may be null, not what is in it */
	out->list = arena_array(b->arena, out->n, sizeof(*out->list));
	for (size_t i = 0; i < out->n; i++) {
		one.name = arena_printf(b->arena, "%s[%zu]", f->name, i);
		out->list[i].present = true;
		bind_text(b, &one, json_object_array_get_idx(value, i), &out->list[i]);
		if (f->rules & FIELD_UNIQUE && is_repeated(out->list, i))
			refuse(b, one.name, "duplicate", "It is there already.");
	}
}

static void bind_part(const struct binder *b, const struct field *f, struct json_object *value,
		      void *target)
{
	struct binder inner = *b;

	if (!json_object_is_type(value, json_type_object)) {
		refuse_type(b, f, "an object");
		return;
	}
	inner.prefix = arena_printf(b->arena, "%s%s.", b->prefix, f->name);
	bind_members(&inner, f->table, value, target);
}

static void bind_parts(const struct binder *b, const struct field *f, struct json_object *value,
		       struct json_parts *out)
{
	struct field one = *f;
	char *list;

	if (!list_length(b, f, value, &out->n))
		return;
	if (!out->n) {
		refuse(b, f->name, "too_few", "It must not be empty.");
		return;
	}
	one.rules &= ~(unsigned)FIELD_NULLABLE;
	out->list = list = arena_array(b->arena, out->n, f->table->size);
	for (size_t i = 0; i < out->n; i++) {
		one.name = arena_printf(b->arena, "%s[%zu]", f->name, i);
		bind_part(b, &one, json_object_array_get_idx(value, i), list + i * f->table->size);
	}
}

static void bind_value(const struct binder *b, const struct field *f, struct json_object *value,
		       void *target)
{
	struct json_part *part;
	struct json_flag *flag;

	switch (f->type) {
	case FIELD_TEXT:
		bind_text(b, f, value, target);
		break;
	case FIELD_FLAG:
		flag = target;
		flag->value = json_object_get_boolean(value);
		if (!json_object_is_type(value, json_type_boolean))
			refuse_type(b, f, "true or false");
		break;
	case FIELD_INT:
		bind_int(b, f, value, target);
		break;
	case FIELD_WORD:
		bind_word(b, f, value, target);
		break;
	case FIELD_TEXTS:
		bind_texts(b, f, value, target);
		break;
	case FIELD_PART:
		part = target;
		part->value = arena_alloc(b->arena, f->table->size);
		bind_part(b, f, value, part->value);
		break;
	case FIELD_PARTS:
		bind_parts(b, f, value, target);
		break;
	}
}

static void bind_field(const struct binder *b, const struct field *f, struct json_object *object,
		       void *target)
{
	struct json_object *value;
	struct json_word *word = target;
	bool *present = target;

	if (!json_object_object_get_ex(object, f->name, &value)) {
		if (f->rules & FIELD_REQUIRED)
			refuse(b, f->name, "required", required_detail);
		return;
	}
	*present = true;
	if (value || !(f->rules & FIELD_NULLABLE))
		bind_value(b, f, value, target);
	else if (f->type == FIELD_WORD)
		word->index = -1;
}

static bool is_known(const struct field_table *table, const char *name)
{
	for (size_t i = 0; i < table->n; i++)
		if (!strcmp(table->fields[i].name, name))
			return true;
	return !strcmp(name, "id") || !strcmp(name, "user_id");
}

static void refuse_unknown(const struct binder *b, const struct field_table *table,
			   struct json_object *object)
{
	for (struct lh_entry *e = first_member(object); e; e = lh_entry_next(e)) {
		/* a name lives as long as the tree, and the tree as long as the arena's content */
		const char *name = lh_entry_k(e);

		if (b->errors->n < FIELD_ERRORS_MAX && !is_known(table, name))
			refuse(b, name, "unknown_field", "There is no such field.");
	}
}

static void bind_members(const struct binder *b, const struct field_table *table,
			 struct json_object *object, void *target)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct field *f = &table->fields[i];

		bind_field(b, f, object, (char *)target + f->offset);
	}
	if (b->strict)
		refuse_unknown(b, table, object);
}

/* Tables are a tree, and end. */
static bool has_secret(const struct field_table *table)
{
	for (size_t i = 0; i < table->n; i++) {
		const struct field *f = &table->fields[i];

		if (f->rules & FIELD_SECRET || (f->table && has_secret(f->table)))
			return true;
	}
	return false;
}

enum api_error json_bind(struct arena *a, const struct field_table *table, const char *text,
			 size_t len, bool strict, struct field_errors *errors, void **out)
{
	const struct binder b = { .arena = a, .errors = errors, .strict = strict, .prefix = "" };
	struct json_object *tree;
	size_t members;
	void *target;

	errors->n = 0;
	if (len > INT_MAX - 2 || !json_scan(text, len, &members))
		return API_INVALID_JSON;
	tree = parse(a, text, len, has_secret(table));
	if (!tree || count_members(tree) != members)
		return API_INVALID_JSON;

	target = arena_alloc(a, table->size);
	bind_members(&b, table, tree, target);
	if (errors->n)
		return API_VALIDATION_FAILED;
	*out = target;
	return API_OK;
}
