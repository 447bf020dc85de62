/* What a user brings: a file of tasks, row by row. */
#include "base/base.h"

#include "api/handlers.h"

#include <strings.h>

#include "api/reply.h"
#include "api/task_input.h"
#include "exchange/exchange.h"
#include "security/keys.h"

enum {
	IMPORT_ROWS_MAX = 200000,
	IMPORT_GROUP = 100, /* rows of one transaction: a row alone would wait for the disk */
	IMPORT_MEMORY = 16 * 1024 * 1024, /* of a row; a cell of no bytes takes some all the same */
};

/* --- a row ----------------------------------------------------------------------------------- */

enum fate { FATE_CREATED, FATE_CHANGED, FATE_UNCHANGED, FATE_RESTORED, FATE_FAILED, FATE_COUNT };

static const char *const fate_words[FATE_COUNT] = { "created", "changed", "unchanged", "restored",
						    "failed" };

/* An id of the file: whether a row has had it before. */
struct seen {
	struct uuid id;
	bool seen;
};

struct import {
	enum exchange_format format;
	bool dry_run;
	struct seen *ids; /* of a dry run, sorted, each once */
	size_t n_ids;
	struct arena *arena; /* of the row */
	int64_t counts[FATE_COUNT];
	struct json_writer w;
};

/* A task of another program always becomes the same task of this user (RFC 9562, 5.8). */
static struct uuid derived_id(struct call *c, const char *uid)
{
	static const char domain[] = "taskcell task of uid ";
	size_t len = strlen(uid), at = strlen(domain);
	char *text = arena_array(c->arena, at + sizeof(struct uuid) + len, 1);
	uint8_t digest[DIGEST_LEN];
	struct uuid id;

	memcpy(text, domain, at);
	memcpy(text + at, c->principal->user_id.bytes, sizeof(struct uuid));
	memcpy(text + at + sizeof(struct uuid), uid, len);
	digest_sha256(text, at + sizeof(struct uuid) + len, digest);
	memcpy(id.bytes, digest, sizeof(id.bytes));
	id.bytes[6] = (uint8_t)((id.bytes[6] & 0x0f) | 0x80);
	id.bytes[8] = (uint8_t)((id.bytes[8] & 0x3f) | 0x80);
	return id;
}

static int by_id(const void *left, const void *right)
{
	const struct seen *a = left, *b = right;

	return memcmp(a->id.bytes, b->id.bytes, sizeof(a->id.bytes));
}

static void sort_ids(struct import *im)
{
	size_t kept = 0;

	if (im->n_ids)
		qsort(im->ids, im->n_ids, sizeof(*im->ids), by_id);
	for (size_t i = 0; i < im->n_ids; i++) {
		if (!kept || by_id(&im->ids[kept - 1], &im->ids[i]) != 0)
			im->ids[kept++] = im->ids[i];
	}
	im->n_ids = kept;
}

/* Whether a row before this one would have made the task, of which a dry run finds nothing. */
static bool seen_before(struct import *im, const struct uuid *id)
{
	struct seen key = { .id = *id }, *found;
	bool before;

	found = im->n_ids ? bsearch(&key, im->ids, im->n_ids, sizeof(key), by_id) : NULL;
	before = found && found->seen;
	if (found)
		found->seen = true;
	return before;
}

/* Holds a row to what a body of POST is held to. NULL, or what is wrong with it. */
static const char *check_row(struct arena *a, struct new_task *t)
{
	struct field_errors errors = { .n = 0 };

	if (task_input_check(a, &errors, t))
		return NULL;
	return arena_printf(a, "The field %s is not valid: %s", errors.list[0].field,
			    errors.list[0].detail);
}

/* --- the file -------------------------------------------------------------------------------- */

static void write_fate(struct import *im, const struct exchange_row *row, enum fate fate,
		       const struct uuid *id, const char *detail)
{
	struct json_writer *w = &im->w;

	json_object_open(w);
	json_key(w, "row");
	json_int(w, (int64_t)row->number);
	json_key(w, "id");
	if (id)
		json_uuid(w, id);
	else
		json_null(w);
	json_key(w, "status");
	json_string(w, fate_words[fate]);
	if (detail) {
		json_key(w, "detail");
		json_string(w, detail);
	}
	json_object_close(w);
	im->counts[fate]++;
}

/* All zeros stay for a row without an id. */
static void name_row(struct call *c, struct exchange_row *row)
{
	if (row->uid)
		row->task.id = derived_id(c, row->uid);
}

/* A row that cannot be read does not stop the others; a database that fails does. */
static enum api_error import_row(struct call *c, struct import *im, struct exchange_row *row)
{
	static const enum fate fates[] = {
		[IMPORTED_NEW] = FATE_CREATED,
		[IMPORTED_CHANGED] = FATE_CHANGED,
		[IMPORTED_SAME] = FATE_UNCHANGED,
		[IMPORTED_TRASHED] = FATE_RESTORED,
	};
	static const struct uuid none;
	struct new_task *t = &row->task;
	const char *detail = row->error ? row->error : check_row(c->arena, t);
	enum imported done;
	enum store_result r;
	bool named;

	name_row(c, row);
	named = !uuid_equal(&t->id, &none);
	if (detail) {
		write_fate(im, row, FATE_FAILED, named ? &t->id : NULL, detail);
		return API_OK;
	}
	if (!named)
		t->id = uuid_v7();
	r = store_task_import(c->store, c->arena, c->principal, t, im->dry_run, &done);
	if (r != STORE_OK)
		return api_from_store(r);
	if (im->dry_run && seen_before(im, &t->id))
		done = IMPORTED_CHANGED;
	/* the id that a dry run makes up will not be the one */
	write_fate(im, row, fates[done], named || !im->dry_run ? &t->id : NULL, NULL);
	return API_OK;
}

/* The next rows, in one transaction. */
static enum api_error import_group(struct call *c, struct import *im,
				   struct exchange_reader *reader, bool *more)
{
	enum store_result r = store_begin(c->store, false);
	struct call one = *c;
	struct exchange_row row;
	const char *error;
	enum api_error e = API_OK;

	if (r != STORE_OK)
		return api_from_store(r);
	one.arena = im->arena;
	for (int i = 0; e == API_OK && i < IMPORT_GROUP; i++) {
		*more = exchange_next(reader, im->arena, &row, &error);
		if (!*more)
			break;
		e = import_row(&one, im, &row);
		arena_reset(im->arena);
	}
	r = store_end(c->store, e == API_OK);
	return e == API_OK && r != STORE_OK ? api_from_store(r) : e;
}

static void close_reader(void *reader)
{
	exchange_close(reader);
}

static struct exchange_reader *open_body(struct call *c, const struct import *im)
{
	struct exchange_reader *reader =
		exchange_open(im->format, c->request->body, c->request->body_len);

	arena_defer(c->arena, close_reader, reader);
	return reader;
}

/* Reads the file once without any effect: one that is cut or is something else changes nothing. */
static enum api_error check_file(struct call *c, struct import *im)
{
	struct exchange_reader *reader = open_body(c, im);
	struct call one = *c;
	struct exchange_row row;
	const char *error;
	size_t rows = 0;

	one.arena = im->arena;
	if (im->dry_run)
		im->ids = arena_array(c->arena, IMPORT_ROWS_MAX, sizeof(*im->ids));
	while (exchange_next(reader, im->arena, &row, &error) && rows <= IMPORT_ROWS_MAX) {
		if (im->dry_run && rows < IMPORT_ROWS_MAX) {
			name_row(&one, &row);
			im->ids[im->n_ids++] = (struct seen){ .id = row.task.id };
		}
		arena_reset(im->arena);
		if (++rows % IMPORT_GROUP == 0)
			restart_deadline(c);
	}
	arena_reset(im->arena);
	sort_ids(im);
	if (rows > IMPORT_ROWS_MAX) {
		c->detail = "A file may have at most 200000 tasks.";
		return API_BODY_TOO_LARGE;
	}
	c->detail = error;
	if (!error)
		return API_OK;
	return im->format == EXCHANGE_JSON ? API_INVALID_JSON : API_INVALID_REQUEST;
}

static enum api_error import_file(struct call *c, struct import *im)
{
	struct exchange_reader *reader = open_body(c, im);
	enum api_error e = API_OK;
	bool more = true;

	reply_json(c, 200, &im->w);
	json_object_open(&im->w);
	json_key(&im->w, "dry_run");
	json_bool(&im->w, im->dry_run);
	json_key(&im->w, "rows");
	json_array_open(&im->w);
	while (e == API_OK && more) {
		restart_deadline(c);
		e = import_group(c, im, reader, &more);
		if (e == API_OK)
			e = reply_spill(c);
	}
	json_array_close(&im->w);
	json_key(&im->w, "created");
	json_int(&im->w, im->counts[FATE_CREATED]);
	json_key(&im->w, "changed");
	json_int(&im->w, im->counts[FATE_CHANGED] + im->counts[FATE_RESTORED]);
	json_key(&im->w, "unchanged");
	json_int(&im->w, im->counts[FATE_UNCHANGED]);
	json_key(&im->w, "failed");
	json_int(&im->w, im->counts[FATE_FAILED]);
	json_object_close(&im->w);
	return e;
}

static bool format_of(const char *content_type, enum exchange_format *out)
{
	static const char *const types[] = { "application/json", "text/csv", "text/calendar" };
	size_t len;

	if (!content_type)
		return false;
	content_type += strspn(content_type, " \t");
	len = strcspn(content_type, "; \t");
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strlen(types[i]) == len && strncasecmp(types[i], content_type, len) == 0) {
			*out = (enum exchange_format)i;
			return true;
		}
	}
	return false;
}

enum api_error tasks_import(struct call *c)
{
	const char *dry_run = query_get(&c->query, "dry_run");
	struct import im = { .dry_run = dry_run && strcmp(dry_run, "true") == 0 };
	enum api_error e;

	if (dry_run && !im.dry_run && strcmp(dry_run, "false") != 0)
		return API_INVALID_QUERY;
	if (!format_of(c->request->content_type, &im.format)) {
		c->detail = "The body must be application/json, text/csv or text/calendar.";
		return API_UNSUPPORTED_MEDIA_TYPE;
	}
	im.arena = piece_arena(c, IMPORT_MEMORY);
	e = check_file(c, &im);
	return e == API_OK ? import_file(c, &im) : e;
}
