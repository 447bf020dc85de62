#include "base/base.h"

#include "base/net.h"

#include <arpa/inet.h>

#include "base/codec.h"

enum { V4_BITS = 96 }; /* in front of an IPv4 address, in the form of IPv6 */

static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

static bool is_v4(const struct net_address *a)
{
	return memcmp(a->bytes, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool net_address_parse(const char *text, size_t len, struct net_address *out)
{
	char copy[NET_TEXT_MAX];

	if (len >= sizeof(copy) || memchr(text, '\0', len))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (strchr(copy, ':'))
		return inet_pton(AF_INET6, copy, out->bytes) == 1;
	memcpy(out->bytes, v4_prefix, sizeof(v4_prefix));
	return inet_pton(AF_INET, copy, out->bytes + sizeof(v4_prefix)) == 1;
}

void net_address_format(const struct net_address *a, char out[NET_TEXT_MAX])
{
	if (!is_v4(a)) {
		(void)inet_ntop(AF_INET6, a->bytes, out, NET_TEXT_MAX);
		return;
	}
	/* of each request, and inet_ntop takes its time */
	for (size_t i = sizeof(v4_prefix); i < sizeof(a->bytes); i++) {
		out += decimal_format(a->bytes[i], out);
		*out++ = '.';
	}
	out[-1] = '\0';
}

void net_client_format(const struct net_address *a, char out[NET_TEXT_MAX])
{
	struct net_address network = *a;
	size_t len;

	if (!is_v4(a))
		memset(network.bytes + 8, 0, 8);
	net_address_format(&network, out);
	len = strlen(out);
	if (!is_v4(a))
		(void)snprintf(out + len, NET_TEXT_MAX - len, "/64");
}

/* Whether the first `bits` of both are the same. */
static bool starts_with(const struct net_address *a, const struct net_address *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a->bytes, b->bytes, whole) != 0)
		return false;
	return !rest || (a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest) == 0;
}

static bool net_parse(const char *text, size_t len, struct net *out)
{
	const char *slash = memchr(text, '/', len);
	size_t address_len = slash ? (size_t)(slash - text) : len;
	int64_t before = memchr(text, ':', address_len) ? 0 : V4_BITS, bits = 128 - before;

	if (!net_address_parse(text, address_len, &out->address) ||
	    (slash && !decimal_parse(slash + 1, len - address_len - 1, bits, &bits)))
		return false;
	out->bits = (unsigned)(before + bits);
	for (unsigned i = out->bits; i < 128; i++) {
		if (out->address.bytes[i / 8] & 0x80u >> i % 8)
			return false;
	}
	return true;
}

bool net_list_parse(const char *text, struct net_list *out)
{
	static const char separators[] = " \t,";

	out->n = 0;
	for (text += strspn(text, separators); *text; text += strspn(text, separators)) {
		size_t len = strcspn(text, separators);

		if (out->n == NET_LIST_MAX || !net_parse(text, len, &out->nets[out->n]))
			return false;
		out->n++;
		text += len;
	}
	return true;
}

bool net_list_has(const struct net_list *list, const struct net_address *a)
{
	for (size_t i = 0; i < list->n; i++) {
		if (starts_with(a, &list->nets[i].address, list->nets[i].bits))
			return true;
	}
	return false;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct net_address net_client(const struct net_list *trusted, const struct net_address *peer,
			      const char *forwarded_for)
{
	struct net_address hop = *peer, before;
	const char *start = forwarded_for ? forwarded_for : "", *end = start + strlen(start);

	/* Each proxy appends who connected to it: what stands left of a hop is that hop's word. */
	while (end > start && net_list_has(trusted, &hop)) {
		const char *entry = end, *next;

		while (entry > start && entry[-1] != ',')
			entry--;
		next = entry > start ? entry - 1 : start;
		while (entry < end && is_blank(*entry))
			entry++;
		while (end > entry && is_blank(end[-1]))
			end--;
		if (!net_address_parse(entry, (size_t)(end - entry), &before))
			break;
		hop = before;
		end = next;
	}
	return hop;
}
