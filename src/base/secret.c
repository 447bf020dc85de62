#include "base/base.h"

#include "base/secret.h"

void secret_wipe(void *p, size_t len)
{
	if (len)
		explicit_bzero(p, len);
}

bool secret_equal(const void *a, const void *b, size_t len)
{
	const unsigned char *x = a, *y = b;
	uint64_t differ = 0, u, v;
	size_t i = 0;

	for (; len - i >= sizeof(u); i += sizeof(u)) {
		memcpy(&u, x + i, sizeof(u));
		memcpy(&v, y + i, sizeof(v));
		differ |= u ^ v;
		__asm__ volatile("" : "+r"(differ)); /* the compiler cannot know it: no early end */
	}
	for (; i < len; i++) {
		differ |= x[i] ^ y[i];
		__asm__ volatile("" : "+r"(differ));
	}
	return differ == 0;
}
