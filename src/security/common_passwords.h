/* The passwords that are tried first: common_passwords.txt, made into a table by
 * common_passwords.awk. */
#ifndef TASKCELL_SECURITY_COMMON_PASSWORDS_H
#define TASKCELL_SECURITY_COMMON_PASSWORDS_H

#include "base/base.h"

/* Entries in lower case, in the order of strcmp(), each of PASSWORD_MIN characters or more. An
 * entry is a byte, one more than the number of bytes it has in common with the entry before, and
 * the rest of its text. That byte is less than a blank, those of the text are more. */
extern const char common_passwords[];
extern const size_t common_passwords_len;

#endif
