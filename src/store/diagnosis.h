/* What `taskcellctl doctor` looks at in a database before anything else may work: it needs neither
 * a schema nor a role that is fit. */
#ifndef TASKCELL_STORE_DIAGNOSIS_H
#define TASKCELL_STORE_DIAGNOSIS_H

#include "store/store.h"

struct diagnosis {
	const char *where; /* host, port, dbname and user as they are known; never a password */
	const char *why;   /* there is no connection, or no answer; NULL: all below is known */
	const char *role;
	bool strong; /* SUPERUSER or BYPASSRLS */
	const char *encoding;
	int64_t ahead_us;    /* of this host's clock, beyond what the way there explains; signed */
	int64_t connections; /* as many may this role have at most, with those of others */
	bool pooled;         /* a pooler stands on the way */
};

/* Connects, asks and leaves; nothing is logged. Texts live on the arena. */
void diagnose(const struct store_options *, struct arena *, struct diagnosis *);

#endif
