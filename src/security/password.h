/* Passwords: scrypt (RFC 7914) behind a string in the PHC form
 *   $scrypt$ln=15,r=8,p=3$<salt>$<key>
 * with 16 bytes of salt and 32 of key in base64 without padding. */
#ifndef TASKCELL_SECURITY_PASSWORD_H
#define TASKCELL_SECURITY_PASSWORD_H

#include "base/base.h"

enum {
	PASSWORD_MIN = 8, /* code points */
	PASSWORD_MAX = 128,
	PASSWORD_COST_MIN = 10, /* log2 N */
	PASSWORD_COST_MAX = 20,
	PASSWORD_HASH_MAX = 128, /* of the text, with its end */
};

enum password_result {
	PASSWORD_OK, /* hashed, or matches */
	PASSWORD_WRONG,
	PASSWORD_ERROR, /* no memory for the work, or a string that is no hash of ours */
};

/* Hashes with a new salt, N = 2^cost, r = 8, p = 3. */
enum password_result password_hash(unsigned cost, const char *password, size_t len,
				   char out[PASSWORD_HASH_MAX]) MUST_CHECK;

/* Compares in constant time. The parameters of the string are bounds-checked before any work. */
enum password_result password_verify(const char *hash, const char *password, size_t len) MUST_CHECK;

/* A well-formed hash of nobody's password: verifying against it costs what a real one does. */
void password_dummy(unsigned cost, char out[PASSWORD_HASH_MAX]);

/* True when a verified hash was made with weaker parameters than `cost` stands for. */
bool password_is_weak(const char *hash, unsigned cost) MUST_CHECK;

/* True when the password is on the list of common ones (compared without case). */
bool password_is_common(const char *password, size_t len) MUST_CHECK;
/* True when it contains the part of the e-mail before the `@` (of 4 bytes or more, compared without
 * case; an e-mail is ASCII). */
bool password_contains_name(const char *password, size_t len, const char *email) MUST_CHECK;

#endif
