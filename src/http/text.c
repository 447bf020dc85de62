#include "base/base.h"

#include "http/text.h"

#include <unictype.h>
#include <unistr.h>

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
