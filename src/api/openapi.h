/* docs/openapi.json as the server sends it, but for its first line, `{"servers":[{"url":"…"}],`,
 * which names the mount. Made by src/api/openapi.sh. */
#ifndef TASKCELL_API_OPENAPI_H
#define TASKCELL_API_OPENAPI_H

#include "base/base.h"

extern const unsigned char openapi_members[];
extern const size_t openapi_members_len;

#endif
