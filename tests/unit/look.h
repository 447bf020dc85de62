/* Looking into JSON documents. On its own, since json-c's header and http/json_writer.h both name a
 * json_bool. A path is "errors.0.field"; "" is the document itself. */
#ifndef TASKCELL_TESTS_UNIT_LOOK_H
#define TASKCELL_TESTS_UNIT_LOOK_H

#include "base/base.h"

struct json_object;

/* NULL unless the bytes are exactly one value. */
struct json_object *look_parse(const char *bytes, size_t len);
void look_free(void *document);

/* Whether the member is there, be it null. */
bool look_has(struct json_object *, const char *path);
/* Whether it is there and null. */
bool look_is_null(struct json_object *, const char *path);
/* "" when it is no string. */
const char *look_text(struct json_object *, const char *path);
/* INT64_MIN when it is no whole number. */
int64_t look_number(struct json_object *, const char *path);
/* 1 or 0, -1 when it is neither true nor false. */
int look_flag(struct json_object *, const char *path);
/* Elements of an array or members of an object, -1 for anything else. */
int look_length(struct json_object *, const char *path);

#endif
