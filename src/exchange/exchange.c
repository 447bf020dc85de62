#include "base/base.h"

#include "exchange/exchange_private.h"

#include "base/codec.h"
#include "base/log.h"
#include "http/text.h"

enum { TIME_TEXT_MAX = 64 }; /* of a date-time, whatever its fraction */

#define YEAR_10000 (INT64_C(253402300800) * US_PER_SECOND)

const char *const task_priority_names[] = { "none", "low", "medium", "high", NULL };

const char *exchange_media_type(enum exchange_format format)
{
	switch (format) {
	case EXCHANGE_JSON:
		return "application/json";
	case EXCHANGE_CSV:
		return "text/csv; charset=utf-8";
	case EXCHANGE_ICALENDAR:
		return "text/calendar; charset=utf-8";
	}
	return NULL;
}

/* --- writing --------------------------------------------------------------------------------- */

static void put(struct buf *out, const char *text)
{
	buf_append(out, text, strlen(text));
}

void exchange_begin(enum exchange_format format, struct buf *out)
{
	switch (format) {
	case EXCHANGE_JSON:
		put(out, "[");
		break;
	case EXCHANGE_CSV:
		csv_header(out);
		break;
	case EXCHANGE_ICALENDAR:
		put(out, "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//taskcell//taskcell//EN\r\n");
		break;
	}
}

void exchange_task(enum exchange_format format, struct buf *out, const struct task *task,
		   bool first)
{
	switch (format) {
	case EXCHANGE_JSON:
		json_task(out, task, first);
		break;
	case EXCHANGE_CSV:
		csv_task(out, task);
		break;
	case EXCHANGE_ICALENDAR:
		icalendar_task(out, task);
		break;
	}
}

void exchange_end(enum exchange_format format, struct buf *out)
{
	switch (format) {
	case EXCHANGE_JSON:
		put(out, "]");
		break;
	case EXCHANGE_CSV:
		break;
	case EXCHANGE_ICALENDAR:
		put(out, "END:VCALENDAR\r\n");
		break;
	}
}

/* --- reading --------------------------------------------------------------------------------- */

struct exchange_reader *exchange_open(enum exchange_format format, const char *text, size_t len)
{
	static const char mark[] = "\xef\xbb\xbf";
	struct exchange_reader *r = calloc(1, sizeof(*r));

	if (!r)
		fatal("out of memory");
	r->format = format;
	r->p = text;
	r->end = text + len;
	/* programs for spreadsheets put one in front */
	if (len >= strlen(mark) && memcmp(text, mark, strlen(mark)) == 0)
		r->p += strlen(mark);
	buf_init(&r->line, EXCHANGE_ROW_MAX + 1);
	return r;
}

void exchange_close(struct exchange_reader *r)
{
	if (r)
		buf_free(&r->line);
	free(r);
}

bool reader_end(struct exchange_reader *r, const char *error)
{
	r->over = true;
	r->error = error;
	return false;
}

bool exchange_next(struct exchange_reader *r, struct arena *a, struct exchange_row *row,
		   const char **error)
{
	bool found = false;

	*row = (struct exchange_row){ .error = NULL };
	if (!r->over) {
		switch (r->format) {
		case EXCHANGE_JSON:
			found = json_next(r, a, row);
			break;
		case EXCHANGE_CSV:
			found = csv_next(r, a, row);
			break;
		case EXCHANGE_ICALENDAR:
			found = icalendar_next(r, a, row);
			break;
		}
	}
	if (found)
		row->number = ++r->number;
	/* the time of something that is not done would make no sense to the store */
	if (!row->task.completed)
		row->task.completed_at = 0;
	*error = r->error;
	return found;
}

/* --- values of a row ------------------------------------------------------------------------- */

void row_fail(struct exchange_row *row, const char *error)
{
	if (!row->error)
		row->error = error;
}

bool row_text_ok(struct exchange_row *row, const char *text, size_t len)
{
	if (!text_is_utf8(text, len))
		row_fail(row, "The text is not valid UTF-8.");
	else if (memchr(text, '\0', len))
		row_fail(row, "The text has a NUL in it.");
	else
		return true;
	return false;
}

void row_id(struct exchange_row *row, const char *text)
{
	static const struct uuid none;

	/* the id of all zeros stands for none */
	if (!uuid_parse(text, strlen(text), &row->task.id) || uuid_equal(&row->task.id, &none))
		row_fail(row, "The id must be a UUID.");
}

void row_due(struct exchange_row *row, const char *text)
{
	struct due *due = &row->task.due;
	size_t len = strlen(text);

	if (len <= TIME_TEXT_MAX &&
	    (date_parse(text, len, &due->at) || rfc3339_parse(text, len, &due->at)))
		due->text = text;
	else
		row_fail(row, "The due date must be a date or an RFC 3339 date-time.");
}

void row_tag(struct exchange_row *row, const char *text)
{
	struct tags *tags = &row->task.tags;

	if (tags->n < TASK_TAGS_MAX)
		tags->list[tags->n++] = text;
	else
		row_fail(row, "There may be at most 20 tags.");
}

/* Times that the server itself could have set; cursors hold no others. 0 means now to the store. */
static bool stamp(const char *text, int64_t *out)
{
	size_t len = strlen(text);

	if (len > TIME_TEXT_MAX || !rfc3339_parse(text, len, out) || *out < 0 || *out >= YEAR_10000)
		return false;
	if (*out == 0)
		*out = 1;
	return true;
}

void row_created_at(struct exchange_row *row, const char *text)
{
	if (!stamp(text, &row->task.created_at))
		row_fail(row, "The time of creation must be an RFC 3339 date-time since 1970.");
}

void row_completed_at(struct exchange_row *row, const char *text)
{
	if (!stamp(text, &row->task.completed_at))
		row_fail(row, "The time of completion must be an RFC 3339 date-time since 1970.");
}
