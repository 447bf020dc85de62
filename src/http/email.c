#include "base/base.h"

#include "http/email.h"

#include "base/codec.h"

enum { LOCAL_MAX = 64, LABEL_MAX = 63 };

bool email_is_valid(const char *s, size_t len)
{
	const char *at = memchr(s, '@', len);
	size_t local = at ? (size_t)(at - s) : 0, label = 0;
	bool dot = false;

	if (len > EMAIL_MAX || !local || local > LOCAL_MAX)
		return false;
	for (size_t i = 0; i < local; i++) {
		/* strchr() finds a NUL as well */
		if (!ascii_is_alnum(s[i]) && (!s[i] || !strchr(".!#$%&'*+/=?^_`{|}~-", s[i])))
			return false;
	}
	for (size_t i = local + 1; i < len; i++) {
		char next = i + 1 < len ? s[i + 1] : '.';

		if (s[i] == '.') {
			dot = true;
			label = 0;
		} else if (ascii_is_alnum(s[i]) || (s[i] == '-' && label && next != '.')) {
			label++;
		} else {
			return false;
		}
		/* no empty label, at the end neither */
		if (label > LABEL_MAX || (s[i] == '.' && (next == '.' || i == local + 1)))
			return false;
	}
	return dot;
}

const char *email_key(struct arena *a, const char *email)
{
	char *key = arena_strndup(a, email, strlen(email));

	for (char *p = key; *p; p++)
		*p = ascii_lower(*p);
	return key;
}
