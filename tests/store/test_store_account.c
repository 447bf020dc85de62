/* What a person does to the own account. */
#include "base/base.h"

#include "store/tasks.h"
#include "store/test_store.h"

/* All that a user has, as text to compare; to be freed. */
static char *everything_of(const struct uuid *user_id)
{
	const char *id = fixture_id(user_id);

	return fixture_text(
		admin,
		"select u::text from taskcell.users u where id = '%s' union all"
		" select e::text from taskcell.user_emails e where user_id = '%s' union all"
		" select c::text from taskcell.credentials c where user_id = '%s' union all"
		" select s::text from taskcell.sessions s where user_id = '%s' union all"
		" select t::text from taskcell.tasks t where user_id = '%s' union all"
		" select a::text from taskcell.audit a where user_id = '%s' order by 1",
		id, id, id, id, id, id);
}

static void expect_unchanged(char *before, const struct uuid *user_id)
{
	char *after = everything_of(user_id);

	CU_ASSERT_STRING_EQUAL(before, after);
	free(before);
	free(after);
}

static int64_t emails_of(const struct uuid *user_id, const char *email_key)
{
	return fixture_int(admin,
			   "select count(*) from taskcell.user_emails where user_id = '%s'"
			   " and email like '%s'",
			   fixture_id(user_id), email_key);
}

static void fail_once(const char *key)
{
	struct throttle throttle;

	CU_ASSERT_FATAL(store_throttle_reserve(store, key, &throttle) == STORE_OK);
}

static int64_t counts_of(const char *key)
{
	return fixture_int(admin, "select count(*) from taskcell.throttle where key = '%s'", key);
}

static void test_get(void)
{
	struct account account;
	struct user user;
	struct credential credential;

	fixture_account(store, &account);
	fixture_exec(admin, "update taskcell.credentials set epoch = 0 where user_id = '%s'",
		     fixture_id(&account.principal.user_id));
	CU_ASSERT_FATAL(store_account_get(store, arena, &account.principal, &user, &credential) ==
			STORE_OK);
	CU_ASSERT(uuid_equal(&user.id, &account.principal.user_id));
	CU_ASSERT_STRING_EQUAL(user.email, account.email);
	CU_ASSERT(uuid_equal(&credential.user_id, &user.id));
	CU_ASSERT_STRING_EQUAL(credential.password_hash, account.password_hash);
	CU_ASSERT(credential.epoch == 0 && !credential.disabled);
	CU_ASSERT(!credential.network_known && !credential.session_lives);
}

/* --- password -------------------------------------------------------------------------------- */

static struct password_change password_change_of(const struct account *account)
{
	return (struct password_change){ .principal = account->principal,
					 .verified_hash = account->password_hash,
					 .new_hash = "chosen anew",
					 .throttle_key = account->email_key,
					 .session = fixture_session(),
					 .client = fixture_client() };
}

static void test_password(void)
{
	struct account account;
	struct password_change change;
	struct principal other, new;
	struct session_refresh refresh = { .idle_s = 60, .key_id = "k2" };
	struct session_state state;
	struct user user;
	struct session session;
	struct credential credential;

	fixture_account(store, &account);
	other = another_login(&account);
	fail_once(account.email_key);
	fixture_exec(
		admin,
		"update taskcell.credentials set changed_at = '2020-01-01' where user_id = '%s'",
		fixture_id(&account.principal.user_id));
	change = password_change_of(&account);
	new = (struct principal){ change.principal.user_id, change.session.id };
	CU_ASSERT_FATAL(store_password_change(store, arena, &change, &user, &session) == STORE_OK);
	CU_ASSERT_STRING_EQUAL(user.email, account.email);
	CU_ASSERT(uuid_equal(&session.id, &change.session.id));
	CU_ASSERT_EQUAL(session.counter, 0);
	CU_ASSERT(look_at(&new) == STORE_OK);
	CU_ASSERT(look_at(&account.principal) == STORE_NO_SESSION);
	CU_ASSERT(look_at(&other) == STORE_NO_SESSION);
	CU_ASSERT_FATAL(store_account_get(store, arena, &new, &user, &credential) == STORE_OK);
	CU_ASSERT_STRING_EQUAL(credential.password_hash, "chosen anew");
	CU_ASSERT_EQUAL(credential.epoch, 1);
	CU_ASSERT_EQUAL(fixture_int(admin,
				    "select count(*) from taskcell.credentials where user_id = '%s'"
				    " and changed_at > '2020-01-02'",
				    fixture_id(&user.id)),
			1);
	CU_ASSERT_EQUAL(counts_of(account.email_key), 0);
	CU_ASSERT_EQUAL(fixture_events(admin, &user.id, "password_changed"), 1);
	CU_ASSERT_EQUAL(fixture_int(admin,
				    "select count(*) from taskcell.audit where user_id = '%s'"
				    " and event = 'password_changed' and session_id = '%s'",
				    fixture_id(&user.id), fixture_id(&new.session_id)),
			1);
	/* The old token does not get the new pair. */
	refresh.principal = account.principal;
	CU_ASSERT(store_session_refresh(store, arena, &refresh, &state) == STORE_OK);
	CU_ASSERT(state.found && !state.advanced && state.revoked && state.user.email == NULL);
}

static void test_password_stale(void)
{
	struct account account;
	struct password_change change;
	struct user user;
	struct session session;
	char *before;

	fixture_account(store, &account);
	fail_once(account.email_key);
	change = password_change_of(&account);
	change.verified_hash = "another";
	before = everything_of(&account.principal.user_id);
	CU_ASSERT(store_password_change(store, arena, &change, &user, &session) == STORE_STALE);
	expect_unchanged(before, &account.principal.user_id);
	CU_ASSERT_EQUAL(counts_of(account.email_key), 1);
	change.new_hash = "\xff";
	CU_ASSERT(store_password_change(store, arena, &change, &user, &session) == STORE_REFUSED);
}

/* --- name and e-mail ------------------------------------------------------------------------- */

static void test_name(void)
{
	struct account account;
	const struct uuid *user_id = &account.principal.user_id;
	struct user user;

	fixture_account(store, &account);
	CU_ASSERT_FATAL(store_name_change(store, arena, &account.principal, "Ann \xc3\x85",
					  &user) == STORE_OK);
	CU_ASSERT_STRING_EQUAL(user.name, "Ann \xc3\x85");
	CU_ASSERT_STRING_EQUAL(user.email, account.email);
	CU_ASSERT(uuid_equal(&user.id, user_id));
	CU_ASSERT_EQUAL(fixture_int(admin,
				    "select count(*) from taskcell.users where id = '%s'"
				    " and updated_at > created_at",
				    fixture_id(user_id)),
			1);
	CU_ASSERT(store_name_change(store, arena, &account.principal, NULL, &user) == STORE_OK);
	CU_ASSERT_PTR_NULL(user.name);
	CU_ASSERT(look_at(&account.principal) == STORE_OK);
	CU_ASSERT_EQUAL(fixture_events(admin, user_id, NULL), 1);
	CU_ASSERT(store_name_change(store, arena, &account.principal, "\xff", &user) ==
		  STORE_REFUSED);
}

static struct email_change email_change_of(const struct account *account, const char *email,
					   const char *email_key)
{
	return (struct email_change){ .principal = account->principal,
				      .verified_hash = account->password_hash,
				      .old_email_key = account->email_key,
				      .email = email,
				      .email_key = email_key,
				      .throttle_key = account->email_key,
				      .client = fixture_client() };
}

static void test_email(void)
{
	struct account account;
	const struct uuid *user_id = &account.principal.user_id;
	struct email_change change;
	struct principal other;
	struct user user;

	fixture_account(store, &account);
	other = another_login(&account);
	fail_once(account.email_key);
	CU_ASSERT_FATAL(store_name_change(store, arena, &account.principal, "Kept", &user) ==
			STORE_OK);
	change = email_change_of(&account, "New@Example.org", "new@example.org");
	CU_ASSERT_FATAL(store_email_change(store, arena, &change, &user) == STORE_OK);
	CU_ASSERT_STRING_EQUAL(user.email, "New@Example.org");
	CU_ASSERT_STRING_EQUAL(user.name, "Kept");
	CU_ASSERT_EQUAL(emails_of(user_id, "new@example.org"), 1);
	CU_ASSERT_EQUAL(emails_of(user_id, "%"), 1);
	CU_ASSERT(look_at(&account.principal) == STORE_OK);
	CU_ASSERT(look_at(&other) == STORE_NO_SESSION);
	CU_ASSERT_EQUAL(counts_of(account.email_key), 0);
	CU_ASSERT_EQUAL(fixture_events(admin, user_id, "email_changed"), 1);

	/* The same in another case, and the name with it. */
	change = email_change_of(&account, "NEW@example.org", "new@example.org");
	change.old_email_key = "new@example.org";
	change.epoch = 1;
	change.set_name = true;
	CU_ASSERT_FATAL(store_email_change(store, arena, &change, &user) == STORE_OK);
	CU_ASSERT_STRING_EQUAL(user.email, "NEW@example.org");
	CU_ASSERT_PTR_NULL(user.name);
	CU_ASSERT_EQUAL(emails_of(user_id, "new@example.org"), 1);
	CU_ASSERT_EQUAL(fixture_events(admin, user_id, "email_changed"), 2);
	CU_ASSERT(look_at(&account.principal) == STORE_OK);
}

static void test_email_refusals(void)
{
	struct account account, owner;
	const struct uuid *user_id = &account.principal.user_id;
	struct email_change change;
	struct principal other;
	struct user user;
	char *before;

	fixture_account(store, &account);
	fixture_account(store, &owner);
	other = another_login(&account);
	fail_once(account.email_key);
	before = everything_of(user_id);
	log_start();
	change = email_change_of(&account, owner.email, owner.email_key);
	CU_ASSERT(store_email_change(store, arena, &change, &user) == STORE_CONFLICT);
	/* Foreseen, and so no failure of ours. */
	CU_ASSERT_STRING_EQUAL(log_read(), "");
	log_stop();
	change = email_change_of(&account, "Free@Example.org", "free@example.org");
	change.verified_hash = "another";
	CU_ASSERT(store_email_change(store, arena, &change, &user) == STORE_STALE);
	change = email_change_of(&account, "Free@Example.org", "free@example.org");
	change.epoch = 1;
	CU_ASSERT(store_email_change(store, arena, &change, &user) == STORE_STALE);
	change.email_key = "\xff";
	CU_ASSERT(store_email_change(store, arena, &change, &user) == STORE_STALE ||
		  store_email_change(store, arena, &change, &user) == STORE_REFUSED);
	expect_unchanged(before, user_id);
	CU_ASSERT(look_at(&other) == STORE_OK);
	CU_ASSERT_EQUAL(counts_of(account.email_key), 1);
	CU_ASSERT_EQUAL(fixture_int(admin, "select count(*) from taskcell.user_emails"
					   " where email = 'free@example.org'"),
			0);
	CU_ASSERT_EQUAL(emails_of(&owner.principal.user_id, owner.email_key), 1);
}

/* --- deletion -------------------------------------------------------------------------------- */

static struct account_delete deletion_of(const struct account *account)
{
	return (struct account_delete){ .principal = account->principal,
					.verified_hash = account->password_hash,
					.email_key = account->email_key,
					.throttle_key = account->email_key,
					.client = fixture_client() };
}

static void test_delete(void)
{
	struct account account, stranger;
	const struct uuid *user_id = &account.principal.user_id;
	struct account_delete deletion;
	struct new_account again = { .user_id = uuid_v7(),
				     .password_hash = "h",
				     .session = fixture_session(),
				     .client = fixture_client() };
	struct user user;
	struct session session;
	char *other, *event;

	fixture_account(store, &account);
	fixture_account(store, &stranger);
	(void)fixture_task(store, &account.principal, "goes");
	(void)fixture_task(store, &stranger.principal, "stays");
	(void)another_login(&account);
	fail_once(account.email_key);
	other = everything_of(&stranger.principal.user_id);
	deletion = deletion_of(&account);
	CU_ASSERT_FATAL(store_account_delete(store, &deletion) == STORE_OK);
	CU_ASSERT_EQUAL(fixture_rows(admin, user_id), 0);
	CU_ASSERT_EQUAL(counts_of(account.email_key), 0);
	event = fixture_text(admin,
			     "select event || ' ' || request_id || num_nulls(ip, user_agent,"
			     " session_id, detail) from taskcell.audit where user_id = '%s'",
			     fixture_id(user_id));
	CU_ASSERT_STRING_EQUAL(event, "account_deleted request-14\n");
	free(event);
	expect_unchanged(other, &stranger.principal.user_id);
	CU_ASSERT(look_at(&account.principal) == STORE_NO_SESSION);
	CU_ASSERT(store_account_delete(store, &deletion) == STORE_NO_SESSION);
	/* And the e-mail is free. */
	again.email = account.email;
	again.email_key = account.email_key;
	CU_ASSERT(store_account_create(store, arena, &again, &user, &session) == STORE_OK);
}

static void test_delete_stale(void)
{
	struct account account;
	struct account_delete deletion;
	char *before;

	fixture_account(store, &account);
	(void)fixture_task(store, &account.principal, "stays");
	fail_once(account.email_key);
	before = everything_of(&account.principal.user_id);
	deletion = deletion_of(&account);
	deletion.verified_hash = "another";
	CU_ASSERT(store_account_delete(store, &deletion) == STORE_STALE);
	deletion = deletion_of(&account);
	deletion.epoch = 1;
	CU_ASSERT(store_account_delete(store, &deletion) == STORE_STALE);
	expect_unchanged(before, &account.principal.user_id);
	CU_ASSERT_EQUAL(counts_of(account.email_key), 1);
}

/* --- export ---------------------------------------------------------------------------------- */

static struct audit_events own_events(const struct account *account,
				      const struct audit_place *after, int32_t limit)
{
	struct audit_events events;

	CU_ASSERT_FATAL(store_audit_list(store, arena, &account->principal, after, limit,
					 &events) == STORE_OK);
	return events;
}

static void test_export(void)
{
	const struct client client = fixture_client();
	struct account account, stranger;
	struct audit_events events;
	struct account_export all;
	struct principal other;

	fixture_account(store, &account);
	fixture_account(store, &stranger);
	other = another_login(&account);
	CU_ASSERT(store_session_end(store, &other, &client) == STORE_OK);
	CU_ASSERT(store_audit_failure(store, AUDIT_LOGIN_FAILED, &other.user_id, "why", &client) ==
		  STORE_OK);
	CU_ASSERT_FATAL(store_account_export(store, arena, &account.principal, &all) == STORE_OK);
	CU_ASSERT(uuid_equal(&all.user.id, &account.principal.user_id));
	CU_ASSERT_STRING_EQUAL(all.user.email, account.email);
	CU_ASSERT_EQUAL(all.updated_at, all.user.created_at);
	CU_ASSERT_EQUAL(all.password_changed_at, all.user.created_at);
	CU_ASSERT_EQUAL_FATAL(all.sessions.n, 2);
	CU_ASSERT(uuid_equal(&all.sessions.sessions[1].session.id, &other.session_id));
	CU_ASSERT_STRING_EQUAL(all.sessions.sessions[1].ip, "192.0.2.7");
	CU_ASSERT_STRING_EQUAL(all.sessions.sessions[1].user_agent, "fixture");
	CU_ASSERT_EQUAL(all.sessions.sessions[0].session.expires_at,
			all.user.created_at + FIXTURE_ABSOLUTE_S * US_PER_SECOND);
	CU_ASSERT_EQUAL(all.sessions.sessions[0].session.idle_expires_at,
			all.user.created_at + FIXTURE_IDLE_S * US_PER_SECOND);
	events = own_events(&account, NULL, 10);
	CU_ASSERT_EQUAL_FATAL(events.n, 4);
	CU_ASSERT_STRING_EQUAL(events.list[0].event, "registered");
	CU_ASSERT_STRING_EQUAL(events.list[1].event, "login");
	CU_ASSERT_STRING_EQUAL(events.list[2].event, "logout");
	CU_ASSERT(events.list[2].has_session);
	CU_ASSERT(uuid_equal(&events.list[2].session_id, &other.session_id));
	CU_ASSERT_STRING_EQUAL(events.list[3].event, "login_failed");
	CU_ASSERT_STRING_EQUAL(events.list[3].detail, "why");
	CU_ASSERT_STRING_EQUAL(events.list[3].ip, "192.0.2.7");
	CU_ASSERT(!events.list[3].has_session);
	CU_ASSERT_EQUAL(events.list[0].at, all.user.created_at);
	CU_ASSERT_EQUAL(own_events(&account, &events.last, 10).n, 0);
}

/* Each event once, also when several are of one time. */
static void test_audit_pages(void)
{
	struct audit_place place = { 0 };
	struct account account;
	size_t found = 0;

	fixture_account(store, &account);
	fixture_exec(admin,
		     "insert into taskcell.audit (user_id, event, at, detail)"
		     " select '%s', 'login', timestamptz '2100-01-01' + i / 5 * interval '1 s',"
		     " i from generate_series(0, 12) i",
		     fixture_id(&account.principal.user_id));
	for (;;) {
		struct audit_events events = own_events(&account, found ? &place : NULL, 3);

		if (events.n == 0)
			break;
		for (size_t i = 0; i < events.n; i++)
			CU_ASSERT(events.list[i].at >= place.at);
		found += events.n;
		place = events.last;
		CU_ASSERT_FATAL(found <= 14);
	}
	CU_ASSERT_EQUAL(found, 1 + 13);
}

CU_TestInfo own_account_tests[] = {
	{ "get", test_get },
	{ "password", test_password },
	{ "password, stale", test_password_stale },
	{ "name", test_name },
	{ "e-mail", test_email },
	{ "e-mail, refusals", test_email_refusals },
	{ "delete", test_delete },
	{ "delete, stale", test_delete_stale },
	{ "export", test_export },
	{ "audit, page by page", test_audit_pages },
	CU_TEST_INFO_NULL,
};
