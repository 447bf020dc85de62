#include "base/base.h"

#include <time.h>

#include "base/codec.h"
#include "security/common_passwords.h"
#include "security/password.h"

#include "test_security.h"

static enum password_result check(const char *hash, const char *password)
{
	return password_verify(hash, password, strlen(password));
}

static void test_password_round_trip(void)
{
	static const char start[] = "$scrypt$ln=10,r=8,p=3$";
	char a[PASSWORD_HASH_MAX], b[PASSWORD_HASH_MAX];
	static const char with_nul[] = "left\0right";

	CU_ASSERT(password_hash(10, "correct horse", 13, a) == PASSWORD_OK);
	CU_ASSERT(password_hash(10, "correct horse", 13, b) == PASSWORD_OK);
	CU_ASSERT(strlen(a) == strlen(start) + 22 + 1 + 43);
	CU_ASSERT(strncmp(a, start, strlen(start)) == 0);
	CU_ASSERT_STRING_NOT_EQUAL(a, b);
	CU_ASSERT(check(a, "correct horse") == PASSWORD_OK);
	CU_ASSERT(check(b, "correct horse") == PASSWORD_OK);
	CU_ASSERT(check(a, "correct horsf") == PASSWORD_WRONG);
	CU_ASSERT(check(a, "correct hors") == PASSWORD_WRONG);
	CU_ASSERT(check(a, "correct horse ") == PASSWORD_WRONG);
	CU_ASSERT(check(a, "") == PASSWORD_WRONG);

	CU_ASSERT(password_hash(10, with_nul, 10, a) == PASSWORD_OK);
	CU_ASSERT(password_verify(a, with_nul, 10) == PASSWORD_OK);
	CU_ASSERT(password_verify(a, with_nul, 4) == PASSWORD_WRONG);

	CU_ASSERT(password_hash(PASSWORD_COST_MIN - 1, "correct horse", 13, a) == PASSWORD_ERROR);
	CU_ASSERT(password_hash(PASSWORD_COST_MAX + 1, "correct horse", 13, a) == PASSWORD_ERROR);
}

#define LONG_SALT                                                                                  \
	"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw"
#define LONG_KEY                                                                                   \
	"KOVvWhsvSkN1tipxPwAEpQYO2WDJa549FkZ1GPe8z4rBiIsbxqv+ONHy3PkE7naJKrsy4LOWhFepZH/792czgw"
#define LONG_KEY_WRONG                                                                             \
	"KOVvWhsvSkN1tipxPwAEpQYO2WDJa549FkZ1GPe8z4rBiIsbxqv+ONHy3PkE7naJKrsy4LOWhFepZH/792czgg"

static void test_password_vectors(void)
{
	char longest[PASSWORD_MAX + 1];

	/* RFC 7914, 12, third vector: its first 32 bytes are what a key of 32 is */
	CU_ASSERT(check("$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$"
			"cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofI",
			"pleaseletmein") == PASSWORD_OK);
	/* the others by Python's hashlib */
	CU_ASSERT(password_verify("$scrypt$ln=10,r=8,p=3$AAECAwQFBgcICQoLDA0ODw$"
				  "NNHPY36ZxJAQJL0h5kRS+pWxsRGL8i0CRUe1P274+8E",
				  "pa\0ss", 5) == PASSWORD_OK);
	CU_ASSERT(check("$scrypt$ln=10,r=8,p=3$AAECAwQFBgc$"
			"DK2nZxR2Yw2tAJwqkYrGiNln5tN7HzpiBXVMoJOJJzM",
			"") == PASSWORD_OK);
	CU_ASSERT(check("$scrypt$ln=10,r=16,p=1$"
			"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1"
			"Njc4OTo7PD0+Pw$"
			"KOVvWhsvSkN1tipxPwAEpQYO2WDJa549FkZ1GPe8z4o",
			"pässwörd😀") == PASSWORD_OK);
	CU_ASSERT(check("$scrypt$ln=10,r=16,p=1$" LONG_SALT "$" LONG_KEY, "pässwörd😀") ==
		  PASSWORD_OK);
	/* every byte of a longer key counts */
	CU_ASSERT(check("$scrypt$ln=10,r=16,p=1$" LONG_SALT "$" LONG_KEY_WRONG, "pässwörd😀") ==
		  PASSWORD_WRONG);
	memset(longest, 'x', PASSWORD_MAX);
	longest[PASSWORD_MAX] = '\0';
	CU_ASSERT(check("$scrypt$ln=11,r=1,p=16$AAECAwQFBgcICQoLDA0ODw$"
			"Gu7U/Znko3rbuaypCeH/qDzo2I6DUReAOB6PI2VUiqQ",
			longest) == PASSWORD_OK);
}

#define SALT "AAECAwQFBgcICQoLDA0ODw"
#define KEY  "NNHPY36ZxJAQJL0h5kRS+pWxsRGL8i0CRUe1P274+8E"

static const char *const no_hashes[] = {
	"",
	"$",
	"$$$$",
	"plain",
	"$scrypt",
	"$scrypt$",
	"$scrypt$$$",
	"scrypt",
	"$2y$10$abcdefghijklmnopqrstuuO3Jv7Vd2d8xk8Uo0zU3mK9yq6Q5uX1e",
	"$s1$0e0810$pcL+DWle903AXcKJVwMffA==$"
	"dn+9ujljVc5JTJMC2fYu1ZEHdJyqYkOurmcrBQbMHUfnD6qxbTmNiR075ohNBZjvp66E2aV1pfOrmyNHUefjMg==",
	/* parameters out of bounds */
	"$scrypt$ln=9,r=8,p=3$" SALT "$" KEY,
	"$scrypt$ln=21,r=8,p=3$" SALT "$" KEY,
	"$scrypt$ln=63,r=8,p=3$" SALT "$" KEY,
	"$scrypt$ln=64,r=8,p=3$" SALT "$" KEY,
	"$scrypt$ln=10,r=0,p=3$" SALT "$" KEY,
	"$scrypt$ln=10,r=17,p=3$" SALT "$" KEY,
	"$scrypt$ln=10,r=8,p=0$" SALT "$" KEY,
	"$scrypt$ln=10,r=8,p=17$" SALT "$" KEY,
	"$scrypt$ln=20,r=9,p=1$" SALT "$" KEY, /* over 1 GiB */
	"$scrypt$ln=20,r=8,p=4$" SALT "$" KEY, /* longer than ln=20,r=8,p=3 */
	"$scrypt$ln=19,r=16,p=4$" SALT "$" KEY,
	"$scrypt$ln=20,r=16,p=1$" SALT "$" KEY,
	"$scrypt$ln=18446744073709551626,r=8,p=3$" SALT "$" KEY,
	"$scrypt$ln=4294967306,r=8,p=3$" SALT "$" KEY,
	/* numbers that are no numbers, or not in their shortest form */
	"$scrypt$ln=010,r=8,p=3$" SALT "$" KEY,
	"$scrypt$ln=10,r=08,p=3$" SALT "$" KEY,
	"$scrypt$ln=10,r=8,p=03$" SALT "$" KEY,
	"$scrypt$ln=+10,r=8,p=3$" SALT "$" KEY,
	"$scrypt$ln= 10,r=8,p=3$" SALT "$" KEY,
	"$scrypt$ln=10 ,r=8,p=3$" SALT "$" KEY,
	"$scrypt$ln=-10,r=8,p=3$" SALT "$" KEY,
	"$scrypt$ln=0xa,r=8,p=3$" SALT "$" KEY,
	"$scrypt$ln=1e1,r=8,p=3$" SALT "$" KEY,
	"$scrypt$ln=,r=8,p=3$" SALT "$" KEY,
	"$scrypt$ln=10,r=,p=3$" SALT "$" KEY,
	"$scrypt$ln=10,r=8,p=$" SALT "$" KEY,
	/* another order, name, or separator */
	"$scrypt$r=8,ln=10,p=3$" SALT "$" KEY,
	"$scrypt$ln=10,r=8$" SALT "$" KEY,
	"$scrypt$ln=10,r=8,p=3,x=1$" SALT "$" KEY,
	"$scrypt$n=10,r=8,p=3$" SALT "$" KEY,
	"$scrypt$ln=10;r=8;p=3$" SALT "$" KEY,
	"$scrypt$v=1$ln=10,r=8,p=3$" SALT "$" KEY,
	"$Scrypt$ln=10,r=8,p=3$" SALT "$" KEY,
	" $scrypt$ln=10,r=8,p=3$" SALT "$" KEY,
	"$scrypt$ln=10",
	"$scrypt$ln=10,r=8,p=3",
	"$scrypt$ln=10,r=8,p=3$",
	"$scrypt$ln=10,r=8,p=3$" SALT,
	"$scrypt$ln=10,r=8,p=3$" SALT "$",
	/* salt and key of another length or form, bytes behind the end */
	"$scrypt$ln=10,r=8,p=3$$" KEY,
	"$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWI",
	"$scrypt$ln=10,r=8,p=3$AAECAwQFBg$" KEY, /* 7 bytes */
	"$scrypt$ln=10,r=8,p=3$" LONG_SALT "AA$" KEY,
	"$scrypt$ln=10,r=8,p=3$" SALT "$" LONG_KEY "AA",
	"$scrypt$ln=10,r=8,p=3$" SALT "==$" KEY,
	"$scrypt$ln=10,r=8,p=3$" SALT "$" KEY "=",
	"$scrypt$ln=10,r=8,p=3$AAECAwQFBgcICQoLDA0ODx$" KEY, /* bits behind the end */
	"$scrypt$ln=10,r=8,p=3$" SALT "$NNHPY36ZxJAQJL0h5kRS+pWxsRGL8i0CRUe1P274+8F",
	"$scrypt$ln=10,r=8,p=3$" SALT "$NNHPY36ZxJAQJL0h5kRS-pWxsRGL8i0CRUe1P274-8E",
	"$scrypt$ln=10,r=8,p=3$" SALT "$NNHPY36ZxJAQJL0h5kRS+pWxsRGL8i0CRUe1P274+w",
	"$scrypt$ln=10,r=8,p=3$" SALT "$" KEY KEY,
	"$scrypt$ln=10,r=8,p=3$" SALT "$" KEY "$",
	"$scrypt$ln=10,r=8,p=3$" SALT "$" KEY "\n",
	"$scrypt$ln=10,r=8,p=3$" SALT "$" KEY " ",
	"$scrypt$ln=10,r=8,p=3$" SALT "$$" KEY,
};

static void test_password_parser(void)
{
	CU_ASSERT(check("$scrypt$ln=10,r=8,p=3$" SALT "$" KEY, "") == PASSWORD_WRONG);
	for (size_t i = 0; i < ARRAY_LEN(no_hashes); i++) {
		if (check(no_hashes[i], "") != PASSWORD_ERROR)
			fprintf(stderr, "accepted: %s\n", no_hashes[i]);
		CU_ASSERT(check(no_hashes[i], "") == PASSWORD_ERROR);
	}
}

static void test_password_dummy(void)
{
	char a[PASSWORD_HASH_MAX], b[PASSWORD_HASH_MAX], real[PASSWORD_HASH_MAX];

	password_dummy(11, a);
	password_dummy(11, b);
	CU_ASSERT_STRING_NOT_EQUAL(a, b);
	CU_ASSERT(password_hash(11, "x", 1, real) == PASSWORD_OK);
	CU_ASSERT(strlen(a) == strlen(real));
	CU_ASSERT(strncmp(a, real, strlen("$scrypt$ln=11,r=8,p=3$")) == 0);
	CU_ASSERT(check(a, "") == PASSWORD_WRONG);
	CU_ASSERT(check(a, "password") == PASSWORD_WRONG);
	CU_ASSERT_FALSE(password_is_weak(a, 11));
}

static void test_password_weak(void)
{
	CU_ASSERT_TRUE(password_is_weak("$scrypt$ln=14,r=8,p=3$" SALT "$" KEY, 15));
	CU_ASSERT_FALSE(password_is_weak("$scrypt$ln=15,r=8,p=3$" SALT "$" KEY, 15));
	CU_ASSERT_FALSE(password_is_weak("$scrypt$ln=16,r=8,p=3$" SALT "$" KEY, 15));
	CU_ASSERT_TRUE(password_is_weak("$scrypt$ln=15,r=8,p=2$" SALT "$" KEY, 15));
	CU_ASSERT_TRUE(password_is_weak("$scrypt$ln=15,r=1,p=16$" SALT "$" KEY, 15));
	CU_ASSERT_FALSE(password_is_weak("$scrypt$ln=15,r=8,p=16$" SALT "$" KEY, 15));
	/* of Better Auth: as much memory, a third of the time */
	CU_ASSERT_TRUE(password_is_weak("$scrypt$ln=14,r=16,p=1$" SALT "$" KEY, 15));
	CU_ASSERT_FALSE(password_is_weak("$scrypt$ln=14,r=16,p=3$" SALT "$" KEY, 15));
	CU_ASSERT_FALSE(password_is_weak("$scrypt$ln=16,r=16,p=1$" SALT "$" KEY, 15));
	CU_ASSERT_TRUE(password_is_weak("$scrypt$ln=16,r=4,p=2$" SALT "$" KEY, 15));
	CU_ASSERT_FALSE(password_is_weak("$scrypt$ln=16,r=4,p=3$" SALT "$" KEY, 15));
	CU_ASSERT_TRUE(password_is_weak("$scrypt$ln=14,r=8,p=16$" SALT "$" KEY, 15));
	CU_ASSERT_TRUE(password_is_weak("no hash", 10));
}

/* Of the processor, the least of a few: other work on the machine does not count. */
static clock_t time_of(void (*work)(const char *, unsigned), const char *hash, unsigned cost)
{
	clock_t least = 0;

	for (int i = 0; i < 5; i++) {
		clock_t start = clock(), took;

		work(hash, cost);
		took = clock() - start;
		if (i == 0 || took < least)
			least = took;
	}
	return least;
}

static void verify_only(const char *hash, unsigned cost)
{
	(void)cost;
	CU_ASSERT(check(hash, "x") == PASSWORD_WRONG);
}

static void verify_evenly(const char *hash, unsigned cost)
{
	verify_only(hash, cost);
	password_even(hash, cost);
}

/* What takes a third or less comes near the whole. Coarse, as caches have their say. */
static void test_password_even(void)
{
	static const char *const older[] = {
		"$scrypt$ln=11,r=16,p=1$" SALT "$" KEY,
		"$scrypt$ln=10,r=8,p=3$" SALT "$" KEY,
		"$scrypt$ln=10,r=8,p=1$" SALT "$" KEY,
	};
	char now[PASSWORD_HASH_MAX];
	clock_t whole, even;

	password_dummy(12, now);
	whole = time_of(verify_only, now, 12);
	for (size_t i = 0; i < ARRAY_LEN(older); i++) {
		even = time_of(verify_evenly, older[i], 12);
		CU_ASSERT(even > whole / 20 * 11 && even < whole / 20 * 35);
		CU_ASSERT(time_of(verify_only, older[i], 12) < whole / 20 * 11);
	}
	CU_ASSERT(time_of(verify_evenly, now, 12) < whole / 20 * 35); /* nothing is added */
	CU_ASSERT(time_of(verify_evenly, now, 10) < whole / 20 * 35);
	password_even("no hash", 10);
}

/* The form of Better Auth: the salt is the hex text itself, the key 64 bytes. By Python's hashlib
 * and unicodedata from "Passwo\u0308rt \ufb01". */
static void test_password_adopt(void)
{
	static const char salt[] = "000102030405060708090a0b0c0d0e0f";
	static const char text[] = "$scrypt$ln=14,r=16,p=1$MDAwMTAyMDMwNDA1MDYwNzA4MDkwYTBiMGMwZDBl"
				   "MGY$PBuwvpGh708Y4mdldNkbiUBMjtHhNqgimrM0hpvuac25Jo/KtoCLuT1A0"
				   "ueCVJYqHhSkWyVeKh821OkiYjL3bw";
	uint8_t key[PASSWORD_KEY_MAX];
	struct scrypt_hash hash = {
		.cost = 14, .r = 16, .p = 1, .salt = salt, .key = key, .salt_len = 32,
	}, bad;
	char out[PASSWORD_HASH_MAX];

	CU_ASSERT_TRUE(base64_decode(strrchr(text, '$') + 1, 86, key, sizeof(key), &hash.key_len));
	CU_ASSERT_TRUE(password_adopt(&hash, out));
	CU_ASSERT_STRING_EQUAL(out, text);
	CU_ASSERT(check(out, "Pass\x77\xc3\xb6rt fi") == PASSWORD_OK);
	CU_ASSERT(check(out, "Passwort fi") == PASSWORD_WRONG);
	CU_ASSERT_TRUE(password_is_weak(out, 15));

	memset(out, 'x', sizeof(out));
	bad = hash;
	bad.r = 17;
	CU_ASSERT_FALSE(password_adopt(&bad, out));
	bad = hash;
	bad.cost = 64;
	CU_ASSERT_FALSE(password_adopt(&bad, out));
	bad = hash;
	bad.p = 0;
	CU_ASSERT_FALSE(password_adopt(&bad, out));
	bad = hash;
	bad.salt_len = PASSWORD_SALT_MAX + 1;
	CU_ASSERT_FALSE(password_adopt(&bad, out));
	bad.salt_len = 7;
	CU_ASSERT_FALSE(password_adopt(&bad, out));
	bad = hash;
	bad.key_len = PASSWORD_KEY_MAX + 1;
	CU_ASSERT_FALSE(password_adopt(&bad, out));
	bad.key_len = 31;
	CU_ASSERT_FALSE(password_adopt(&bad, out));
	CU_ASSERT(out[0] == 'x');

	/* the longest there is fits */
	static const uint8_t longest[PASSWORD_SALT_MAX] = { 1 };

	bad = (struct scrypt_hash){ 12, 16, 16, longest, key, PASSWORD_SALT_MAX, PASSWORD_KEY_MAX };
	CU_ASSERT_TRUE(password_adopt(&bad, out));
	CU_ASSERT(check(out, "x") == PASSWORD_WRONG);
}

static enum password_flaw flaw(const char *password, const char *email, const char *site)
{
	return password_flaw(password, strlen(password), email, site);
}

static void test_password_common(void)
{
	static const char *const common[] = {
		"12345678",
		"password",
		"PassWord1",
		"ILOVEYOU1",
		"football1",
		"qwertyuiop",
		"1q2w3e4r",
		"letmein123",
		"aaaaaaaa",
		"!qaz2wsx",
		"Password!",
		"password2026!",
		"Baseball99",
		"football1...",
		"dragon123!",
		"abbbabbabbbbbabaab",
		"aaaaaaaaaaaaaa",
		"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4",
	};
	static const char *const fine[] = {
		"",
		"pass word",
		" password",
		"passwor",
		"1234567",
		"abbbabbabbbcbbabaab",
		"correct horse battery staple",
		"airborne20261", /* five are more than a habit */
		"password1a",
		"!",
		"\xff\xfe\x80\x01\x02\x03\x04\x05\x06",
		"a very long password that is on no list whatever",
	};
	char entry[32] = "", last[32] = "";
	size_t n = 0;

	/* every entry, decoded here by the contract, is found and is fit for the table */
	for (size_t i = 0; i < common_passwords_len; n++) {
		size_t len = (size_t)common_passwords[i++] - 1;

		CU_ASSERT_FATAL(len <= strlen(last));
		memcpy(entry, last, len);
		while (i < common_passwords_len && common_passwords[i] > ' ' && len < 31)
			entry[len++] = common_passwords[i++];
		entry[len] = '\0';
		CU_ASSERT(len >= PASSWORD_MIN && strcmp(last, entry) < 0);
		for (const char *c = entry; *c; c++)
			CU_ASSERT(*c < 0x7f && !(*c >= 'A' && *c <= 'Z'));
		CU_ASSERT(flaw(entry, "", "") == PASSWORD_TOO_COMMON);
		memcpy(last, entry, sizeof(last));
	}
	CU_ASSERT(n >= 10000);
	CU_ASSERT(common_passwords_len < 80000);

	for (size_t i = 0; i < ARRAY_LEN(common); i++) {
		if (flaw(common[i], "", "") != PASSWORD_TOO_COMMON)
			fprintf(stderr, "taken: %s\n", common[i]);
		CU_ASSERT(flaw(common[i], "", "") == PASSWORD_TOO_COMMON);
	}
	for (size_t i = 0; i < ARRAY_LEN(fine); i++) {
		if (flaw(fine[i], "", "") != PASSWORD_FINE)
			fprintf(stderr, "refused: %s\n", fine[i]);
		CU_ASSERT(flaw(fine[i], "", "") == PASSWORD_FINE);
	}
	CU_ASSERT(password_flaw("passwordXYZ", 8, "", "") == PASSWORD_TOO_COMMON);
	CU_ASSERT(password_flaw("password\0x", 10, "", "") == PASSWORD_FINE);
}

struct likeness {
	const char *password;
	const char *name;
	bool like;
};

static void test_password_like_email(void)
{
	static const struct likeness cases[] = {
		{ "anna1234", "anna@example.org", true },
		{ "xxANNAxx", "Anna@example.org", true },
		{ "12345aNnA", "aNNa@example.org", true },
		{ "4nn@2024!", "anna@example.org", true },
		{ "xannanna", "anna@example.org", true },
		{ "anna@example.org", "anna@example.org", true },
		{ "Example.org!", "anna@example.org", true },
		{ "ex4mp13-1999", "anna@example.org", true },
		{ "annaschmidt", "anna.schmidt@x.de", true },
		{ "Schmidt-Anna", "anna.schmidt@x.de", true },
		{ "schm1dt1987", "anna.schmidt@x.de", true },
		{ "j.r.doe!!", "jr.doe@x.de", true },
		{ "jdoe-2026", "j.doe87@x.de", true },
		{ "jdoe87jdoe87", "j.doe87@x.de", true },
		{ "p4ul4p4ul4", "Paula@x.de", true },
		{ "$u$anne$u$anne", "susanne+tasks@x.de", true },
		{ "annaanna!", "anna1987@x.de", true },

		{ "annnanax", "anna@example.org", false },
		{ "anna kauft gern frischen Fisch", "anna@example.org", false },
		{ "anna-4929-3817-2284", "anna@example.org", false },
		{ "anna+xkqzw", "anna@example.org", false },
		{ "bobbobxob", "bob@example.org", false }, /* three letters are too few */
		{ "xk7!qqw9z", "anna.schmidt@example.org", false },
		{ "xkqwvuza", "@example.org", false },
		{ "xkqwvuza", "", false },
		{ "", "anna@example.org", false },
		{ "ann", "anna@example.org", false },
		{ "\xc3\xa4nna\xc3\xa4\xc3\xb6\xc3\xbc", "anna@example.org", false },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct likeness *c = &cases[i];
		enum password_flaw wanted = c->like ? PASSWORD_LIKE_EMAIL : PASSWORD_FINE;

		if (flaw(c->password, c->name, "") != wanted)
			fprintf(stderr, "wrong: %s %s\n", c->password, c->name);
		CU_ASSERT(flaw(c->password, c->name, "") == wanted);
	}
	CU_ASSERT(password_flaw("xkqwanna", 7, "anna@example.org", "") == PASSWORD_FINE);
	CU_ASSERT(password_flaw("\0anna", 5, "anna@example.org", "") == PASSWORD_LIKE_EMAIL);
}

static void test_password_like_site(void)
{
	static const struct likeness cases[] = {
		{ "taskcell", "Taskcell", true },
		{ "T4skc3ll2026", "Taskcell", true },
		{ "our-tasks-1", "Our Tasks", true },
		{ "tasks1234", "Our Tasks", true },
		{ "T\xc3\xa4glich99", "T\xc3\xa4glich", true },
		{ "the taskcell of my neighbour", "Taskcell", false },
		{ "xkqwvuza", "ABC", false },
		{ "xkqwvuza", "", false },
	};
	char longest[2000];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct likeness *c = &cases[i];
		enum password_flaw wanted = c->like ? PASSWORD_LIKE_SITE : PASSWORD_FINE;

		if (flaw(c->password, "anna@example.org", c->name) != wanted)
			fprintf(stderr, "wrong: %s %s\n", c->password, c->name);
		CU_ASSERT(flaw(c->password, "anna@example.org", c->name) == wanted);
	}
	/* texts of any length */
	for (size_t i = 0; i < sizeof(longest); i++)
		longest[i] = "xyz"[i % 3];
	longest[sizeof(longest) - 1] = '\0';
	CU_ASSERT(flaw(longest, "anna@example.org", "Taskcell") == PASSWORD_FINE);
	CU_ASSERT(flaw("Taskcell", longest, longest) == PASSWORD_FINE);
	CU_ASSERT(flaw("Taskcell", longest, "Taskcell") == PASSWORD_LIKE_SITE);
}

CU_TestInfo password_tests[] = {
	{ "round trip", test_password_round_trip },
	{ "vectors", test_password_vectors },
	{ "hostile strings", test_password_parser },
	{ "dummy", test_password_dummy },
	{ "weak", test_password_weak },
	{ "common", test_password_common },
	{ "even", test_password_even },
	{ "adopt", test_password_adopt },
	{ "like the e-mail", test_password_like_email },
	{ "like the site", test_password_like_site },
	CU_TEST_INFO_NULL,
};
