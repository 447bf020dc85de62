#include "base/base.h"

#include "ctl/ctl.h"

#include "base/codec.h"
#include "http/email.h"
#include "http/text.h"
#include "security/keys.h"
#include "store/admin.h"

enum { PAGE = 200, NAME_LENGTH_MAX = 100 };

/* The beginning of the keys under which the account's failures are counted. */
static const char *throttle_prefix(struct ctl *c, const char *key)
{
	uint8_t digest[DIGEST_LEN];
	char hex[2 * DIGEST_LEN + 1];

	digest_sha256(key, strlen(key), digest);
	hex_encode(digest, sizeof(digest), hex);
	return arena_printf(c->arena, "account:%s", hex);
}

static bool open_and_find(struct ctl *c, struct admin_user *user)
{
	return ctl_open(c, SETTINGS_NEED_DATABASE) && ctl_find_user(c, c->args[0], user);
}

/* Says what became of a user. */
static int done(const char *what, const struct admin_user *user, enum store_result r)
{
	if (r != STORE_OK)
		return ctl_store_failed(user->user.email, r);
	printf("%s: ", what);
	ctl_print_text(user->user.email);
	putchar('\n');
	return EXIT_SUCCESS;
}

/* --- reading --------------------------------------------------------------------------------- */

static void print_row(struct ctl *c, const struct admin_user *u)
{
	char id[UUID_TEXT_LEN + 1];

	uuid_format(&u->user.id, id);
	printf("%s  %s  %-24s  %8lld  %8lld  %-8s  ", id, ctl_time(c, u->user.created_at),
	       ctl_time(c, u->last_used_at), (long long)u->sessions, (long long)u->tasks,
	       u->disabled_at ? "disabled" : "active");
	ctl_print_text(u->user.email);
	putchar('\n');
}

/* A page at a time, however many there are. */
int ctl_user_list(struct ctl *c)
{
	const char *pattern = c->n ? email_key(c->arena, c->args[0]) : NULL;
	struct ctl page = *c;
	char after[EMAIL_MAX + 1] = "";
	struct admin_users users;
	enum store_result r;

	if (!ctl_open(c, SETTINGS_NEED_DATABASE))
		return EXIT_FAILURE;
	printf("%-36s  %-24s  %-24s  %8s  %8s  %-8s  %s\n", "ID", "CREATED", "LAST USED",
	       "SESSIONS", "TASKS", "STATE", "E-MAIL");
	page.arena = arena_new(SIZE_MAX);
	do {
		arena_reset(page.arena);
		r = admin_user_list(c->store, page.arena, pattern, after, PAGE, &users);
		if (r != STORE_OK)
			break;
		for (size_t i = 0; i < users.n; i++)
			print_row(&page, &users.users[i]);
		if (users.n)
			snprintf(after, sizeof(after), "%s", users.users[users.n - 1].email_key);
	} while (users.n == PAGE);
	arena_free(page.arena);
	return r == STORE_OK ? EXIT_SUCCESS : ctl_store_failed("not listed", r);
}

int ctl_user_show(struct ctl *c)
{
	struct admin_user u;
	char id[UUID_TEXT_LEN + 1];

	if (!open_and_find(c, &u))
		return EXIT_FAILURE;
	uuid_format(&u.user.id, id);
	printf("id:        %s\ne-mail:    ", id);
	ctl_print_text(u.user.email);
	printf("\nname:      ");
	ctl_print_text(u.user.name);
	printf("\ncreated:   %s\n", ctl_time(c, u.user.created_at));
	printf("disabled:  %s\n", ctl_time(c, u.disabled_at));
	printf("last used: %s\n", ctl_time(c, u.last_used_at));
	printf("sessions:  %lld\n", (long long)u.sessions);
	printf("tasks:     %lld\n", (long long)u.tasks);
	return EXIT_SUCCESS;
}

/* --- changing -------------------------------------------------------------------------------- */

static bool name_will_do(const char *name)
{
	size_t length;

	if (!name)
		return true;
	length = text_is_utf8(name, strlen(name)) ? text_length(name, strlen(name)) : 0;
	if (length > 0 && length <= NAME_LENGTH_MAX)
		return true;
	ctl_fail("a name has 1 to %d characters of UTF-8", NAME_LENGTH_MAX);
	return false;
}

int ctl_user_add(struct ctl *c)
{
	const char *email = c->args[0], *password;
	struct admin_account account = {
		.user_id = uuid_v7(),
		.email = email,
		.email_key = email_key(c->arena, email),
		.name = ctl_option(c, "name"),
		.detail = "taskcellctl",
	};
	char id[UUID_TEXT_LEN + 1];
	enum store_result r;
	size_t len;

	if (!email_is_valid(email, strlen(email)))
		return ctl_fail("%s: not an e-mail address", email);
	if (!name_will_do(account.name) || !ctl_open(c, SETTINGS_NEED_DATABASE))
		return EXIT_FAILURE;
	password = ctl_new_password(c, email, &len);
	account.password_hash = password ? ctl_hash(c, password, len) : NULL;
	if (!account.password_hash)
		return EXIT_FAILURE;
	r = admin_user_add(c->store, &account);
	if (r != STORE_OK)
		return ctl_store_failed(email, r);
	uuid_format(&account.user_id, id);
	puts(id);
	return EXIT_SUCCESS;
}

int ctl_user_disable(struct ctl *c)
{
	struct admin_user u;

	if (!open_and_find(c, &u))
		return EXIT_FAILURE;
	return done("disabled", &u, admin_user_disable(c->store, &u.user.id));
}

int ctl_user_enable(struct ctl *c)
{
	struct admin_user u;

	if (!open_and_find(c, &u))
		return EXIT_FAILURE;
	return done("enabled", &u, admin_user_enable(c->store, &u.user.id));
}

int ctl_user_delete(struct ctl *c)
{
	struct admin_user u;

	if (!open_and_find(c, &u))
		return EXIT_FAILURE;
	return done("deleted", &u,
		    admin_user_delete(c->store, &u.user.id, throttle_prefix(c, u.email_key)));
}

int ctl_user_password(struct ctl *c)
{
	const char *password, *hash;
	struct admin_user u;
	size_t len;

	if (!open_and_find(c, &u))
		return EXIT_FAILURE;
	password = ctl_new_password(c, u.user.email, &len);
	hash = password ? ctl_hash(c, password, len) : NULL;
	if (!hash)
		return EXIT_FAILURE;
	return done(
		"password set", &u,
		admin_user_password(c->store, &u.user.id, hash, throttle_prefix(c, u.email_key)));
}
