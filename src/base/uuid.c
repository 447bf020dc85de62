#include "base/base.h"

#include "base/uuid.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/random.h"

struct uuid uuid_v7(void)
{
	uint64_t ms = (uint64_t)(clock_now_us() / 1000);
	struct uuid u;

	random_bytes(u.bytes, sizeof(u.bytes));
	for (int i = 0; i < 6; i++)
		u.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
	u.bytes[6] = (uint8_t)((u.bytes[6] & 0x0f) | 0x70);
	u.bytes[8] = (uint8_t)((u.bytes[8] & 0x3f) | 0x80);
	return u;
}

static bool is_dash(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

bool uuid_parse(const char *text, size_t len, struct uuid *out)
{
	struct uuid u;
	size_t n = 0;

	if (len != UUID_TEXT_LEN)
		return false;
	for (size_t i = 0; i < len;) {
		int high, low;

		if (is_dash(i)) {
			if (text[i++] != '-')
				return false;
			continue;
		}
		high = hex_value(text[i]);
		low = hex_value(text[i + 1]);
		if (high < 0 || low < 0)
			return false;
		u.bytes[n++] = (uint8_t)(high << 4 | low);
		i += 2;
	}
	*out = u;
	return true;
}

void uuid_format(const struct uuid *u, char out[UUID_TEXT_LEN + 1])
{
	static const size_t groups[] = { 4, 2, 2, 2, 6 };
	const uint8_t *from = u->bytes;

	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		if (i)
			*out++ = '-';
		hex_encode(from, groups[i], out);
		from += groups[i];
		out += 2 * groups[i];
	}
}

bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}
