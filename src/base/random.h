/* Bytes from the kernel. Unit tests link their own. */
#ifndef TASKCELL_BASE_RANDOM_H
#define TASKCELL_BASE_RANDOM_H

#include "base/base.h"

/* Fills `len` bytes with getrandom(2); ends the process if the kernel has none to give. */
void random_bytes(void *out, size_t len);

#endif
