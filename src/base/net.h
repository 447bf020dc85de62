/* IP addresses and networks as text. */
#ifndef TASKCELL_BASE_NET_H
#define TASKCELL_BASE_NET_H

#include "base/base.h"

enum {
	NET_LIST_MAX = 32,
	NET_TEXT_MAX = 64, /* of an address or network as text, with its end */
};

/* An address in 16 bytes; IPv4 as ::ffff:a.b.c.d, however it was written. */
struct net_address {
	uint8_t bytes[16];
};
struct net {
	struct net_address address;
	unsigned bits; /* of 128 */
};
struct net_list {
	size_t n;
	struct net nets[NET_LIST_MAX];
};

/* Reads an address: IPv4 or IPv6, no port, no zone, no blanks. */
bool net_address_parse(const char *text, size_t len, struct net_address *out) MUST_CHECK;
/* The address as text; IPv4 in its own form. */
void net_address_format(const struct net_address *, char out[NET_TEXT_MAX]);
/* What counts as one client: an IPv4 address, or an IPv6 network as "2001:db8:1:2::/64". */
void net_client_format(const struct net_address *, char out[NET_TEXT_MAX]);

/* Reads networks such as 10.0.0.0/8 and 2001:db8::/32, or single addresses, separated by blanks or
 * commas. False: one cannot be read, has bits behind its prefix, or there are more than
 * NET_LIST_MAX. */
bool net_list_parse(const char *text, struct net_list *out) MUST_CHECK;
bool net_list_has(const struct net_list *, const struct net_address *) MUST_CHECK;

/* The client's address by X-Forwarded-For, walked from the right as long as the hop is a trusted
 * one: the first that is not. An entry that cannot be read ends the walk at the hop before. `peer`
 * is who connected. */
struct net_address net_client(const struct net_list *trusted, const struct net_address *peer,
			      const char *forwarded_for);

#endif
