#include "base/base.h"

#include "api/throttle.h"

#include <arpa/inet.h>

#include "api/reply.h"
#include "base/codec.h"
#include "http/text.h"

enum { ADDRESS_MAX = 64 };

const char *client_address(struct call *c)
{
	const char *text = text_keep(c->arena, c->request->remote_addr, ADDRESS_MAX);

	return text ? text : "";
}

/* IPv6 counts by /64: a household has 2^64 addresses. An IPv4 address in IPv6 form is the same
 * client as in its own form. */
static const char *address_key(struct call *c)
{
	const char *address = client_address(c);
	struct in6_addr six;
	char text[INET6_ADDRSTRLEN];

	if (inet_pton(AF_INET6, address, &six) != 1)
		return arena_printf(c->arena, "address:%s", address);
	if (IN6_IS_ADDR_V4MAPPED(&six)) {
		(void)inet_ntop(AF_INET, six.s6_addr + 12, text, sizeof(text));
		return arena_printf(c->arena, "address:%s", text);
	}
	memset(six.s6_addr + 8, 0, 8);
	(void)inet_ntop(AF_INET6, &six, text, sizeof(text));
	return arena_printf(c->arena, "address:%s/64", text);
}

enum api_error throttle_address(struct call *c)
{
	int64_t limit = c->app->throttle_address_per_minute;
	struct throttle t;
	enum store_result r;

	if (!c->app->throttle)
		return API_OK;
	r = store_throttle_address(c->store, address_key(c), limit, &t);
	if (r == STORE_LIMITED)
		return reply_limited(c, "address", limit, THROTTLE_WINDOW_S, &t);
	return r == STORE_OK ? API_OK : api_from_store(r);
}

/* A digest, because people type passwords into the e-mail field. */
static const char *account_key(struct arena *a, const char *email_key)
{
	uint8_t digest[DIGEST_LEN];
	char hex[2 * DIGEST_LEN + 1];

	digest_sha256(email_key, strlen(email_key), digest);
	hex_encode(digest, sizeof(digest), hex);
	return arena_printf(a, "account:%s", hex);
}

enum api_error throttle_account(struct call *c, const char *email_key, const char **key)
{
	struct throttle t;
	enum store_result r;

	*key = NULL;
	if (!c->app->throttle)
		return API_OK;
	*key = account_key(c->arena, email_key);
	r = store_throttle_reserve(c->store, *key, &t);
	if (r == STORE_LIMITED)
		return reply_limited(c, "account", THROTTLE_FREE_FAILURES, 0, &t);
	return r == STORE_OK ? API_OK : api_from_store(r);
}

void throttle_refund(struct call *c, const char *key)
{
	/* A refund that fails leaves a failure too many: the safe side. */
	if (key)
		(void)store_throttle_refund(c->store, key);
}
