#include "base/base.h"

#include "api/task_query.h"

#include <inttypes.h>

#include "api/task_input.h"
#include "base/codec.h"
#include "http/text.h"
#include "security/keys.h"

enum {
	LIST_MAX = 1000,
	LINK_MAX = 2200, /* of a Link header, so that all headers together stay within theirs */
	CURSOR_DIGEST = 8,
	CURSOR_FIXED = CURSOR_DIGEST + 8 + 16, /* digest, number, id; then the text */
	CURSOR_TEXT_MAX = 800,                 /* a title in lower case, in UTF-8 */
	SEARCH_MINUSES_MAX = 20,
};

/* The years 1 to 9999: what a client made up may lie outside what the database can compare. */
#define TIME_FIRST (INT64_C(-62135596800) * US_PER_SECOND)
#define TIME_LAST  (INT64_C(253402300800) * US_PER_SECOND)

/* Says which parameter is the trouble; its value is not repeated. */
static bool refuse(struct call *c, const char *name)
{
	c->detail =
		arena_printf(c->arena, "The parameter %s has a value that is not allowed.", name);
	return false;
}

/* --- values ---------------------------------------------------------------------------------- */

/* Looks a parameter up among `words`, which end with NULL; `index` stays when it is absent. */
static bool read_word(struct call *c, const char *name, const char *const *words, int *index)
{
	const char *value = query_get(&c->query, name);

	for (int i = 0; value && words[i]; i++) {
		if (strcmp(value, words[i]) == 0) {
			*index = i;
			return true;
		}
	}
	return !value || refuse(c, name);
}

bool query_limit(struct call *c, int64_t most, int64_t *limit)
{
	const char *value = query_get(&c->query, "limit");

	*limit = most;
	return !value || (decimal_parse(value, strlen(value), most, limit) && *limit > 0) ||
	       refuse(c, "limit");
}

/* A trimmed copy; NULL when it is absent. */
static const char *read_text(struct call *c, const char *name)
{
	const char *value = query_get(&c->query, name);
	size_t len;

	if (!value)
		return NULL;
	len = strlen(value);
	text_trim(&value, &len);
	return arena_strndup(c->arena, value, len);
}

static bool read_due(struct call *c, const char *name, bool *has, int64_t *at)
{
	const char *value = query_get(&c->query, name);

	*has = value != NULL;
	return !value || date_parse(value, strlen(value), at) ||
	       rfc3339_parse(value, strlen(value), at) || refuse(c, name);
}

static bool read_completed(struct call *c, struct list_query *q)
{
	static const char *const completed_words[] = { "false", "true", NULL };
	static const char *const status_words[] = { "all", "pending", "completed", NULL };
	int completed = -1, status = COMPLETED_ANY;

	if (!read_word(c, "completed", completed_words, &completed) ||
	    !read_word(c, "status", status_words, &status))
		return false;
	q->store.completed = (enum completed_filter)status;
	if (completed < 0)
		return true;
	q->store.completed = completed ? COMPLETED_YES : COMPLETED_NO;
	q->nothing = status != COMPLETED_ANY && status != (int)q->store.completed;
	return true;
}

static bool ends_word(char c)
{
	return !c || strchr(" \t\r\n\"", c);
}

/* Cut into words as the column is that is looked into (db/migrations/0003). Of the punctuation only
 * quotes are left, and outside of them a minus before a word, which is quoted, since it may be cut
 * into several. The database keeps each minus until its word comes, and has room for thirty. */
static const char *search_words(struct call *c, const char *search)
{
	struct {
		bool quoted, negated;
		size_t minuses;
	} now = { 0 };
	char *text = arena_alloc(c->arena, strlen(search) + 2 * SEARCH_MINUSES_MAX + 1), *to = text;

	for (const char *p = search; *p; p++) {
		bool begins = p == search || ends_word(p[-1]);

		if (*p == '"') {
			now.quoted = !now.quoted;
			*to++ = '"';
		} else if (*p == '-' && begins && !now.quoted && now.minuses < SEARCH_MINUSES_MAX) {
			now.minuses++;
			now.negated = !ends_word(p[1]);
			*to++ = '-';
			if (now.negated)
				*to++ = '"';
		} else {
			*to++ = *p >= '!' && *p <= '~' && !ascii_is_alnum(*p) ? ' ' : *p;
		}
		if (now.negated && ends_word(p[1])) {
			now.negated = false;
			*to++ = '"';
		}
	}
	*to = '\0';
	return text;
}

/* An empty search is what a page sends whose field for it is empty: it asks for nothing. */
static bool read_filters(struct call *c, struct list_query *q)
{
	struct task_query *s = &q->store;

	s->priority = -1;
	if (!read_completed(c, q) || !read_word(c, "priority", task_priority_names, &s->priority) ||
	    !read_due(c, "due_before", &s->has_due_before, &s->due_before) ||
	    !read_due(c, "due_after", &s->has_due_after, &s->due_after))
		return false;
	s->tag = read_text(c, "tag");
	if (s->tag && !*s->tag)
		return refuse(c, "tag");
	s->search = read_text(c, "q");
	if (!s->search || !*s->search)
		s->search = read_text(c, "search");
	if (s->search && *s->search)
		s->search = search_words(c, s->search);
	else
		s->search = NULL;
	return true;
}

/* Reads a sort that may have a minus in front. */
static bool read_sort_name(struct call *c, const char *name, struct task_query *s)
{
	/* by enum task_sort */
	static const char *const words[] = { "created_at", "updated_at", "title", "due_date",
					     "priority" };
	const char *value = query_get(&c->query, name);

	if (!value)
		return true;
	s->descending = *value == '-';
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcmp(value + s->descending, words[i]) == 0) {
			s->sort = (enum task_sort)i;
			return true;
		}
	}
	return refuse(c, name);
}

/* `sort` comes before `sort_by`. A minus says more than `order`, which must not contradict it. */
static bool read_sort(struct call *c, struct task_query *s)
{
	static const char *const orders[] = { "asc", "desc", NULL };
	bool named = query_get(&c->query, "sort") || query_get(&c->query, "sort_by");
	int order = -1;

	s->sort = SORT_CREATED_AT;
	if (!read_sort_name(c, "sort_by", s) || !read_sort_name(c, "sort", s) ||
	    !read_word(c, "order", orders, &order))
		return false;
	if (order == 0 && s->descending)
		return refuse(c, "order");
	s->descending = s->descending || (order < 0 ? !named : order == 1);
	return true;
}

static bool read_count(struct call *c, struct list_query *q)
{
	static const char *const words[] = { "false", "true", NULL };
	int count = 0;

	if (!read_word(c, "count", words, &count))
		return false;
	q->store.count = count;
	return true;
}

/* `format` is for links, which cannot have an Accept header of their own. */
static bool read_format(struct call *c, struct list_query *q)
{
	/* both by enum exchange_format */
	static const char *const words[] = { "json", "csv", "ical", NULL };
	static const char *const types[] = { "application/json", "text/csv", "text/calendar" };
	int format = -1;

	if (!read_word(c, "format", words, &format))
		return false;
	q->file = format >= 0;
	if (!q->file) {
		format = (int)accept_choose(c->request->accept, types, ARRAY_LEN(types));
		q->file = format != EXCHANGE_JSON;
	}
	q->format = (enum exchange_format)format;
	if (!q->file)
		return true;
	if (query_get(&c->query, "limit") || query_get(&c->query, "cursor")) {
		c->detail = "A file holds all tasks: there is no limit and no cursor.";
		return false;
	}
	/* any other order would have to be sorted anew for each page of the export */
	if (q->store.sort != SORT_CREATED_AT) {
		c->detail = "A file is sorted by created_at or -created_at.";
		return false;
	}
	return true;
}

/* --- the query in other forms ---------------------------------------------------------------- */

static const char *encode(struct arena *a, const char *s)
{
	static const char digits[] = "0123456789ABCDEF";
	char *text = arena_array(a, 3 * strlen(s) + 1, 1), *p = text;

	for (; *s; s++) {
		unsigned char byte = (unsigned char)*s;

		if (ascii_is_alnum(*s) || strchr("-._~", *s)) {
			*p++ = *s;
		} else if (*s == ' ') {
			*p++ = '+';
		} else {
			*p++ = '%';
			*p++ = digits[byte >> 4];
			*p++ = digits[byte & 15];
		}
	}
	return text;
}

/* What the filters and the sort mean, whatever they were called: of equal ones cursors can be
 * exchanged. Encoded texts hold no blanks. */
static void set_digest(struct call *c, const char *collection, struct list_query *q)
{
	const struct task_query *s = &q->store;
	char user[UUID_TEXT_LEN + 1];
	uint8_t digest[DIGEST_LEN];
	const char *text;

	uuid_format(&c->principal->user_id, user);
	text = arena_printf(c->arena, "%s %s %d%d %d %d%d %" PRId64 " %" PRId64 " %d%d %s %s %s",
			    user, collection, s->completed, q->nothing, s->priority,
			    s->has_due_before, s->has_due_after, s->due_before, s->due_after,
			    s->sort, s->descending, s->tag ? encode(c->arena, s->tag) : "",
			    s->search ? "q" : "", s->search ? encode(c->arena, s->search) : "");
	digest_sha256(text, strlen(text), digest);
	memcpy(q->digest, digest, sizeof(q->digest));
}

static size_t cursor_length(const struct list_query *q)
{
	return BASE64_LEN(CURSOR_FIXED + (q->store.sort == SORT_TITLE ? CURSOR_TEXT_MAX : 0));
}

/* What a link would be, with the longest cursor. */
static size_t link_length(const struct call *c, const struct list_query *q)
{
	static const char around[] = "</api//tasks?cursor=>; rel=\"next\"";

	return strlen(c->app->mount) + strlen(c->param[0]) + sizeof(around) + cursor_length(q) +
	       strlen(q->link);
}

static void add_to_link(struct call *c, struct list_query *q, const char *name, const char *value)
{
	q->link = arena_printf(c->arena, "%s&%s=%s", q->link, name, encode(c->arena, value));
}

/* The parameters that were understood, as they were given; but a number may have had a thousand
 * zeros in front. */
static bool set_link(struct call *c, const char *const *names, struct list_query *q)
{
	q->link = "";
	if (query_get(&c->query, "limit"))
		add_to_link(c, q, "limit", arena_printf(c->arena, "%" PRId32, q->store.limit));
	for (size_t i = 0; names[i]; i++) {
		const char *value = query_get(&c->query, names[i]);

		if (value)
			add_to_link(c, q, names[i], value);
	}
	if (link_length(c, q) <= LINK_MAX)
		return true;
	c->detail = "The query is too long.";
	return false;
}

/* --- cursors --------------------------------------------------------------------------------- */

static const char *cursor_write(struct call *c, const struct list_query *q,
				const struct task_place *place)
{
	size_t text_len = place->text ? strlen(place->text) : 0, len = CURSOR_FIXED + text_len;
	uint8_t *bytes = arena_alloc(c->arena, len);
	char *text = arena_array(c->arena, BASE64_LEN(len) + 1, 1);

	memcpy(bytes, q->digest, CURSOR_DIGEST);
	put_int64(bytes + CURSOR_DIGEST, place->number);
	memcpy(bytes + CURSOR_DIGEST + 8, place->id.bytes, sizeof(place->id.bytes));
	if (text_len)
		memcpy(bytes + CURSOR_FIXED, place->text, text_len);
	base64url_encode(bytes, len, text);
	return text;
}

/* Whether it is a place that a task can have. */
static bool place_fits(const struct list_query *q)
{
	int64_t number = q->after.number;

	switch (q->store.sort) {
	case SORT_CREATED_AT:
	case SORT_UPDATED_AT:
		return number >= TIME_FIRST && number <= TIME_LAST;
	case SORT_DUE_DATE:
		return (number >= TIME_FIRST && number <= TIME_LAST) || number == INT64_MAX;
	case SORT_PRIORITY:
		return number >= PRIORITY_NONE && number <= PRIORITY_HIGH;
	case SORT_TITLE: /* the text decides */
		return true;
	}
	return false;
}

/* Reads what cursor_write() made for the same query. */
static bool cursor_parse(struct call *c, const char *text, struct list_query *q)
{
	uint8_t bytes[CURSOR_FIXED + CURSOR_TEXT_MAX];
	size_t len, text_len;
	const char *title;

	if (!base64url_decode(text, strlen(text), bytes, sizeof(bytes), &len) ||
	    len < CURSOR_FIXED || memcmp(bytes, q->digest, CURSOR_DIGEST) != 0)
		return false;
	title = (const char *)bytes + CURSOR_FIXED;
	text_len = len - CURSOR_FIXED;
	if (q->store.sort != SORT_TITLE && text_len)
		return false;
	if (memchr(title, '\0', text_len) || !text_is_utf8(title, text_len))
		return false;
	q->after.number = get_int64(bytes + CURSOR_DIGEST);
	memcpy(q->after.id.bytes, bytes + CURSOR_DIGEST + 8, sizeof(q->after.id.bytes));
	if (q->store.sort == SORT_TITLE)
		q->after.text = arena_strndup(c->arena, title, text_len);
	q->store.after = &q->after;
	return place_fits(q);
}

static bool read_cursor(struct call *c, struct list_query *q)
{
	const char *text = query_get(&c->query, "cursor");

	if (!text || cursor_parse(c, text, q))
		return true;
	c->detail = "The cursor is not one of this list, with these filters and this order.";
	return false;
}

/* --- whole queries --------------------------------------------------------------------------- */

static const char *const list_names[] = {
	"completed", "status", "q",       "search", "priority", "tag", "due_before",
	"due_after", "sort",   "sort_by", "order",  "count",    NULL,
};

static bool read_page(struct call *c, const char *collection, const char *const *names,
		      struct list_query *q)
{
	int64_t limit;

	if (!query_limit(c, LIST_MAX, &limit))
		return false;
	q->store.limit = (int32_t)limit;
	set_digest(c, collection, q);
	return set_link(c, names, q) && read_cursor(c, q);
}

bool list_query_read(struct call *c, struct list_query *q)
{
	*q = (struct list_query){ .store.known = -1 };
	return read_filters(c, q) && read_sort(c, &q->store) && read_count(c, q) &&
	       read_format(c, q) && read_page(c, "tasks", list_names, q);
}

bool trash_query_read(struct call *c, struct list_query *q)
{
	static const char *const names[] = { NULL };

	*q = (struct list_query){ .store.known = -1 };
	return read_page(c, "trash", names, q);
}

bool clear_query_read(struct call *c)
{
	bool ok = false;

	c->detail = "Only completed=true can be deleted.";
	for (size_t i = 0; i < c->query.n; i++) {
		const char *name = c->query.params[i].name;
		bool known = strcmp(name, "limit") == 0 || strcmp(name, "cursor") == 0;

		if (strcmp(name, "completed") == 0) {
			if (strcmp(c->query.params[i].value, "true") != 0)
				return false;
			ok = true;
			continue;
		}
		for (size_t k = 0; list_names[k]; k++)
			known = known || strcmp(name, list_names[k]) == 0;
		if (known)
			return false;
	}
	return ok;
}

void list_query_next(struct call *c, const struct list_query *q, const char *collection,
		     const struct task_place *place)
{
	response_headerf(c->response, "Link", "<%s/api/%s/%s?cursor=%s%s>; rel=\"next\"",
			 c->app->mount, c->param[0], collection, cursor_write(c, q, place),
			 q->link);
}
