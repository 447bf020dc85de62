#include "base/base.h"
#include "test_config.h"

#include <ctype.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

static void test_defaults(void)
{
	struct settings *s;

	plain_environment();
	s = load(NULL, SETTINGS_NEED_ALL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_STRING_EQUAL(s->listen, "/run/taskcell/taskcell.sock");
	CU_ASSERT_STRING_EQUAL(s->listen_auth, "/run/taskcell/auth.sock");
	CU_ASSERT_STRING_EQUAL(s->listen_group, "");
	CU_ASSERT_STRING_EQUAL(s->user, "");
	CU_ASSERT_STRING_EQUAL(s->group, "");
	CU_ASSERT_STRING_EQUAL(s->pid_file, "");
	CU_ASSERT_STRING_EQUAL(s->log_file, "");
	CU_ASSERT_EQUAL(s->max_requests, 0);
	CU_ASSERT_EQUAL(s->keep_connections, 512);
	CU_ASSERT_TRUE(s->prepared_statements);
	CU_ASSERT_EQUAL(s->workers, 8);
	CU_ASSERT_EQUAL(s->auth_workers, 2);
	CU_ASSERT_STRING_EQUAL(s->run_dir, "/run/taskcell");
	CU_ASSERT_STRING_EQUAL(s->spool_dir, "/var/tmp");
	CU_ASSERT_STRING_EQUAL(s->mount, "");
	CU_ASSERT_STRING_EQUAL(s->public_url, "");
	CU_ASSERT_STRING_EQUAL(s->site_name, "Taskcell");
	CU_ASSERT_STRING_EQUAL(s->cors_origins, "");
	CU_ASSERT_STRING_EQUAL(s->trusted_proxies, "");
	CU_ASSERT_STRING_EQUAL(s->key_dir, "");
	CU_ASSERT_EQUAL(s->audit_retention, 90);
	CU_ASSERT_EQUAL(s->request_timeout, 15);
	CU_ASSERT_EQUAL(s->statement_timeout, 5000);
	CU_ASSERT_EQUAL(s->connect_timeout, 2000);
	CU_ASSERT_EQUAL(s->stop_timeout, 20);
	CU_ASSERT_STRING_EQUAL(s->database, DB);
	CU_ASSERT_STRING_EQUAL(s->jwt_secret, KEY32);
	CU_ASSERT_STRING_EQUAL(s->jwt_issuer, "taskcell");
	CU_ASSERT_STRING_EQUAL(s->jwt_audience, "taskcell");
	CU_ASSERT_EQUAL(s->access_token_lifetime, 900);
	CU_ASSERT_EQUAL(s->refresh_idle_lifetime, 1209600);
	CU_ASSERT_EQUAL(s->refresh_absolute_lifetime, 5184000);
	CU_ASSERT_EQUAL(s->refresh_grace, 30);
	CU_ASSERT_EQUAL(s->scrypt_cost, 15);
	CU_ASSERT_EQUAL(s->scrypt_concurrency, 2);
	CU_ASSERT_EQUAL(s->scrypt_wait, 250);
	CU_ASSERT_EQUAL(s->registration, REGISTRATION_OPEN);
	CU_ASSERT_TRUE(s->throttle);
	CU_ASSERT_EQUAL(s->throttle_address_per_minute, 20);
	CU_ASSERT_EQUAL(s->log_level, LOG_INFO);
	CU_ASSERT_STRING_EQUAL(s->metrics_allow, "127.0.0.0/8,::1");
	CU_ASSERT_EQUAL(s->slow_request, 1000);
	CU_ASSERT_FALSE(s->trace_queries);
	settings_free(s);
}

/* Every key with a value that is not its default, in the order of the table. */
static const char every_key[] = "listen = 127.0.0.1:9000\n"
				"listen_auth = [::1]:9001\n"
				"listen_group = www-data\n"
				"user = nobody\n"
				"group = nogroup\n"
				"pid_file = /run/x.pid\n"
				"log_file = /var/log/x\n"
				"workers = 3\n"
				"auth_workers = 4\n"
				"max_requests = 1000\n"
				"keep_connections = 2\n"
				"run_dir = /var/run/x\n"
				"spool_dir = /var/x\n"
				"mount = /t\n"
				"public_url = https://example.org\n"
				"site_name = My Site\n"
				"cors_origins = http://a http://b:3000\n"
				"trusted_proxies = 10.0.0.0/8, ::1\n"
				"request_timeout = 16\n"
				"statement_timeout = 5001\n"
				"connect_timeout = 2001\n"
				"stop_timeout = 21\n"
				"database = (set)\n"
				"prepared_statements = off\n"
				"jwt_secret = (set)\n"
				"key_dir = /etc/keys\n"
				"jwt_issuer = me\n"
				"jwt_audience = you and me\n"
				"access_token_lifetime = 901\n"
				"refresh_idle_lifetime = 1209601\n"
				"refresh_absolute_lifetime = 5184001\n"
				"refresh_grace = 31\n"
				"scrypt_cost = 16\n"
				"scrypt_concurrency = 5\n"
				"scrypt_wait = 251\n"
				"registration = invite\n"
				"audit_retention = 91\n"
				"throttle = off\n"
				"throttle_address_per_minute = 22\n"
				"log_level = debug\n"
				"metrics_allow = 192.0.2.0/24\n"
				"slow_request = 1001\n"
				"trace_queries = on\n";

static void check_every_key(const char *path)
{
	struct settings *s = load(path, SETTINGS_NEED_ALL);
	char *text;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	text = printed(s);
	CU_ASSERT_STRING_EQUAL(text, every_key);
	free(text);
	CU_ASSERT_STRING_EQUAL(s->jwt_audience, "you and me");
	CU_ASSERT_EQUAL(s->scrypt_wait, 251);
	CU_ASSERT_EQUAL(s->registration, REGISTRATION_INVITE);
	CU_ASSERT_FALSE(s->throttle);
	CU_ASSERT_EQUAL(s->log_level, LOG_DEBUG);
	settings_free(s);
}

/* Secrets come from the environment here, where (set) would be too short. */
static void test_every_key_by_file(void)
{
	char text[sizeof(every_key)];

	memcpy(text, every_key, sizeof(text));
	*strstr(text, "database") = '#';
	*strstr(text, "jwt_secret") = '#';
	plain_environment();
	write_conf(text);
	check_every_key(conf);
}

static void test_every_key_by_environment(void)
{
	const char *p = every_key;

	clearenv();
	while (*p) {
		size_t name_len = strcspn(p, " "), len = strcspn(p, "\n");
		char name[64] = "TASKCELL_", value[64] = "";

		for (size_t i = 0; i < name_len; i++)
			name[9 + i] = (char)toupper((unsigned char)p[i]);
		memcpy(value, p + name_len + 3, len - name_len - 3);
		setenv(name, value, 1);
		p += len + 1;
	}
	set("TASKCELL_DATABASE=" DB);
	set("TASKCELL_JWT_SECRET=" KEY32);
	set("TASKCELL_CONFIG=/not/a/key");
	set("TASKCELLAR=9");
	check_every_key(NULL);
	/* and it wins over a file that says otherwise, even wrongly */
	write_conf("workers = 7\nthrottle = maybe\nmount = x\n");
	check_every_key(conf);
}

static void test_forms_accepted(void)
{
	static const char *const table[] = {
		"workers = 3",
		"workers=3",
		"workers  =  3  \n",
		"workers = 3\r\njwt_issuer = me\r\n\r\n# comment\r\n",
		"\xef\xbb\xbfworkers = 3\n",
		"\xef\xbb\xbf# comment\r\nworkers = 3",
		"workers = 3 ; comment\n",
		"workers = 3\t;comment\n",
		"# comment\n; comment\n  # comment\n\t; comment\n \t \n\nworkers = 3\n\n",
		"#workers = 4\nworkers = 3\n;workers = 5\n",
		"workers = 03",
	};

	plain_environment();
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct settings *s = load_conf(table[i]);

		wanted(s && s->workers == 3, table[i], "workers = 3");
		wanted(s && (!strstr(table[i], "me") || !strchr(s->jwt_issuer, '\r')), table[i],
		       "no CR");
		settings_free(s);
	}
}

static void test_print_redacts(void)
{
	struct settings *s;
	char *text;

	plain_environment();
	s = load(NULL, SETTINGS_NEED_ALL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	text = printed(s);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\ndatabase = (set)\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\njwt_secret = (set)\n"));
	free(text);
	settings_free(s);
	clearenv();
	s = load(NULL, SETTINGS_NEED_NOTHING);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	text = printed(s);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\ndatabase = (not set)\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\njwt_secret = (not set)\n"));
	free(text);
	settings_free(s);
	settings_free(NULL);
}

/* The sample is right as it stands, and so is each of its lines without its #. */
static void test_sample(void)
{
	const char *root = getenv("srcdir");
	char path[512], line[256], bare[8192] = "";
	char *before, *after;
	struct settings *s;
	size_t len = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/conf/taskcell.conf", root ? root : ".");
	f = fopen(path, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	while (fgets(line, sizeof(line), f)) {
		bool key = line[0] == '#' && islower((unsigned char)line[1]);

		if (key && !strstr(line, "_file = ") && strncmp(line + 1, "database", 8) != 0 &&
		    strncmp(line + 1, "jwt_secret", 10) != 0)
			len += (size_t)snprintf(bare + len, sizeof(bare) - len, "%s", line + 1);
	}
	fclose(f);
	plain_environment();
	s = load(path, SETTINGS_NEED_ALL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	before = printed(s);
	settings_free(s);
	s = load_conf(bare);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	after = printed(s);
	settings_free(s);
	CU_ASSERT_STRING_EQUAL(before, after);
	free(before);
	free(after);
}

static void test_reload(void)
{
	static const char base[] = "database = " DB "\njwt_secret = " KEY32 "\n";
	static const struct {
		const char *line;
		const char *frozen; /* the key that needs a restart, NULL: none */
	} cases[] = {
		{ "", NULL },
		{ "workers = 3\nlog_level = debug\nscrypt_cost = 12\nthrottle = off\n", NULL },
		{ "public_url = http://x\nsite_name = x\ncors_origins = http://y\n"
		  "trusted_proxies = ::1\nkey_dir = /x\nregistration = invite\n"
		  "audit_retention = 1\nspool_dir = /x\n",
		  NULL },
		{ "listen = /elsewhere\n", "listen" },
		{ "auth_workers = 0\n", "listen_auth" },
		{ "run_dir = /elsewhere\n", "run_dir" },
		{ "user = nobody\n", "user" },
		{ "pid_file = /elsewhere\n", "pid_file" },
		{ "log_file = /elsewhere\n", "log_file" },
	};
	struct settings *old, *fresh;

	plain_environment();
	old = load_conf(base);
	CU_ASSERT_PTR_NOT_NULL_FATAL(old);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char given[512], expected[128] = "", *text = NULL;
		size_t len = 0;
		FILE *errors = open_memstream(&text, &len);

		snprintf(given, sizeof(given), "%s%s", base, cases[i].line);
		fresh = load_conf(given);
		CU_ASSERT_PTR_NOT_NULL_FATAL(fresh);
		CU_ASSERT_EQUAL(settings_may_replace(old, fresh, errors), !cases[i].frozen);
		fclose(errors);
		if (cases[i].frozen)
			snprintf(expected, sizeof(expected),
				 "%s: cannot change while the server runs; restart it\n",
				 cases[i].frozen);
		CU_ASSERT_STRING_EQUAL(text, expected);
		free(text);
		settings_free(fresh);
	}
	settings_free(old);
}

static void test_path(void)
{
	const char *expected =
		access(settings_default_path, F_OK) == 0 ? settings_default_path : NULL;

	clearenv();
	CU_ASSERT_PTR_EQUAL(settings_path(NULL), expected);
	set("TASKCELL_CONFIG=");
	CU_ASSERT_PTR_EQUAL(settings_path(NULL), expected);
	set("TASKCELL_CONFIG=/from/environment");
	CU_ASSERT_STRING_EQUAL(settings_path(NULL), "/from/environment");
	CU_ASSERT_STRING_EQUAL(settings_path("/from/option"), "/from/option");
	CU_ASSERT_STRING_EQUAL(settings_path(""), "");
}

CU_TestInfo value_tests[] = {
	{ "sample", test_sample },
	{ "defaults", test_defaults },
	{ "every key by file", test_every_key_by_file },
	{ "every key by environment", test_every_key_by_environment },
	{ "forms accepted", test_forms_accepted },
	{ "print redacts", test_print_redacts },
	{ "reload", test_reload },
	{ "path", test_path },
	CU_TEST_INFO_NULL,
};
