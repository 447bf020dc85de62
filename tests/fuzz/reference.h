/* A second opinion on JSON: a plain recursive reader of RFC 8259. */
#ifndef TASKCELL_FUZZ_REFERENCE_H
#define TASKCELL_FUZZ_REFERENCE_H

#include "base/arena.h"

enum value_kind { VALUE_NULL, VALUE_FLAG, VALUE_NUMBER, VALUE_TEXT, VALUE_ARRAY, VALUE_OBJECT };

struct member;

struct value {
	enum value_kind kind;
	bool flag;
	const char *text; /* decoded, of a number as it stands; terminated */
	size_t len;
	const struct member *inner; /* members of an object, elements of an array, in their order */
};

struct member {
	struct member *next;
	const char *name; /* decoded and terminated; NULL in an array */
	size_t len;
	struct value value;
};

struct reading {
	struct value body;  /* the outermost object */
	size_t members;     /* of all objects */
	size_t depth;       /* containers inside each other */
	bool has_nul;       /* in some name or text */
	bool has_duplicate; /* two members of one name in some object */
};

/* False when the bytes are not one object in valid UTF-8 with white space around it at most. */
bool reference_read(struct arena *, const char *text, size_t len, struct reading *out) MUST_CHECK;

/* The last member of an object that has that name, NULL when there is none. */
const struct member *reference_find(const struct value *, const char *name);

#endif
