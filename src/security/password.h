/* Passwords: scrypt (RFC 7914) behind a string in the PHC form
 *   $scrypt$ln=15,r=8,p=3$<salt>$<key>
 * in base64 without padding: 16 bytes of salt and 32 of key when made here; of others up to
 * PASSWORD_SALT_MAX and PASSWORD_KEY_MAX, and parameters within bounds of memory and time.
 * Passwords are given normalised (text_nfkc() of http/text.h). */
#ifndef TASKCELL_SECURITY_PASSWORD_H
#define TASKCELL_SECURITY_PASSWORD_H

#include "base/base.h"

enum {
	PASSWORD_MIN = 8, /* code points */
	PASSWORD_MAX = 128,
	PASSWORD_COST_MIN = 10, /* log2 N */
	PASSWORD_COST_MAX = 20,
	PASSWORD_SALT_MAX = 64,
	PASSWORD_KEY_MAX = 64,
	PASSWORD_HASH_MAX = 256, /* of the text, with its end */
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

/* Does the work that verifying `hash` lacks of what `cost` stands for: to be called when a password
 * was wrong, so that the time does not tell an account with an older hash from none at all. */
void password_even(const char *hash, unsigned cost);

/* Writes the string for a hash that another program has made, to be verified here from now on.
 * False for what password_verify() would not take. */
struct scrypt_hash {
	unsigned cost, r, p;
	const void *salt, *key;
	size_t salt_len, key_len;
};
bool password_adopt(const struct scrypt_hash *, char out[PASSWORD_HASH_MAX]) MUST_CHECK;

enum password_flaw {
	PASSWORD_FINE,
	PASSWORD_TOO_COMMON, /* on the list, maybe with "123!" behind it, or like "1212121212" */
	PASSWORD_LIKE_EMAIL, /* little more than the e-mail or a part of it */
	PASSWORD_LIKE_SITE,  /* little more than the site's name */
};
/* What speaks against a new password, beside its length; compared without case, and names with what
 * people write for a letter (`@` for a). `email` or `site` may be "". */
enum password_flaw password_flaw(const char *password, size_t len, const char *email,
				 const char *site) MUST_CHECK;

#endif
