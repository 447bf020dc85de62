/* Parameters of statements and values of results, in PostgreSQL's binary form but for texts. */
#include "base/base.h"

#include "store/pg.h"

#include "base/codec.h"
#include "base/log.h"

static const int64_t pg_epoch_us = UNIX_OF_PG_EPOCH * US_PER_SECOND;

/* --- parameters ------------------------------------------------------------------------------ */

static int add(struct pg_step *step)
{
	if (step->n == PG_PARAMS_MAX)
		fatal("store: more than %d parameters", PG_PARAMS_MAX);
	return step->n++;
}

static void add_binary(struct pg_step *step, const void *bytes, size_t len)
{
	int i = add(step);

	memcpy(step->bytes[i], bytes, len);
	step->values[i] = step->bytes[i];
	step->lengths[i] = (int)len;
	step->formats[i] = 1;
}

void pg_null(struct pg_step *step)
{
	pg_text(step, NULL);
}

void pg_text(struct pg_step *step, const char *text)
{
	step->values[add(step)] = text;
}

void pg_uuid(struct pg_step *step, const struct uuid *id)
{
	add_binary(step, id->bytes, sizeof(id->bytes));
}

void pg_int(struct pg_step *step, int64_t value)
{
	unsigned char bytes[8];

	put_int64(bytes, value);
	add_binary(step, bytes, sizeof(bytes));
}

void pg_bool(struct pg_step *step, bool value)
{
	add_binary(step, value ? "\1" : "", 1);
}

void pg_time(struct pg_step *step, int64_t us)
{
	if (us < INT64_MIN + pg_epoch_us)
		us = INT64_MIN;
	pg_int(step, us == INT64_MAX || us == INT64_MIN ? us : us - pg_epoch_us);
}

/* --- arrays, as array_send has them ---------------------------------------------------------- */

enum {
	ARRAY_TEXT = 25,         /* the type of the elements */
	ARRAY_HEAD = 3 * 4,      /* dimensions, a flag for nulls, the type */
	ARRAY_DIMENSION = 2 * 4, /* its length and the first index */
};

static char *put_int32(char *p, size_t value)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		*p++ = (char)(value >> shift & 0xff);
	return p;
}

static size_t get_int32(const char *p)
{
	size_t value = 0;

	for (int i = 0; i < 4; i++)
		value = value << 8 | (unsigned char)p[i];
	return value;
}

void pg_texts(struct pg_step *step, struct arena *arena, const char *const *list, size_t n)
{
	size_t size = ARRAY_HEAD + ARRAY_DIMENSION;
	char *bytes, *p;
	int i = add(step);

	for (size_t k = 0; k < n; k++)
		size += 4 + strlen(list[k]);
	bytes = p = arena_alloc(arena, size);
	p = put_int32(p, n > 0);
	p = put_int32(p, 0);
	p = put_int32(p, ARRAY_TEXT);
	if (n > 0) {
		p = put_int32(p, n);
		p = put_int32(p, 1);
	}
	for (size_t k = 0; k < n; k++) {
		size_t len = strlen(list[k]);

		p = put_int32(p, len);
		memcpy(p, list[k], len);
		p += len;
	}
	step->values[i] = bytes;
	step->lengths[i] = (int)(p - bytes);
	step->formats[i] = 1;
}

size_t pg_get_texts(const PGresult *res, int row, int column, struct arena *arena,
		    const char **list, size_t max)
{
	const char *p = PQgetvalue(res, row, column);
	const char *end = p + PQgetlength(res, row, column);
	size_t n;

	if (end - p < ARRAY_HEAD || get_int32(p + 8) != ARRAY_TEXT)
		fatal("store: column %d is no array of texts", column);
	if (get_int32(p) == 0)
		return 0;
	n = get_int32(p + ARRAY_HEAD);
	if (get_int32(p) != 1 || n > max)
		fatal("store: column %d is another array", column);
	p += ARRAY_HEAD + ARRAY_DIMENSION;
	for (size_t i = 0; i < n; i++) {
		size_t len = end - p < 4 ? SIZE_MAX : get_int32(p);

		if (len > (size_t)(end - p) - 4)
			fatal("store: column %d is cut short", column);
		list[i] = arena_strndup(arena, p + 4, len);
		p += 4 + len;
	}
	return n;
}

/* --- results --------------------------------------------------------------------------------- */

const char *pg_get_text(const PGresult *res, int row, int column)
{
	return PQgetisnull(res, row, column) ? NULL : PQgetvalue(res, row, column);
}

/* The bytes of a value of that many: anything else is a statement that does not fit its caller. */
static const char *get_binary(const PGresult *res, int row, int column, size_t len)
{
	if ((size_t)PQgetlength(res, row, column) != len)
		fatal("store: column %d is no value of %zu bytes", column, len);
	return PQgetvalue(res, row, column);
}

struct uuid pg_get_uuid(const PGresult *res, int row, int column)
{
	struct uuid id;

	memcpy(id.bytes, get_binary(res, row, column, sizeof(id.bytes)), sizeof(id.bytes));
	return id;
}

int64_t pg_get_int(const PGresult *res, int row, int column)
{
	return get_int64(get_binary(res, row, column, 8));
}

int pg_get_small(const PGresult *res, int row, int column)
{
	const unsigned char *bytes = (const void *)get_binary(res, row, column, 2);

	return (int16_t)(bytes[0] << 8 | bytes[1]);
}

bool pg_get_bool(const PGresult *res, int row, int column)
{
	if (PQgetisnull(res, row, column))
		return false;
	return *get_binary(res, row, column, 1) != 0;
}

int64_t pg_get_time(const PGresult *res, int row, int column)
{
	int64_t us;

	if (PQgetisnull(res, row, column))
		return 0;
	us = pg_get_int(res, row, column);
	return us > INT64_MAX - pg_epoch_us ? INT64_MAX : us + pg_epoch_us;
}
