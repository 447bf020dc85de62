/* What every source file includes first: feature macros, the plain types, the compiler
 * attributes that contracts use, and the functions this project forbids. Nothing else. */
#ifndef TASKCELL_BASE_BASE_H
#define TASKCELL_BASE_BASE_H

#include "config.h" /* IWYU pragma: export */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The result says whether the out-parameters may be read. */
#define MUST_CHECK           __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, va) __attribute__((format(printf, fmt, va)))
#define NO_RETURN            __attribute__((noreturn))
#define ARRAY_LEN(a)         (sizeof(a) / sizeof((a)[0]))

#define US_PER_SECOND INT64_C(1000000)

#include "base/banned.h"

#endif
