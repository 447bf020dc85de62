#include "base/base.h"
#include "test_config.h"

#include <stdio.h>

#define ENOUGH "at least 256 bits (32 bytes); make one with: taskcellctl key generate"

void write_secret_files(void)
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

static const struct refusal refused_secrets[] = {
	{ "jwt_secret = " KEY32,
	  NULL,
	  { "TASKCELL_DATABASE: is not set", "database or database_file in /", "host=/run" } },
	{ "database = " DB, NULL, { "TASKCELL_JWT_SECRET: is not set", ENOUGH } },
	{ NULL, "TASKCELL_JWT_SECRET=" KEY32, { "TASKCELL_DATABASE: is not set" } },
	{ "database = " DB "\njwt_secret = " MARK "-0123456789-0123456789-01",
	  NULL,
	  { ":2: jwt_secret: is too short; use " ENOUGH } },
	{ "database = " DB,
	  "TASKCELL_JWT_SECRET=" MARK,
	  { "environment: TASKCELL_JWT_SECRET: is too short; use " ENOUGH } },
	/* the file's would do, but the environment's is the one in effect */
	{ "database = " DB "\njwt_secret = " KEY32, "TASKCELL_JWT_SECRET=", { "is too short" } },
	{ "jwt_secret = " KEY32 "\ndatabase =",
	  NULL,
	  { ":2: database: is too short; use for example host=" } },
	{ "database = " DB "\njwt_secret_file = @/short",
	  NULL,
	  { ":2: jwt_secret_file: is too short; use " ENOUGH } },
	{ "database = " DB "\njwt_secret_file = @/empty", NULL, { "is too short" } },
	{ "database = " DB "\njwt_secret_file = @/over", NULL, { "longer than 512 bytes" } },
	{ "database = " DB "\njwt_secret_file = @/huge", NULL, { "File too large" } },
	{ "database = " DB "\njwt_secret_file = /dev/zero", NULL, { "File too large" } },
	{ "database = " DB "\njwt_secret_file = @/nul", NULL, { "NUL byte" } },
	{ "database = " DB "\njwt_secret_file = @/none", NULL, { "/none: No such file" } },
	{ "database = " DB "\njwt_secret_file = @", NULL, { "Is a directory" } },
	{ "database = " DB "\njwt_secret_file = key", NULL, { "\"key\" is not an absolute" } },
	{ "database = " DB "\njwt_secret_file =", NULL, { "\"\" is not an absolute path" } },
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
	{ "database = " DB "\njwt_secret = " KEY32 "\n  " MARK, NULL, { ":3: begins with a" } },
	{ "database = " DB "\njwt_secret = " KEY32 "\njwt_secret = " KEY32,
	  NULL,
	  { ":3: jwt_secret: was already given in line 2" } },
};

static void test_secrets_refused(void)
{
	check_refusals(refused_secrets, ARRAY_LEN(refused_secrets), true);
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

CU_TestInfo secret_tests[] = {
	{ "secrets refused", test_secrets_refused },
	{ "both forms in the environment", test_both_forms_in_environment },
	{ "secrets accepted", test_secrets_accepted },
	{ "needs", test_needs },
	CU_TEST_INFO_NULL,
};
