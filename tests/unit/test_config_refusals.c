#include "base/base.h"
#include "test_config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static void test_values_refused(void)
{
	static const struct refusal table[] = {
		{ "\n# x\nworkers = 0\n", NULL, { "taskcell.conf:3: workers: \"0\"", "1 to 256" } },
		{ "workers = 8x", NULL, { ":1: workers: \"8x\"" } },
		{ "workers = +8", NULL, { "\"+8\"" } },
		{ "workers = -8", NULL, { "\"-8\"" } },
		{ "workers = 0x8", NULL, { "\"0x8\"" } },
		{ "workers = 8.0", NULL, { "\"8.0\"" } },
		{ "workers = 8 8", NULL, { "\"8 8\"" } },
		{ "workers = 8 # eight", NULL, { "\"8 # eight\"" } },
		{ "workers = \"8\"", NULL, { "\"\"8\"\"" } },
		{ "workers = 18446744073709551624", NULL, { "1 to 256" } },
		{ "workers =", NULL, { "\"\" is not allowed" } },
		{ NULL, "TASKCELL_WORKERS= 8", { "environment: TASKCELL_WORKERS: \" 8\"" } },
		{ NULL, "TASKCELL_WORKERS=", { "TASKCELL_WORKERS: \"\"" } },
		{ "throttle = yes", NULL, { ":1: throttle: \"yes\"", "off or on" } },
		{ "throttle = ON", NULL, { "off or on" } },
		{ "throttle = 1", NULL, { "off or on" } },
		{ "registration = on", NULL, { "registration: \"on\"", "closed, open or invite" } },
		{ "log_level = trace", NULL, { "error, warning, info or debug" } },
		{ "log_level = \x1b[31mred", NULL, { "\"?[31mred\"" } },
		{ "run_dir = run", NULL, { "run_dir: \"run\"", "an absolute path" } },
		{ "run_dir =", NULL, { "an absolute path" } },
		{ NULL, "TASKCELL_RUN_DIR=/a\nb", { "\"/a?b\"", "an absolute path" } },
		{ "jwt_issuer =", NULL, { "1 to 255 characters of printable ASCII" } },
		{ "jwt_audience =", NULL, { "1 to 255 characters of printable ASCII" } },
		{ "jwt_issuer = t\xc3\xa4sk",
		  NULL,
		  { "jwt_issuer: \"t??sk\"", "printable ASCII" } },
		{ NULL, "TASKCELL_JWT_AUDIENCE=a\tb", { "printable ASCII" } },
		{ "registration = Invite", NULL, { "closed, open or invite" } },
		{ "site_name =", NULL, { "1 to 100 characters" } },
		{ "key_dir = keys", NULL, { "key_dir: \"keys\"", "an absolute path" } },
		{ "listen_group = w\xc3\xb6rld", NULL, { "0 to 255 characters" } },
	};

	check_refusals(table, ARRAY_LEN(table), false);
}

static void test_addresses_and_mounts(void)
{
	static const char *const bad_listen[] = {
		"",           "taskcell.sock",  "0.0.0.0:9000",    "localhost:9000", "127.0.0.1",
		"127.0.0.1:", "127.0.0.1:0",    "127.0.0.1:65536", "127.0.0.1:+1",   "128.0.0.1:1",
		":9000",      "[::1]9000",      "[::1]",           "[::2]:9000",     "::1:9000",
		"[::1:9000",  "[127.0.0.1]:80", "127.1:9000",      "[::]:9000",      "[]:9000",
		"[:9000",
	};
	static const char *const good_listen[] = { "/s", "127.0.0.1:9000", "127.255.255.254:1",
						   "[::1]:65535" };
	static const char *const bad_mount[] = { "x",       "/",         "/x/",  "//x",
						 "/a b",    "/a%20b",    "/..",  "/.",
						 "/a/../b", "/\xc3\xa4", "/a?b", "/a//b" };
	static const char *const good_mount[] = { "", "/tasks", "/~alice/v1.0", "/A-z_9" };
	struct settings *s;

	plain_environment();
	for (size_t i = 0; i < ARRAY_LEN(bad_listen); i++) {
		setenv("TASKCELL_LISTEN", bad_listen[i], 1);
		s = load(NULL, SETTINGS_NEED_ALL);
		wanted(!s && strstr(complaints, "107 bytes, or address:port on the loopback") &&
			       strstr(complaints, "libfcgi is not safe towards strangers"),
		       bad_listen[i], "the allowed forms");
		settings_free(s);
	}
	for (size_t i = 0; i < ARRAY_LEN(good_listen); i++) {
		setenv("TASKCELL_LISTEN", good_listen[i], 1);
		s = load(NULL, SETTINGS_NEED_ALL);
		wanted(s && strcmp(s->listen, good_listen[i]) == 0, good_listen[i], "the value");
		settings_free(s);
	}
	plain_environment();
	for (size_t i = 0; i < ARRAY_LEN(bad_mount); i++) {
		setenv("TASKCELL_MOUNT", bad_mount[i], 1);
		s = load(NULL, SETTINGS_NEED_ALL);
		wanted(!s && strstr(complaints, "/segments"), bad_mount[i], "a refusal");
		settings_free(s);
	}
	for (size_t i = 0; i < ARRAY_LEN(good_mount); i++) {
		setenv("TASKCELL_MOUNT", good_mount[i], 1);
		s = load(NULL, SETTINGS_NEED_ALL);
		wanted(s && strcmp(s->mount, good_mount[i]) == 0, good_mount[i], "the value");
		settings_free(s);
	}
}

/* The kernel's limit for a socket's path, to the byte. */
static void test_socket_path_length(void)
{
	char path[110];
	struct settings *s;

	plain_environment();
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[107] = '\0';
	setenv("TASKCELL_LISTEN", path, 1);
	s = load(NULL, SETTINGS_NEED_ALL);
	CU_ASSERT_PTR_NOT_NULL(s);
	settings_free(s);
	path[107] = 'x';
	path[108] = '\0';
	setenv("TASKCELL_LISTEN", path, 1);
	CU_ASSERT_PTR_NULL(load(NULL, SETTINGS_NEED_ALL));
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints, "107 bytes"));
	/* and the message quotes only the start of it */
	CU_ASSERT(strlen(complaints) < 350);
}

struct range {
	const char *name;
	int64_t min, max;
	const char *at_min, *at_max; /* what else these need, for relations */
};

static bool load_number(const struct range *r, int64_t value, const char *also, const char *want)
{
	char text[32];
	struct settings *s;
	bool loaded;

	plain_environment();
	if (also)
		set(also);
	snprintf(text, sizeof(text), "%" PRId64, value);
	setenv(r->name, text, 1);
	s = load(NULL, SETTINGS_NEED_ALL);
	loaded = s != NULL;
	settings_free(s);
	if (want)
		wanted(!loaded && mistakes() == 1 && strstr(complaints, want), r->name, want);
	return loaded;
}

static void test_ranges(void)
{
	static const struct range table[] = {
		{ "TASKCELL_WORKERS", 1, 256, NULL, NULL },
		{ "TASKCELL_AUTH_WORKERS", 0, 64, NULL, NULL },
		{ "TASKCELL_REQUEST_TIMEOUT", 1, 300, "TASKCELL_STATEMENT_TIMEOUT=100", NULL },
		{ "TASKCELL_STATEMENT_TIMEOUT", 100, 60000, NULL, "TASKCELL_REQUEST_TIMEOUT=61" },
		{ "TASKCELL_CONNECT_TIMEOUT", 100, 60000, NULL, NULL },
		{ "TASKCELL_STOP_TIMEOUT", 1, 300, NULL, NULL },
		{ "TASKCELL_ACCESS_TOKEN_LIFETIME", 60, 86400, NULL, NULL },
		{ "TASKCELL_REFRESH_IDLE_LIFETIME", 60, 31536000, NULL,
		  "TASKCELL_REFRESH_ABSOLUTE_LIFETIME=31536000" },
		{ "TASKCELL_REFRESH_ABSOLUTE_LIFETIME", 60, 31536000,
		  "TASKCELL_REFRESH_IDLE_LIFETIME=60", NULL },
		{ "TASKCELL_REFRESH_GRACE", 0, 300, NULL, NULL },
		{ "TASKCELL_SCRYPT_COST", 10, 20, NULL, NULL },
		{ "TASKCELL_SCRYPT_CONCURRENCY", 1, 64, NULL, NULL },
		{ "TASKCELL_SCRYPT_WAIT", 0, 10000, NULL, NULL },
		{ "TASKCELL_AUDIT_RETENTION", 1, 3650, NULL, NULL },
		{ "TASKCELL_THROTTLE_ADDRESS_PER_MINUTE", 1, 100000, NULL, NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		const struct range *r = &table[i];
		char want[64];

		snprintf(want, sizeof(want), "use %" PRId64 " to %" PRId64 "\n", r->min, r->max);
		wanted(load_number(r, r->min, r->at_min, NULL), r->name, "the minimum");
		wanted(load_number(r, r->max, r->at_max, NULL), r->name, "the maximum");
		load_number(r, r->min - 1, r->at_min, want);
		load_number(r, r->max + 1, r->at_max, want);
	}
}

static void test_relations(void)
{
	static const struct refusal table[] = {
		{ "# x\nrequest_timeout = 5",
		  NULL,
		  { "taskcell.conf:2: request_timeout: ",
		    "statement_timeout (ms) must be shorter" } },
		{ "request_timeout = 20\nstatement_timeout = 20000",
		  NULL,
		  { "taskcell.conf:2: statement_timeout: " } },
		{ "request_timeout = 20",
		  "TASKCELL_STATEMENT_TIMEOUT=20001",
		  { "environment: TASKCELL_STATEMENT_TIMEOUT: " } },
		{ "refresh_absolute_lifetime = 1209599",
		  NULL,
		  { "refresh_idle_lifetime must not be longer than refresh_absolute_lifetime" } },
		{ "listen = /run/taskcell/auth.sock",
		  NULL,
		  { ":1: listen: ", "listen and listen_auth must differ" } },
		{ "listen_auth =", NULL, { ":1: listen_auth: ", "unless auth_workers is 0" } },
	};
	struct settings *s;

	check_refusals(table, ARRAY_LEN(table), false);
	plain_environment();
	s = load_conf("request_timeout = 20\nstatement_timeout = 19999\n"
		      "refresh_absolute_lifetime = 1209600\n"
		      "listen = /run/taskcell/auth.sock\nauth_workers = 0");
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_STRING_EQUAL(s->listen_auth, "");
	settings_free(s);
}

static void test_forms_refused(void)
{
	static const struct refusal table[] = {
		{ "worker = 4", NULL, { ":1: worker: unknown key" } },
		{ "Workers = 4", NULL, { ":1: Workers: unknown key" } },
		{ "frobnicate = 4", NULL, { ":1: frobnicate: unknown key\n" } },
		{ "workers_file = /x", NULL, { ":1: workers_file: unknown key\n" } },
		{ "config = /x", NULL, { ":1: config: unknown key\n" } },
		{ "= 4", NULL, { ":1: unknown key\n" } },
		{ "my workers = 4", NULL, { ":1: unknown key\n" } },
		{ NULL, "TASKCELL_WORKER=4", { "TASKCELL_WORKER: unknown key" } },
		{ NULL, "TASKCELL_workers=4", { "environment: TASKCELL_workers: unknown key" } },
		{ NULL, "TASKCELL_=4", { "environment: TASKCELL_: unknown key" } },
		{ NULL,
		  "TASKCELL_DATABASE_FILE_FILE=/x",
		  { "TASKCELL_DATABASE_FILE_FILE: unknown" } },
		{ NULL,
		  "TASKCELL_"
		  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=4",
		  { "TASKCELL_AAAAAAAAAAAA", "unknown key" } },
		{ "[server]\nworkers = 4", NULL, { ":1: there are no sections" } },
		{ "[server", NULL, { ":1: there are no sections" } },
		{ "\xef\xbb\xbf[server]", NULL, { ":1: there are no sections" } },
		{ "workers = 4\n\nworkers = 4",
		  NULL,
		  { ":3: workers: ", "already given in line 1" } },
		{ "jwt_issuer = a\n b", NULL, { ":2: begins with a blank" } },
		{ "\tworkers = 4", NULL, { ":1: begins with a blank" } },
		{ "\vworkers = 4", NULL, { ":1: begins with a blank" } },
		{ "workers", NULL, { ":1: is not `key = value`" } },
		{ "workers ;= 4", NULL, { ":1: is not `key = value`" } },
		{ "\xef\xbb\xbfworkers = 0", NULL, { ":1: workers: \"0\"" } },
	};

	check_refusals(table, ARRAY_LEN(table), false);
}

/* `len` bytes: "jwt_issuer = xxx…" or, with `comment`, the same behind a #. */
static void write_line(size_t len, bool comment)
{
	char line[400];

	memset(line, 'x', sizeof(line));
	memcpy(line, comment ? "#jwt_issuer = " : "jwt_issuer = ", comment ? 14 : 13);
	memcpy(line + len, "\nworkers = 3\n", 13);
	write_file("@/taskcell.conf", line, len + 13, 0600);
}

static void test_long_lines(void)
{
	static const size_t too_long[] = { 198, 199, 200, 201, 260, 380 };
	char *big;
	struct settings *s;

	plain_environment();
	write_line(197, false);
	s = load(conf, SETTINGS_NEED_ALL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(strlen(s->jwt_issuer), 197 - 13);
	CU_ASSERT_EQUAL(s->workers, 3);
	settings_free(s);
	for (size_t i = 0; i < ARRAY_LEN(too_long); i++) {
		write_line(too_long[i], false);
		CU_ASSERT_PTR_NULL(load(conf, SETTINGS_NEED_ALL));
		CU_ASSERT_EQUAL(mistakes(), 1);
		CU_ASSERT_PTR_NOT_NULL(strstr(complaints, ":1: is longer than 197 bytes"));
		CU_ASSERT_PTR_NOT_NULL(strstr(complaints, "..._file"));
		CU_ASSERT_PTR_NOT_NULL(strstr(complaints, "environment"));
		/* nothing of a long comment is taken for a key */
		write_line(too_long[i], true);
		s = load(conf, SETTINGS_NEED_ALL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		CU_ASSERT_EQUAL(s->workers, 3);
		settings_free(s);
	}
	big = malloc(65537);
	CU_ASSERT_PTR_NOT_NULL_FATAL(big);
	memset(big, '\n', 65537);
	write_file("@/taskcell.conf", big, 65536, 0600);
	s = load(conf, SETTINGS_NEED_ALL);
	CU_ASSERT_PTR_NOT_NULL(s);
	settings_free(s);
	write_file("@/taskcell.conf", big, 65537, 0600);
	CU_ASSERT_PTR_NULL(load(conf, SETTINGS_NEED_ALL));
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints, strerror(EFBIG)));
	free(big);
}

static void test_nul_bytes(void)
{
	static const char in_value[] = "workers = 4\nmount = /a\0b\n";
	static const char in_comment[] = "# a\0b\n";
	static const char alone[] = "workers = 4\n\0";

	plain_environment();
	write_file("@/taskcell.conf", in_value, sizeof(in_value) - 1, 0600);
	CU_ASSERT_PTR_NULL(load(conf, SETTINGS_NEED_ALL));
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints, ":2: has a NUL byte"));
	CU_ASSERT_EQUAL(mistakes(), 1);
	write_file("@/taskcell.conf", in_comment, sizeof(in_comment) - 1, 0600);
	CU_ASSERT_PTR_NULL(load(conf, SETTINGS_NEED_ALL));
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints, ":1: has a NUL byte"));
	write_file("@/taskcell.conf", alone, sizeof(alone) - 1, 0600);
	CU_ASSERT_PTR_NULL(load(conf, SETTINGS_NEED_ALL));
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints, ":2: has a NUL byte"));
}

static void test_file_missing(void)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/none.conf", dir);
	plain_environment();
	CU_ASSERT_PTR_NULL(load(path, SETTINGS_NEED_ALL));
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints, "none.conf: "));
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints, strerror(ENOENT)));
	CU_ASSERT_PTR_NULL(load(dir, SETTINGS_NEED_ALL));
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints, strerror(EISDIR)));
}

static void test_all_mistakes_at_once(void)
{
	clearenv();
	set("TASKCELL_SCRYPT_COST=9");
	CU_ASSERT_PTR_NULL(load_conf("workers = 0\nnonsense\n[x]\nfrobnicate = 1\nmount = x\n"));
	/* these six, and both secrets that are not set */
	CU_ASSERT_EQUAL(mistakes(), 8);
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints, "TASKCELL_DATABASE: is not set"));
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints, "TASKCELL_SCRYPT_COST: \"9\""));
}

CU_TestInfo refusal_tests[] = {
	{ "forms refused", test_forms_refused },
	{ "values refused", test_values_refused },
	{ "addresses and mounts", test_addresses_and_mounts },
	{ "socket path length", test_socket_path_length },
	{ "ranges", test_ranges },
	{ "relations", test_relations },
	{ "long lines", test_long_lines },
	{ "NUL bytes", test_nul_bytes },
	{ "file missing", test_file_missing },
	{ "all mistakes at once", test_all_mistakes_at_once },
	CU_TEST_INFO_NULL,
};
