/* What accounts.c and sessions.c share: rows of users and sessions, and how a session begins. */
#ifndef TASKCELL_STORE_SESSIONS_H
#define TASKCELL_STORE_SESSIONS_H

#include "store/pg.h"

/* The first row of user_get and of user_insert. */
void user_row(const PGresult *, struct user *);
/* The first row of a session statement: its first seven columns. */
void session_row(const PGresult *, struct session *);

/* Adds session_create; the session begins only if the credential has this hash. */
void session_create_step(struct pg_call *, const struct uuid *user_id, const char *password_hash,
			 const struct new_session *);

#endif
