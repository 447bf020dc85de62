/* Who asks: networks, X-Forwarded-For and cookies. Input: one text, which is each of them in turn;
 * a first line, if there is one, lists the proxies. */
#include "base/base.h"

#include "fuzz.h"

#include "base/net.h"
#include "http/cookie.h"

/* Trims and cuts at commas, from the left. */
static size_t entries(struct arena *a, const char *header, char **out, size_t max)
{
	char *text = arena_strndup(a, header, strlen(header)), *entry;
	size_t n = 0;

	while ((entry = strsep(&text, ","))) {
		entry += strspn(entry, " \t");
		for (size_t len = strlen(entry); len && strchr(" \t", entry[len - 1]); len--)
			entry[len - 1] = '\0';
		CHECK(n < max);
		out[n++] = entry;
	}
	return n;
}

static bool same(const struct net_address *a, const struct net_address *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void check_address(const char *text, size_t len)
{
	struct net_address a, again;
	char form[NET_TEXT_MAX];
	struct net_list list;

	if (!net_address_parse(text, len, &a))
		return;
	CHECK(len < NET_TEXT_MAX && strspn(text, "0123456789abcdefABCDEF:.") >= len);
	net_address_format(&a, form);
	CHECK(net_address_parse(form, strlen(form), &again) && same(&a, &again));
	CHECK(net_list_parse(form, &list) && list.n == 1 && net_list_has(&list, &a));
	net_client_format(&a, form);
	CHECK(net_list_parse(form, &list) && list.n == 1 && net_list_has(&list, &a));
}

static void check_list(const char *text)
{
	struct net_list list;

	if (!net_list_parse(text, &list))
		return;
	CHECK(list.n <= NET_LIST_MAX);
	for (size_t i = 0; i < list.n; i++) {
		struct net_address last = list.nets[i].address;

		CHECK(list.nets[i].bits <= 128);
		CHECK(net_list_has(&list, &last));
		for (unsigned bit = list.nets[i].bits; bit < 128; bit++)
			last.bytes[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
		CHECK(net_list_has(&list, &last));
	}
}

static void check_walk(struct arena *a, const char *trusted, const char *header)
{
	size_t max = strlen(header) + 1, n;
	char **entry = arena_array(a, max, sizeof(*entry));
	struct net_address hop, next, found;
	struct net_list list;

	if (!net_list_parse(trusted, &list))
		CHECK(net_list_parse("10.0.0.0/8 fd00::/8", &list));
	CHECK(net_address_parse("10.0.0.1", 8, &hop));
	found = net_client(&list, &hop, header);
	n = *header ? entries(a, header, entry, max) : 0;
	/* an empty one at the very left is none */
	while (n && (n > 1 || *entry[0]) && net_list_has(&list, &hop) &&
	       net_address_parse(entry[n - 1], strlen(entry[n - 1]), &next)) {
		hop = next;
		n--;
	}
	CHECK(same(&hop, &found));
}

static void check_cookie(struct arena *a, const char *header)
{
	size_t len = 0, again = 0;
	const char *value = cookie_find(header, "t", &len), *second;

	if (value) {
		CHECK(value >= header + 2 && value[-1] == '=' && value[-2] == 't');
		CHECK(len <= strlen(value) && !memchr(value, ';', len));
		CHECK(!value[len] || strchr("; \t", value[len]));
	}
	second = cookie_find(arena_printf(a, "%s; t=end", header), "t", &again);
	CHECK(second && (value ? again == len && !memcmp(value, second, len)
			       : again == 3 && !memcmp(second, "end", 3)));
	second = cookie_find(arena_printf(a, "t=first;%s", header), "t", &again);
	CHECK(second && again == 5 && !memcmp(second, "first", 5));
}

static void check_words(struct arena *a, const char *list)
{
	char *text = arena_strndup(a, list, strlen(list)), *word;

	CHECK(!list_has(list, ""));
	while ((word = strsep(&text, " \t,")))
		CHECK(list_has(list, word) == (*word != '\0'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena *arena;
	const char *text, *line;

	if (!arena)
		arena = arena_new(64 << 20);
	text = arena_strndup(arena, (const char *)data, strnlen((const char *)data, size));
	line = strchr(text, '\n');
	check_address(text, strlen(text));
	check_list(text);
	check_walk(arena, line ? arena_strndup(arena, text, (size_t)(line - text)) : "",
		   line ? line + 1 : text);
	check_cookie(arena, text);
	check_words(arena, text);
	arena_reset(arena);
	return 0;
}
