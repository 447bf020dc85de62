/* Appends JSON (RFC 8259) to a buffer. The writer puts the commas; the caller balances open and
 * close. Keys are constants of ours and are not escaped; strings are valid UTF-8. */
#ifndef TASKCELL_HTTP_JSON_WRITER_H
#define TASKCELL_HTTP_JSON_WRITER_H

#include "base/buf.h"
#include "base/uuid.h"

struct json_writer {
	struct buf *out;
	bool comma; /* the next value needs one before it */
};

void json_begin(struct json_writer *, struct buf *out);

void json_object_open(struct json_writer *);
void json_object_close(struct json_writer *);
void json_array_open(struct json_writer *);
void json_array_close(struct json_writer *);
/* `"key":`; the next call writes its value. */
void json_key(struct json_writer *, const char *key);

/* NULL is written as null. */
void json_string(struct json_writer *, const char *value);
void json_int(struct json_writer *, int64_t value);
void json_bool(struct json_writer *, bool value);
/* Bytes that are JSON already. */
void json_raw(struct json_writer *, const char *text, size_t len);
void json_null(struct json_writer *);
void json_uuid(struct json_writer *, const struct uuid *);
/* Microseconds since 1970 as RFC 3339 with milliseconds. */
void json_time(struct json_writer *, int64_t us);

#endif
