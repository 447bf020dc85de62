/* The configuration: one row a key in table.c (name, type, range, default, reloadable, secret).
 * Values come from the file, then from the environment as TASKCELL_<KEY>, which wins. */
#ifndef TASKCELL_CONFIG_SETTINGS_H
#define TASKCELL_CONFIG_SETTINGS_H

#include <stdio.h>

#include "base/base.h"

enum registration { REGISTRATION_CLOSED, REGISTRATION_OPEN, REGISTRATION_INVITE };

/* All values, in the units of the key's description. Strings are never NULL. */
struct settings {
	const char *listen;       /* /path/of/a/socket, or address:port on the loopback */
	const char *listen_auth;  /* the second pool's; "" with auth_workers = 0 */
	const char *listen_group; /* group of unix sockets; "" leaves it */
	int64_t workers;
	int64_t auth_workers;
	const char *user;         /* to become when started as root; "" */
	const char *group;        /* "": the user's own */
	const char *pid_file;     /* "": none */
	const char *log_file;     /* "": standard error */
	int64_t max_requests;     /* after which a worker is replaced, with jitter; 0: never */
	int64_t keep_connections; /* of the web server, a worker; 0: one request each */
	bool prepared_statements;
	const char *run_dir;         /* lock files, the hashing gate */
	const char *spool_dir;       /* files without a name: large bodies and answers */
	const char *mount;           /* prefix of every path; "" or "/x" */
	const char *public_url;      /* scheme, host, port and maybe a path; "": unknown */
	const char *site_name;       /* as people know it */
	const char *cors_origins;    /* separated by blanks or commas; "" */
	const char *trusted_proxies; /* networks (base/net.h), separated likewise; "" */
	int64_t request_timeout;     /* s */
	int64_t statement_timeout;   /* ms */
	int64_t connect_timeout;     /* ms */
	int64_t stop_timeout;        /* s */
	const char *database;        /* libpq connection string */
	const char *jwt_secret;      /* may be "" with key_dir */
	const char *key_dir;         /* keys to sign with; "": jwt_secret is the key */
	const char *jwt_issuer;
	const char *jwt_audience;
	int64_t access_token_lifetime;     /* s */
	int64_t refresh_idle_lifetime;     /* s */
	int64_t refresh_absolute_lifetime; /* s */
	int64_t refresh_grace;             /* s */
	int64_t scrypt_cost;               /* log2 N */
	int64_t scrypt_concurrency;
	int64_t scrypt_wait;     /* ms */
	int64_t registration;    /* enum registration */
	int64_t audit_retention; /* days */
	bool throttle;
	int64_t throttle_address_per_minute;
	int64_t log_level;         /* enum log_level */
	const char *metrics_allow; /* networks that may read /api/metrics; "": nobody */
	int64_t slow_request;      /* ms from which a request is logged as slow; 0: none is */
	bool trace_queries;        /* application_name is the request's id */
};

/* What a program cannot do without. A migration of a new machine, say, runs before there is a
 * jwt_secret; key_dir does in its place. What is given is checked in any case. */
enum settings_need {
	SETTINGS_NEED_NOTHING = 0,
	SETTINGS_NEED_DATABASE = 1,
	SETTINGS_NEED_JWT_SECRET = 2,
	SETTINGS_NEED_ALL = 3,
};

/* The file to read: `option` (of -c), else the environment's TASKCELL_CONFIG, else
 * settings_default_path if it exists, else NULL: the environment alone. */
const char *settings_path(const char *option) MUST_CHECK;

/* Reads `path` (NULL: no file, the environment alone) and checks everything, also what must hold
 * between keys. NULL when something is wrong; then each mistake has been written to `errors` as a
 * line of its own: file, line, key, what is allowed. Never prints a secret. */
struct settings *settings_load(const char *path, enum settings_need, FILE *errors) MUST_CHECK;
/* Whether `fresh` may take the place of `old` in a running server. If not, each key that needs a
 * restart has been written to `errors`. */
bool settings_may_replace(const struct settings *old, const struct settings *fresh,
			  FILE *errors) MUST_CHECK;

/* Wipes the secrets and frees; NULL is fine. */
void settings_free(struct settings *);

/* Writes `key = value` lines, secrets as "(set)" or "(not set)". */
void settings_print(const struct settings *, FILE *out);

/* The file that programs read when none is named: /etc/taskcell/taskcell.conf by configure's
 * sysconfdir. */
extern const char settings_default_path[];

#endif
