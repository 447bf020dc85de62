/* JSON bodies bound into a struct by a table of fields, so that a handler gets typed values or does
 * not run. */
#ifndef TASKCELL_HTTP_JSON_BIND_H
#define TASKCELL_HTTP_JSON_BIND_H

#include "base/arena.h"
#include "http/api_error.h"

/* What a field is bound to. `present` is false when the member was absent, and stands first. */
struct json_text {
	bool present;
	const char *s; /* NULL when the member was null */
	size_t len;    /* bytes */
};
struct json_flag {
	bool present;
	bool value;
};
struct json_int {
	bool present;
	int64_t value;
};
/* A word of a list: its index. */
struct json_word {
	bool present;
	int index; /* -1 when the member was null */
};
struct json_texts {
	bool present; /* n is 0 when the member was null */
	size_t n;
	struct json_text *list;
};
/* An object of its own table, and an array of such. */
struct json_part {
	bool present;
	void *value; /* NULL when the member was null */
};
struct json_parts {
	bool present;
	size_t n;
	void *list; /* n structs of the table's size, one behind the other */
};

enum field_type {
	FIELD_TEXT,
	FIELD_FLAG,
	FIELD_INT,   /* a whole number; another is invalid_type, or out_of_range */
	FIELD_WORD,  /* of `words`; another is invalid_value */
	FIELD_TEXTS, /* at most `max_items` texts of min to max; others are too_many */
	FIELD_PART,  /* `table` */
	FIELD_PARTS, /* at least one (too_few), at most `max_items` (too_many) of `table` */
};
enum field_rules {
	FIELD_REQUIRED = 1,
	FIELD_NULLABLE = 2, /* null is a value */
	FIELD_TRIMMED = 4,  /* Unicode white space at both ends goes first */
	FIELD_SECRET = 8,   /* the copy is wiped with the arena */
	FIELD_TAG = 16,     /* a FIELD_INT may also be the text of an entity-tag: "\"17\"" */
	FIELD_UNIQUE = 32,  /* texts of FIELD_TEXTS that are there already are duplicate */
};

struct field {
	const char *name;
	enum field_type type;
	unsigned rules;
	size_t offset;   /* of the struct of its type in the target */
	size_t min, max; /* code points of a text; FIELD_INT: least and greatest value */
	bool (*is)(const char *s,
		   size_t len);          /* of a FIELD_TEXT, or NULL; others are invalid_value */
	const char *wrong;               /* which is this sentence */
	const char *const *words;        /* of FIELD_WORD, up to NULL */
	const struct field_table *table; /* of FIELD_PART and FIELD_PARTS; never its own */
	size_t max_items;
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
	const char *field; /* "title", "tags[2]", "operations[3].data.title" */
	const char *code;  /* required, invalid_type, too_short, too_long, unknown_field, … */
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
 * member is. `strict`: members outside the tables are errors, but `id` and `user_id` never are.
 * Texts are UTF-8 without NUL; copies on the arena. */
enum api_error json_bind(struct arena *, const struct field_table *, const char *text, size_t len,
			 bool strict, struct field_errors *errors, void **out) MUST_CHECK;

#endif
