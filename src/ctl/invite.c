#include "base/base.h"

#include "ctl/ctl.h"

#include <sysexits.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/random.h"
#include "http/text.h"
#include "security/keys.h"
#include "store/admin.h"

enum {
	CODE_BYTES = 16,
	USES_MAX = 1000000,
	DAYS_MAX = 3650,
	PREFIX_MIN = 8,
	SHOWN = 12, /* digits of a digest */
};

/* The number of an option, `preset` without it. False when it is none from 1 to `max`. */
static bool number(const struct ctl *c, const char *name, int64_t preset, int64_t max, int64_t *out)
{
	const char *text = ctl_option(c, name);

	*out = preset;
	if (!text || (decimal_parse(text, strlen(text), max, out) && *out > 0))
		return true;
	ctl_usage("--%s takes a number from 1 to %lld", name, (long long)max);
	return false;
}

int ctl_invite_add(struct ctl *c)
{
	uint8_t bytes[CODE_BYTES], digest[DIGEST_LEN];
	char code[BASE64_LEN(CODE_BYTES) + 1], hex[2 * DIGEST_LEN + 1];
	struct invite invite = { .digest = hex, .note = ctl_option(c, "note") };
	enum store_result r;
	int64_t days;

	if (!number(c, "uses", 1, USES_MAX, &invite.uses_left) ||
	    !number(c, "days", 7, DAYS_MAX, &days))
		return EX_USAGE;
	if (invite.note && !text_is_utf8(invite.note, strlen(invite.note)))
		return ctl_usage("--note is not UTF-8");
	if (!ctl_open(c, SETTINGS_NEED_DATABASE))
		return EXIT_FAILURE;
	invite.expires_at = clock_now_us() + days * 86400 * US_PER_SECOND;
	random_bytes(bytes, sizeof(bytes));
	base64url_encode(bytes, sizeof(bytes), code);
	digest_sha256(code, strlen(code), digest);
	hex_encode(digest, sizeof(digest), hex);
	r = admin_invite_add(c->store, &invite);
	if (r != STORE_OK)
		return ctl_store_failed("no invitation", r);
	puts(code);
	return EXIT_SUCCESS;
}

int ctl_invite_list(struct ctl *c)
{
	struct invites invites;
	enum store_result r;

	if (!ctl_open(c, SETTINGS_NEED_DATABASE))
		return EXIT_FAILURE;
	r = admin_invite_list(c->store, c->arena, &invites);
	if (r != STORE_OK)
		return ctl_store_failed("not listed", r);
	printf("%-12s  %-24s  %-24s  %9s  %s\n", "DIGEST", "CREATED", "EXPIRES", "USES LEFT",
	       "NOTE");
	for (size_t i = 0; i < invites.n; i++) {
		const struct invite *v = &invites.list[i];

		printf("%.*s  %s  %s  %9lld  ", SHOWN, v->digest, ctl_time(c, v->created_at),
		       ctl_time(c, v->expires_at), (long long)v->uses_left);
		ctl_print_text(v->note);
		putchar('\n');
	}
	return EXIT_SUCCESS;
}

int ctl_invite_delete(struct ctl *c)
{
	const char *prefix = c->args[0];
	size_t len = strlen(prefix);
	enum store_result r;

	if (len < PREFIX_MIN || strspn(prefix, "0123456789abcdef") != len)
		return ctl_usage("not the first %d digits of a digest: %s", PREFIX_MIN, prefix);
	if (!ctl_open(c, SETTINGS_NEED_DATABASE))
		return EXIT_FAILURE;
	r = admin_invite_delete(c->store, prefix);
	if (r == STORE_CONFLICT)
		return ctl_fail("%s: several begin so", prefix);
	return r == STORE_OK ? EXIT_SUCCESS : ctl_store_failed(prefix, r);
}
