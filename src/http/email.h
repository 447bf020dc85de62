/* E-mail addresses as people may register them. */
#ifndef TASKCELL_HTTP_EMAIL_H
#define TASKCELL_HTTP_EMAIL_H

#include "base/arena.h"

enum { EMAIL_MAX = 254 };

/* The rule of browsers (HTML, "valid e-mail address"), with a dot in the domain and at most
 * EMAIL_MAX bytes. What passes is ASCII. */
bool email_is_valid(const char *s, size_t len) MUST_CHECK;
/* The form in which e-mails are compared. */
const char *email_key(struct arena *, const char *email);

#endif
