#include "base/base.h"

#include "ctl/ctl.h"

#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/log.h"
#include "base/secret.h"
#include "http/email.h"
#include "http/text.h"
#include "security/password.h"
#include "store/admin.h"

enum { PASSWORD_BYTES_MAX = 2048 };

const char *ctl_option(const struct ctl *c, const char *name)
{
	for (size_t i = 0; i < c->n_options; i++) {
		if (strcmp(c->options[i].name, name) == 0)
			return c->options[i].value ? c->options[i].value : "";
	}
	return NULL;
}

struct store_options ctl_store_options(const struct ctl *c)
{
	return (struct store_options){
		.conninfo = c->settings->database,
		.connect_timeout_ms = (int)c->settings->connect_timeout,
		.statement_timeout_ms = CTL_TIMEOUT_MS,
		.audit_keep_s = c->settings->audit_retention * 86400,
	};
}

bool ctl_open(struct ctl *c, enum settings_need need)
{
	struct store_options options;

	c->settings = settings_load(settings_path(c->config), need, stderr);
	if (!c->settings)
		return false;
	log_open(STDERR_FILENO, (enum log_level)c->settings->log_level);
	if (need & SETTINGS_NEED_DATABASE) {
		options = ctl_store_options(c);
		c->store = store_open(&options);
	}
	return true;
}

/* --- messages -------------------------------------------------------------------------------- */

static void say(const char *fmt, va_list ap) PRINTF_LIKE(1, 0);

static void say(const char *fmt, va_list ap)
{
	fflush(stdout);
	fputs("taskcellctl: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int ctl_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	return EXIT_FAILURE;
}

int ctl_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	fputs("Try: taskcellctl help\n", stderr);
	return EX_USAGE;
}

static const char *why_not(enum store_result r)
{
	switch (r) {
	case STORE_NOT_FOUND:
		return "there is none";
	case STORE_CONFLICT:
		return "it is taken";
	case STORE_REFUSED:
		return "the database does not take this value";
	case STORE_BUSY:
		return "the database was busy for too long";
	case STORE_UNAVAILABLE:
		return "no connection to the database, or it was lost";
	case STORE_UNFIT:
		return "the database does not fit this program";
	case STORE_OK:
	case STORE_NO_SESSION:
	case STORE_STALE:
	case STORE_LIMITED:
	case STORE_FAILED:
		break;
	}
	return "the database reported an error";
}

int ctl_store_failed(const char *what, enum store_result r)
{
	return ctl_fail("%s: %s", what, why_not(r));
}

const char *ctl_time(struct ctl *c, int64_t us)
{
	char text[RFC3339_LEN + 1] = "-";

	if (us)
		rfc3339_format(us, text);
	return arena_strndup(c->arena, text, strlen(text));
}

/* Also those of ISO 8859-1, which some terminals obey: U+0080 to U+009F. */
void ctl_print_text(const char *text)
{
	const unsigned char *s = (const unsigned char *)(text ? text : "-");

	for (; *s; s++) {
		bool c1 = s[0] == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0;

		s += c1;
		putchar(c1 || *s < 0x20 || *s == 0x7f ? '?' : *s);
	}
}

bool ctl_find_user(struct ctl *c, const char *who, struct admin_user *user)
{
	struct uuid id;
	bool by_id = uuid_parse(who, strlen(who), &id);
	enum store_result r = admin_user_get(c->store, c->arena, by_id ? &id : NULL,
					     email_key(c->arena, who), user);

	if (r != STORE_OK)
		ctl_store_failed(who, r);
	return r == STORE_OK;
}

/* --- passwords ------------------------------------------------------------------------------- */

/* A line without its end, which the last one may lack. False when there is none, for one that is
 * too long, and when a signal came. While it waits, and only then, the signals of `mask` are
 * blocked in place of those that are (NULL: no change). */
static bool read_line(const sigset_t *mask, char line[PASSWORD_BYTES_MAX], size_t *len)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	char c = '\0';

	for (*len = 0; *len < PASSWORD_BYTES_MAX; line[(*len)++] = c) {
		ssize_t n = ppoll(&input, 1, NULL, mask) == 1 ? read(STDIN_FILENO, &c, 1) : -1;

		if (n != 1)
			return n == 0 && *len > 0;
		if (c == '\n')
			return true;
	}
	return false;
}

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
	caught = number;
}

/* A signal must not leave the terminal without its echo. */
static bool read_unseen(const char *prompt, char line[PASSWORD_BYTES_MAX], size_t *len)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
	struct sigaction action = { .sa_handler = on_signal }, before[ARRAY_LEN(signals)];
	struct termios shown, unseen;
	sigset_t mask;
	bool ok;

	if (tcgetattr(STDIN_FILENO, &shown) != 0)
		return false;
	unseen = shown;
	unseen.c_lflag = (unseen.c_lflag & ~(tcflag_t)ECHO) | ECHONL;
	caught = 0;
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaddset(&action.sa_mask, signals[i]);
	sigprocmask(SIG_BLOCK, &action.sa_mask, &mask);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &action, &before[i]);
	ok = tcsetattr(STDIN_FILENO, TCSAFLUSH, &unseen) == 0 &&
	     fprintf(stderr, "%s: ", prompt) > 0 && read_line(&mask, line, len);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
	for (size_t i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &before[i], NULL);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	if (caught)
		raise(caught);
	return ok;
}

/* The line as it was given. */
static bool read_password(struct ctl *c, char line[PASSWORD_BYTES_MAX], size_t *len)
{
	char *again = arena_alloc(c->arena, PASSWORD_BYTES_MAX);
	size_t again_len;

	arena_wipe_later(c->arena, again, PASSWORD_BYTES_MAX);
	if (!isatty(STDIN_FILENO)) {
		if (read_line(NULL, line, len))
			return true;
		ctl_fail("no password: a line of at most %d bytes is wanted on standard input",
			 PASSWORD_BYTES_MAX);
		return false;
	}
	if (!read_unseen("New password", line, len) || !read_unseen("Again", again, &again_len)) {
		ctl_fail("no password was read");
		return false;
	}
	if (*len == again_len && secret_equal(line, again, again_len))
		return true;
	ctl_fail("the two are not the same");
	return false;
}

/* What speaks against it, or NULL. */
static const char *flaw_of(const struct ctl *c, const char *password, size_t len, const char *email)
{
	size_t length = text_length(password, len);

	if (length < PASSWORD_MIN)
		return "is too short: at least 8 characters";
	if (length > PASSWORD_MAX)
		return "is too long: at most 128 characters";
	switch (password_flaw(password, len, email, c->settings->site_name)) {
	case PASSWORD_TOO_COMMON:
		return "is one of the most common ones";
	case PASSWORD_LIKE_EMAIL:
		return "is too much like the e-mail";
	case PASSWORD_LIKE_SITE:
		return "is too much like the name of the site";
	case PASSWORD_FINE:
		break;
	}
	return NULL;
}

const char *ctl_new_password(struct ctl *c, const char *email, size_t *len)
{
	char *line = arena_alloc(c->arena, PASSWORD_BYTES_MAX);
	const char *password = NULL, *flaw;
	size_t line_len;

	arena_wipe_later(c->arena, line, PASSWORD_BYTES_MAX);
	if (!read_password(c, line, &line_len))
		return NULL;
	if (text_is_utf8(line, line_len) && !memchr(line, '\0', line_len))
		password = text_nfkc(c->arena, line, line_len, true, len);
	flaw = password ? flaw_of(c, password, *len, email) : "is not UTF-8";
	if (!flaw)
		return password;
	ctl_fail("the password %s", flaw);
	return NULL;
}

const char *ctl_hash(struct ctl *c, const char *password, size_t len)
{
	char *hash = arena_alloc(c->arena, PASSWORD_HASH_MAX);

	if (password_hash((unsigned)c->settings->scrypt_cost, password, len, hash) == PASSWORD_OK)
		return hash;
	ctl_fail("not hashed: out of memory");
	return NULL;
}
