/* What the commands of taskcellctl share. Each command is a function of its file, named in the
 * table of main.c. */
#ifndef TASKCELL_CTL_CTL_H
#define TASKCELL_CTL_CTL_H

#include "base/arena.h"
#include "config/settings.h"
#include "store/store.h"

enum {
	EXIT_MISSING = 2, /* of migrate --dry-run */
	CTL_ARGS_MAX = 16,
	CTL_TIMEOUT_MS = 600 * 1000, /* of a call: administrators can wait, and can interrupt */
};

/* A command line behind the command's own words: options have been read, arguments are in order. */
struct ctl {
	const char *config; /* of -c, or NULL */
	size_t n;
	const char *args[CTL_ARGS_MAX];
	size_t n_options;
	struct {
		const char *name;  /* without the dashes */
		const char *value; /* NULL: a flag */
	} options[CTL_ARGS_MAX];

	/* All freed by main() when the command is over. */
	struct arena *arena;
	struct settings *settings; /* from ctl_open() on */
	struct store *store;       /* likewise, if it was opened */
};

/* The value of an option, "" for a flag that is there, NULL when it is absent. */
const char *ctl_option(const struct ctl *, const char *name);

/* Loads the settings and, with SETTINGS_NEED_DATABASE, opens the store: not checked yet, the first
 * call connects. False when something was wrong and has been said. */
bool ctl_open(struct ctl *, enum settings_need) MUST_CHECK;
/* What the store is opened with, for what opens connections of its own. */
struct store_options ctl_store_options(const struct ctl *);

/* Says "taskcellctl: <message>" on standard error; EXIT_FAILURE, so that it can be returned. */
int ctl_fail(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Says why a call of the store did not do what was asked; EXIT_FAILURE. */
int ctl_store_failed(const char *what, enum store_result);
/* The same for wrong use: EX_USAGE. */
int ctl_usage(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Reads a password: from the terminal twice without echo, else one line of standard input. On the
 * arena, wiped with it; normalised and checked as at registration (`email` may be ""). NULL when it
 * will not do, which has been said. */
const char *ctl_new_password(struct ctl *, const char *email, size_t *len);
/* Hashes it at the cost that is set, on the arena. NULL when there was no memory, which has been
 * said. */
const char *ctl_hash(struct ctl *, const char *password, size_t len);
/* The user behind an e-mail or an id as text. False when there is none, which has been said. */
struct admin_user;
bool ctl_find_user(struct ctl *, const char *who, struct admin_user *) MUST_CHECK;

/* Microseconds since 1970 as RFC 3339 into a buffer of the arena; "-" for 0. */
const char *ctl_time(struct ctl *, int64_t us);
/* Prints a text in which control characters have become `?`; "-" for NULL. */
void ctl_print_text(const char *);

/* user.c */
int ctl_user_list(struct ctl *);
int ctl_user_show(struct ctl *);
int ctl_user_add(struct ctl *);
int ctl_user_disable(struct ctl *);
int ctl_user_enable(struct ctl *);
int ctl_user_delete(struct ctl *);
int ctl_user_password(struct ctl *);
/* session.c */
int ctl_session_list(struct ctl *);
int ctl_session_end(struct ctl *);
int ctl_sweep(struct ctl *);
/* invite.c */
int ctl_invite_add(struct ctl *);
int ctl_invite_list(struct ctl *);
int ctl_invite_delete(struct ctl *);
/* audit.c */
int ctl_audit(struct ctl *);
/* backup.c */
int ctl_backup(struct ctl *);
int ctl_restore(struct ctl *);
/* key.c */
int ctl_key_generate(struct ctl *);
int ctl_key_rotate(struct ctl *);
int ctl_key_retire(struct ctl *);
int ctl_key_list(struct ctl *);
/* doctor.c */
int ctl_doctor(struct ctl *);
/* hash.c */
int ctl_hash_calibrate(struct ctl *);
/* site.c */
int ctl_install_site(struct ctl *);
/* import.c */
int ctl_import_better_auth(struct ctl *);

#endif
