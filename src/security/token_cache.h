/* Access tokens that have been verified: exact bytes -> claims. It only spares the work of the
 * signature: whoever finds a token here judges its times and its key again, and the session is
 * looked at in SQL as ever. */
#ifndef TASKCELL_SECURITY_TOKEN_CACHE_H
#define TASKCELL_SECURITY_TOKEN_CACHE_H

#include "security/token.h"

enum {
	TOKEN_CACHE_TEXT = 1024, /* longer tokens are not kept */
	TOKEN_CACHE_WAYS = 4,
	TOKEN_CACHE_SETS = 512, /* so 2048 tokens */
};

struct key;

struct seen_token {
	struct token_claims claims;
	int64_t not_before;
	const struct key *key; /* that it is signed with */
};

struct token_cache;

/* Never NULL. */
struct token_cache *token_cache_new(void);
/* Wipes and frees; NULL is fine. */
void token_cache_free(struct token_cache *);
/* Forgets all tokens, as when keys have changed. */
void token_cache_clear(struct token_cache *);

/* What is known of exactly these bytes, until the next call; else NULL. How long it takes tells
 * nothing of tokens that are kept but whether all bytes are the same. */
const struct seen_token *token_cache_find(struct token_cache *, const char *text,
					  size_t len) MUST_CHECK;
/* Whether the last look found something. */
bool token_cache_hit(const struct token_cache *) MUST_CHECK;
/* Keeps a token that is not there yet, in the place of the one of its set that was used least
 * lately. */
void token_cache_put(struct token_cache *, const char *text, size_t len, const struct seen_token *);

#endif
