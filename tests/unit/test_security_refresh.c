#include "base/base.h"

#include <openssl/hmac.h>

#include "base/codec.h"
#include "security/refresh_token.h"

#include "test_security.h"

static struct refresh_token refresh_sample(void)
{
	return (struct refresh_token){ .user_id = claims.user_id,
				       .session_id = claims.session_id,
				       .counter = 7,
				       .expires_at = NOW };
}

static void test_refresh_round_trip(void)
{
	struct refresh_token in = refresh_sample(), out;
	char text[REFRESH_TOKEN_LEN + 1], again[REFRESH_TOKEN_LEN + 1];
	const char *id = keys_active_id(keys);

	CU_ASSERT(REFRESH_TOKEN_LEN == 114);
	CU_ASSERT_TRUE(refresh_token_issue(keys, id, &in, text));
	CU_ASSERT_TRUE(refresh_token_issue(keys, id, &in, again));
	CU_ASSERT_STRING_EQUAL(text, again);
	/* by another implementation of the layout in the header */
	CU_ASSERT_STRING_EQUAL(text,
			       "Ad6qEaoQERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLwAAAAAAAAAHAAAAA"
			       "GtJ0gBAH-AXM4jtm-XP4mT43TY-dm4sv7qq2kzE69YezilLtQ");
	CU_ASSERT_TRUE(refresh_token_read(keys, text, strlen(text), &out));
	CU_ASSERT_TRUE(uuid_equal(&out.user_id, &in.user_id));
	CU_ASSERT_TRUE(uuid_equal(&out.session_id, &in.session_id));
	CU_ASSERT(out.counter == in.counter && out.expires_at == in.expires_at);

	in.counter = INT64_MAX;
	in.expires_at = INT64_MAX - 1;
	CU_ASSERT_TRUE(refresh_token_issue(keys, id, &in, text));
	CU_ASSERT_STRING_NOT_EQUAL(text, again);
	CU_ASSERT_TRUE(refresh_token_read(keys, text, strlen(text), &out));
	CU_ASSERT(out.counter == INT64_MAX && out.expires_at == INT64_MAX - 1);

	CU_ASSERT_FALSE(refresh_token_issue(keys, keys_active_id(other_keys), &in, text));
	CU_ASSERT_FALSE(refresh_token_issue(keys, "", &in, text));
	CU_ASSERT_FALSE(refresh_token_issue(keys, "deaa11a", &in, text));
	CU_ASSERT_FALSE(refresh_token_issue(keys, "deaa11aa0", &in, text));
	CU_ASSERT_FALSE(refresh_token_issue(keys, "deaa11ag", &in, text));
}

static void test_refresh_forged(void)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/=. \n";
	struct refresh_token in = refresh_sample(), out;
	char text[REFRESH_TOKEN_LEN + 1], bent[REFRESH_TOKEN_LEN + 1];
	uint8_t bytes[REFRESH_TOKEN_BYTES];
	size_t n, accepted = 0;
	char *longer, *access;
	struct token_claims read;

	CU_ASSERT_TRUE_FATAL(refresh_token_issue(keys, keys_active_id(keys), &in, text));
	CU_ASSERT_TRUE_FATAL(base64url_decode(text, strlen(text), bytes, sizeof(bytes), &n));
	for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		base64url_encode(bytes, sizeof(bytes), bent);
		accepted += refresh_token_read(keys, bent, strlen(bent), &out);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	CU_ASSERT(accepted == 0);
	/* any other character anywhere: there is one text to a token */
	for (size_t i = 0; i < REFRESH_TOKEN_LEN; i++) {
		for (size_t c = 0; c < sizeof(alphabet); c++) {
			memcpy(bent, text, sizeof(bent));
			bent[i] = alphabet[c];
			accepted += bent[i] != text[i] &&
				    refresh_token_read(keys, bent, REFRESH_TOKEN_LEN, &out);
		}
	}
	CU_ASSERT(accepted == 0);
	for (size_t len = 0; len < REFRESH_TOKEN_LEN; len++)
		accepted += refresh_token_read(keys, text, len, &out);
	CU_ASSERT(accepted == 0);
	longer = arena_printf(arena, "%s=", text);
	CU_ASSERT_FALSE(refresh_token_read(keys, longer, REFRESH_TOKEN_LEN + 1, &out));
	CU_ASSERT_FALSE(refresh_token_read(keys, text, REFRESH_TOKEN_LEN + 1, &out));
	access = token_issue(keys, arena, &claims, "anna@example.org");
	CU_ASSERT_FALSE(refresh_token_read(keys, access, REFRESH_TOKEN_LEN, &out));
	CU_ASSERT_FALSE(refresh_token_read(other_keys, text, REFRESH_TOKEN_LEN, &out));
	CU_ASSERT_TRUE(refresh_token_read(keys, text, REFRESH_TOKEN_LEN, &out));
	CU_ASSERT(token_verify(keys, text, REFRESH_TOKEN_LEN, NOW, &read) ==
		  TOKEN_INVALID); /* nor is it an access token */

	/* signed with the secret itself, or with another version under the right key */
	HMAC(EVP_sha256(), secret, SECRET_LEN, bytes, 53, bytes + 53, NULL);
	base64url_encode(bytes, sizeof(bytes), bent);
	CU_ASSERT_FALSE(refresh_token_read(keys, bent, REFRESH_TOKEN_LEN, &out));
}

static void test_refresh_version(void)
{
	static const char label[] = "taskcell refresh token v1";
	struct refresh_token in = refresh_sample(), out;
	char text[REFRESH_TOKEN_LEN + 1];
	uint8_t bytes[REFRESH_TOKEN_BYTES], key[DIGEST_LEN];
	size_t n;

	HMAC(EVP_sha256(), secret, SECRET_LEN, (const uint8_t *)label, strlen(label), key, NULL);
	CU_ASSERT_TRUE_FATAL(refresh_token_issue(keys, keys_active_id(keys), &in, text));
	CU_ASSERT_TRUE_FATAL(base64url_decode(text, strlen(text), bytes, sizeof(bytes), &n));
	for (int version = 0; version < 256; version++) {
		bytes[0] = (uint8_t)version;
		HMAC(EVP_sha256(), key, sizeof(key), bytes, 53, bytes + 53, NULL);
		base64url_encode(bytes, sizeof(bytes), text);
		CU_ASSERT(refresh_token_read(keys, text, REFRESH_TOKEN_LEN, &out) ==
			  (version == 1));
	}
}

/* The row is at counter 10; `age` is the time since its rotation. */
#define GRACE (30 * US_PER_SECOND)

static void test_refresh_decide_rows(void)
{
	static const struct {
		int64_t counter, age, grace;
		enum refresh_verdict verdict;
	} rows[] = {
		{ 11, 0, GRACE, REFRESH_INVALID },
		{ 12, -5, GRACE, REFRESH_INVALID },
		{ INT64_MAX, 0, GRACE, REFRESH_INVALID },
		{ 10, 0, GRACE, REFRESH_RETRY },
		{ 10, GRACE + 1, 0, REFRESH_RETRY },
		{ 9, 0, GRACE, REFRESH_CURRENT },
		{ 9, GRACE - 1, GRACE, REFRESH_CURRENT },
		{ 9, GRACE, GRACE, REFRESH_THEFT },
		{ 9, GRACE + 1, GRACE, REFRESH_THEFT },
		{ 9, -1, GRACE, REFRESH_CURRENT }, /* rotated after our transaction began */
		{ 9, -GRACE, GRACE, REFRESH_CURRENT },
		{ 9, -1, 1, REFRESH_CURRENT },
		{ 9, 0, 1, REFRESH_CURRENT },
		{ 9, 1, 1, REFRESH_THEFT },
		{ 9, 0, 0, REFRESH_THEFT }, /* strict */
		{ 9, -1, 0, REFRESH_THEFT },
		{ 9, -GRACE, 0, REFRESH_THEFT },
		{ 8, 0, GRACE, REFRESH_THEFT },
		{ 8, -1, GRACE, REFRESH_THEFT },
		{ 0, GRACE + 1, GRACE, REFRESH_THEFT },
	};
	const int64_t now = NOW * US_PER_SECOND + 999999;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct refresh_token token = { .counter = rows[i].counter, .expires_at = NOW + 1 };
		struct refresh_state state = { .found = true,
					       .counter = 10,
					       .now = now,
					       .rotated_at = now - rows[i].age,
					       .expires_at = now + 1 };

		CU_ASSERT(refresh_decide(&token, &state, rows[i].grace) == rows[i].verdict);
		/* each thing that wins over the counters, from the last to the first */
		state.expires_at = now;
		CU_ASSERT(refresh_decide(&token, &state, rows[i].grace) == REFRESH_INVALID);
		state.revoked = true;
		CU_ASSERT(refresh_decide(&token, &state, rows[i].grace) == REFRESH_ENDED);
		state = (struct refresh_state){ .now = now };
		CU_ASSERT(refresh_decide(&token, &state, rows[i].grace) == REFRESH_ENDED);
		token.expires_at = NOW;
		CU_ASSERT(refresh_decide(&token, &state, rows[i].grace) == REFRESH_INVALID);
	}
}

/* All combinations: nothing is handed out, and nothing ended, for any other reason. */
static void test_refresh_decide_all(void)
{
	const int64_t now = NOW * US_PER_SECOND, graces[] = { 0, 1, GRACE };
	const int64_t ages[] = { -GRACE - 1, -1, 0, 1, GRACE - 1, GRACE, GRACE + 1, now };
	int seen[REFRESH_RETRY + 1] = { 0 };

	for (unsigned bits = 0; bits < 32; bits++)
		for (int64_t ahead = -3; ahead <= 3; ahead++)
			for (size_t a = 0; a < ARRAY_LEN(ages); a++)
				for (size_t g = 0; g < ARRAY_LEN(graces); g++) {
					bool found = bits & 1, advanced = bits & 2,
					     revoked = bits & 4;
					bool token_live = bits & 8, row_live = bits & 16, live,
					     kept;
					struct refresh_token token = { .counter = 10 + ahead,
								       .expires_at =
									       NOW + token_live };
					struct refresh_state state = { found,         advanced,
								       revoked,       10,
								       now,           now - ages[a],
								       now + row_live };
					enum refresh_verdict v =
						refresh_decide(&token, &state, graces[g]);

					live = token_live && found && !revoked && row_live;
					kept = graces[g] && ages[a] < graces[g];
					CU_ASSERT((v == REFRESH_CURRENT) ==
						  (live && (advanced || (ahead == -1 && kept))));
					CU_ASSERT((v == REFRESH_THEFT) ==
						  (live && !advanced &&
						   (ahead < -1 || (ahead == -1 && !kept))));
					CU_ASSERT((v == REFRESH_ENDED) ==
						  (token_live && (!found || revoked)));
					CU_ASSERT((v == REFRESH_RETRY) ==
						  (live && !advanced && ahead == 0));
					seen[v]++;
				}
	for (size_t i = 0; i < ARRAY_LEN(seen); i++)
		CU_ASSERT(seen[i] > 0);
}

CU_TestInfo refresh_tests[] = {
	{ "round trip", test_refresh_round_trip },
	{ "forged", test_refresh_forged },
	{ "version", test_refresh_version },
	{ "decision, rows", test_refresh_decide_rows },
	{ "decision, all", test_refresh_decide_all },
	CU_TEST_INFO_NULL,
};
