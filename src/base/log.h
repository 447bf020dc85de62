/* One record a call: key=value pairs, values escaped, one write(2), so that records of several
 * processes never mix. A record that cannot be written at once is dropped; the next one says how
 * many were (key `dropped`). Never give it a token, a password or a query string. */
#ifndef TASKCELL_BASE_LOG_H
#define TASKCELL_BASE_LOG_H

#include "base/base.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

enum { LOG_LINE_MAX = 2048 };

struct log_line {
	enum log_level level;
	bool full; /* while a pair is added: it does not fit */
	size_t len;
	char text[LOG_LINE_MAX];
};

/* Where records go (a descriptor that stays the caller's) and the least important level written. If
 * it leads to systemd's journal, each record begins with its level as <N>, sd-daemon(3).
 * Before the first call: standard error, LOG_INFO. */
void log_open(int fd, enum log_level most);

void log_set_level(enum log_level most);

/* Appends to the file (made with mode 0640) from now on; "" leaves things as they are. False with
 * errno set. */
bool log_open_file(const char *path) MUST_CHECK;
/* Opens the same file anew, which may have been moved away. True when there is none. */
bool log_reopen(void) MUST_CHECK;

/* A record is begun with the event's name, extended by pairs and written by log_end(). A NULL
 * value leaves the pair out, and so does one that does not fit. A record above the chosen level
 * costs nothing but the calls. */
void log_begin(struct log_line *, enum log_level, const char *event);
void log_str(struct log_line *, const char *key, const char *value);
void log_int(struct log_line *, const char *key, int64_t value);
void log_end(struct log_line *);

/* The same in one call, for records with one message (key `message`). */
void log_message(enum log_level, const char *event, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Logs the message as an error and ends the process with status 1, without exit handlers. */
void fatal(const char *fmt, ...) PRINTF_LIKE(1, 2) NO_RETURN;

#endif
