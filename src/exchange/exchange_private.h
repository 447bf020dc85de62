/* What the formats share. */
#ifndef TASKCELL_EXCHANGE_PRIVATE_H
#define TASKCELL_EXCHANGE_PRIVATE_H

#include "exchange/exchange.h"

enum { CSV_COLUMNS_MAX = 256 };

struct exchange_reader {
	enum exchange_format format;
	const char *p, *end; /* what has not been read yet */
	bool begun;          /* past what comes before the first task */
	bool over;           /* nothing more to read */
	const char *error;   /* why not */
	size_t number;       /* of the last row */

	/* JSON */
	bool wrapped; /* the array is a member of an object */
	bool used;    /* an element has been read */
	/* CSV */
	char delimiter;
	size_t columns;
	uint8_t column[CSV_COLUMNS_MAX]; /* what each cell of a row is */
	/* iCalendar */
	size_t depth;    /* of components */
	struct buf line; /* unfolded */
	bool line_cut;   /* it was longer than that */
};

/* The next row, which comes zeroed; false at the end. */
bool json_next(struct exchange_reader *, struct arena *, struct exchange_row *) MUST_CHECK;
bool csv_next(struct exchange_reader *, struct arena *, struct exchange_row *) MUST_CHECK;
bool icalendar_next(struct exchange_reader *, struct arena *, struct exchange_row *) MUST_CHECK;

/* Ends the reading, with a reason or without (NULL). Always false. */
bool reader_end(struct exchange_reader *, const char *error);

void json_task(struct buf *, const struct task *, bool first);
void csv_header(struct buf *);
void csv_task(struct buf *, const struct task *);
void icalendar_task(struct buf *, const struct task *);

/* Says what is wrong with a row; the first error stays. */
void row_fail(struct exchange_row *, const char *error);
/* False when the bytes are no UTF-8, or hold a NUL. */
bool row_text_ok(struct exchange_row *, const char *text, size_t len) MUST_CHECK;

/* Each reads one value, which is terminated, into the row. */
void row_id(struct exchange_row *, const char *text);
void row_due(struct exchange_row *, const char *text);
void row_tag(struct exchange_row *, const char *text);
void row_created_at(struct exchange_row *, const char *text);
void row_completed_at(struct exchange_row *, const char *text);

/* A moment of RFC 5545 has whole seconds and no offset. This parameter keeps how we had it; it
 * counts as long as it means the same second as the value. */
#define ICAL_EXACT "X-TASKCELL-TIME"

#endif
