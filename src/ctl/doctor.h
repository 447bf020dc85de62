/* What the checks of `taskcellctl doctor` share. A check is a function in the table of doctor.c; it
 * says one thing and returns how bad that is. They run in the order of the table, all of them, and
 * a later one may use what an earlier one has found. */
#ifndef TASKCELL_CTL_DOCTOR_H
#define TASKCELL_CTL_DOCTOR_H

#include "ctl/ctl.h"
#include "store/diagnosis.h"

enum verdict {
	DOCTOR_OK,
	DOCTOR_WARNING, /* it works, but somebody will regret it */
	DOCTOR_WRONG,
	DOCTOR_SKIPPED, /* could not be looked at, because of something else */
};

struct doctor {
	struct ctl *ctl;
	struct arena *arena;
	const char *said; /* by the check that runs */

	const char *config; /* path of the file; NULL: the environment alone */
	const char *url;    /* the site's, as given or else public_url; NULL: unknown */
	const struct settings *settings; /* NULL: they have mistakes */
	const char *secret_mistake;      /* of jwt_secret; NULL: none */
	const char *secret_mode;         /* of its file; likewise */
	const char *secret_file;         /* that file; NULL: none is named */
	bool keys_refused;               /* for the modes of key_dir */
	bool stand_in; /* jwt_secret is not the configured one, which will not do */

	struct diagnosis database;  /* with `why` until it has been asked */
	const char *schema_mistake; /* from migrate(); NULL: none */
	const char *role_mistake;   /* what a role setting lacks; likewise */
	bool migrate_refused;       /* it did not come as far as the role settings */
	bool database_fits;         /* an ordinary call works */

	bool answers;          /* GET /api/health is ours */
	bool redirected;       /* http leads to https */
	const char *untrusted; /* what is wrong with the certificate; NULL: nothing */
	int64_t expires;       /* its last second, Unix; 0: not known */
	const char *hsts;
	int log_fd; /* where our own log can be read */
};

/* Sets what the check says and returns the verdict. */
enum verdict doctor_say(struct doctor *, enum verdict, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The message of the last log record since the last call, for what is run as the server runs it and
 * tells why it failed to the log alone; "" when there is none. */
const char *doctor_logged(struct doctor *);

/* doctor_config.c */
enum verdict check_configuration(struct doctor *);
enum verdict check_configuration_mode(struct doctor *);
enum verdict check_secret_length(struct doctor *);
enum verdict check_key_mode(struct doctor *);
enum verdict check_keys(struct doctor *);
/* doctor_database.c */
enum verdict check_database(struct doctor *);
enum verdict check_role(struct doctor *);
enum verdict check_encoding(struct doctor *);
enum verdict check_clock(struct doctor *);
enum verdict check_connections(struct doctor *);
enum verdict check_schema(struct doctor *);
enum verdict check_role_settings(struct doctor *);
enum verdict check_row_security(struct doctor *);
enum verdict check_prepared_statements(struct doctor *);
/* doctor_host.c */
enum verdict check_user(struct doctor *);
enum verdict check_run_dir(struct doctor *);
enum verdict check_spool_dir(struct doctor *);
enum verdict check_log_file(struct doctor *);
enum verdict check_scrypt(struct doctor *);
enum verdict check_memory(struct doctor *);
enum verdict check_socket(struct doctor *);
enum verdict check_socket_mode(struct doctor *);
/* doctor_site.c */
enum verdict check_health(struct doctor *);
enum verdict check_ready(struct doctor *);
enum verdict check_authorization(struct doctor *);
enum verdict check_client_address(struct doctor *);
enum verdict check_problem_documents(struct doctor *);
enum verdict check_https(struct doctor *);
enum verdict check_certificate(struct doctor *);
enum verdict check_hsts(struct doctor *);
enum verdict check_cookies(struct doctor *);
enum verdict check_page_headers(struct doctor *);

#endif
