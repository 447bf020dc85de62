/* Cross-origin requests (Fetch Standard, 3.2): an allow-list, empty by default. Never with
 * credentials: cookie mode is for the same origin. */
#ifndef TASKCELL_API_CORS_H
#define TASKCELL_API_CORS_H

#include "api/call.h"

/* Sets the headers that an answer to an allowed origin needs, errors included, and `Vary: Origin`
 * whenever the list is not empty. */
void cors_headers(struct call *);
/* True when the request is a preflight; its headers then are set if the origin is allowed. `allow`:
 * the methods of the path. */
bool cors_preflight(struct call *, const char *allow);

#endif
