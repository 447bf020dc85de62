#include "base/base.h"

#include "ctl/doctor.h"

#include <fcntl.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/log.h"

enum { SAID_MAX = 1024, LOGGED_MAX = 16 * 1024 };

static const char *const words[] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_WARNING] = "warning",
	[DOCTOR_WRONG] = "wrong",
	[DOCTOR_SKIPPED] = "skipped",
};

/* The names are for people who search for them and for scripts, so they stay. */
static const struct {
	const char *name;
	enum verdict (*check)(struct doctor *);
} checks[] = {
	{ "configuration", check_configuration },
	{ "configuration_mode", check_configuration_mode },
	{ "user", check_user },
	{ "secret_length", check_secret_length },
	{ "key_mode", check_key_mode },
	{ "keys", check_keys },
	{ "database", check_database },
	{ "role", check_role },
	{ "encoding", check_encoding },
	{ "clock", check_clock },
	{ "connections", check_connections },
	{ "schema", check_schema },
	{ "role_settings", check_role_settings },
	{ "row_security", check_row_security },
	{ "prepared_statements", check_prepared_statements },
	{ "run_dir", check_run_dir },
	{ "spool_dir", check_spool_dir },
	{ "log_file", check_log_file },
	{ "scrypt", check_scrypt },
	{ "memory", check_memory },
	{ "health", check_health },
	{ "ready", check_ready },
	{ "socket", check_socket }, /* knows whether there is need of one */
	{ "socket_mode", check_socket_mode },
	{ "authorization", check_authorization },
	{ "client_address", check_client_address },
	{ "problem_documents", check_problem_documents },
	{ "https", check_https },
	{ "certificate", check_certificate },
	{ "hsts", check_hsts },
	{ "cookies", check_cookies },
	{ "page_headers", check_page_headers },
};

enum verdict doctor_say(struct doctor *d, enum verdict verdict, const char *fmt, ...)
{
	char text[SAID_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	d->said = arena_strndup(d->arena, text, strlen(text));
	return verdict;
}

/* --- our own log ----------------------------------------------------------------------------- */

/* A pipe: small, and gone with us. A record too many is dropped, as everywhere. */
static bool capture(struct doctor *d)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
		return false;
	d->log_fd = ends[0];
	log_open(ends[1], LOG_WARNING);
	return true;
}

/* The value of `key`, its escapes undone. */
static const char *value_of(struct arena *arena, const char *line, const char *key)
{
	const char *p = strstr(line, key);
	char *out, *end;
	bool quoted;

	if (!p)
		return "";
	p += strlen(key);
	quoted = *p == '"';
	p += quoted;
	out = end = arena_alloc(arena, strlen(p) + 1);
	for (; *p && *p != '\n' && *p != (quoted ? '"' : ' '); p++) {
		p += *p == '\\' && p[1];
		*end++ = *p;
	}
	return out;
}

const char *doctor_logged(struct doctor *d)
{
	char text[LOGGED_MAX + 1];
	ssize_t n = read(d->log_fd, text, LOGGED_MAX);
	const char *last = text, *end;

	text[n > 0 ? n : 0] = '\0';
	while ((end = strchr(last, '\n')) && end[1])
		last = end + 1;
	return value_of(d->arena, last, " message=");
}

/* --- the command ----------------------------------------------------------------------------- */

static void print(const struct doctor *d, const char *name, enum verdict verdict)
{
	printf("%-8s %-20s ", words[verdict], name);
	ctl_print_text(d->said);
	putchar('\n');
	fflush(stdout);
}

int ctl_doctor(struct ctl *c)
{
	struct doctor d = { .ctl = c, .arena = c->arena, .url = c->n ? c->args[0] : NULL };
	size_t n[ARRAY_LEN(words)] = { 0 };

	if (!capture(&d))
		return ctl_fail("no pipe");
	d.database.why = "it has not been asked";
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		enum verdict verdict = checks[i].check(&d);

		n[verdict]++;
		print(&d, checks[i].name, verdict);
	}
	log_open(STDERR_FILENO, LOG_WARNING);
	printf("\nwrong: %zu, warnings: %zu, ok: %zu, skipped: %zu\n", n[DOCTOR_WRONG],
	       n[DOCTOR_WARNING], n[DOCTOR_OK], n[DOCTOR_SKIPPED]);
	return n[DOCTOR_WRONG] ? EXIT_FAILURE : EXIT_SUCCESS;
}
