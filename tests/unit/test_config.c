#include "base/base.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "config/settings.h"
#include "cunit.h"

/* Every secret of these tests has this in it, so that one search of the output finds a leak. */
#define MARK  "S3cr3t"
#define KEY32 MARK "-0123456789-0123456789-012" /* 32 bytes */
#define DB    "host=/nowhere password=" MARK

static char dir[256];    /* of this run */
static char conf[300];   /* the configuration in it */
static char *complaints; /* of the last load */

/* --- tools ----------------------------------------------------------------------------------- */

/* A copy with each @ replaced by the folder of this run. */
static char *expand(const char *text)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	for (; *text; text++) {
		if (*text == '@')
			fputs(dir, f);
		else
			fputc(*text, f);
	}
	fclose(f);
	return out;
}

/* Also called where no test runs, and there CUnit has no assertions. */
static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	abort();
}

static void write_file(const char *name, const char *bytes, size_t len, mode_t mode)
{
	char *path = expand(name);
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	must(fd >= 0 && write(fd, bytes, len) == (ssize_t)len, path);
	must(fchmod(fd, mode) == 0 && close(fd) == 0, path);
	free(path);
}

static void write_conf(const char *text)
{
	char *bytes = expand(text);

	write_file("@/taskcell.conf", bytes, strlen(bytes), 0600);
	free(bytes);
}

/* An assignment like those in environ. */
static void set(const char *assignment)
{
	char *copy = expand(assignment), *eq = strchr(copy, '=');

	*eq = '\0';
	must(setenv(copy, eq + 1, 1) == 0, copy);
	free(copy);
}

/* An environment with nothing but what is needed. */
static void plain_environment(void)
{
	clearenv();
	set("TASKCELL_DATABASE=" DB);
	set("TASKCELL_JWT_SECRET=" KEY32);
}

static struct settings *load(const char *path, enum settings_need need)
{
	size_t len;
	FILE *errors;
	struct settings *s;

	free(complaints);
	errors = open_memstream(&complaints, &len);
	s = settings_load(path, need, errors);
	fclose(errors);
	CU_ASSERT((s == NULL) == (len > 0));
	CU_ASSERT_PTR_NULL(strstr(complaints, MARK));
	for (size_t i = 0; i < len; i++)
		CU_ASSERT(complaints[i] == '\n' || !iscntrl((unsigned char)complaints[i]));
	return s;
}

static struct settings *load_conf(const char *text)
{
	write_conf(text);
	return load(conf, SETTINGS_NEED_ALL);
}

static unsigned mistakes(void)
{
	unsigned n = 0;

	for (const char *p = complaints; *p; p++)
		n += *p == '\n';
	return n;
}

/* Says which case failed, since the assertions of tables share a line. */
static void wanted(bool good, const char *what, const char *part)
{
	CU_ASSERT(good);
	if (!good)
		fprintf(stderr, "\n%s: wanted %s, got: %s\n", what, part, complaints);
}

static char *printed(const struct settings *s)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	settings_print(s, out);
	fclose(out);
	CU_ASSERT_PTR_NULL(strstr(text, MARK));
	return text;
}

/* --- refusals -------------------------------------------------------------------------------- */

struct refusal {
	const char *file, *env; /* NULL: none of it */
	const char *want[3];
};

static void check_refusals(const struct refusal *table, size_t n, bool bare)
{
	for (size_t i = 0; i < n; i++) {
		const struct refusal *r = &table[i];
		const char *what = r->env ? r->env : r->file;
		struct settings *s;

		if (bare)
			clearenv();
		else
			plain_environment();
		if (r->env)
			set(r->env);
		if (r->file)
			write_conf(r->file);
		s = load(r->file ? conf : NULL, SETTINGS_NEED_ALL);
		wanted(s == NULL, what, "a refusal");
		settings_free(s);
		wanted(mistakes() == 1, what, "one message");
		for (size_t j = 0; j < ARRAY_LEN(r->want) && r->want[j]; j++)
			wanted(strstr(complaints, r->want[j]) != NULL, what, r->want[j]);
	}
}

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
		{ "registration = on", NULL, { "registration: \"on\"", "closed or open" } },
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
		{ "worker = 4", NULL, { ":1: worker: unknown key; did you mean workers?" } },
		{ "Workers = 4", NULL, { ":1: Workers: unknown key; did you mean workers?" } },
		{ "frobnicate = 4", NULL, { ":1: frobnicate: unknown key\n" } },
		{ "workers_file = /x", NULL, { ":1: workers_file: unknown key\n" } },
		{ "config = /x", NULL, { ":1: config: unknown key\n" } },
		{ "= 4", NULL, { ":1: unknown key\n" } },
		{ "my workers = 4", NULL, { ":1: unknown key\n" } },
		{ NULL,
		  "TASKCELL_WORKER=4",
		  { "TASKCELL_WORKER: unknown key; did you mean workers?" } },
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
	char *path = expand("@/none.conf");

	plain_environment();
	CU_ASSERT_PTR_NULL(load(path, SETTINGS_NEED_ALL));
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints, "none.conf: "));
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints, strerror(ENOENT)));
	CU_ASSERT_PTR_NULL(load(dir, SETTINGS_NEED_ALL));
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints, strerror(EISDIR)));
	free(path);
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

/* --- secrets --------------------------------------------------------------------------------- */

#define ENOUGH "at least 256 bits (32 bytes); make one with: taskcellctl key generate"

static void write_secret_files(void)
{
	static const char with_nul[] = KEY32 "\0x";
	static const struct {
		const char *name, *text;
		mode_t mode;
	} files[] = {
		{ "@/key", KEY32 "\n", 0600 },
		{ "@/key400", KEY32, 0400 },
		{ "@/two", KEY32 "\n\n", 0600 },
		{ "@/short", MARK "-0123456789-0123456789-01\n", 0600 },
		{ "@/empty", "", 0600 },
		{ "@/group", KEY32 "\n", 0640 },
		{ "@/others", KEY32 "\n", 0604 },
		{ "@/all", KEY32 "\n", 0644 },
		{ "@/writable", KEY32 "\n", 0620 },
		{ "@/db", DB "\n", 0644 },
	};
	char big[600];

	for (size_t i = 0; i < ARRAY_LEN(files); i++)
		write_file(files[i].name, files[i].text, strlen(files[i].text), files[i].mode);
	write_file("@/nul", with_nul, sizeof(with_nul), 0600);
	memset(big, 'k', sizeof(big));
	memcpy(big, MARK, strlen(MARK));
	write_file("@/max", big, 512, 0600);
	write_file("@/over", big, 513, 0600);
	write_file("@/huge", big, 600, 0600);
}

static void test_secrets_refused(void)
{
	static const struct refusal table[] = {
		{ "jwt_secret = " KEY32,
		  NULL,
		  { "TASKCELL_DATABASE: is not set", "database or database_file in /",
		    "host=/run" } },
		{ "database = " DB, NULL, { "TASKCELL_JWT_SECRET: is not set", ENOUGH } },
		{ NULL, "TASKCELL_JWT_SECRET=" KEY32, { "TASKCELL_DATABASE: is not set" } },
		{ "database = " DB "\njwt_secret = " MARK "-0123456789-0123456789-01",
		  NULL,
		  { ":2: jwt_secret: is too short; use " ENOUGH } },
		{ "database = " DB,
		  "TASKCELL_JWT_SECRET=" MARK,
		  { "environment: TASKCELL_JWT_SECRET: is too short; use " ENOUGH } },
		/* the file's would do, but the environment's is the one in effect */
		{ "database = " DB "\njwt_secret = " KEY32,
		  "TASKCELL_JWT_SECRET=",
		  { "is too short" } },
		{ "jwt_secret = " KEY32 "\ndatabase =",
		  NULL,
		  { ":2: database: is too short; use for example host=" } },
		{ "database = " DB "\njwt_secret_file = @/short",
		  NULL,
		  { ":2: jwt_secret_file: is too short; use " ENOUGH } },
		{ "database = " DB "\njwt_secret_file = @/empty", NULL, { "is too short" } },
		{ "database = " DB "\njwt_secret_file = @/over",
		  NULL,
		  { "longer than 512 bytes" } },
		{ "database = " DB "\njwt_secret_file = @/huge", NULL, { "File too large" } },
		{ "database = " DB "\njwt_secret_file = /dev/zero", NULL, { "File too large" } },
		{ "database = " DB "\njwt_secret_file = @/nul", NULL, { "NUL byte" } },
		{ "database = " DB "\njwt_secret_file = @/none", NULL, { "/none: No such file" } },
		{ "database = " DB "\njwt_secret_file = @", NULL, { "Is a directory" } },
		{ "database = " DB "\njwt_secret_file = key",
		  NULL,
		  { "\"key\" is not an absolute" } },
		{ "database = " DB "\njwt_secret_file =",
		  NULL,
		  { "\"\" is not an absolute path" } },
		{ "database = " DB "\njwt_secret_file = @/group",
		  NULL,
		  { ":2: jwt_secret_file: ", "/group has mode 0640; only its owner" } },
		{ "database = " DB "\njwt_secret_file = @/others", NULL, { "mode 0604" } },
		{ "database = " DB "\njwt_secret_file = @/writable", NULL, { "mode 0620" } },
		{ "database = " DB,
		  "TASKCELL_JWT_SECRET_FILE=@/all",
		  { "environment: TASKCELL_JWT_SECRET_FILE: ", "mode 0644" } },
		{ "database = " DB "\njwt_secret = " KEY32 "\njwt_secret_file = @/key",
		  NULL,
		  { ":3: jwt_secret_file: give either jwt_secret or jwt_secret_file, not both" } },
		{ "jwt_secret = " KEY32 "\ndatabase_file = @/db\ndatabase = " DB,
		  NULL,
		  { ":3: database: give either database or database_file" } },
		/* broken into two lines: what looks like a key is half of the secret */
		{ "database = " DB "\njwt_secret = " KEY32 "\n" MARK "+Zm9vYmFy==",
		  NULL,
		  { ":3: unknown key\n" } },
		{ "database = " DB "\njwt_secret = " KEY32 "\n" MARK "Zm9vYmFy",
		  NULL,
		  { ":3: is not `key = value`" } },
		{ "database = " DB "\njwt_secret = " KEY32 "\n  " MARK,
		  NULL,
		  { ":3: begins with a" } },
		{ "database = " DB "\njwt_secret = " KEY32 "\njwt_secret = " KEY32,
		  NULL,
		  { ":3: jwt_secret: was already given in line 2" } },
	};

	check_refusals(table, ARRAY_LEN(table), true);
}

static void test_both_forms_in_environment(void)
{
	plain_environment();
	set("TASKCELL_DATABASE_FILE=@/db");
	CU_ASSERT_PTR_NULL(load(NULL, SETTINGS_NEED_ALL));
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints, "environment: TASKCELL_DATABASE"));
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints, "either database or database_file"));
}

static void test_secrets_accepted(void)
{
	static const struct {
		const char *file, *env, *secret;
	} table[] = {
		{ "jwt_secret = " KEY32, NULL, KEY32 },
		{ "jwt_secret_file = @/key", NULL, KEY32 },
		{ "jwt_secret_file = @/key400", NULL, KEY32 },
		{ "jwt_secret_file = @/two", NULL, KEY32 "\n" },
		{ "jwt_secret = " KEY32 "=x ; a comment", NULL, KEY32 "=x" },
		{ "jwt_secret = " KEY32 "=;#x", NULL, KEY32 "=;#x" },
		/* the environment's form wins over the other form in the file, whatever that is */
		{ "jwt_secret_file = @/none", "TASKCELL_JWT_SECRET=" KEY32, KEY32 },
		{ "jwt_secret = " MARK, "TASKCELL_JWT_SECRET_FILE=@/key", KEY32 },
		{ "jwt_secret_file = @/group", "TASKCELL_JWT_SECRET_FILE=@/key", KEY32 },
	};
	struct settings *s;

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		char text[400];

		clearenv();
		if (table[i].env)
			set(table[i].env);
		snprintf(text, sizeof(text), "database_file = @/db\n%s\n", table[i].file);
		s = load_conf(text);
		wanted(s && strcmp(s->jwt_secret, table[i].secret) == 0, table[i].file,
		       "the secret");
		wanted(s && strcmp(s->database, DB) == 0, table[i].file, "the database");
		settings_free(s);
	}
	plain_environment();
	unsetenv("TASKCELL_JWT_SECRET");
	set("TASKCELL_JWT_SECRET_FILE=@/max");
	s = load(NULL, SETTINGS_NEED_ALL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(strlen(s->jwt_secret), 512);
	settings_free(s);
}

static void test_needs(void)
{
	struct settings *s;

	clearenv();
	s = load(NULL, SETTINGS_NEED_NOTHING);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_STRING_EQUAL(s->database, "");
	CU_ASSERT_STRING_EQUAL(s->jwt_secret, "");
	settings_free(s);
	CU_ASSERT_PTR_NULL(load(NULL, SETTINGS_NEED_DATABASE));
	CU_ASSERT_EQUAL(mistakes(), 1);
	CU_ASSERT_PTR_NULL(load(NULL, SETTINGS_NEED_ALL));
	CU_ASSERT_EQUAL(mistakes(), 2);
	set("TASKCELL_DATABASE=" DB);
	s = load(NULL, SETTINGS_NEED_DATABASE);
	CU_ASSERT_PTR_NOT_NULL(s);
	settings_free(s);
	CU_ASSERT_PTR_NULL(load(NULL, SETTINGS_NEED_JWT_SECRET));
	/* not needed, but given: it has to be right */
	set("TASKCELL_JWT_SECRET=" MARK);
	CU_ASSERT_PTR_NULL(load(NULL, SETTINGS_NEED_DATABASE));
	CU_ASSERT_PTR_NOT_NULL(strstr(complaints, ENOUGH));
}

/* --- values ---------------------------------------------------------------------------------- */

static void test_defaults(void)
{
	struct settings *s;

	plain_environment();
	s = load(NULL, SETTINGS_NEED_ALL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_STRING_EQUAL(s->listen, "/run/taskcell/taskcell.sock");
	CU_ASSERT_STRING_EQUAL(s->listen_auth, "/run/taskcell/auth.sock");
	CU_ASSERT_STRING_EQUAL(s->listen_group, "");
	CU_ASSERT_EQUAL(s->workers, 8);
	CU_ASSERT_EQUAL(s->auth_workers, 2);
	CU_ASSERT_STRING_EQUAL(s->run_dir, "/run/taskcell");
	CU_ASSERT_STRING_EQUAL(s->mount, "");
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
	CU_ASSERT_TRUE(s->registration);
	CU_ASSERT_TRUE(s->throttle);
	CU_ASSERT_EQUAL(s->throttle_address_per_minute, 20);
	CU_ASSERT_EQUAL(s->log_level, LOG_INFO);
	settings_free(s);
}

/* Every key with a value that is not its default, in the order of the table. */
static const char every_key[] = "listen = 127.0.0.1:9000\n"
				"listen_auth = [::1]:9001\n"
				"listen_group = www-data\n"
				"workers = 3\n"
				"auth_workers = 4\n"
				"run_dir = /var/run/x\n"
				"mount = /t\n"
				"request_timeout = 16\n"
				"statement_timeout = 5001\n"
				"connect_timeout = 2001\n"
				"stop_timeout = 21\n"
				"database = (set)\n"
				"jwt_secret = (set)\n"
				"jwt_issuer = me\n"
				"jwt_audience = you and me\n"
				"access_token_lifetime = 901\n"
				"refresh_idle_lifetime = 1209601\n"
				"refresh_absolute_lifetime = 5184001\n"
				"refresh_grace = 31\n"
				"scrypt_cost = 16\n"
				"scrypt_concurrency = 5\n"
				"scrypt_wait = 251\n"
				"registration = closed\n"
				"throttle = off\n"
				"throttle_address_per_minute = 22\n"
				"log_level = debug\n";

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
	CU_ASSERT_FALSE(s->registration);
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

/* --- main ------------------------------------------------------------------------------------ */

static int start(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/taskcell-config-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		return 1;
	snprintf(conf, sizeof(conf), "%s/taskcell.conf", dir);
	write_secret_files();
	return 0;
}

static int stop(void)
{
	static const char *const names[] = { "taskcell.conf", "key",      "key400", "two",
					     "short",         "empty",    "group",  "others",
					     "all",           "writable", "db",     "nul",
					     "max",           "over",     "huge" };
	char path[300];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	free(complaints);
	return rmdir(dir);
}

int main(void)
{
	CU_TestInfo tests[] = {
		{ "sample", test_sample }, /* first: the others clear srcdir */
		{ "defaults", test_defaults },
		{ "every key by file", test_every_key_by_file },
		{ "every key by environment", test_every_key_by_environment },
		{ "forms accepted", test_forms_accepted },
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
		{ "secrets refused", test_secrets_refused },
		{ "both forms in the environment", test_both_forms_in_environment },
		{ "secrets accepted", test_secrets_accepted },
		{ "needs", test_needs },
		{ "print redacts", test_print_redacts },
		{ "path", test_path },
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {
		{ "config", start, stop, NULL, NULL, tests },
		CU_SUITE_INFO_NULL,
	};

	return run_suites(suites);
}
