/* Every function of store.h against a real server: what it does, and each answer it can give. */
#include "base/base.h"

#include "store/test_store.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"

static int log_fd = -1;
static char log_text[65536];

void log_start(void)
{
	log_fd = memfd_create("log", MFD_CLOEXEC);
	if (log_fd < 0)
		fatal("memfd_create failed");
	log_open(log_fd, LOG_DEBUG);
}

const char *log_read(void)
{
	ssize_t n = pread(log_fd, log_text, sizeof(log_text) - 1, 0);

	log_text[n > 0 ? n : 0] = '\0';
	return log_text;
}

void log_stop(void)
{
	log_open(STDERR_FILENO, LOG_INFO);
	close(log_fd);
}

unsigned occurrences(const char *text, const char *word)
{
	unsigned n = 0;

	for (; (text = strstr(text, word)) != NULL; text += strlen(word))
		n++;
	return n;
}

/* --- accounts -------------------------------------------------------------------------------- */

static void test_account_create(void)
{
	struct new_account create = { .user_id = uuid_v7(),
				      .email = "Ann@Example.org",
				      .email_key = "ann@example.org",
				      .name = "Ann \xc3\x85",
				      .password_hash = "h1",
				      .session = fixture_session(),
				      .client = fixture_client() };
	struct new_account again = create;
	struct user user, got;
	struct session session, got_session;
	struct principal me = { create.user_id, create.session.id };

	CU_ASSERT_FATAL(store_account_create(store, arena, &create, &user, &session) == STORE_OK);
	CU_ASSERT(uuid_equal(&user.id, &create.user_id));
	CU_ASSERT_STRING_EQUAL(user.email, "Ann@Example.org");
	CU_ASSERT_STRING_EQUAL(user.name, "Ann \xc3\x85");
	CU_ASSERT(uuid_equal(&session.id, &create.session.id));
	CU_ASSERT_EQUAL(session.counter, 0);
	CU_ASSERT_STRING_EQUAL(session.key_id, "k1");
	CU_ASSERT_EQUAL(session.created_at, user.created_at);
	CU_ASSERT_EQUAL(session.rotated_at, session.created_at);
	CU_ASSERT_EQUAL(session.idle_expires_at,
			session.created_at + FIXTURE_IDLE_S * US_PER_SECOND);
	CU_ASSERT_EQUAL(session.expires_at,
			session.created_at + FIXTURE_ABSOLUTE_S * US_PER_SECOND);
	/* The server's own idea of the same time. */
	CU_ASSERT_EQUAL(user.created_at,
			fixture_int(admin,
				    "select (extract(epoch from created_at) * 1000000)::bigint"
				    " from taskcell.users where id = '%s'",
				    fixture_id(&user.id)));
	CU_ASSERT_FATAL(store_session_get(store, arena, &me, &got, &got_session) == STORE_OK);
	CU_ASSERT(uuid_equal(&got.id, &user.id) && got.created_at == user.created_at);
	CU_ASSERT_EQUAL(got_session.expires_at, session.expires_at);

	again.user_id = uuid_v7();
	again.session.id = uuid_v7();
	again.email = "ann@example.org";
	CU_ASSERT(store_account_create(store, arena, &again, &user, &session) == STORE_CONFLICT);
	CU_ASSERT_EQUAL(fixture_int(admin, "select count(*) from taskcell.users where id = '%s'",
				    fixture_id(&again.user_id)),
			0);
	CU_ASSERT_EQUAL(fixture_int(admin,
				    "select count(*) from taskcell.sessions where user_id = '%s'",
				    fixture_id(&again.user_id)),
			0);
	again.email_key = "\xff@example.org";
	CU_ASSERT(store_account_create(store, arena, &again, &user, &session) == STORE_REFUSED);
}

static void test_account_without_name(void)
{
	struct new_account create = { .user_id = uuid_v7(),
				      .email = "noname@example.org",
				      .email_key = "noname@example.org",
				      .password_hash = "h",
				      .session = fixture_session(),
				      .client = fixture_client() };
	struct user user;
	struct session session;

	create.client.user_agent = NULL;
	/* The idle life ends with the absolute one at the latest. */
	create.session.idle_s = FIXTURE_ABSOLUTE_S + 1;
	CU_ASSERT_FATAL(store_account_create(store, arena, &create, &user, &session) == STORE_OK);
	CU_ASSERT_PTR_NULL(user.name);
	CU_ASSERT_EQUAL(session.idle_expires_at, session.expires_at);
}

static enum store_result credential_of(const char *email_key, struct credential *credential)
{
	const struct credential_query query = { .email_key = email_key, .network = "" };

	return store_credential_find(store, arena, &query, credential);
}

static void test_credential_find(void)
{
	struct account account;
	struct credential credential;

	fixture_account(store, &account);
	CU_ASSERT(credential_of("nobody@example.org", &credential) == STORE_NOT_FOUND);
	CU_ASSERT_FATAL(credential_of(account.email_key, &credential) == STORE_OK);
	CU_ASSERT(uuid_equal(&credential.user_id, &account.principal.user_id));
	CU_ASSERT_STRING_EQUAL(credential.password_hash, account.password_hash);
	CU_ASSERT_EQUAL(credential.epoch, 0);
	CU_ASSERT(!credential.disabled);
	fixture_exec(admin,
		     "update taskcell.credentials set disabled_at = now(), epoch = 3"
		     " where user_id = '%s'",
		     fixture_id(&account.principal.user_id));
	CU_ASSERT_FATAL(credential_of(account.email_key, &credential) == STORE_OK);
	CU_ASSERT(credential.disabled && credential.epoch == 3);
}

struct login login_of(const struct account *account)
{
	return (struct login){ .user_id = account->principal.user_id,
			       .verified_hash = account->password_hash,
			       .session = fixture_session(),
			       .client = fixture_client() };
}

struct principal another_login(const struct account *account)
{
	struct login login = login_of(account);
	struct user user;
	struct session session;

	CU_ASSERT_FATAL(store_login(store, arena, &login, &user, &session) == STORE_OK);
	return (struct principal){ login.user_id, login.session.id };
}

enum store_result look_at(const struct principal *principal)
{
	struct user user;
	struct session session;

	return store_session_get(store, arena, principal, &user, &session);
}

static void test_login(void)
{
	struct account account;
	struct login login;
	struct user user;
	struct session session;
	struct credential credential;

	fixture_account(store, &account);
	login = login_of(&account);
	CU_ASSERT_FATAL(store_login(store, arena, &login, &user, &session) == STORE_OK);
	CU_ASSERT(uuid_equal(&session.id, &login.session.id));
	CU_ASSERT_STRING_EQUAL(user.email, account.email);

	/* A rehash ends nothing, and the former hash is of no use to a login that lost. */
	login.session.id = uuid_v7();
	login.new_hash = "rehashed";
	CU_ASSERT(store_login(store, arena, &login, &user, &session) == STORE_OK);
	CU_ASSERT(store_session_get(store, arena, &account.principal, &user, &session) == STORE_OK);
	login.session.id = uuid_v7();
	login.new_hash = NULL;
	CU_ASSERT(store_login(store, arena, &login, &user, &session) == STORE_NO_SESSION);
	login.new_hash = "other";
	CU_ASSERT(store_login(store, arena, &login, &user, &session) == STORE_NO_SESSION);
	CU_ASSERT_FATAL(credential_of(account.email_key, &credential) == STORE_OK);
	CU_ASSERT_STRING_EQUAL(credential.password_hash, "rehashed");
	CU_ASSERT_EQUAL(credential.epoch, 0);

	login.verified_hash = "rehashed";
	login.new_hash = NULL;
	fixture_exec(admin,
		     "update taskcell.credentials set disabled_at = now() where user_id = '%s'",
		     fixture_id(&account.principal.user_id));
	CU_ASSERT(store_login(store, arena, &login, &user, &session) == STORE_NO_SESSION);
}

static void test_login_prunes(void)
{
	struct account account;
	struct login login;
	struct user user;
	struct session session;
	struct uuid idle = uuid_v7(), old = uuid_v7(), revoked = uuid_v7();
	const struct uuid *ids[] = { &idle, &old, &revoked };
	char *left;

	fixture_account(store, &account);
	login = login_of(&account);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		login.session.id = *ids[i];
		CU_ASSERT_FATAL(store_login(store, arena, &login, &user, &session) == STORE_OK);
	}
	fixture_exec(admin, "update taskcell.sessions set idle_expires_at = now() where id = '%s'",
		     fixture_id(&idle));
	fixture_exec(admin, "update taskcell.sessions set expires_at = now() where id = '%s'",
		     fixture_id(&old));
	fixture_exec(admin, "update taskcell.sessions set revoked_at = now() where id = '%s'",
		     fixture_id(&revoked));
	login.session.id = uuid_v7();
	CU_ASSERT(store_login(store, arena, &login, &user, &session) == STORE_OK);
	left = fixture_text(admin, "select id from taskcell.sessions where user_id = '%s'",
			    fixture_id(&account.principal.user_id));
	CU_ASSERT_PTR_NULL(strstr(left, fixture_id(&idle)));
	CU_ASSERT_PTR_NULL(strstr(left, fixture_id(&old)));
	CU_ASSERT_PTR_NOT_NULL(strstr(left, fixture_id(&revoked)));
	CU_ASSERT_PTR_NOT_NULL(strstr(left, fixture_id(&account.principal.session_id)));
	free(left);
}

/* --- sessions -------------------------------------------------------------------------------- */

static void refreshed(const struct account *account, int64_t counter, struct session_state *state)
{
	struct session_refresh refresh = {
		.principal = account->principal, .counter = counter, .idle_s = 60, .key_id = "k2"
	};

	CU_ASSERT_FATAL(store_session_refresh(store, arena, &refresh, state) == STORE_OK);
}

static void test_refresh(void)
{
	struct account account, stranger;
	struct session_state state, second;

	fixture_account(store, &account);
	fixture_account(store, &stranger);
	refreshed(&account, 0, &state);
	CU_ASSERT(state.found && state.advanced && !state.revoked);
	CU_ASSERT_EQUAL(state.session.counter, 1);
	CU_ASSERT_STRING_EQUAL(state.session.key_id, "k2");
	CU_ASSERT_EQUAL(state.session.rotated_at, state.now);
	CU_ASSERT_EQUAL(state.session.idle_expires_at, state.now + 60 * US_PER_SECOND);
	CU_ASSERT_STRING_EQUAL(state.user.email, account.email);

	refreshed(&account, 0, &second);
	CU_ASSERT(second.found && !second.advanced && !second.revoked);
	CU_ASSERT_EQUAL(second.session.counter, 1);
	CU_ASSERT_EQUAL(second.session.rotated_at, state.session.rotated_at);
	CU_ASSERT(second.now >= state.now);
	refreshed(&account, 2, &second);
	CU_ASSERT(second.found && !second.advanced && second.session.counter == 1);

	/* Another's session, named with one's own user, is not there. */
	stranger.principal.session_id = account.principal.session_id;
	refreshed(&stranger, 1, &second);
	CU_ASSERT(!second.found && !second.advanced && second.user.email == NULL);
}

static void test_refresh_of_the_dead(void)
{
	static const char *const ends[] = {
		"update taskcell.sessions set revoked_at = now() where user_id = '%s'",
		"update taskcell.credentials set disabled_at = now() where user_id = '%s'",
		"update taskcell.credentials set epoch = epoch + 1 where user_id = '%s'",
		"update taskcell.sessions set idle_expires_at = now() where user_id = '%s'",
		"update taskcell.sessions set expires_at = now() where user_id = '%s'",
		"delete from taskcell.users where id = '%s'",
	};

	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct account account;
		struct session_state state;
		struct user user;
		struct session session;

		fixture_account(store, &account);
		fixture_exec(admin, ends[i], fixture_id(&account.principal.user_id));
		refreshed(&account, 0, &state);
		CU_ASSERT(!state.advanced);
		CU_ASSERT_EQUAL(state.found, i < 5);
		CU_ASSERT_EQUAL(state.revoked, i < 3);
		CU_ASSERT_EQUAL(state.session.counter, 0);
		CU_ASSERT_PTR_NULL(state.user.email);
		CU_ASSERT(store_session_get(store, arena, &account.principal, &user, &session) ==
			  STORE_NO_SESSION);
	}
}

static void test_refresh_ends_in_time(void)
{
	struct account account;
	struct session_state state;
	struct session_refresh refresh = { .idle_s = 2 * FIXTURE_ABSOLUTE_S, .key_id = "k" };

	fixture_account(store, &account);
	refresh.principal = account.principal;
	CU_ASSERT_FATAL(store_session_refresh(store, arena, &refresh, &state) == STORE_OK);
	CU_ASSERT(state.advanced);
	CU_ASSERT_EQUAL(state.session.idle_expires_at, state.session.expires_at);
	refresh.counter = 1;
	refresh.idle_s = INT64_MAX;
	CU_ASSERT(store_session_refresh(store, arena, &refresh, &state) == STORE_REFUSED);
}

/* --- suites ---------------------------------------------------------------------------------- */

static CU_TestInfo account_tests[] = {
	{ "create", test_account_create },
	{ "create without a name", test_account_without_name },
	{ "find a credential", test_credential_find },
	{ "login", test_login },
	{ "login prunes", test_login_prunes },
	CU_TEST_INFO_NULL,
};

static CU_TestInfo session_tests[] = {
	{ "refresh", test_refresh },
	{ "refresh of the dead", test_refresh_of_the_dead },
	{ "refresh ends in time", test_refresh_ends_in_time },
	CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {
	SUITE("accounts", account_tests),
	SUITE("sessions", session_tests),
	SUITE("sessions of a person", own_session_tests),
	SUITE("account", own_account_tests),
	SUITE("invitations", invite_tests),
	SUITE("audit", audit_tests),
	SUITE("throttle", throttle_tests),
	SUITE("tasks", task_tests),
	SUITE("outcomes", outcome_tests),
	SUITE("connection", link_tests),
	SUITE("hosts", host_tests),
	SUITE("migrate", migrate_tests),
	CU_SUITE_INFO_NULL,
};

int main(void)
{
	return run_suites(suites);
}
