/* What memory this process takes. */
#ifndef TASKCELL_SHARED_USAGE_H
#define TASKCELL_SHARED_USAGE_H

#include "base/base.h"

/* Bytes: all that is resident, and with each shared page divided by those who share it. Zeros when
 * the system does not tell. */
void usage_memory(int64_t *resident, int64_t *proportional);

#endif
