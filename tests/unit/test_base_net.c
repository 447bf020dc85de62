#include "base/base.h"

#include "base/net.h"

#include <stdio.h>

#include "test_base.h"

/* Assertions of tables share a line: says which case failed. */
static void wanted(bool good, const char *what)
{
	CU_ASSERT(good);
	if (!good)
		fprintf(stderr, "\n%s\n", what);
}

static struct net_address address(const char *text)
{
	struct net_address a = { { 0 } };

	wanted(net_address_parse(text, strlen(text), &a), text);
	return a;
}

static struct net_list list(const char *text)
{
	struct net_list l = { 0 };

	wanted(net_list_parse(text, &l), text);
	return l;
}

/* Each address as it is written by us, and what counts as one client. */
static void addresses_have_one_form(void)
{
	static const struct {
		const char *text, *form, *client;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1", "192.0.2.1" },
		{ "0.0.0.0", "0.0.0.0", "0.0.0.0" },
		{ "255.255.255.255", "255.255.255.255", "255.255.255.255" },
		{ "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1" },
		{ "::FFFF:c000:0201", "192.0.2.1", "192.0.2.1" },
		{ "0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1", "192.0.2.1" },
		{ "::1", "::1", "::/64" },
		{ "::", "::", "::/64" },
		{ "2001:DB8:0:0:0:0:0:1", "2001:db8::1", "2001:db8::/64" },
		{ "2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64" },
		{ "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
		  "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8:ffff:ffff::/64" },
		{ "fe80::1", "fe80::1", "fe80::/64" },
		/* not the mapped form: an address of IPv6 by itself */
		{ "::192.0.2.1", "::192.0.2.1", "::/64" },
		{ "64:ff9b::192.0.2.1", "64:ff9b::c000:201", "64:ff9b::/64" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct net_address a = address(cases[i].text);
		char out[NET_TEXT_MAX];

		net_address_format(&a, out);
		wanted(strcmp(out, cases[i].form) == 0, out);
		net_client_format(&a, out);
		wanted(strcmp(out, cases[i].client) == 0, out);
	}
}

static void other_texts_are_no_addresses(void)
{
	static const char *const cases[] = {
		"",
		" ",
		"192.0.2",
		"192.0.2.1.1",
		"192.0.2.256",
		"192.0.2.-1",
		"192.0.2.01",
		"0300.0.2.1",
		"0xc0.0.2.1",
		"3221225985",
		" 192.0.2.1",
		"192.0.2.1 ",
		"192.0.2.1\n",
		"192.0.2.1:80",
		"[::1]",
		"[::1]:80",
		"::1%lo",
		"fe80::1%eth0",
		"fe80::1%25eth0",
		":::",
		"1::2::3",
		"12345::",
		"::g",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"::1/128",
		"192.0.2.1/32",
		"unknown",
		"_hidden",
		"localhost",
		"\"192.0.2.1\"",
		"for=192.0.2.1",
		"\xd9\xa1.0.0.1",
	};
	struct net_address a;
	char longest[200];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		wanted(!net_address_parse(cases[i], strlen(cases[i]), &a), cases[i]);
	/* a NUL ends nothing, and the length is believed */
	CU_ASSERT(!net_address_parse("::1\0", 4, &a));
	CU_ASSERT(!net_address_parse("192.0.2.1\0x", 11, &a));
	CU_ASSERT(net_address_parse("192.0.2.199", 9, &a));
	memset(longest, '1', sizeof(longest));
	longest[1] = ':';
	for (size_t n = 0; n < sizeof(longest); n++)
		CU_ASSERT(!net_address_parse(longest, n, &a));
}

static void networks_hold_their_addresses(void)
{
	static const struct {
		const char *net, *in, *out;
	} cases[] = {
		{ "10.0.0.0/8", "10.255.255.255", "11.0.0.0" },
		{ "10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3" },
		{ "192.0.2.128/25", "192.0.2.128", "192.0.2.127" },
		{ "192.0.2.4/31", "192.0.2.5", "192.0.2.6" },
		{ "192.0.2.4/32", "192.0.2.4", "192.0.2.5" },
		{ "192.0.2.4", "192.0.2.4", "192.0.2.5" },
		{ "0.0.0.0/0", "255.1.2.3", "2001:db8::1" },
		{ "0.0.0.0/1", "127.255.255.255", "128.0.0.0" },
		{ "::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3" },
		{ "2001:db8::/32", "2001:db8:ffff::1", "2001:db9::" },
		{ "2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::" },
		{ "2001:db8::1", "2001:db8::1", "2001:db8::" },
		{ "fe80::/10", "febf::1", "fec0::1" },
		{ "::1/128", "::1", "::" },
		{ "10.0.0.0/8, 192.0.2.0/24\t::1,", "192.0.2.9", "192.0.3.0" },
		{ " ,10.0.0.0/8", "10.0.0.0", "9.255.255.255" },
	};
	struct net_list none = list(" , "), all = list("::/0");
	struct net_address a = address("192.0.2.1");

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct net_list l = list(cases[i].net);
		struct net_address in = address(cases[i].in), out = address(cases[i].out);

		wanted(net_list_has(&l, &in), cases[i].net);
		wanted(!net_list_has(&l, &out), cases[i].net);
	}
	CU_ASSERT_EQUAL(none.n, 0);
	CU_ASSERT(!net_list_has(&none, &a));
	CU_ASSERT(net_list_has(&all, &a));
}

static void lists_with_mistakes_are_refused(void)
{
	static const char *const cases[] = {
		"10.0.0.1/8",
		"10.0.0.0/33",
		"10.0.0.0/",
		"10.0.0.0/x",
		"10.0.0.0/8/8",
		"/8",
		"10.0.0.0 /8",
		"::/129",
		"2001:db8::/16",
		"192.0.2.5/31",
		"2001:db8::1/64",
		"::ffff:10.0.0.0/8",
		"10.0.0.0/8;",
		"10.0.0.0/8, x",
		"10",
		"10.0.0.0/-1",
		"10.0.0.0/99999999999999999999",
	};
	struct net_list l;
	char many[NET_LIST_MAX * 10 + 16] = "";
	size_t len = 0;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		wanted(!net_list_parse(cases[i], &l), cases[i]);
	for (unsigned i = 0; i < NET_LIST_MAX; i++)
		len += (size_t)snprintf(many + len, sizeof(many) - len, "10.0.%u.0 ", i % 10);
	CU_ASSERT(net_list_parse(many, &l) && l.n == NET_LIST_MAX);
	(void)snprintf(many + len, sizeof(many) - len, ",::");
	CU_ASSERT(!net_list_parse(many, &l));
}

/* Whom net_client() names. */
static void check_walk(const char *trusted, const char *peer, const char *header, const char *want)
{
	struct net_list l = list(trusted);
	struct net_address p = address(peer), a = net_client(&l, &p, header);
	char out[NET_TEXT_MAX];

	net_address_format(&a, out);
	wanted(strcmp(out, want) == 0, header ? header : "(no header)");
}

static void client_is_found_from_the_right(void)
{
	static const char proxies[] = "10.0.0.0/8 2001:db8:ffff::/48";
	static const struct {
		const char *peer, *header, *want;
	} cases[] = {
		{ "10.0.0.1", NULL, "10.0.0.1" },
		{ "10.0.0.1", "", "10.0.0.1" },
		{ "10.0.0.1", "192.0.2.1", "192.0.2.1" },
		{ "10.0.0.1", " \t192.0.2.1\t ", "192.0.2.1" },
		{ "::ffff:10.0.0.1", "::ffff:192.0.2.1", "192.0.2.1" },
		{ "2001:db8:ffff::1", "2001:db8::7", "2001:db8::7" },
		/* who is no proxy is the client, whatever it says */
		{ "192.0.2.9", "10.0.0.1", "192.0.2.9" },
		{ "192.0.2.9", "198.51.100.1, 10.0.0.1", "192.0.2.9" },
		/* what a client sent itself stands on the left */
		{ "10.0.0.1", "198.51.100.1, 192.0.2.1", "192.0.2.1" },
		{ "10.0.0.1", "198.51.100.1,192.0.2.1 , 10.0.0.2", "192.0.2.1" },
		{ "10.0.0.1", "10.9.9.9, 192.0.2.1, 10.0.0.3,10.0.0.2", "192.0.2.1" },
		/* all of them are proxies: the outermost */
		{ "10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3" },
		/* what cannot be read ends the walk at the hop before */
		{ "10.0.0.1", "unknown", "10.0.0.1" },
		{ "10.0.0.1", "192.0.2.1, unknown", "10.0.0.1" },
		{ "10.0.0.1", "192.0.2.1, unknown, 10.0.0.2", "10.0.0.2" },
		{ "10.0.0.1", "192.0.2.1:1234", "10.0.0.1" },
		{ "10.0.0.1", "[2001:db8::7]:1234", "10.0.0.1" },
		{ "10.0.0.1", "[2001:db8::7]", "10.0.0.1" },
		{ "10.0.0.1", "fe80::1%eth0", "10.0.0.1" },
		{ "10.0.0.1", "\"192.0.2.1\"", "10.0.0.1" },
		{ "10.0.0.1", "192.0.2.1 192.0.2.2", "10.0.0.1" },
		{ "10.0.0.1", "192.0.2.1;192.0.2.2", "10.0.0.1" },
		{ "10.0.0.1", "192.0.2.1\n", "10.0.0.1" },
		{ "10.0.0.1", "192.0.2.1,", "10.0.0.1" },
		{ "10.0.0.1", "192.0.2.1,,10.0.0.2", "10.0.0.2" },
		{ "10.0.0.1", ",", "10.0.0.1" },
		{ "10.0.0.1", " , , ", "10.0.0.1" },
		{ "10.0.0.1", ",192.0.2.1", "192.0.2.1" },
		{ "10.0.0.1", ",10.0.0.2", "10.0.0.2" },
		{ "10.0.0.1", "\xff\xfe", "10.0.0.1" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check_walk(proxies, cases[i].peer, cases[i].header, cases[i].want);
	check_walk("", "10.0.0.1", "192.0.2.1", "10.0.0.1");
	check_walk("10.0.0.1", "10.0.0.1", "192.0.2.1, 10.0.0.2", "10.0.0.2");
}

/* 8 KB of whatever: nothing is read outside of it, and nothing is believed that was not appended by
 * a proxy. Sanitizers see the rest, as the text lies at the end of its block. */
static void long_headers_do_no_harm(void)
{
	static const char *const fillings[] = { ",",          " ",    "1",  ":",   "10.0.0.2,",
						"10.0.0.2, ", "\xff", "1.", "::1%" };
	enum { LEN = 8 * 1024 };
	char row[9 * 1024] = "";

	for (size_t i = 0; i < ARRAY_LEN(fillings); i++) {
		size_t unit = strlen(fillings[i]);
		char *text = malloc(LEN + 1), *tail;

		CU_ASSERT_PTR_NOT_NULL_FATAL(text);
		for (size_t n = 0; n < LEN; n++)
			text[n] = fillings[i][n % unit];
		text[LEN] = '\0';
		tail = text + LEN - 23;
		memcpy(tail, ", 192.0.2.77, 10.0.0.99", 23);
		check_walk("10.0.0.0/8", "10.0.0.1", text, "192.0.2.77");
		memcpy(tail, ",               unknown", 23);
		check_walk("10.0.0.0/8", "10.0.0.1", text, "10.0.0.1");
		memcpy(tail, ",              10.0.0.9", 23);
		check_walk("10.0.0.0/8", "10.0.0.1", text, "10.0.0.9");
		free(text);
	}
	/* a thousand proxies in a row, and the one that the first of them saw */
	memcpy(row, "192.0.2.77", 10);
	for (size_t n = 10; n + 9 < sizeof(row); n += 9)
		memcpy(row + n, ",10.1.2.3", 10);
	check_walk("10.0.0.0/8", "10.0.0.1", row, "192.0.2.77");
}

CU_TestInfo net_tests[] = {
	{ "one form", addresses_have_one_form },
	{ "no addresses", other_texts_are_no_addresses },
	{ "networks", networks_hold_their_addresses },
	{ "lists with mistakes", lists_with_mistakes_are_refused },
	{ "from the right", client_is_found_from_the_right },
	{ "long headers", long_headers_do_no_harm },
	CU_TEST_INFO_NULL,
};
