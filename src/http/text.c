#include "base/base.h"

#include "http/text.h"

#include <stdlib.h>

#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#include "base/secret.h"

enum { NFKC_GROWTH = 11 }; /* U+FDFA: 3 bytes become 33; nothing grows more (UAX #15) */

bool text_is_utf8(const char *s, size_t len)
{
	return !u8_check((const uint8_t *)s, len);
}

size_t text_length(const char *s, size_t len)
{
	return u8_mbsnlen((const uint8_t *)s, len);
}

void text_trim(const char **s, size_t *len)
{
	const uint8_t *start = (const uint8_t *)*s;
	const uint8_t *end = start + *len;
	const uint8_t *before;
	ucs4_t c;

	while (start < end) {
		int bytes = u8_mbtouc_unsafe(&c, start, (size_t)(end - start));

		if (!uc_is_property_white_space(c))
			break;
		start += bytes;
	}
	while (start < end) {
		before = u8_prev(&c, end, start);
		if (!uc_is_property_white_space(c))
			break;
		end = before;
	}
	*s = (const char *)start;
	*len = (size_t)(end - start);
}

/* The library gets room enough, so that it makes no copies of its own, which nobody would wipe. */
char *text_nfkc(struct arena *a, const char *s, size_t len, bool secret, size_t *out_len)
{
	size_t room = NFKC_GROWTH * len + 1, n = room - 1;
	char *out = arena_alloc(a, room);
	uint8_t *made;

	if (secret)
		arena_wipe_later(a, out, room);
	*out_len = 0;
	if (len == 0)
		return out;
	made = u8_normalize(UNINORM_NFKC, (const uint8_t *)s, len, (uint8_t *)out, &n);
	if (!made)
		return NULL;
	if ((char *)made != out) { /* not in any version known */
		out = arena_strndup(a, (const char *)made, n);
		if (secret)
			arena_wipe_later(a, out, n);
		secret_wipe(made, n);
		free(made);
	}
	out[n] = '\0';
	*out_len = n;
	return out;
}

const char *text_keep(struct arena *a, const char *s, size_t max)
{
	size_t len;

	if (!s)
		return NULL;
	len = strnlen(s, max);
	while (len && ((unsigned char)s[len] & 0xc0) == 0x80)
		len--;
	return text_is_utf8(s, len) ? arena_strndup(a, s, len) : NULL;
}
