#include "base/base.h"

#include "http/cookie.h"

static const char blanks[] = " \t";

const char *cookie_find(const char *header, const char *name, size_t *len)
{
	size_t name_len = strlen(name);

	for (const char *p = header; p; p = strchr(p, ';')) {
		size_t pair;

		p += strspn(p, " \t;");
		pair = strcspn(p, ";");
		if (pair <= name_len || memcmp(p, name, name_len) != 0 || p[name_len] != '=')
			continue;
		p += name_len + 1;
		pair -= name_len + 1;
		while (pair && strchr(blanks, p[pair - 1]))
			pair--;
		*len = pair;
		return p;
	}
	return NULL;
}

bool list_has(const char *list, const char *word)
{
	static const char separators[] = " \t,";
	size_t len = strlen(word);

	for (const char *p = list; *p; p += strcspn(p, separators)) {
		p += strspn(p, separators);
		if (len && strcspn(p, separators) == len && memcmp(p, word, len) == 0)
			return true;
	}
	return false;
}
