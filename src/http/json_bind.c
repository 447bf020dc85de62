#include "base/base.h"

#include "http/json_bind.h"

#include <json-c/json.h>
#include <limits.h>

#include "base/log.h"
#include "base/secret.h"
#include "http/json_scan.h"
#include "http/text.h"

void field_error_add(struct field_errors *errors, const char *field, const char *code,
		     const char *detail)
{
	if (errors->n == FIELD_ERRORS_MAX)
		return;
	errors->list[errors->n++] = (struct field_error){ field, code, detail };
}

void field_error_required(struct field_errors *errors, const char *field)
{
	field_error_add(errors, field, "required", "This field is required.");
}

static struct lh_entry *first_member(struct json_object *object)
{
	return lh_table_head(json_object_get_object(object));
}

/* Frees a parsed body. Its texts are overwritten whatever they are: a client may have sent a secret
 * under any name. */
static void tree_free(void *object)
{
	struct json_object *tree = object;

	for (struct lh_entry *e = first_member(tree); e; e = lh_entry_next(e)) {
		struct json_object *value = lh_entry_v(e);

		/* a constant pointer to the object's own bytes, and the object is ours alone */
		if (json_object_is_type(value, json_type_string))
			secret_wipe((char *)(uintptr_t)json_object_get_string(value),
				    (size_t)json_object_get_string_len(value));
	}
	json_object_put(tree);
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

static void bind_text(struct arena *a, const struct field *f, struct json_object *value,
		      struct field_errors *errors, struct json_text *out)
{
	const char *s, *detail;
	size_t len, length;

	if (!value && (f->rules & FIELD_NULLABLE))
		return;
	if (!json_object_is_type(value, json_type_string)) {
		field_error_add(errors, f->name, "invalid_type",
				f->rules & FIELD_NULLABLE ? "It must be a string or null."
							  : "It must be a string.");
		return;
	}
	s = json_object_get_string(value);
	len = (size_t)json_object_get_string_len(value);
	if (f->rules & FIELD_TRIMMED)
		text_trim(&s, &len);
	length = text_length(s, len);
	if (length < f->min) {
		detail = arena_printf(a, "It must have at least %zu characters.", f->min);
		field_error_add(errors, f->name, "too_short",
				f->min == 1 ? "It must not be empty." : detail);
		return;
	}
	if (length > f->max) {
		detail = arena_printf(a, "It must have at most %zu characters.", f->max);
		field_error_add(errors, f->name, "too_long", detail);
		return;
	}
	out->s = arena_strndup(a, s, len);
	out->len = len;
	if (f->rules & FIELD_SECRET)
		arena_wipe_later(a, (char *)(uintptr_t)out->s, len);
}

static void bind_field(struct arena *a, const struct field *f, struct json_object *tree,
		       struct field_errors *errors, char *target)
{
	struct json_text *text = (void *)(target + f->offset);
	struct json_flag *flag = (void *)(target + f->offset);
	struct json_object *value;

	if (!json_object_object_get_ex(tree, f->name, &value)) {
		if (f->rules & FIELD_REQUIRED)
			field_error_required(errors, f->name);
		return;
	}
	switch (f->type) {
	case FIELD_TEXT:
		text->present = true;
		bind_text(a, f, value, errors, text);
		break;
	case FIELD_FLAG:
		flag->present = true;
		flag->value = json_object_get_boolean(value);
		if (!json_object_is_type(value, json_type_boolean))
			field_error_add(errors, f->name, "invalid_type",
					"It must be true or false.");
		break;
	}
}

static bool is_known(const struct field_table *table, const char *name)
{
	for (size_t i = 0; i < table->n; i++)
		if (!strcmp(table->fields[i].name, name))
			return true;
	return !strcmp(name, "id") || !strcmp(name, "user_id");
}

static void refuse_unknown(const struct field_table *table, struct json_object *tree,
			   struct field_errors *errors)
{
	for (struct lh_entry *e = first_member(tree); e; e = lh_entry_next(e)) {
		/* a name lives as long as the tree, and the tree as long as the arena's content */
		const char *name = lh_entry_k(e);

		if (!is_known(table, name))
			field_error_add(errors, name, "unknown_field", "There is no such field.");
	}
}

static bool has_secret(const struct field_table *table)
{
	for (size_t i = 0; i < table->n; i++)
		if (table->fields[i].rules & FIELD_SECRET)
			return true;
	return false;
}

enum api_error json_bind(struct arena *a, const struct field_table *table, const char *text,
			 size_t len, bool strict, struct field_errors *errors, void **out)
{
	struct json_object *tree;
	size_t members;
	char *target;

	errors->n = 0;
	if (len > INT_MAX - 2 || !json_scan(text, len, &members))
		return API_INVALID_JSON;
	tree = parse(a, text, len, has_secret(table));
	if (!tree || count_members(tree) != members)
		return API_INVALID_JSON;

	target = arena_alloc(a, table->size);
	for (size_t i = 0; i < table->n; i++)
		bind_field(a, &table->fields[i], tree, errors, target);
	if (strict)
		refuse_unknown(table, tree, errors);
	if (errors->n)
		return API_VALIDATION_FAILED;
	*out = target;
	return API_OK;
}
