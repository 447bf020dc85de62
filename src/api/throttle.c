#include "base/base.h"

#include "api/throttle.h"

#include "api/metrics.h"
#include "api/reply.h"
#include "base/codec.h"

enum api_error throttle_address(struct call *c)
{
	int64_t limit = c->app->throttle_address_per_minute;
	struct throttle t;
	enum store_result r;

	if (!c->app->throttle)
		return API_OK;
	r = store_throttle_address(
		c->store, arena_printf(c->arena, "address:%s", c->client.network), limit, &t);
	if (r == STORE_LIMITED) {
		metrics_count(c, COUNT_THROTTLED_ADDRESS);
		return reply_limited(c, "address", limit, THROTTLE_WINDOW_S, &t);
	}
	return r == STORE_OK ? API_OK : api_from_store(r);
}

static enum api_error reserve(struct call *c, const char *policy, enum count count, const char *key)
{
	struct throttle t;
	enum store_result r = store_throttle_reserve(c->store, key, &t);

	if (r == STORE_LIMITED) {
		metrics_count(c, count);
		return reply_limited(c, policy, THROTTLE_FREE_FAILURES, 0, &t);
	}
	return r == STORE_OK ? API_OK : api_from_store(r);
}

static enum api_error reserve_session(struct call *c, const struct principal *p, const char **key)
{
	char id[UUID_TEXT_LEN + 1];

	uuid_format(&p->session_id, id);
	*key = arena_printf(c->arena, "session:%s", id);
	return reserve(c, "session", COUNT_THROTTLED_SESSION, *key);
}

enum api_error throttle_account(struct call *c, const struct credential_query *query,
				const struct credential *found, const char **key)
{
	bool known = found && found->network_known;
	uint8_t digest[DIGEST_LEN];
	char hex[2 * DIGEST_LEN + 1];

	*key = NULL;
	if (!c->app->throttle)
		return API_OK;
	if (found && !known && found->session_lives)
		return reserve_session(c, query->session, key);
	/* a digest, because people type passwords into the e-mail field */
	digest_sha256(query->email_key, strlen(query->email_key), digest);
	hex_encode(digest, sizeof(digest), hex);
	*key = arena_printf(c->arena, "account:%s%s%s", hex, known ? ":" : "",
			    known ? query->network : "");
	return reserve(c, "account", COUNT_THROTTLED_ACCOUNT, *key);
}

enum api_error throttle_session(struct call *c, const char **key)
{
	*key = NULL;
	return c->app->throttle ? reserve_session(c, c->principal, key) : API_OK;
}

void throttle_refund(struct call *c, const char *key)
{
	/* A refund that fails leaves a failure too many: the safe side. */
	if (key)
		(void)store_throttle_refund(c->store, key);
}
