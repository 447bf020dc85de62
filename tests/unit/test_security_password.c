#include "base/base.h"

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
	"$scrypt$ln=10,r=8,p=3$" SALT SALT SALT SALT "AA$" KEY,
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
}

static void test_password_common(void)
{
	static const char *const common[] = {
		"12345678",  "password",   "PassWord1", "ILOVEYOU1",
		"football1", "qwertyuiop", "1q2w3e4r",  "letmein123"
	};
	static const char *const fine[] = {
		"",          "password ", " password",
		"passwor",   "1234567",   "correct horse battery staple",
		"zzzzzzzzz", "!",         "a very long password that is on no list whatever"
	};

	CU_ASSERT(common_passwords_count >= 300);
	for (size_t i = 0; i < common_passwords_count; i++) {
		const char *p = common_passwords[i];

		CU_ASSERT(strlen(p) >= PASSWORD_MIN && strlen(p) <= COMMON_PASSWORD_MAX);
		for (const char *c = p; *c; c++)
			CU_ASSERT(*c > ' ' && *c < 0x7f && !(*c >= 'A' && *c <= 'Z'));
		CU_ASSERT(i == 0 || strcmp(common_passwords[i - 1], p) < 0);
		CU_ASSERT_TRUE(password_is_common(p, strlen(p)));
	}
	for (size_t i = 0; i < ARRAY_LEN(common); i++)
		CU_ASSERT_TRUE(password_is_common(common[i], strlen(common[i])));
	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		CU_ASSERT_FALSE(password_is_common(fine[i], strlen(fine[i])));
	CU_ASSERT_TRUE(password_is_common("passwordXYZ", 8)); /* length, not the end, counts */
	CU_ASSERT_FALSE(password_is_common("password\0x", 10));
}

static bool contains(const char *password, const char *email)
{
	return password_contains_name(password, strlen(password), email);
}

static void test_password_name(void)
{
	CU_ASSERT_TRUE(contains("anna1234", "anna@example.org"));
	CU_ASSERT_TRUE(contains("xxANNAxx", "Anna@example.org"));
	CU_ASSERT_TRUE(contains("12345aNnA", "aNNa@example.org"));
	CU_ASSERT_TRUE(contains("aannanna", "anna@example.org"));
	CU_ASSERT_FALSE(contains("annnanan", "anna@example.org"));
	CU_ASSERT_FALSE(contains("ann", "anna@example.org"));
	CU_ASSERT_FALSE(contains("", "anna@example.org"));
	CU_ASSERT_FALSE(contains("bobbobbob", "bob@example.org")); /* three are too few */
	CU_ASSERT_FALSE(contains("whatever", "@example.org"));
	CU_ASSERT_FALSE(contains("whatever", ""));
	CU_ASSERT_FALSE(contains("example.org!", "anna@example.org"));
	CU_ASSERT_FALSE(password_contains_name("xxxanna", 6, "anna@example.org"));
	CU_ASSERT_TRUE(password_contains_name("\0anna", 5, "anna@example.org"));
}

CU_TestInfo password_tests[] = {
	{ "round trip", test_password_round_trip },
	{ "vectors", test_password_vectors },
	{ "hostile strings", test_password_parser },
	{ "dummy", test_password_dummy },
	{ "weak", test_password_weak },
	{ "common", test_password_common },
	{ "name", test_password_name },
	CU_TEST_INFO_NULL,
};
