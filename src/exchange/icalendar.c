#include "base/base.h"

#include "exchange/exchange_private.h"

#include <libical/ical.h>
#include <strings.h>

#include "base/codec.h"

/* libical knows times and time zones. The rest of a line is ours in both directions: its parser
 * makes a tree of the whole file, strips blanks, drops properties without a value, splits
 * `CATEGORIES:a\,b` in the wrong place and cuts a character in two that follows a stray backslash;
 * its writer makes an object of each value, which takes twice as long. VTIMEZONEs are not looked
 * at: to expand a stranger's rules has no bound. A zone is known by its name, as tzdata has it. */

/* --- content lines --------------------------------------------------------------------------- */

/* Appends to the line what it has room for. */
static void line_append(struct exchange_reader *r, const char *bytes, size_t len)
{
	size_t room = EXCHANGE_ROW_MAX - r->line.len;

	r->line_cut = r->line_cut || len > room;
	buf_append(&r->line, bytes, len < room ? len : room);
}

/* Puts the next content line, unfolded and terminated, into r->line. */
static bool next_line(struct exchange_reader *r)
{
	buf_reset(&r->line, EXCHANGE_ROW_MAX + 1);
	r->line_cut = false;
	if (r->p == r->end)
		return false;
	do {
		const char *stop = memchr(r->p, '\n', (size_t)(r->end - r->p));
		const char *end = stop ? stop : r->end;

		line_append(r, r->p, (size_t)(end - r->p));
		if (r->line.len && r->line.data[r->line.len - 1] == '\r')
			r->line.len--;
		r->p = stop ? stop + 1 : end;
	} while (r->p < r->end && (*r->p == ' ' || *r->p == '\t') && r->p++);
	buf_putc(&r->line, '\0');
	return true;
}

/* A line cut up in place, with the parameters we know. */
struct property {
	const char *name;
	const char *tzid, *exact; /* or NULL */
	char *value;
};

static void keep_parameter(struct property *p, const char *name, char *value)
{
	if (*value == '"')
		*strchr(++value, '"') = '\0';
	if (strcasecmp(name, "TZID") == 0)
		p->tzid = value;
	else if (strcasecmp(name, ICAL_EXACT) == 0)
		p->exact = value;
}

/* Reads `NAME;PARAMETER=value;PARAMETER="value":value`. */
static bool cut_line(char *p, struct property *out)
{
	*out = (struct property){ .name = p };
	p += strcspn(p, ";:");
	while (*p == ';') {
		char *name = p + 1, *value, sign;

		*p = '\0';
		value = name + strcspn(name, "=;:");
		if (*value != '=')
			return false;
		*value++ = '\0';
		for (p = value; *p && *p != ';' && *p != ':'; p++) {
			if (*p == '"')
				p = strchr(p + 1, '"');
			if (!p)
				return false;
		}
		sign = *p;
		*p = '\0';
		keep_parameter(out, name, value);
		*p = sign;
	}
	if (*p != ':')
		return false;
	*p = '\0';
	out->value = p + 1;
	return true;
}

/* --- values ---------------------------------------------------------------------------------- */

/* The text behind its escapes. A backslash that is none stays. */
static char *read_text(struct arena *a, const char *value)
{
	char *text = arena_strndup(a, value, strlen(value)), *to = text;

	for (const char *from = text; *from; from++) {
		if (*from == '\\' && (from[1] == 'n' || from[1] == 'N')) {
			*to++ = '\n';
			from++;
			continue;
		}
		if (*from == '\\' && from[1] && strchr("\\;,", from[1]))
			from++;
		*to++ = *from;
	}
	*to = '\0';
	return text;
}

/* The offset from UTC, in seconds, of a clock in this zone. Transitions are worked out year by
 * year, so the far future is as the last year of a century. */
static bool zone_offset(const char *tzid, struct icaltimetype t, int *out)
{
	icaltimezone *zone = icaltimezone_get_builtin_timezone_from_tzid(tzid);

	/* prefixes such as /mozilla.org/20050126_1/ come before the name of the place */
	for (const char *p = tzid; !zone && p; p = strchr(p, '/')) {
		p += *p == '/';
		zone = icaltimezone_get_builtin_timezone(p);
	}
	if (!zone)
		return false;
	if (t.year > 2099)
		t.year = 2099;
	if (t.year < 1970)
		t.year = 1970;
	*out = icaltimezone_get_utc_offset(zone, &t, NULL);
	return true;
}

/* The moment as RFC 3339, in the zone's own clock. NULL when there is no such moment. */
static const char *read_moment(struct arena *a, const struct property *p, struct icaltimetype t,
			       struct exchange_row *row)
{
	char clock[RFC3339_LEN + 1] = "", *text;
	int offset = 0, minutes;
	int64_t exact, at;

	(void)snprintf(clock, sizeof(clock), "%04d-%02d-%02dT%02d:%02d:%02d", t.year, t.month,
		       t.day, t.hour, t.minute, t.second);
	/* a clock without a zone is taken as UTC: nobody knows where its owner was */
	if (!icaltime_is_utc(t) && p->tzid && !zone_offset(p->tzid, t, &offset))
		row_fail(row, "The time zone of a time is not one that is known here.");
	minutes = abs(offset) / 60;
	text = offset ? arena_printf(a, "%s%c%02d:%02d", clock, offset < 0 ? '-' : '+',
				     minutes / 60, minutes % 60)
		      : arena_printf(a, "%sZ", clock);
	if (!rfc3339_parse(text, strlen(text), &at))
		return NULL;
	if (p->exact && rfc3339_parse(p->exact, strlen(p->exact), &exact) && exact >= at &&
	    exact - at < US_PER_SECOND)
		return arena_strndup(a, p->exact, strlen(p->exact));
	return text;
}

/* A date or a moment, as text; NULL with an error in the row. */
static const char *read_time(struct arena *a, const struct property *p, struct exchange_row *row)
{
	struct icaltimetype t = icaltime_from_string(p->value);
	const char *text = NULL;

	if (!icaltime_is_null_time(t) && t.is_date)
		text = arena_printf(a, "%04d-%02d-%02d", t.year, t.month, t.day);
	else if (!icaltime_is_null_time(t))
		text = read_moment(a, p, t, row);
	if (!text)
		row_fail(row, "A time is not one that iCalendar has.");
	return row->error ? NULL : text;
}

static void read_priority(const char *value, struct exchange_row *row)
{
	int64_t n;

	if (!decimal_parse(value, strlen(value), 9, &n))
		row_fail(row, "The priority must be a number from 0 to 9.");
	else if (n)
		row->task.priority = n < 5    ? PRIORITY_HIGH
				     : n == 5 ? PRIORITY_MEDIUM
					      : PRIORITY_LOW;
}

/* Cuts the list up in place. */
static void read_tags(struct arena *a, char *list, struct exchange_row *row)
{
	bool more = true;

	while (more && !row->error) {
		char *end = list;

		while (*end && *end != ',')
			end += *end == '\\' && end[1] ? 2 : 1;
		more = *end;
		*end = '\0';
		if (list[strspn(list, " ")])
			row_tag(row, read_text(a, list));
		list = end + 1;
	}
}

/* --- a task ---------------------------------------------------------------------------------- */

/* What is known of a task before its end. */
struct todo {
	size_t bytes; /* in the properties that were read */
	const char *uid, *recurrence, *status;
	const char *created, *completed, *due;
};

enum known {
	KNOWN_CATEGORIES,
	KNOWN_COMPLETED,
	KNOWN_CREATED,
	KNOWN_DESCRIPTION,
	KNOWN_DUE,
	KNOWN_PRIORITY,
	KNOWN_RECURRENCE_ID,
	KNOWN_STATUS,
	KNOWN_SUMMARY,
	KNOWN_UID,
	KNOWN_COUNT,
};

static const char *const known_names[KNOWN_COUNT] = {
	"CATEGORIES", "COMPLETED",     "CREATED", "DESCRIPTION", "DUE",
	"PRIORITY",   "RECURRENCE-ID", "STATUS",  "SUMMARY",     "UID",
};

static enum known known_of(const char *line)
{
	size_t len = strcspn(line, ";:");

	for (size_t i = 0; i < KNOWN_COUNT; i++)
		if (strlen(known_names[i]) == len && !strncasecmp(line, known_names[i], len))
			return (enum known)i;
	return KNOWN_COUNT;
}

static void set(const char **where, const char *text)
{
	/* a property that should be there once */
	if (!*where)
		*where = text;
}

static void read_property(struct arena *a, enum known known, struct property *p, struct todo *todo,
			  struct exchange_row *row)
{
	switch (known) {
	case KNOWN_CATEGORIES:
		read_tags(a, p->value, row);
		break;
	case KNOWN_COMPLETED:
		set(&todo->completed, read_time(a, p, row));
		break;
	case KNOWN_CREATED:
		set(&todo->created, read_time(a, p, row));
		break;
	case KNOWN_DESCRIPTION:
		set(&row->task.description, read_text(a, p->value));
		break;
	case KNOWN_DUE:
		set(&todo->due, read_time(a, p, row));
		break;
	case KNOWN_PRIORITY:
		read_priority(p->value, row);
		break;
	case KNOWN_RECURRENCE_ID:
		set(&todo->recurrence, read_text(a, p->value));
		break;
	case KNOWN_STATUS:
		set(&todo->status, read_text(a, p->value));
		break;
	case KNOWN_SUMMARY:
		set(&row->task.title, read_text(a, p->value));
		break;
	case KNOWN_UID:
		set(&todo->uid, read_text(a, p->value));
		break;
	case KNOWN_COUNT:
		break;
	}
}

/* A line of the task itself. */
static void read_line(struct exchange_reader *r, struct arena *a, struct todo *todo,
		      struct exchange_row *row)
{
	enum known known = known_of(r->line.data);
	struct property p;

	if (known == KNOWN_COUNT || row->error)
		return;
	todo->bytes += r->line.len;
	if (r->line_cut || todo->bytes > EXCHANGE_ROW_MAX)
		row_fail(row, "The task is too long.");
	else if (!row_text_ok(row, r->line.data, r->line.len - 1))
		return;
	else if (!cut_line(r->line.data, &p))
		row_fail(row, "A property of the task cannot be read.");
	else
		read_property(a, known, &p, todo, row);
}

/* What the properties say together. */
static void finish(struct arena *a, const struct todo *todo, struct exchange_row *row)
{
	const char *status = todo->status;

	set(&row->task.title, "");
	/* one that was given up is not to be done any more either */
	row->task.completed =
		status ? !strcasecmp(status, "COMPLETED") || !strcasecmp(status, "CANCELLED")
		       : todo->completed != NULL;
	/* one occurrence of a series has the name of the whole */
	if (todo->uid && todo->recurrence)
		row->uid = arena_printf(a, "%s\n%s", todo->uid, todo->recurrence);
	else if (todo->uid && *todo->uid &&
		 !uuid_parse(todo->uid, strlen(todo->uid), &row->task.id))
		row->uid = todo->uid;
	if (row->error)
		return;
	if (todo->completed && strchr(todo->completed, 'T'))
		row_completed_at(row, todo->completed);
	if (todo->created && strchr(todo->created, 'T'))
		row_created_at(row, todo->created);
	if (todo->due)
		row_due(row, todo->due);
}

static bool line_is(const struct exchange_reader *r, const char *text)
{
	return strcasecmp(r->line.data, text) == 0;
}

static bool line_begins(const struct exchange_reader *r, const char *text)
{
	return strncasecmp(r->line.data, text, strlen(text)) == 0;
}

/* The lines of the task whose BEGIN has been read, up to its END. False at the end of the file. */
static bool read_todo(struct exchange_reader *r, struct arena *a, struct exchange_row *row)
{
	size_t within = r->depth;
	struct todo todo = { .bytes = 0 };

	while (r->depth >= within) {
		if (!next_line(r))
			return false;
		if (line_begins(r, "BEGIN:"))
			r->depth++;
		else if (line_begins(r, "END:"))
			r->depth--;
		else if (r->depth == within) /* an alarm's description is not the task's */
			read_line(r, a, &todo, row);
	}
	finish(a, &todo, row);
	return true;
}

bool icalendar_next(struct exchange_reader *r, struct arena *a, struct exchange_row *row)
{
	while (next_line(r)) {
		if (!r->begun && !line_is(r, "BEGIN:VCALENDAR"))
			break;
		r->begun = true;
		if (line_begins(r, "BEGIN:")) {
			r->depth++;
			if (!line_is(r, "BEGIN:VTODO"))
				continue;
			if (read_todo(r, a, row))
				return true;
		} else if (line_begins(r, "END:")) {
			if (!r->depth)
				return reader_end(r, "A component ends that never began.");
			r->depth--;
		}
	}
	if (!r->begun)
		return reader_end(r, "The file must begin with BEGIN:VCALENDAR.");
	return reader_end(r,
			  r->depth ? "The file ends before END:VCALENDAR; it may be cut." : NULL);
}
