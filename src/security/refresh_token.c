#include "base/base.h"

#include "security/refresh_token.h"

#include "base/secret.h"
#include "security/keys_private.h"

enum {
	TOKEN_VERSION = 1,
	AT_KEY_ID = 1,
	AT_USER = AT_KEY_ID + KEY_ID_BYTES,
	AT_SESSION = AT_USER + 16,
	AT_COUNTER = AT_SESSION + 16,
	AT_EXPIRY = AT_COUNTER + 8,
	AT_MAC = AT_EXPIRY + 8,
};

_Static_assert(AT_MAC + DIGEST_LEN == REFRESH_TOKEN_BYTES, "the layout in the header");

static bool parse_key_id(const char *text, uint8_t id[KEY_ID_BYTES])
{
	if (strlen(text) != KEY_ID_LEN)
		return false;
	for (int i = 0; i < KEY_ID_BYTES; i++) {
		int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		id[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool refresh_token_issue(struct keys *keys, const char *key_id, const struct refresh_token *token,
			 char out[REFRESH_TOKEN_LEN + 1])
{
	uint8_t bytes[REFRESH_TOKEN_BYTES] = { TOKEN_VERSION };
	const struct key *key;

	if (!parse_key_id(key_id, bytes + AT_KEY_ID))
		return false;
	keys_follow(keys);
	key = keys_find(keys, bytes + AT_KEY_ID);
	if (!key)
		return false;
	memcpy(bytes + AT_USER, token->user_id.bytes, sizeof(token->user_id.bytes));
	memcpy(bytes + AT_SESSION, token->session_id.bytes, sizeof(token->session_id.bytes));
	put_int64(bytes + AT_COUNTER, token->counter);
	put_int64(bytes + AT_EXPIRY, token->expires_at);
	if (!hmac_sha256(key->refresh, sizeof(key->refresh), bytes, AT_MAC, bytes + AT_MAC))
		return false;
	base64url_encode(bytes, sizeof(bytes), out);
	secret_wipe(bytes, sizeof(bytes));
	return true;
}

static bool is_signed(struct keys *keys, const uint8_t bytes[REFRESH_TOKEN_BYTES])
{
	const struct key *key;
	uint8_t mac[DIGEST_LEN];
	bool same;

	keys_follow(keys);
	key = keys_find(keys, bytes + AT_KEY_ID);
	if (!key || !hmac_sha256(key->refresh, sizeof(key->refresh), bytes, AT_MAC, mac))
		return false;
	same = secret_equal(mac, bytes + AT_MAC, sizeof(mac));
	secret_wipe(mac, sizeof(mac));
	return same;
}

bool refresh_token_read(struct keys *keys, const char *text, size_t len, struct refresh_token *out)
{
	uint8_t bytes[REFRESH_TOKEN_BYTES];
	size_t n;
	bool ok;

	ok = base64url_decode(text, len, bytes, sizeof(bytes), &n) && n == sizeof(bytes) &&
	     bytes[0] == TOKEN_VERSION && is_signed(keys, bytes);
	if (ok) {
		memcpy(out->user_id.bytes, bytes + AT_USER, sizeof(out->user_id.bytes));
		memcpy(out->session_id.bytes, bytes + AT_SESSION, sizeof(out->session_id.bytes));
		out->counter = get_int64(bytes + AT_COUNTER);
		out->expires_at = get_int64(bytes + AT_EXPIRY);
	}
	secret_wipe(bytes, sizeof(bytes));
	return ok;
}

/* The first row that holds decides.
 *
 *   the token has expired              INVALID  its life is over, whoever shows it; an old copy
 *                                               must not be able to end a session
 *   no such session, or it was ended   ENDED    nothing is left to steal
 *   the session has expired            INVALID
 *   our UPDATE advanced the counter    CURRENT  the token was the current one; the row is one ahead
 *   the token is ahead of the row      INVALID  signed, but never handed out by this database (one
 *                                               put back from a copy, say)
 *   both have the same counter         RETRY    the UPDATE ought to have taken it
 *   one behind, rotated less than the  CURRENT  a parallel request, or a lost answer
 *   grace ago
 *   else                               THEFT    somebody has used it before
 *
 * A rotation may lie in the future: `now` is the start of a transaction that then waited for the
 * one which rotated. That is inside the grace, unless the grace is 0. */
enum refresh_verdict refresh_decide(const struct refresh_token *token,
				    const struct refresh_state *state, int64_t grace_us)
{
	if (token->expires_at <= state->now / US_PER_SECOND)
		return REFRESH_INVALID;
	if (!state->found || state->revoked)
		return REFRESH_ENDED;
	if (state->expires_at <= state->now)
		return REFRESH_INVALID;
	if (state->advanced)
		return REFRESH_CURRENT;
	if (token->counter > state->counter)
		return REFRESH_INVALID;
	if (token->counter == state->counter)
		return REFRESH_RETRY;
	if (token->counter == state->counter - 1 && grace_us > 0 &&
	    state->rotated_at > state->now - grace_us)
		return REFRESH_CURRENT;
	return REFRESH_THEFT;
}
