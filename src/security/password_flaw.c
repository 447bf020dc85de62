#include "base/base.h"

#include "security/password.h"

#include "base/codec.h"
#include "base/secret.h"
#include "security/common_passwords.h"

enum {
	PART_MIN = 4, /* shorter ones are in many a good password */
	TAIL_MAX = 4, /* digits and marks that people put behind a word: a year, "123!" */
	TEXT_MAX = 4 * PASSWORD_MAX,
};

/* A text in the form in which passwords and names are compared. */
struct folded {
	size_t len;
	char text[TEXT_MAX];
	bool mark[TEXT_MAX]; /* was a digit or a mark */
};

/* Bytes of other scripts' characters count as letters. */
static bool is_letter(char c)
{
	return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || (unsigned char)c >= 0x80;
}

static bool is_listed(const char *password, size_t len)
{
	const char *entry = common_passwords, *end = entry + common_passwords_len;
	size_t equal =
		0; /* bytes that the entry before, and so the next one's start, has in common */

	while (entry < end) {
		size_t at = (size_t)*entry++ - 1;

		if (at > equal) { /* the entry before differs where this one repeats it */
			while (entry<end && * entry> ' ')
				entry++;
			continue;
		}
		equal = at;
		for (; entry<end && * entry> ' '; entry++, at++) {
			if (equal == at && at < len && ascii_lower(password[at]) == *entry)
				equal++;
		}
		if (equal == len && at == len)
			return true;
	}
	return false;
}

/* "aaaaaaaaaaaa", "12121212": two different bytes and no more. */
static bool is_monotonous(const char *password, size_t len)
{
	size_t i = 0, other;

	while (i < len && password[i] == password[0])
		i++;
	for (other = i; i < len; i++) {
		if (password[i] != password[0] && password[i] != password[other])
			return false;
	}
	return len >= PASSWORD_MIN;
}

/* A list cannot hold every year: a common word stays one with a few digits or marks behind it. */
static bool is_common(const char *password, size_t len)
{
	for (size_t tail = 0; tail <= TAIL_MAX && len - tail >= PASSWORD_MIN; tail++) {
		if (is_listed(password, len - tail))
			return true;
		if (len == tail || is_letter(password[len - tail - 1]))
			return false;
	}
	return false;
}

/* What people write in place of a letter, and what looks like it, is one character here. */
static char fold(char c)
{
	static const char from[] = "014@357$8l!|", to[] = "oiaaestsbiii";
	const char *found;

	c = ascii_lower(c);
	found = c ? strchr(from, c) : NULL;
	return found ? to[found - from] : c;
}

static void add(struct folded *f, char c)
{
	if (f->len == sizeof(f->text))
		return;
	f->mark[f->len] = !is_letter(c);
	f->text[f->len++] = fold(c);
}

/* Marks the bytes of `password` in which `part` occurs. */
static void cover(const struct folded *password, const struct folded *part,
		  bool covered[static TEXT_MAX])
{
	if (part->len < PART_MIN)
		return;
	for (size_t i = 0; part->len <= password->len && i <= password->len - part->len; i++) {
		if (memcmp(password->text + i, part->text, part->len) == 0)
			memset(covered + i, true, part->len);
	}
}

/* Each word of `name`, and from all of the first `joined` bytes the letters, with and without the
 * digits: "j.doe87" is known as "jdoe" as well as "jdoe87". */
static void cover_parts(const struct folded *password, const char *name, size_t joined,
			bool covered[static TEXT_MAX])
{
	struct folded word = { 0 }, letters = { 0 }, all = { 0 };

	for (size_t i = 0; name[i]; i++) {
		bool letter = is_letter(name[i]);

		if (letter) {
			add(&word, name[i]);
		} else {
			cover(password, &word, covered);
			word.len = 0;
		}
		if (i < joined && letter)
			add(&letters, name[i]);
		if (i < joined && (letter || ascii_is_alnum(name[i])))
			add(&all, name[i]);
	}
	cover(password, &word, covered);
	cover(password, &letters, covered);
	cover(password, &all, covered);
}

/* True when half of the password or more is known from the name, a few digits and marks of the rest
 * not being counted. */
static bool is_like(const struct folded *password, const char *name, size_t joined)
{
	bool covered[TEXT_MAX] = { false };
	size_t known = 0, rest = 0, marks = 0;

	cover_parts(password, name, joined, covered);
	for (size_t i = 0; i < password->len; i++) {
		if (((unsigned char)password->text[i] & 0xc0) == 0x80)
			continue; /* of the character before */
		known += covered[i];
		rest += !covered[i];
		marks += !covered[i] && password->mark[i];
	}
	secret_wipe(covered, sizeof(covered));
	rest -= marks < TAIL_MAX ? marks : TAIL_MAX;
	return known >= PART_MIN && known >= rest;
}

enum password_flaw password_flaw(const char *password, size_t len, const char *email,
				 const char *site)
{
	struct folded f = { 0 };
	enum password_flaw flaw = PASSWORD_FINE;

	for (size_t i = 0; i < len; i++) {
		if (!password[i] || !strchr("._-+ ", password[i]))
			add(&f, password[i]);
	}
	if (is_monotonous(password, len) || is_common(password, len))
		flaw = PASSWORD_TOO_COMMON;
	else if (is_like(&f, email, strcspn(email, "@")))
		flaw = PASSWORD_LIKE_EMAIL;
	else if (is_like(&f, site, strlen(site)))
		flaw = PASSWORD_LIKE_SITE;
	secret_wipe(&f, sizeof(f));
	return flaw;
}
