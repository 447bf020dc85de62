/* The passwords that are tried first. */
#ifndef TASKCELL_SECURITY_COMMON_PASSWORDS_H
#define TASKCELL_SECURITY_COMMON_PASSWORDS_H

#include "base/base.h"

enum { COMMON_PASSWORD_MAX = 32 }; /* bytes of the longest entry, at most */

/* Sorted as strcmp() does, in lower case, each of PASSWORD_MIN characters or more. */
extern const char *const common_passwords[];
extern const size_t common_passwords_count;

#endif
