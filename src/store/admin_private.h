/* What the files behind admin.h share. */
#ifndef TASKCELL_STORE_ADMIN_PRIVATE_H
#define TASKCELL_STORE_ADMIN_PRIVATE_H

#include "store/admin.h"
#include "store/pg.h"

/* Begins an administrator's call with admin_enter and adds its first step. */
struct pg_step *admin_step(struct pg_call *, enum statement_id);

#endif
