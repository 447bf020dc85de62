#include "base/base.h"
#include "test_config.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

char dir[256];
char conf[300];
char *complaints;

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

void write_file(const char *name, const char *bytes, size_t len, mode_t mode)
{
	char *path = expand(name);
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	must(fd >= 0 && write(fd, bytes, len) == (ssize_t)len, path);
	must(fchmod(fd, mode) == 0 && close(fd) == 0, path);
	free(path);
}

void write_conf(const char *text)
{
	char *bytes = expand(text);

	write_file("@/taskcell.conf", bytes, strlen(bytes), 0600);
	free(bytes);
}

/* An assignment like those in environ. */
void set(const char *assignment)
{
	char *copy = expand(assignment), *eq = strchr(copy, '=');

	*eq = '\0';
	must(setenv(copy, eq + 1, 1) == 0, copy);
	free(copy);
}

/* An environment with nothing but what is needed. */
void plain_environment(void)
{
	clearenv();
	set("TASKCELL_DATABASE=" DB);
	set("TASKCELL_JWT_SECRET=" KEY32);
}

struct settings *load(const char *path, enum settings_need need)
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

struct settings *load_conf(const char *text)
{
	write_conf(text);
	return load(conf, SETTINGS_NEED_ALL);
}

unsigned mistakes(void)
{
	unsigned n = 0;

	for (const char *p = complaints; *p; p++)
		n += *p == '\n';
	return n;
}

/* Says which case failed, since the assertions of tables share a line. */
void wanted(bool good, const char *what, const char *part)
{
	CU_ASSERT(good);
	if (!good)
		fprintf(stderr, "\n%s: wanted %s, got: %s\n", what, part, complaints);
}

char *printed(const struct settings *s)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	settings_print(s, out);
	fclose(out);
	CU_ASSERT_PTR_NULL(strstr(text, MARK));
	return text;
}

void check_refusals(const struct refusal *table, size_t n, bool bare)
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
	CU_SuiteInfo suites[] = {
		/* first: the others clear srcdir */
		{ "values", start, NULL, NULL, NULL, value_tests },
		{ "refusals", NULL, NULL, NULL, NULL, refusal_tests },
		{ "site", NULL, NULL, NULL, NULL, site_tests },
		{ "secrets", NULL, stop, NULL, NULL, secret_tests },
		CU_SUITE_INFO_NULL,
	};

	return run_suites(suites);
}
