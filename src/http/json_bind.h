/* JSON bodies bound into a struct by a table of fields, so that a handler gets typed values or does
 * not run. */
#ifndef TASKCELL_HTTP_JSON_BIND_H
#define TASKCELL_HTTP_JSON_BIND_H

#include "base/arena.h"
#include "http/api_error.h"

/* What a field is bound to. `present` is false when the member was absent. */
struct json_text {
	bool present;
	const char *s; /* NULL when the member was null */
	size_t len;    /* bytes */
};
struct json_flag {
	bool present;
	bool value;
};

enum field_type { FIELD_TEXT, FIELD_FLAG };
enum field_rules {
	FIELD_REQUIRED = 1,
	FIELD_NULLABLE = 2, /* null is a value */
	FIELD_TRIMMED = 4,  /* Unicode white space at both ends goes first */
	FIELD_SECRET = 8,   /* the copy is wiped with the arena */
};

struct field {
	const char *name;
	enum field_type type;
	unsigned rules;
	size_t offset;   /* of a struct json_text or json_flag in the target */
	size_t min, max; /* code points of a text */
};

struct field_table {
	const struct field *fields;
	size_t n;
	size_t size; /* of the target struct */
};

#define FIELD_TABLE(table, target)                                                                 \
	{                                                                                          \
		(table), ARRAY_LEN(table), sizeof(target)                                          \
	}

/* What is wrong with one member; collected so that a client sees all of it at once. */
struct field_error {
	const char *field;
	const char *code; /* required, invalid_type, too_short, too_long, unknown_field, … */
	const char *detail;
};
enum { FIELD_ERRORS_MAX = 16 };
struct field_errors {
	size_t n; /* more than FIELD_ERRORS_MAX are not kept */
	struct field_error list[FIELD_ERRORS_MAX];
};

/* Adds an entry. `detail` is one plain sentence. Strings are kept, not copied. */
void field_error_add(struct field_errors *, const char *field, const char *code,
		     const char *detail);
/* The entry of a field that is absent and must not be. */
void field_error_required(struct field_errors *, const char *field);

/* Reads `len` bytes into a new struct of the table's size on the arena. API_INVALID_JSON when they
 * are not one JSON object (json_scan.h), API_VALIDATION_FAILED with entries in `errors` when a
 * member is. `strict`: members outside the table are errors, but `id` and `user_id` never are.
 * Texts are UTF-8 without NUL; copies on the arena. */
enum api_error json_bind(struct arena *, const struct field_table *, const char *text, size_t len,
			 bool strict, struct field_errors *errors, void **out) MUST_CHECK;

#endif
