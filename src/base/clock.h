/* The two clocks. Unit tests link their own. */
#ifndef TASKCELL_BASE_CLOCK_H
#define TASKCELL_BASE_CLOCK_H

#include "base/base.h"

/* Microseconds since 1970-01-01 UTC. */
int64_t clock_now_us(void);
/* Microseconds from an arbitrary start; never goes back; the same in all processes of the host. */
int64_t clock_monotonic_us(void);

#endif
