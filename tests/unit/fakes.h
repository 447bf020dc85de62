/* The clock and the random source of unit tests. They stand before libbase.a on the link line, so
 * that its own objects for clock.h and random.h are never taken. */
#ifndef TASKCELL_TESTS_UNIT_FAKES_H
#define TASKCELL_TESTS_UNIT_FAKES_H

#include "base/base.h"

/* Where the clock stands in every new world: 2026-09-21T14:13:20Z. */
#define FAKE_START_S INT64_C(1790000000)

/* The time of day stands still until it is moved. The monotonic clock moves with it, and by a
 * millisecond at each look, so that waiting for it ends. */
void fake_clock_set(int64_t us);
void fake_clock_advance(int64_t us);

/* Ends a test program that cannot go on. fatal() would tell it to the log that is being tested. */
void give_up(const char *why) NO_RETURN;

#endif
