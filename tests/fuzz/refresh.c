/* Refresh tokens: refresh_token_read(), and the decision over what it has read. */
#include "base/base.h"

#include "fuzz.h"

#include <openssl/hmac.h>

#include "security/refresh_token.h"

/* Input: the mode's digit, and ... */
enum mode {
	RAW,    /* the text of a token */
	SIGNED, /* its bytes without the MAC, which is then the right one */
	OURS,   /* the same, its version and key id being ours, too */
	DECIDE, /* a token, a state, and a grace */
	MODES,
};

enum {
	BODY_LEN = REFRESH_TOKEN_BYTES - DIGEST_LEN,
	HEAD_LEN = 1 + KEY_ID_LEN / 2,
};

static const char secret[] = "0123456789abcdef0123456789abcdef";
static const uint8_t head[HEAD_LEN] = { 1, 0xde, 0xaa, 0x11, 0xaa };
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* The MAC by the contract: the key is derived from the secret. */
static void make_mac(const uint8_t *bytes, size_t len, uint8_t out[DIGEST_LEN])
{
	static const char label[] = "taskcell refresh token v1";
	uint8_t key[DIGEST_LEN];

	CHECK(HMAC(EVP_sha256(), secret, (int)strlen(secret), (const uint8_t *)label, strlen(label),
		   key, NULL));
	CHECK(HMAC(EVP_sha256(), key, sizeof(key), bytes, len, out, NULL));
}

static int64_t number_at(const uint8_t *p)
{
	uint64_t n = 0;

	for (int i = 0; i < 8; i++)
		n = n << 8 | p[i];
	return (int64_t)n;
}

/* Whether the text is a token of ours, and what it says. */
static bool expected(const char *text, size_t len, struct refresh_token *out)
{
	uint8_t bytes[REFRESH_TOKEN_BYTES], mac[DIGEST_LEN];
	char again[REFRESH_TOKEN_LEN + 1];
	size_t n;

	if (len != REFRESH_TOKEN_LEN || !base64url_decode(text, len, bytes, sizeof(bytes), &n))
		return false;
	CHECK(n == sizeof(bytes));
	base64url_encode(bytes, n, again);
	CHECK(!memcmp(text, again, len));
	make_mac(bytes, BODY_LEN, mac);
	memcpy(out->user_id.bytes, bytes + HEAD_LEN, 16);
	memcpy(out->session_id.bytes, bytes + HEAD_LEN + 16, 16);
	out->counter = number_at(bytes + HEAD_LEN + 32);
	out->expires_at = number_at(bytes + HEAD_LEN + 40);
	return !memcmp(mac, bytes + BODY_LEN, sizeof(mac)) && !memcmp(bytes, head, sizeof(head));
}

/* No other text is this token: in some places, as all of them would take too long. */
static void check_changes(struct arena *a, struct keys *keys, const char *text, size_t len)
{
	char *longer = arena_strndup(a, text, len);
	struct refresh_token out;

	for (size_t i = (unsigned char)text[len - 2] % 7; i < len; i += 7) {
		char was = longer[i];

		longer[i] = alphabet[(unsigned char)(was + text[len - 1 - i]) % 64];
		CHECK(longer[i] == was || !refresh_token_read(keys, longer, len, &out));
		longer[i] = was;
	}
	for (size_t i = 0; i < 64; i++) {
		longer[len - 1] = alphabet[i];
		CHECK(alphabet[i] == text[len - 1] || !refresh_token_read(keys, longer, len, &out));
	}
	memcpy(longer, text, len);
	longer[len] = 'A';
	CHECK(!refresh_token_read(keys, longer, len + 1, &out));
	CHECK(!refresh_token_read(keys, longer, len - 1, &out));
}

/* Returns whether it is a token of ours. */
static bool check_text(struct arena *a, struct keys *keys, const char *text, size_t len)
{
	struct refresh_token out = { 0 }, wanted = { 0 };
	char again[REFRESH_TOKEN_LEN + 1];
	bool ok = refresh_token_read(keys, text, len, &out);

	CHECK(ok == expected(text, len, &wanted));
	if (!ok)
		return false;
	CHECK(uuid_equal(&out.user_id, &wanted.user_id));
	CHECK(uuid_equal(&out.session_id, &wanted.session_id));
	CHECK(out.counter == wanted.counter && out.expires_at == wanted.expires_at);
	CHECK(refresh_token_issue(keys, keys_active_id(keys), &out, again));
	CHECK(!memcmp(again, text, len) && again[len] == '\0');
	check_changes(a, keys, text, len);
	return true;
}

/* `data` fills the body from `start` on; what it lacks is zero. */
static bool check_signed(struct arena *a, struct keys *keys, size_t start, const uint8_t *data,
			 size_t size)
{
	uint8_t bytes[REFRESH_TOKEN_BYTES] = { 0 };
	char text[REFRESH_TOKEN_LEN + 1];

	memcpy(bytes, head, sizeof(head));
	memcpy(bytes + start, data, size < BODY_LEN - start ? size : BODY_LEN - start);
	make_mac(bytes, BODY_LEN, bytes + BODY_LEN);
	base64url_encode(bytes, sizeof(bytes), text);
	return check_text(a, keys, fuzz_copy(a, text, strlen(text)), strlen(text));
}

/* A number from the database or a setting: a time or a count, never near the ends of its type. */
static int64_t next_number(const uint8_t **data, size_t *size)
{
	uint8_t bytes[8] = { 0 };
	size_t n = *size < sizeof(bytes) ? *size : sizeof(bytes);

	memcpy(bytes, *data, n);
	*data += n;
	*size -= n;
	return number_at(bytes) >> 2;
}

static void check_decision(const uint8_t *data, size_t size)
{
	uint8_t bits = size ? data[0] : 0;
	const uint8_t *p = size ? data + 1 : data;
	size_t left = size ? size - 1 : 0;
	struct refresh_token token = { .counter = next_number(&p, &left),
				       .expires_at = next_number(&p, &left) };
	struct refresh_state state = {
		.found = bits & 1,
		.advanced = bits & 2,
		.revoked = bits & 4,
		.counter = next_number(&p, &left),
		.now = next_number(&p, &left),
		.rotated_at = next_number(&p, &left),
		.expires_at = next_number(&p, &left),
	};
	int64_t grace = next_number(&p, &left);
	enum refresh_verdict verdict = refresh_decide(&token, &state, grace);
	bool lives = state.found && !state.revoked && state.expires_at > state.now &&
		     token.expires_at > state.now / US_PER_SECOND;
	bool just_before = token.counter == state.counter - 1 && grace > 0 &&
			   state.now - state.rotated_at < grace;

	CHECK((verdict == REFRESH_CURRENT) == (lives && (state.advanced || just_before)));
	CHECK((verdict == REFRESH_THEFT) ==
	      (lives && !state.advanced && !just_before && token.counter < state.counter));
	CHECK((verdict == REFRESH_RETRY) ==
	      (lives && !state.advanced && token.counter == state.counter));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena *arena;
	static struct keys *keys;

	if (!size)
		return 0;
	if (!arena) {
		arena = arena_new(1 << 20);
		keys = keys_new(secret, strlen(secret), "https://tasks.example", "taskcell");
		CHECK(keys && !strcmp(keys_active_id(keys), "deaa11aa"));
	}
	switch ((enum mode)((uint8_t)(data[0] - '0') % MODES)) {
	case RAW:
		(void)check_text(arena, keys, fuzz_copy(arena, data + 1, size - 1), size - 1);
		break;
	case SIGNED:
		(void)check_signed(arena, keys, 0, data + 1, size - 1);
		break;
	case OURS:
		CHECK(check_signed(arena, keys, HEAD_LEN, data + 1, size - 1));
		break;
	case DECIDE:
		check_decision(data + 1, size - 1);
		break;
	case MODES:
		break;
	}
	arena_reset(arena);
	return 0;
}
