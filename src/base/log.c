#include "base/base.h"

#include "base/log.h"

#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/codec.h"

static struct {
	int fd;
	enum log_level most;
	char *path;   /* of a file that is ours, else NULL */
	bool journal; /* systemd's, which takes a level in front of the line */
	int64_t dropped;
} sink = { STDERR_FILENO, LOG_INFO, NULL, false, 0 };

static const char *const level_names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARNING] = "warning",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};

static const char *const journal_levels[] = {
	[LOG_ERROR] = "<3>",
	[LOG_WARNING] = "<4>",
	[LOG_INFO] = "<6>",
	[LOG_DEBUG] = "<7>",
};

/* As systemd.exec(5) says: the variable alone may be that of a parent whose output went there. */
static bool is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char name[48];
	struct stat st;

	if (!stream || fstat(fd, &st) != 0)
		return false;
	(void)snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(name, stream) == 0;
}

void log_open(int fd, enum log_level most)
{
	sink.fd = fd;
	sink.most = most;
	sink.journal = is_journal(fd);
}

void log_set_level(enum log_level most)
{
	sink.most = most;
}

bool log_reopen(void)
{
	int fd;

	if (!sink.path)
		return true;
	fd = open(sink.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd < 0)
		return false;
	/* standard error too: libraries and the sanitizers write there */
	if (dup2(fd, STDERR_FILENO) < 0) {
		(void)close(fd);
		return false;
	}
	if (fd != STDERR_FILENO)
		(void)close(fd);
	sink.fd = STDERR_FILENO;
	sink.journal = false;
	return true;
}

bool log_open_file(const char *path)
{
	if (!*path)
		return true;
	free(sink.path);
	sink.path = strdup(path);
	if (!sink.path)
		fatal("out of memory");
	return log_reopen();
}

/* Keeps room for the newline; what does not fit is dropped and the record marked. */
static void put(struct log_line *l, const char *s, size_t len)
{
	if (l->full || len > sizeof(l->text) - 1 - l->len) {
		l->full = true;
		return;
	}
	memcpy(l->text + l->len, s, len);
	l->len += len;
}

static bool is_plain(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s <= ' ' || *s > '~' || *s == '"' || *s == '=' || *s == '\\')
			return false;
	}
	return true;
}

static void put_quoted(struct log_line *l, const char *s)
{
	put(l, "\"", 1);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\') {
			put(l, (char[]){ '\\', (char)c }, 2);
		} else if (c < ' ' || c > '~') {
			char hex[3];

			hex_encode(&c, 1, hex);
			put(l, (char[]){ '\\', 'x', hex[0], hex[1] }, 4);
		} else {
			put(l, s, 1);
		}
	}
	put(l, "\"", 1);
}

void log_begin(struct log_line *l, enum log_level level, const char *event)
{
	char when[RFC3339_LEN + 1];

	l->level = level;
	l->full = false;
	l->len = 0;
	if (level > sink.most)
		return;
	if (sink.journal)
		put(l, journal_levels[level], strlen(journal_levels[level]));
	rfc3339_format(clock_now_us(), when);
	put(l, "time=", 5);
	put(l, when, RFC3339_LEN);
	log_str(l, "level", level_names[level]);
	log_int(l, "pid", getpid());
	log_str(l, "event", event);
	if (sink.dropped)
		log_int(l, "dropped", sink.dropped);
}

void log_str(struct log_line *l, const char *key, const char *value)
{
	size_t mark = l->len;

	if (l->level > sink.most || !value)
		return;
	put(l, " ", 1);
	put(l, key, strlen(key));
	put(l, "=", 1);
	if (is_plain(value))
		put(l, value, strlen(value));
	else
		put_quoted(l, value);
	if (l->full) { /* a pair is whole or absent; a shorter one may still follow */
		l->len = mark;
		l->full = false;
	}
}

void log_int(struct log_line *l, const char *key, int64_t value)
{
	char text[DECIMAL_LEN + 1];

	(void)decimal_format(value, text);
	log_str(l, key, text);
}

void log_end(struct log_line *l)
{
	struct pollfd p = { .fd = sink.fd, .events = POLLOUT };

	if (l->level > sink.most)
		return;
	l->text[l->len++] = '\n';
	/* A reader that stalls must not hold a worker, nor a master that has been told to stop: the
	 * record is dropped and counted. One that fits a ready pipe is taken whole. */
	if (poll(&p, 1, 0) == 1 && write(sink.fd, l->text, l->len) > 0)
		sink.dropped = 0;
	else
		sink.dropped++;
}

static void log_va(enum log_level level, const char *event, const char *fmt, va_list ap)
{
	struct log_line l;
	char text[1024];

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	log_begin(&l, level, event);
	log_str(&l, "message", text);
	log_end(&l);
}

void log_message(enum log_level level, const char *event, const char *fmt, ...)
{
	va_list ap;

	if (level > sink.most)
		return;
	va_start(ap, fmt);
	log_va(level, event, fmt, ap);
	va_end(ap);
}

void fatal(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_va(LOG_ERROR, "fatal", fmt, ap);
	va_end(ap);
	_exit(EXIT_FAILURE);
}
