/* What the files about accounts share: rows of users and sessions, how a session begins, and what
 * goes with an act that is audited. `act_id` is made for one call: it is the id of the act's row in
 * the audit, by which later statements of the transaction see that the act was done. */
#ifndef TASKCELL_STORE_SESSIONS_H
#define TASKCELL_STORE_SESSIONS_H

#include "store/pg.h"

/* The first row of user_get, user_insert and user_change. */
void user_row(const PGresult *, struct user *);
/* The first row of credential_get. */
void credential_row(const PGresult *, struct credential *);
/* Seven columns of a session statement, from `column` on. */
void session_row(const PGresult *, int row, int column, struct session *);
/* The rows of session_list and session_export. */
void session_rows(const PGresult *, struct arena *, struct session_list *);

struct beginning {
	const struct uuid *user_id;
	const char *password_hash; /* that the credential must have */
	const struct new_session *session;
	const struct client *client;
	const struct uuid *act_id;
	const char *event; /* the act, in the audit */
};

/* Adds session_create; the session begins only if the credential has this hash. */
void session_create_step(struct pg_call *, const struct beginning *);

/* Adds a step whose first parameters are the user and the session. */
struct pg_step *principal_step(struct pg_call *, enum statement_id, const struct principal *);

/* Adds session_end_others, which wants credential_lock before it. Its result has a row if the act
 * was done. */
struct raising {
	const struct principal *principal; /* whose session goes on */
	const struct client *client;
	const struct uuid *act_id;
	const char *event;
	const char *verified_hash; /* NULL: neither it nor the epoch matters */
	int64_t epoch;
};
void session_end_others_step(struct pg_call *, const struct raising *);

/* Adds the parameters address, user agent and request id. */
void client_params(struct pg_step *, const struct client *);
/* Adds the step that removes old audit rows of the user. */
void audit_prune_step(struct pg_call *, const struct store *, const struct uuid *user_id);
/* Adds the step that clears a count if the act was done; none for NULL. */
void throttle_clear_step(struct pg_call *, const struct uuid *user_id, const struct uuid *act_id,
			 const char *key);

#endif
