#include "base/base.h"
#include "test_config.h"

/* Each of these has to be refused with this in the message, and each of those taken as it is. */
static void check_texts(const char *name, const char *const bad[], size_t n_bad, const char *want,
			const char *const good[], size_t n_good)
{
	for (size_t i = 0; i < n_bad + n_good; i++) {
		bool refused = i < n_bad;
		const char *text = refused ? bad[i] : good[i - n_bad];
		struct settings *s;

		plain_environment();
		setenv(name, text, 1);
		s = load(NULL, SETTINGS_NEED_ALL);
		wanted(refused ? !s && mistakes() == 1 && strstr(complaints, want) : s != NULL,
		       text, refused ? want : "no refusal");
		settings_free(s);
	}
}

static void test_public_url(void)
{
	static const char *const bad[] = {
		"example.org",
		"//example.org",
		"https:example.org",
		"https:/example.org",
		"https://",
		"https:///x",
		"ftp://example.org",
		"HTTPS://example.org",
		"https://Example.org",
		"https://example.org:443",
		"http://example.org:80/",
		"https://example.org:0",
		"https://example.org:08443",
		"https://example.org:65536",
		"https://example.org:",
		"https://example.org:80x",
		"https://me@example.org",
		"https://me:secret@example.org/",
		"https://example.org/?x",
		"https://example.org?x",
		"https://example.org#x",
		"https://example.org/a b",
		"https://example.org/\xc3\xa4",
		"https://example.org/\"",
		"https://example.org\n",
		"https://-example.org",
		"https://example.org.",
		"https://[::1",
		"https://[127.0.0.1]",
		"https://[fe80::1%25eth0]",
		"https://[]",
		"https://*.example.org",
		" https://example.org",
	};
	static const char *const good[] = {
		"",
		"https://example.org",
		"http://example.org/",
		"https://example.org:8443/tasks",
		"http://localhost:18080",
		"http://127.0.0.1:8080/",
		"https://[2001:db8::1]:8443/~alice/a%20b",
		"http://example.org:443",
		"https://xn--bcher-kva.example",
	};

	check_texts("TASKCELL_PUBLIC_URL", bad, ARRAY_LEN(bad), "no user, query or fragment", good,
		    ARRAY_LEN(good));
}

static void test_cors_origins(void)
{
	static const char *const bad[] = {
		"*",
		"null",
		"example.org",
		"https://example.org/",
		"https://example.org/x",
		"https://Example.org",
		"https://a.example https://b.example/",
		"https://a.example;https://b.example",
		"https://a.example:443",
		"https://*.example",
		"https://me@a.example",
		"https://a.example?",
		"1http://a",
		"+http://a",
		"://a",
		"https://",
	};
	static const char *const good[] = {
		"",
		" ",
		"https://a.example",
		"https://a.example,https://b.example:8443",
		" https://a.example ,, http://localhost:3000\t",
		"capacitor://localhost",
		"http://[::1]:3000",
	};

	check_texts("TASKCELL_CORS_ORIGINS", bad, ARRAY_LEN(bad), "without a slash at the end",
		    good, ARRAY_LEN(good));
}

static void test_trusted_proxies(void)
{
	static const char *const bad[] = {
		"localhost",  "10.0.0.0/33", "10.0.0.1/8",  "10.0.0.0/",    "::/129",
		"::1/64",     "10.0.0.0/-8", "10.0.0.0/+8", "127.0.0.1:80", "[::1]",
		"fe80::1%lo", "10.1",        "all",         "10.0.0.0/8;",  "10.0.0.0/8 /8",
	};
	static const char *const good[] = { "",   "127.0.0.1",  "10.0.0.0/8, 192.168.0.0/16 ::1",
					    "::", "fe80::/10,", "2001:db8::/32" };

	check_texts("TASKCELL_TRUSTED_PROXIES", bad, ARRAY_LEN(bad),
		    "without bits behind the prefix", good, ARRAY_LEN(good));
}

/* Which of the two keys there have to be. */
static void test_key_dir_or_secret(void)
{
	struct settings *s;

	clearenv();
	set("TASKCELL_DATABASE=" DB);
	CU_ASSERT_PTR_NULL(load(NULL, SETTINGS_NEED_ALL));
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints, "TASKCELL_JWT_SECRET: is not set"));
	set("TASKCELL_KEY_DIR=");
	CU_ASSERT_PTR_NULL(load(NULL, SETTINGS_NEED_ALL));
	set("TASKCELL_KEY_DIR=/etc/taskcell/keys");
	s = load(NULL, SETTINGS_NEED_ALL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_STRING_EQUAL(s->jwt_secret, "");
	CU_ASSERT_STRING_EQUAL(s->key_dir, "/etc/taskcell/keys");
	settings_free(s);
	/* one that is given still has to be good */
	set("TASKCELL_JWT_SECRET=short");
	CU_ASSERT_PTR_NULL(load(NULL, SETTINGS_NEED_ALL));
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints, "too short"));
	set("TASKCELL_JWT_SECRET=" KEY32);
	s = load(NULL, SETTINGS_NEED_ALL);
	CU_ASSERT_PTR_NOT_NULL(s);
	settings_free(s);
	/* it does not stand in for the database */
	unsetenv("TASKCELL_DATABASE");
	CU_ASSERT_PTR_NULL(load(NULL, SETTINGS_NEED_ALL));
	CU_ASSERT_EQUAL(mistakes(), 1);
}

CU_TestInfo site_tests[] = {
	{ "public_url", test_public_url },
	{ "cors_origins", test_cors_origins },
	{ "trusted_proxies", test_trusted_proxies },
	{ "key_dir or jwt_secret", test_key_dir_or_secret },
	CU_TEST_INFO_NULL,
};
