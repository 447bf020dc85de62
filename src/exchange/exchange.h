/* Tasks as files: JSON, CSV (RFC 4180, safe for spreadsheets) and iCalendar (RFC 5545, VTODO).
 * Written in pieces and read in pieces, so that memory does not grow with their number. */
#ifndef TASKCELL_EXCHANGE_EXCHANGE_H
#define TASKCELL_EXCHANGE_EXCHANGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "http/json_writer.h"
#include "store/tasks.h"

enum exchange_format { EXCHANGE_JSON, EXCHANGE_CSV, EXCHANGE_ICALENDAR };

/* "application/json", "text/csv; charset=utf-8", "text/calendar; charset=utf-8" */
const char *exchange_media_type(enum exchange_format);

/* What comes before the first task, between, and behind the last. CSV has a header row; a cell that
 * begins with = + - @ or a control character, blanks and apostrophes before it or not, gets an
 * apostrophe in front, which reading takes off. iCalendar has no way to write control characters
 * but tab and line feed: CR LF and CR become a line feed, others U+FFFD. Otherwise what is written
 * reads as it was. */
void exchange_begin(enum exchange_format, struct buf *);
void exchange_task(enum exchange_format, struct buf *, const struct task *, bool first);
void exchange_end(enum exchange_format, struct buf *);
/* A task as JSON, here and in every answer. */
void write_task(struct json_writer *, const struct task *);
/* By enum priority, then NULL. */
extern const char *const task_priority_names[];

enum { EXCHANGE_ROW_MAX = 256 * 1024 }; /* bytes of a task in a file: all escaped, and some */

/* One task of a file, as it was found. */
struct exchange_row {
	size_t number;        /* of the task in the file, from 1 */
	const char *error;    /* NULL, or one plain sentence: the row cannot be read */
	struct new_task task; /* id all zeros when the row has none; texts are UTF-8 without NUL, of
				 * which nothing else has been checked */
	const char *uid;      /* of iCalendar: what names the task, when it is no UUID; or NULL */
};

/* Reads a file that stays in memory while it is read. */
struct exchange_reader;
struct exchange_reader *exchange_open(enum exchange_format, const char *text, size_t len);
/* The next row, on the arena, which the caller resets between rows as it likes. False at the end;
 * then `error` (or NULL) says why nothing more can be read, such as a file that is cut. */
bool exchange_next(struct exchange_reader *, struct arena *, struct exchange_row *,
		   const char **error) MUST_CHECK;
void exchange_close(struct exchange_reader *);

#endif
