/* What comes with a request besides its body: path, query, and the headers we read ourselves.
 * Input: one text, which is each of them in turn. */
#include "base/base.h"

#include "fuzz.h"

#include <ctype.h>
#include <errno.h>
#include <regex.h>

#include "http/path.h"
#include "http/request.h"
#include "http/text.h"

/* The shapes of src/api/routes.c and some that compete with them. */
static const char *const patterns[] = {
	"/api",
	"/api/health",
	"/api/auth/login",
	"/api/{user_id}/tasks",
	"/api/{user_id}/tasks/batch",
	"/api/{user_id}/tasks/{task_id}",
	"/api/{user_id}/tasks/{task_id}/complete",
	"/{1}/{2}/{3}/{4}/{5}/{6}/{7}/{8}",
	"/{1}/{2}/{3}/{4}/{5}/{6}/{7}/8",
};

/* Decodes once; NULL for a bad escape or a NUL. */
static char *decoded(struct arena *a, const char *text, size_t len, bool plus)
{
	char *out = arena_alloc(a, len + 1), *to = out;

	for (size_t i = 0; i < len; i++) {
		char hex[3] = "", c = plus && text[i] == '+' ? ' ' : text[i];

		if (c == '%') {
			memcpy(hex, text + i + 1, len - i - 1 < 2 ? len - i - 1 : 2);
			if (!isxdigit((unsigned char)hex[0]) || !isxdigit((unsigned char)hex[1]))
				return NULL;
			c = (char)strtoul(hex, NULL, 16);
			i += 2;
		}
		if (!c)
			return NULL;
		*to++ = c;
	}
	return out;
}

/* Every byte as an escape. */
static char *escaped(struct arena *a, const char *text)
{
	char *out = arena_alloc(a, 3 * strlen(text) + 1);

	for (size_t i = 0; text[i]; i++)
		(void)snprintf(out + 3 * i, 4, "%%%02x", (unsigned char)text[i]);
	return out;
}

static bool same_path(const struct path *a, const struct path *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = !strcmp(a->segments[i], b->segments[i]);
	return same;
}

/* The path by the contract. */
static bool expected_path(struct arena *a, const char *raw, struct path *out)
{
	size_t len = strlen(raw);

	out->n = 0;
	if (raw[0] != '/')
		return false;
	if (len == 1)
		return true;
	if (raw[len - 1] == '/')
		len--;
	for (const char *p = raw + 1, *end = raw + len, *next; p <= end; p = next + 1) {
		char *segment;

		next = memchr(p, '/', (size_t)(end - p));
		if (!next)
			next = end;
		segment = decoded(a, p, (size_t)(next - p), false);
		if (!segment || !*segment || strchr(segment, '/') || out->n == PATH_SEGMENTS_MAX)
			return false;
		out->segments[out->n++] = segment;
	}
	return true;
}

static void check_match(struct arena *a, const struct path *path, const char *pattern,
			unsigned *best)
{
	const char *params[PATH_SEGMENTS_MAX], *got[PATH_SEGMENTS_MAX] = { NULL };
	bool fits = false;
	struct path shape;
	unsigned bits = 0, literals;
	size_t n = 0;

	CHECK(path_parse(a, pattern, &shape));
	if (shape.n == path->n) {
		fits = true;
		for (size_t i = 0; i < path->n; i++) {
			if (shape.segments[i][0] == '{')
				params[n++] = path->segments[i];
			else if (!strcmp(shape.segments[i], path->segments[i]))
				bits |= 0x80u >> i;
			else
				fits = false;
		}
	}
	CHECK(path_match(path, pattern, got, &literals) == fits);
	if (!fits)
		return;
	CHECK(literals == bits);
	for (size_t i = 0; i < n; i++)
		CHECK(got[i] == params[i]);
	CHECK(n == PATH_SEGMENTS_MAX || !got[n]);
	/* never two routes of one rank */
	CHECK(literals != *best);
	*best = literals;
}

static void check_path(struct arena *a, const char *raw)
{
	struct path path, wanted, again;
	unsigned best = UINT32_MAX;
	bool ok = path_parse(a, raw, &path);
	const char *text = "";

	CHECK(ok == expected_path(a, raw, &wanted));
	if (!ok)
		return;
	CHECK(same_path(&path, &wanted));
	for (size_t i = 0; i < path.n; i++) {
		CHECK(path.segments[i][0] && !strchr(path.segments[i], '/'));
		text = arena_printf(a, "%s/%s", text, escaped(a, path.segments[i]));
	}
	CHECK(path_parse(a, arena_printf(a, "%s/", text), &again) && same_path(&path, &again));
	if (path.n)
		CHECK(path_parse(a, text, &again) && same_path(&path, &again));
	for (size_t i = 0; i < ARRAY_LEN(patterns); i++)
		check_match(a, &path, patterns[i], &best);
}

/* The query by the contract. */
static bool expected_query(struct arena *a, const char *raw, struct query *out)
{
	out->n = 0;
	for (const char *p = raw, *end; *p; p = *end ? end + 1 : end) {
		const char *equals, *name, *value;

		end = strchrnul(p, '&');
		if (p == end)
			continue;
		equals = memchr(p, '=', (size_t)(end - p));
		name = decoded(a, p, (size_t)((equals ? equals : end) - p), true);
		value = equals ? decoded(a, equals + 1, (size_t)(end - equals - 1), true) : "";
		if (!name || !value || out->n == QUERY_PARAMS_MAX)
			return false;
		if (!fuzz_utf8(name, strlen(name), NULL) || !fuzz_utf8(value, strlen(value), NULL))
			return false;
		out->params[out->n].name = name;
		out->params[out->n++].value = value;
	}
	return true;
}

static bool same_query(const struct query *a, const struct query *b)
{
	bool same = a->n == b->n;

	for (size_t i = 0; same && i < a->n; i++)
		same = !strcmp(a->params[i].name, b->params[i].name) &&
		       !strcmp(a->params[i].value, b->params[i].value);
	return same;
}

static void check_query(struct arena *a, const char *raw)
{
	struct query query, wanted, again;
	bool ok = query_parse(a, raw, &query);
	const char *text = "";

	CHECK(ok == expected_query(a, raw, &wanted));
	if (!ok)
		return;
	CHECK(same_query(&query, &wanted));
	for (size_t i = 0; i < query.n; i++) {
		const char *name = query.params[i].name, *value = query_get(&query, name);
		size_t first = 0;

		while (strcmp(query.params[first].name, name) != 0)
			first++;
		CHECK(value == query.params[first].value);
		text = arena_printf(a, "%s%s=%s&", text, escaped(a, name),
				    escaped(a, query.params[i].value));
	}
	CHECK(query_parse(a, text, &again) && same_query(&query, &again));
}

enum shape { TAG_LIST, TAG_OF_VERSION, STAR, BLANK, JSON, MERGE_PATCH, SHAPES };

static const char *const shapes[SHAPES] = {
	[TAG_LIST] = "^[ \t,]*((W/)?\"[^\"]*\"[ \t]*(,[ \t,]*|$))*$",
	[TAG_OF_VERSION] = "^(0|[1-9][0-9]*)(-[A-Za-z]+)?$",
	[STAR] = "^[ \t]*\\*[ \t]*$",
	[BLANK] = "^[ \t]*$",
	[JSON] = "^[ \t]*application/json[ \t]*(;|$)",
	[MERGE_PATCH] = "^[ \t]*application/merge-patch[+]json[ \t]*(;|$)",
};

static bool fits(const char *text, enum shape shape)
{
	static regex_t compiled[SHAPES];
	static unsigned uses[SHAPES];
	int flags = REG_EXTENDED | REG_NOSUB, result;

	if (shape == JSON || shape == MERGE_PATCH)
		flags |= REG_ICASE;
	/* the C library keeps every state that a text has led to: made anew now and then */
	if (uses[shape]++ % 4096 == 0) {
		if (uses[shape] > 1)
			regfree(&compiled[shape]);
		CHECK(!regcomp(&compiled[shape], shapes[shape], flags));
	}
	result = regexec(&compiled[shape], text, 0, NULL, 0);
	CHECK(result == 0 || result == REG_NOMATCH);
	return result == 0;
}

/* The versions of a list of entity-tags; SIZE_MAX when it is none. */
static size_t expected_versions(struct arena *a, const char *header, int64_t *out, size_t max)
{
	size_t n = 0;

	if (!fits(header, TAG_LIST))
		return SIZE_MAX;
	for (const char *p = strchr(header, '"'), *end; p; p = strchr(end + 1, '"')) {
		char *tag;

		end = strchr(p + 1, '"');
		CHECK(end);
		tag = arena_strndup(a, p + 1, (size_t)(end - p - 1));
		errno = 0;
		if (fits(tag, TAG_OF_VERSION) && strtoll(tag, NULL, 10) >= 0 && !errno && n++ < max)
			out[n - 1] = strtoll(tag, NULL, 10);
	}
	return n;
}

static void check_if_match(struct arena *a, const char *header)
{
	int64_t versions[IF_MATCH_MAX];
	struct if_match match, other;
	bool any = fits(header, STAR), ok = if_match_parse(header, &match);
	size_t n = any ? 0 : expected_versions(a, header, versions, IF_MATCH_MAX);

	if (!ok) {
		CHECK(!if_none_match_parse(header, &other));
		CHECK(n > IF_MATCH_MAX);
		return;
	}
	CHECK(match.any == any);
	CHECK(if_none_match_parse(header, &other) && other.any == any && other.n == match.n);
	if (n == SIZE_MAX)
		n = 0;
	CHECK(match.n == n);
	for (size_t i = 0; i < n; i++)
		CHECK(match.versions[i] == versions[i]);
}

static bool is_strict(const char *header)
{
	return prefer_has(header, "handling", "strict");
}

static void check_prefer(struct arena *a, const char *header)
{
	bool strict = is_strict(header);

	CHECK(!strict || strcasestr(header, "handling"));
	/* of another name the member in front does not matter; of ours it decides */
	CHECK(is_strict(arena_printf(a, "x=\",handling=strict,\\\"\";handling=strict , %s",
				     header)) == strict);
	CHECK(is_strict(arena_printf(a, "Handling = \"s\\trict\";x,%s", header)));
	CHECK(!is_strict(arena_printf(a, "handling=lenient,%s", header)));
	CHECK(!is_strict(arena_printf(a, "handling,%s", header)));
	if (strict)
		CHECK(is_strict(arena_printf(a, "%s, handling=lenient", header)));
}

static void check_accept(struct arena *a, const char *header)
{
	static const char *const offered[] = { "application/json", "text/csv", "text/calendar" };
	size_t chosen = accept_choose(header, offered, 3);

	CHECK(chosen < 3);
	CHECK(!chosen || strcasestr(header, offered[chosen]) || strchr(header, '*'));
	/* a range of another type in front does not matter, nor does one that is malformed */
	header = arena_printf(a, "a/b;c=\"text/csv,\\\"\";q=1 , text/calendar;q=2,%s", header);
	CHECK(accept_choose(header, offered, 3) == chosen);
}

static void check_media_type(const char *header)
{
	enum media_type wanted = MEDIA_OTHER;

	if (fits(header, BLANK))
		wanted = MEDIA_NONE;
	else if (fits(header, JSON))
		wanted = MEDIA_JSON;
	else if (fits(header, MERGE_PATCH))
		wanted = MEDIA_MERGE_PATCH;
	CHECK(media_type_of(header) == wanted);
}

/* What of a header goes into the database. */
static void check_text(struct arena *a, const char *text, size_t max)
{
	const char *kept = text_keep(a, text, max), *p = text, *end = text + strlen(text), *cut = p;

	while (p < end && fuzz_scalar(&p, end) >= 0 && (size_t)(p - text) <= max)
		cut = p;
	if (fuzz_utf8(text, strlen(text), NULL))
		CHECK(kept && strlen(kept) == (size_t)(cut - text));
	if (kept) {
		CHECK(strlen(kept) <= max && !memcmp(kept, text, strlen(kept)));
		CHECK(fuzz_utf8(kept, strlen(kept), NULL));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena *arena;
	const char *text;

	if (!arena)
		arena = arena_new(64 << 20);
	text = arena_strndup(arena, (const char *)data, strnlen((const char *)data, size));
	check_path(arena, text);
	check_query(arena, text);
	check_if_match(arena, text);
	check_prefer(arena, text);
	check_accept(arena, text);
	check_media_type(text);
	check_text(arena, text, strlen(text) / 2);
	check_text(arena, text, 8);
	arena_reset(arena);
	return 0;
}
