#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/secret.h"
#include "ctl/ctl.h"
#include "http/email.h"
#include "http/text.h"
#include "security/password.h"
#include "store/admin.h"
#include "store/better_auth.h"

enum {
	NAME_MAX_LENGTH = 100, /* code points, as at registration */
	STEP_TIMEOUT_MS = 60 * 1000,
	USER_MEMORY = 1 << 20,
	/* of Better Auth, all versions so far */
	THEIR_COST = 14,
	THEIR_R = 16,
	THEIR_P = 1,
	THEIR_KEY_LEN = 64,
};

enum fate { IMPORTED, EXISTS, NO_PASSWORD, NOT_IMPORTABLE, FATES };

struct import {
	struct ctl *ctl;
	struct arena *arena; /* of one user */
	bool dry_run;
	enum store_result result; /* what ended it */
	size_t count[FATES];
};

/* "hexsalt:hexkey"; the salt of the function is the hex text, not the bytes it stands for. */
static bool adopt(const char *theirs, char out[PASSWORD_HASH_MAX])
{
	uint8_t key[THEIR_KEY_LEN];
	size_t salt_len = strspn(theirs, "0123456789abcdefABCDEF");
	const char *hex = theirs + salt_len + 1;
	bool ok;

	if (theirs[salt_len] != ':' || strlen(hex) != 2 * THEIR_KEY_LEN)
		return false;
	for (size_t i = 0; i < THEIR_KEY_LEN; i++) {
		int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		key[i] = (uint8_t)(high << 4 | low);
	}
	ok = password_adopt(&(struct scrypt_hash){ .cost = THEIR_COST,
						   .r = THEIR_R,
						   .p = THEIR_P,
						   .salt = theirs,
						   .salt_len = salt_len,
						   .key = key,
						   .key_len = sizeof(key) },
			    out);
	secret_wipe(key, sizeof(key));
	return ok;
}

/* As registration would have it: trimmed, not too long, and none rather than an empty one. */
static const char *fit_name(struct arena *a, const char *name)
{
	size_t len = name ? strlen(name) : 0, end = 0, length = 0;

	if (len)
		text_trim(&name, &len);
	for (; end < len; end++) {
		if (((unsigned char)name[end] & 0xc0) != 0x80 && ++length > NAME_MAX_LENGTH)
			break;
	}
	return end ? arena_strndup(a, name, end) : NULL;
}

/* An account with this id or e-mail may be of an earlier import, and changed since. */
static enum store_result find(const struct import *im, const struct uuid *id, const char *key)
{
	struct admin_user found;
	enum store_result r = STORE_NOT_FOUND;

	if (id)
		r = admin_user_get(im->ctl->store, im->arena, id, NULL, &found);
	if (r == STORE_NOT_FOUND)
		r = admin_user_get(im->ctl->store, im->arena, NULL, key, &found);
	return r;
}

static enum store_result write_user(const struct import *im, const struct better_auth_user *u,
				    const struct uuid *id, const char *hash)
{
	struct admin_account account = {
		.user_id = id ? *id : uuid_v7(),
		.email = u->email,
		.email_key = email_key(im->arena, u->email),
		.name = fit_name(im->arena, u->name),
		.password_hash = hash,
		.created_at = u->created_at,
		.detail = "imported from Better Auth",
	};
	enum store_result r = find(im, id, account.email_key);

	if (r != STORE_NOT_FOUND)
		return r == STORE_OK ? STORE_CONFLICT : r;
	if (im->dry_run)
		return STORE_OK;
	r = admin_user_add(im->ctl->store, &account);
	if (r == STORE_OK && u->banned) {
		r = admin_user_disable(im->ctl->store, &account.user_id);
		if (r != STORE_OK) /* the next run would leave it as it is */
			ctl_fail("%s was imported, but is to be disabled", u->email);
	}
	return r;
}

static void tell(struct import *im, enum fate fate, const struct better_auth_user *u,
		 const char *why)
{
	static const char *const words[FATES] = { "imported", "there already", "no password",
						  "not importable" };

	im->count[fate]++;
	printf("%-15s", words[fate]);
	ctl_print_text(u->email);
	printf("%s%s\n", why ? ": " : "", why ? why : "");
}

static bool import_user(void *arg, const struct better_auth_user *u)
{
	static const struct uuid none;
	struct import *im = arg;
	char hash[PASSWORD_HASH_MAX];
	struct uuid id;
	bool keeps = uuid_parse(u->id, strlen(u->id), &id) && !uuid_equal(&id, &none);

	if (!email_is_valid(u->email, strlen(u->email))) {
		tell(im, NOT_IMPORTABLE, u, "not an e-mail address that can be registered here");
	} else if (!u->password) {
		tell(im, NO_PASSWORD, u, NULL);
	} else if (!adopt(u->password, hash)) {
		tell(im, NOT_IMPORTABLE, u, "its password hash is not of Better Auth's own kind");
	} else {
		im->result = write_user(im, u, keeps ? &id : NULL, hash);
		secret_wipe(hash, sizeof(hash));
		arena_reset(im->arena);
		if (im->result == STORE_CONFLICT)
			tell(im, EXISTS, u, NULL);
		else if (im->result == STORE_OK)
			tell(im, IMPORTED, u, u->banned ? "disabled, as it is banned there" : NULL);
		else
			return false;
		im->result = STORE_OK;
	}
	return true;
}

int ctl_import_better_auth(struct ctl *c)
{
	const char *from = c->n ? c->args[0] : getenv("BETTER_AUTH_DATABASE_URL");
	struct import im = { .ctl = c, .dry_run = ctl_option(c, "dry-run"), .result = STORE_OK };
	enum store_result r;

	if (!from || !*from)
		return ctl_usage("import better-auth needs the other database: as DATABASE_URL or "
				 "BETTER_AUTH_DATABASE_URL in the environment");
	if (!ctl_open(c, SETTINGS_NEED_DATABASE))
		return EXIT_FAILURE;
	im.arena = arena_new(USER_MEMORY);
	r = better_auth_read(from, STEP_TIMEOUT_MS, import_user, &im);
	arena_free(im.arena);
	printf("%zu %simported, %zu there already, %zu without a password, %zu not importable\n",
	       im.count[IMPORTED], im.dry_run ? "would be " : "", im.count[EXISTS],
	       im.count[NO_PASSWORD], im.count[NOT_IMPORTABLE]);
	if (r == STORE_UNFIT)
		return ctl_fail("that is no database of Better Auth: its tables \"user\" and "
				"\"account\" are not there, or not readable");
	if (r != STORE_OK)
		return ctl_store_failed("reading the Better Auth database", r);
	if (im.result != STORE_OK)
		return ctl_store_failed("importing; run it again to go on", im.result);
	return EXIT_SUCCESS;
}
