/* Started as root, the server binds and then becomes an ordinary user for good. */
#ifndef TASKCELL_SERVER_PRIVILEGES_H
#define TASKCELL_SERVER_PRIVILEGES_H

#include "config/settings.h"

/* As root: looks up `user` and `group`, and makes run_dir, the user's own, if it is not there. Else
 * does nothing. Logs what is wrong; then false. */
bool privileges_prepare(const struct settings *) MUST_CHECK;
/* As root: becomes that user, with its groups, and makes sure that there is no way back. */
bool privileges_drop(const struct settings *) MUST_CHECK;

#endif
