#include "base/base.h"

#include "security/token_cache.h"

#include "base/log.h"
#include "base/random.h"
#include "base/secret.h"

enum { HASHED = 16 }; /* the token's last bytes, which are of the signature */

struct entry {
	uint64_t hash;
	uint64_t used; /* when, by the cache's own count */
	char *text;    /* NULL: empty */
	size_t len;
	struct seen_token seen;
};

struct token_cache {
	uint64_t seed[3];
	uint64_t clock;
	bool hit;
	struct entry sets[TOKEN_CACHE_SETS][TOKEN_CACHE_WAYS];
};

struct token_cache *token_cache_new(void)
{
	struct token_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		fatal("out of memory");
	random_bytes(cache->seed, sizeof(cache->seed));
	return cache;
}

static void entry_wipe(struct entry *e)
{
	if (!e->text)
		return;
	secret_wipe(e->text, e->len);
	free(e->text);
	secret_wipe(e, sizeof(*e));
}

void token_cache_clear(struct token_cache *cache)
{
	for (size_t i = 0; i < TOKEN_CACHE_SETS; i++) {
		for (size_t k = 0; k < TOKEN_CACHE_WAYS; k++)
			entry_wipe(&cache->sets[i][k]);
	}
}

void token_cache_free(struct token_cache *cache)
{
	if (!cache)
		return;
	token_cache_clear(cache);
	secret_wipe(cache->seed, sizeof(cache->seed));
	free(cache);
}

/* Only places are chosen by it, never what a token is; the seed keeps others from choosing them.
 * Signatures are spread evenly by themselves. */
static uint64_t hash_of(const struct token_cache *cache, const char *text, size_t len)
{
	uint64_t a, b;

	memcpy(&a, text + len - HASHED, sizeof(a));
	memcpy(&b, text + len - sizeof(b), sizeof(b));
	a = (a ^ cache->seed[0]) * (cache->seed[1] | 1);
	b = (b ^ (a >> 32) ^ a) * (cache->seed[2] | 1);
	return b ^ b >> 32;
}

static bool fits(size_t len)
{
	return len >= HASHED && len <= TOKEN_CACHE_TEXT;
}

const struct seen_token *token_cache_find(struct token_cache *cache, const char *text, size_t len)
{
	struct entry *set;
	uint64_t hash;

	cache->hit = false;
	if (!fits(len))
		return NULL;
	hash = hash_of(cache, text, len);
	set = cache->sets[hash % TOKEN_CACHE_SETS];
	for (size_t k = 0; k < TOKEN_CACHE_WAYS; k++) {
		struct entry *e = &set[k];

		if (e->text && e->hash == hash && e->len == len &&
		    secret_equal(e->text, text, len)) {
			e->used = ++cache->clock;
			cache->hit = true;
			return &e->seen;
		}
	}
	return NULL;
}

bool token_cache_hit(const struct token_cache *cache)
{
	return cache->hit;
}

void token_cache_put(struct token_cache *cache, const char *text, size_t len,
		     const struct seen_token *seen)
{
	struct entry *set, *e;
	uint64_t hash;
	char *copy;

	if (!fits(len))
		return;
	hash = hash_of(cache, text, len);
	e = set = cache->sets[hash % TOKEN_CACHE_SETS];
	for (size_t k = 1; k < TOKEN_CACHE_WAYS; k++) {
		if (set[k].used < e->used) /* 0 when empty */
			e = &set[k];
	}
	entry_wipe(e);
	copy = malloc(len);
	if (!copy)
		return;
	memcpy(copy, text, len);
	*e = (struct entry){
		.hash = hash,
		.used = ++cache->clock,
		.text = copy,
		.len = len,
		.seen = *seen,
	};
}
