/* What signing and verifying cost, by algorithm. Keys are of a directory, as a server that rotates
 * them has them, so that each call also looks whether they have changed. */
#include "base/base.h"

#include <stdio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "security/keyring.h"
#include "security/refresh_token.h"
#include "security/token.h"

enum { LIFE_S = 900, ROUNDS = 5 };
#define ROUND_US (US_PER_SECOND / 5)

struct bench {
	struct keys *keys;
	struct arena *arena;
	struct token_claims claims;
	struct refresh_token refresh;
	char access_text[TOKEN_MAX + 1];
	char refresh_text[REFRESH_TOKEN_LEN + 1];
};

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "tokens: %s\n", what);
	exit(EXIT_FAILURE);
}

static void issue(struct bench *b)
{
	must(token_issue(b->keys, b->arena, &b->claims, "anna@example.org"), "token_issue");
	arena_reset(b->arena);
}

/* The whole way each time: what has expired is not kept. */
static void verify(struct bench *b)
{
	struct token_claims out;

	must(token_verify(b->keys, b->access_text, strlen(b->access_text),
			  b->claims.expires_at + TOKEN_LEEWAY_S, &out) == TOKEN_EXPIRED &&
		     !token_was_seen(b->keys),
	     "token_verify");
}

static void verify_seen(struct bench *b)
{
	struct token_claims out;

	must(token_verify(b->keys, b->access_text, strlen(b->access_text), b->claims.issued_at,
			  &out) == TOKEN_OK,
	     "token_verify");
}

static void refuse(struct bench *b)
{
	struct token_claims out;

	must(token_verify(b->keys, b->access_text, strlen(b->access_text) - 4, b->claims.issued_at,
			  &out) == TOKEN_INVALID,
	     "token_verify");
}

static void read_refresh(struct bench *b)
{
	struct refresh_token out;

	must(refresh_token_read(b->keys, b->refresh_text, REFRESH_TOKEN_LEN, &out), "refresh");
}

static int64_t cpu_us(void)
{
	struct timespec t;

	must(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0, "clock_gettime");
	return t.tv_sec * US_PER_SECOND + t.tv_nsec / 1000;
}

/* Microseconds of CPU a call: the best of some rounds, as others use this host, too. */
static double measure(struct bench *b, void (*call)(struct bench *))
{
	double best = 1e9;

	for (int round = 0; round < ROUNDS; round++) {
		int64_t began = cpu_us(), took;
		int n = 0;

		do {
			call(b);
			n++;
			took = cpu_us() - began;
		} while (took < ROUND_US);
		if ((double)took / n < best)
			best = (double)took / n;
	}
	return best;
}

static void run(enum key_algorithm a)
{
	char dir[] = "/tmp/taskcell-bench-XXXXXX", path[64], why[KEYRING_WHY_MAX];
	int64_t now = clock_now_us() / US_PER_SECOND;
	struct bench b = { .arena = arena_new(1 << 20),
			   .claims = { .issued_at = now, .expires_at = now + LIFE_S },
			   .refresh = { .counter = 1, .expires_at = now + LIFE_S } };
	struct keyring_entry e;
	double issuing, verifying;
	const char *token;

	must(mkdtemp(dir), "mkdtemp");
	must(keyring_generate(dir, a, &e, why), why);
	b.keys = keys_open(&(struct keys_options){ .dir = dir,
						   .issuer = "https://tasks.example",
						   .audience = "taskcell",
						   .verify_s = LIFE_S });
	must(b.keys, "keys_open");
	token = token_issue(b.keys, b.arena, &b.claims, "anna@example.org");
	must(token, "token_issue");
	memcpy(b.access_text, token, strlen(token) + 1);
	must(refresh_token_issue(b.keys, e.id, &b.refresh, b.refresh_text), "refresh_token_issue");
	/* one after the other, as verify() must not find the token among those seen */
	issuing = measure(&b, issue);
	verifying = measure(&b, verify);
	printf("%-9s  %8.1f  %8.1f  %8.2f  %8.1f  %8.1f  %8zu\n", key_algorithm_name(a), issuing,
	       verifying, measure(&b, verify_seen), measure(&b, refuse), measure(&b, read_refresh),
	       strlen(b.access_text));
	verify_seen(&b);
	must(token_was_seen(b.keys), "token_was_seen");
	keys_free(b.keys);
	arena_free(b.arena);
	(void)snprintf(path, sizeof(path), "%s/%s.key", dir, e.id);
	(void)unlink(path);
	(void)snprintf(path, sizeof(path), "%s/keyring", dir);
	(void)unlink(path);
	(void)rmdir(dir);
}

int main(void)
{
	puts("us a call     issue    verify      seen    refuse   refresh     bytes");
	for (enum key_algorithm a = KEY_HS256; a <= KEY_RS256; a++)
		run(a);
	return EXIT_SUCCESS;
}
