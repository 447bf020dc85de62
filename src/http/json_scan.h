/* The strict look at a body before json-c sees it. */
#ifndef TASKCELL_HTTP_JSON_SCAN_H
#define TASKCELL_HTTP_JSON_SCAN_H

#include "base/base.h"

enum { JSON_DEPTH_MAX = 8 };

/* True when the bytes are exactly one JSON object by the grammar of RFC 8259, with white space
 * around it at most: valid UTF-8, no U+0000, no lone surrogate, no raw control character, no more
 * than JSON_DEPTH_MAX nested values. `members` is the number of members of all objects together:
 * a parser that keeps fewer has met a duplicate. Runs in one pass without recursion. */
bool json_scan(const char *text, size_t len, size_t *members) MUST_CHECK;

#endif
