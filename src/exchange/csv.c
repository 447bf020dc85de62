#include "base/base.h"

#include "exchange/exchange_private.h"

#include <strings.h>

#include "base/codec.h"
#include "http/text.h"

enum column {
	COLUMN_ID,
	COLUMN_TITLE,
	COLUMN_DESCRIPTION,
	COLUMN_COMPLETED,
	COLUMN_COMPLETED_AT,
	COLUMN_PRIORITY,
	COLUMN_DUE_DATE,
	COLUMN_TAGS,
	COLUMN_CREATED_AT,
	COLUMN_UPDATED_AT,
	COLUMN_COUNT,
	COLUMN_UNKNOWN = COLUMN_COUNT,
};

static const char *const column_names[COLUMN_COUNT] = {
	"id",       "title",    "description", "completed",  "completed_at",
	"priority", "due_date", "tags",        "created_at", "updated_at",
};

/* --- formulas -------------------------------------------------------------------------------- */

/* What a program for spreadsheets may take for a formula. Apostrophes and blanks in front change
 * nothing, for two reasons: the program may drop them, and a text that begins with an apostrophe of
 * its own gets one more, so that exactly ours is taken off again. */
static bool is_formula(const char *s)
{
	static const char *const wide[] = { "\xef\xbc\x8b", "\xef\xbc\x8d", "\xef\xbc\x9d",
					    "\xef\xbc\xa0" }; /* + - = @ */

	s += strspn(s, "' ");
	if (*s && (strchr("=+-@\x7f", *s) || (unsigned char)*s < ' '))
		return true;
	for (size_t i = 0; i < ARRAY_LEN(wide); i++)
		if (strncmp(s, wide[i], strlen(wide[i])) == 0)
			return true;
	return false;
}

/* --- writing --------------------------------------------------------------------------------- */

void csv_header(struct buf *out)
{
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		buf_printf(out, "%s%s", i ? "," : "", column_names[i]);
	buf_append(out, "\r\n", 2);
}

static void put_quoted(struct buf *out, const char *s)
{
	for (const char *quote; (quote = strchr(s, '"')); s = quote + 1) {
		buf_append(out, s, (size_t)(quote - s));
		buf_append(out, "\"\"", 2);
	}
	buf_append(out, s, strlen(s));
}

/* Texts are always quoted: an empty one is not the same as none. */
static void put_text(struct buf *out, const char *s)
{
	if (!s)
		return;
	buf_putc(out, '"');
	if (is_formula(s))
		buf_putc(out, '\'');
	put_quoted(out, s);
	buf_putc(out, '"');
}

/* Tags stand in one cell as people write them, with commas between; a backslash goes before a comma
 * or a backslash that belongs to a tag. */
static void put_tags(struct buf *out, const struct tags *tags)
{
	buf_putc(out, '"');
	if (tags->n && is_formula(tags->list[0]))
		buf_putc(out, '\'');
	for (size_t i = 0; i < tags->n; i++) {
		if (i)
			buf_putc(out, ',');
		for (const char *p = tags->list[i]; *p; p++) {
			if (*p == ',' || *p == '\\')
				buf_putc(out, '\\');
			if (*p == '"')
				buf_putc(out, '"');
			buf_putc(out, *p);
		}
	}
	buf_putc(out, '"');
}

static void put_time(struct buf *out, int64_t us)
{
	char text[RFC3339_LEN + 1];

	rfc3339_format(us, text);
	buf_append(out, text, RFC3339_LEN);
}

void csv_task(struct buf *out, const struct task *t)
{
	char id[UUID_TEXT_LEN + 1];

	uuid_format(&t->id, id);
	buf_printf(out, "%s,", id);
	put_text(out, t->title);
	buf_putc(out, ',');
	put_text(out, t->description);
	buf_printf(out, ",%s,", t->completed ? "true" : "false");
	if (t->completed)
		put_time(out, t->completed_at);
	buf_printf(out, ",%s,%s,", task_priority_names[t->priority],
		   t->due.text ? t->due.text : "");
	if (t->tags.n)
		put_tags(out, &t->tags);
	buf_putc(out, ',');
	put_time(out, t->created_at);
	buf_putc(out, ',');
	put_time(out, t->updated_at);
	buf_append(out, "\r\n", 2);
}

/* --- rows and cells -------------------------------------------------------------------------- */

static bool is_line_end(char c)
{
	return c == '\n' || c == '\r';
}

/* Where the row at `p` ends: at a line's end outside of quotes. A quote opens only at the beginning
 * of a cell. NULL when one is never closed. */
static const char *row_end(const char *p, const char *end, char delimiter)
{
	bool quoted = false, begin = true;

	for (; p < end; p++) {
		if (quoted) {
			/* of two in a row the second opens again */
			quoted = *p != '"';
			begin = !quoted;
			continue;
		}
		if (is_line_end(*p))
			break;
		quoted = begin && *p == '"';
		begin = *p == delimiter;
	}
	return quoted ? NULL : p;
}

struct cell {
	char *text;
	bool quoted;
};

/* Reads the quoted cell at `*p` and moves behind its closing quote. */
static bool take_quoted(struct arena *a, const char **p, const char *end, struct cell *out)
{
	const char *s = *p + 1, *close = s;
	char *to;

	while (close < end && (*close != '"' || (close + 1 < end && close[1] == '"')))
		close += *close == '"' ? 2 : 1;
	if (close >= end)
		return false;
	to = out->text = arena_array(a, (size_t)(close - s) + 1, 1);
	for (; s < close; s++) {
		*to++ = *s;
		if (*s == '"')
			s++;
	}
	*p = close + 1;
	return true;
}

/* Reads the cell at `*p` and moves behind it, up to the delimiter. False when something follows the
 * closing quote. */
static bool take_cell(struct arena *a, const char **p, const char *end, char delimiter,
		      struct cell *out)
{
	const char *s = *p, *stop;

	out->quoted = s < end && *s == '"';
	if (out->quoted)
		return take_quoted(a, p, end, out) && (*p == end || **p == delimiter);
	stop = memchr(s, delimiter, (size_t)(end - s));
	*p = stop ? stop : end;
	out->text = arena_strndup(a, s, (size_t)(*p - s));
	return true;
}

/* --- the header ------------------------------------------------------------------------------ */

/* A comma; in some countries programs write semicolons, and some write tabs. The header tells. */
static char delimiter_of(const char *p, const char *end)
{
	bool quoted = false;

	for (; p < end && (quoted || !is_line_end(*p)); p++) {
		if (*p == '"')
			quoted = !quoted;
		else if (!quoted && (*p == ',' || *p == ';' || *p == '\t'))
			return *p;
	}
	return ',';
}

static enum column column_of(const char *name)
{
	size_t len = strlen(name);

	text_trim(&name, &len);
	for (size_t i = 0; i < COLUMN_COUNT; i++)
		if (strlen(column_names[i]) == len && strncasecmp(name, column_names[i], len) == 0)
			return (enum column)i;
	return COLUMN_UNKNOWN;
}

/* Everything in the header is said of the file, since no row can be read without it. */
static const char *read_header(struct exchange_reader *r, struct arena *a)
{
	const char *end;
	bool seen[COLUMN_COUNT + 1] = { false };

	while (r->p < r->end && is_line_end(*r->p))
		r->p++;
	r->delimiter = delimiter_of(r->p, r->end);
	end = row_end(r->p, r->end, r->delimiter);
	if (!end || end - r->p > EXCHANGE_ROW_MAX)
		return "The header row is too long, or a quote in it is not closed.";
	if (!text_is_utf8(r->p, (size_t)(end - r->p)) || memchr(r->p, '\0', (size_t)(end - r->p)))
		return "The file must be UTF-8 text.";
	for (;; r->p++) {
		enum column column;
		struct cell cell;

		if (r->columns == CSV_COLUMNS_MAX)
			return "There are too many columns.";
		if (!take_cell(a, &r->p, end, r->delimiter, &cell))
			return "A name in the header row is followed by more than a delimiter.";
		column = column_of(cell.text);
		if (column != COLUMN_UNKNOWN && seen[column])
			return "Two columns have the same name.";
		seen[column] = true;
		r->column[r->columns++] = (uint8_t)column;
		if (r->p == end)
			break;
	}
	return seen[COLUMN_TITLE] ? NULL : "The header row must name a column title.";
}

/* --- values ---------------------------------------------------------------------------------- */

static void read_completed(struct exchange_row *row, const char *text)
{
	static const char *const yes[] = { "true", "yes", "1" }, *const no[] = { "false", "no",
										 "0" };

	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		if (strcasecmp(text, yes[i]) == 0)
			row->task.completed = true;
		else if (strcasecmp(text, no[i]) == 0)
			row->task.completed = false;
		else
			continue;
		return;
	}
	row_fail(row, "The column completed must be true or false.");
}

static void read_priority(struct exchange_row *row, const char *text)
{
	for (size_t i = 0; task_priority_names[i]; i++) {
		if (strcasecmp(text, task_priority_names[i]) == 0) {
			row->task.priority = (enum priority)i;
			return;
		}
	}
	row_fail(row, "The priority must be none, low, medium or high.");
}

/* Cuts the cell up in place. */
static void read_tags(struct exchange_row *row, char *text)
{
	char *from = text, *to = text, *tag = text;
	bool more = true;

	while (more) {
		char c = *from++;

		if (c == ',' || !c) {
			more = c;
			*to = '\0';
			if (tag[strspn(tag, " ")])
				row_tag(row, tag);
			tag = to = from;
		} else {
			*to++ = c == '\\' && *from ? *from++ : c;
		}
	}
}

static void read_value(struct exchange_row *row, enum column column, struct cell *cell)
{
	char *text = cell->text;

	if (*text == '\'' && is_formula(text + 1))
		text++;
	if (column == COLUMN_TITLE)
		row->task.title = text;
	else if (column == COLUMN_DESCRIPTION)
		row->task.description = *text || cell->quoted ? text : NULL;
	if (!*text)
		return;
	switch (column) {
	case COLUMN_ID:
		row_id(row, text);
		break;
	case COLUMN_COMPLETED:
		read_completed(row, text);
		break;
	case COLUMN_COMPLETED_AT:
		row_completed_at(row, text);
		break;
	case COLUMN_PRIORITY:
		read_priority(row, text);
		break;
	case COLUMN_DUE_DATE:
		row_due(row, text);
		break;
	case COLUMN_TAGS:
		read_tags(row, text);
		break;
	case COLUMN_CREATED_AT:
		row_created_at(row, text);
		break;
	case COLUMN_TITLE:
	case COLUMN_DESCRIPTION:
	case COLUMN_UPDATED_AT: /* the server's */
	case COLUMN_UNKNOWN:
		break;
	}
}

static void read_row(struct exchange_reader *r, struct arena *a, const char *end,
		     struct exchange_row *row)
{
	const char *p = r->p;

	row->task.title = "";
	if (end - p > EXCHANGE_ROW_MAX) {
		row_fail(row, "The row is too long.");
		return;
	}
	if (!row_text_ok(row, p, (size_t)(end - p)))
		return;
	for (size_t i = 0;; i++, p++) {
		struct cell cell;

		if (!take_cell(a, &p, end, r->delimiter, &cell)) {
			row_fail(row, "A closing quote is followed by more than a delimiter.");
			return;
		}
		if (i < r->columns)
			read_value(row, (enum column)r->column[i], &cell);
		else if (*cell.text)
			row_fail(row, "The row has more cells than the header row.");
		if (p == end)
			break;
	}
}

bool csv_next(struct exchange_reader *r, struct arena *a, struct exchange_row *row)
{
	if (!r->begun) {
		const char *error = read_header(r, a);

		if (error)
			return reader_end(r, error);
		r->begun = true;
	}
	while (r->p < r->end) {
		const char *begin = r->p, *p = begin, *end;

		/* programs for spreadsheets leave rows of nothing but delimiters */
		while (p < r->end && *p == r->delimiter)
			p++;
		if (p == r->end || is_line_end(*p)) {
			r->p = p + (p < r->end);
			continue;
		}
		end = row_end(begin, r->end, r->delimiter);
		if (!end)
			return reader_end(r, "A quote is not closed; the file may be cut.");
		read_row(r, a, end, row);
		r->p = end;
		return true;
	}
	return reader_end(r, NULL);
}
