/* A person's own sessions: which there are, and how they end. */
#include "base/base.h"

#include "store/test_store.h"

static const char *const deaths[] = {
	"update taskcell.sessions set revoked_at = now() where user_id = '%s' and id = '%s'",
	"update taskcell.sessions set expires_at = now() where user_id = '%s' and id = '%s'",
	"update taskcell.sessions set idle_expires_at = now() where user_id = '%s' and id = '%s'",
	"update taskcell.sessions set epoch = epoch - 1 where user_id = '%s' and id = '%s'",
	"delete from taskcell.sessions where user_id = '%s' and id = '%s'",
};

static void kill_session(size_t death, const struct principal *p)
{
	fixture_exec(admin, deaths[death], fixture_id(&p->user_id), fixture_id(&p->session_id));
}

static int64_t epoch_of(const struct principal *p)
{
	return fixture_int(admin, "select epoch from taskcell.credentials where user_id = '%s'",
			   fixture_id(&p->user_id));
}

/* --- by a token ------------------------------------------------------------------------------ */

static void test_logout(void)
{
	const struct client client = fixture_client();
	struct principal nobody = { uuid_v7(), uuid_v7() }, mixed;
	struct account account, stranger;

	fixture_account(store, &account);
	fixture_account(store, &stranger);
	CU_ASSERT(store_session_end(store, &nobody, &client) == STORE_OK);
	CU_ASSERT_EQUAL(fixture_events(admin, &nobody.user_id, NULL), 0);
	mixed = (struct principal){ stranger.principal.user_id, account.principal.session_id };
	CU_ASSERT(store_session_end(store, &mixed, &client) == STORE_OK);
	CU_ASSERT(look_at(&account.principal) == STORE_OK);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT(store_session_end(store, &account.principal, &client) == STORE_OK);
		CU_ASSERT(look_at(&account.principal) == STORE_NO_SESSION);
		CU_ASSERT_EQUAL(fixture_events(admin, &account.principal.user_id, "logout"), 1);
	}
	CU_ASSERT(look_at(&stranger.principal) == STORE_OK);
	CU_ASSERT_EQUAL(fixture_events(admin, &stranger.principal.user_id, "logout"), 0);
}

/* What is dead is revoked as well, but nothing was done that the audit should tell. */
static void test_logout_of_the_dead(void)
{
	const struct client client = fixture_client();

	for (size_t i = 0; i < ARRAY_LEN(deaths); i++) {
		struct account account;

		fixture_account(store, &account);
		kill_session(i, &account.principal);
		CU_ASSERT(store_session_end(store, &account.principal, &client) == STORE_OK);
		CU_ASSERT(store_session_theft(store, &account.principal, 0, &client) == STORE_OK);
		CU_ASSERT_EQUAL(fixture_events(admin, &account.principal.user_id, NULL), 1);
		CU_ASSERT_EQUAL(fixture_int(admin,
					    "select count(*) from taskcell.sessions where user_id ="
					    " '%s' and revoked_at is null",
					    fixture_id(&account.principal.user_id)),
				0);
	}
}

static void test_theft(void)
{
	const struct client client = fixture_client();
	struct account account;
	const struct uuid *user_id = &account.principal.user_id;
	struct session_refresh refresh = { .idle_s = 60, .key_id = "k2" };
	struct session_state state;

	fixture_account(store, &account);
	refresh.principal = account.principal;
	CU_ASSERT(store_session_theft(store, &account.principal, 1, &client) == STORE_OK);
	CU_ASSERT(look_at(&account.principal) == STORE_OK);
	CU_ASSERT(store_session_refresh(store, arena, &refresh, &state) == STORE_OK);
	CU_ASSERT(store_session_theft(store, &account.principal, 0, &client) == STORE_OK);
	CU_ASSERT(look_at(&account.principal) == STORE_OK);
	CU_ASSERT_EQUAL(fixture_events(admin, user_id, "refresh_theft"), 0);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT(store_session_theft(store, &account.principal, 1, &client) == STORE_OK);
		CU_ASSERT(look_at(&account.principal) == STORE_NO_SESSION);
		CU_ASSERT_EQUAL(fixture_events(admin, user_id, "refresh_theft"), 1);
	}
	CU_ASSERT_EQUAL(fixture_events(admin, user_id, "logout"), 0);
}

/* --- the list -------------------------------------------------------------------------------- */

static void test_list(void)
{
	struct account account, stranger;
	struct session_refresh refresh = { .idle_s = 60, .key_id = "k2" };
	struct session_state state;
	struct login login;
	struct user user;
	struct session session;
	struct session_list list;
	struct principal second;

	fixture_account(store, &account);
	fixture_account(store, &stranger);
	login = login_of(&account);
	login.client.address = "2001:db8::1";
	login.client.user_agent = NULL;
	CU_ASSERT_FATAL(store_login(store, arena, &login, &user, &session) == STORE_OK);
	second = (struct principal){ login.user_id, login.session.id };
	CU_ASSERT_FATAL(store_session_list(store, arena, &second, &list) == STORE_OK);
	CU_ASSERT_EQUAL_FATAL(list.n, 2);
	CU_ASSERT(uuid_equal(&list.sessions[0].session.id, &second.session_id));
	CU_ASSERT_STRING_EQUAL(list.sessions[0].ip, "2001:db8::1");
	CU_ASSERT_PTR_NULL(list.sessions[0].user_agent);
	CU_ASSERT_EQUAL(list.sessions[0].session.created_at, session.created_at);
	CU_ASSERT_EQUAL(list.sessions[0].session.expires_at, session.expires_at);
	CU_ASSERT_EQUAL(list.sessions[0].session.idle_expires_at, session.idle_expires_at);
	CU_ASSERT(uuid_equal(&list.sessions[1].session.id, &account.principal.session_id));
	CU_ASSERT_STRING_EQUAL(list.sessions[1].ip, "192.0.2.7");
	CU_ASSERT_STRING_EQUAL(list.sessions[1].user_agent, "fixture");

	refresh.principal = account.principal;
	CU_ASSERT_FATAL(store_session_refresh(store, arena, &refresh, &state) == STORE_OK);
	CU_ASSERT_FATAL(store_session_list(store, arena, &second, &list) == STORE_OK);
	CU_ASSERT_EQUAL_FATAL(list.n, 2);
	CU_ASSERT(uuid_equal(&list.sessions[0].session.id, &account.principal.session_id));
	CU_ASSERT_EQUAL(list.sessions[0].session.rotated_at, state.now);
	CU_ASSERT_EQUAL(list.sessions[0].session.counter, 1);
	CU_ASSERT_STRING_EQUAL(list.sessions[0].session.key_id, "k2");
}

static void test_list_without_the_dead(void)
{
	struct account account;
	struct session_list list;

	fixture_account(store, &account);
	for (size_t i = 0; i < ARRAY_LEN(deaths); i++) {
		struct principal other = another_login(&account);

		kill_session(i, &other);
		CU_ASSERT_FATAL(store_session_list(store, arena, &account.principal, &list) ==
				STORE_OK);
		CU_ASSERT_EQUAL(list.n, 1);
	}
	fixture_exec(admin,
		     "insert into taskcell.sessions"
		     " (user_id, id, epoch, key_id, idle_expires_at, expires_at, ip)"
		     " select '%s', gen_random_uuid(), 0, 'k', 'infinity', 'infinity', 'x'"
		     " from generate_series(1, %d)",
		     fixture_id(&account.principal.user_id), SESSION_LIST_MAX);
	CU_ASSERT_FATAL(store_session_list(store, arena, &account.principal, &list) == STORE_OK);
	CU_ASSERT_EQUAL(list.n, SESSION_LIST_MAX);
}

/* --- ending ---------------------------------------------------------------------------------- */

static void test_end_own(void)
{
	const struct client client = fixture_client();
	struct account account, stranger;
	const struct principal *me = &account.principal;
	struct principal other;

	fixture_account(store, &account);
	fixture_account(store, &stranger);
	other = another_login(&account);
	CU_ASSERT(store_session_end_own(store, me, &stranger.principal.session_id, &client) ==
		  STORE_NOT_FOUND);
	CU_ASSERT(look_at(&stranger.principal) == STORE_OK);
	CU_ASSERT_EQUAL(fixture_events(admin, &me->user_id, "session_ended"), 0);
	CU_ASSERT(store_session_end_own(store, me, &other.session_id, &client) == STORE_OK);
	CU_ASSERT(look_at(&other) == STORE_NO_SESSION);
	CU_ASSERT_EQUAL(fixture_events(admin, &me->user_id, "session_ended"), 1);
	CU_ASSERT(store_session_end_own(store, me, &other.session_id, &client) == STORE_NOT_FOUND);
	CU_ASSERT(store_session_end_own(store, &other, &me->session_id, &client) ==
		  STORE_NO_SESSION);
	for (size_t i = 0; i < ARRAY_LEN(deaths); i++) {
		other = another_login(&account);
		kill_session(i, &other);
		CU_ASSERT(store_session_end_own(store, me, &other.session_id, &client) ==
			  STORE_NOT_FOUND);
	}
	CU_ASSERT_EQUAL(fixture_events(admin, &me->user_id, "session_ended"), 1);
	CU_ASSERT(store_session_end_own(store, me, &me->session_id, &client) == STORE_OK);
	CU_ASSERT(look_at(me) == STORE_NO_SESSION);
	CU_ASSERT_EQUAL(fixture_events(admin, &me->user_id, "session_ended"), 2);
}

static void test_end_others(void)
{
	const struct client client = fixture_client();
	struct account account, stranger;
	const struct principal *me = &account.principal;
	struct session_refresh refresh = { .idle_s = 60, .key_id = "k2" };
	struct session_state state;
	struct principal second, third, later;

	fixture_account(store, &account);
	fixture_account(store, &stranger);
	second = another_login(&account);
	third = another_login(&account);
	CU_ASSERT(store_session_end_others(store, me, &client) == STORE_OK);
	CU_ASSERT(look_at(me) == STORE_OK);
	CU_ASSERT(look_at(&second) == STORE_NO_SESSION);
	CU_ASSERT(look_at(&third) == STORE_NO_SESSION);
	CU_ASSERT(look_at(&stranger.principal) == STORE_OK);
	CU_ASSERT_EQUAL(fixture_events(admin, &me->user_id, "sessions_ended"), 1);
	CU_ASSERT_EQUAL(epoch_of(&stranger.principal), 0);
	refresh.principal = *me;
	CU_ASSERT(store_session_refresh(store, arena, &refresh, &state) == STORE_OK);
	CU_ASSERT(state.advanced && !state.revoked && state.user.email != NULL);
	refresh.principal = second;
	CU_ASSERT(store_session_refresh(store, arena, &refresh, &state) == STORE_OK);
	CU_ASSERT(state.found && !state.advanced && state.revoked);
	/* Nor does a dead one end the living. */
	CU_ASSERT(store_session_end_others(store, &second, &client) == STORE_NO_SESSION);
	later = another_login(&account);
	CU_ASSERT(look_at(&later) == STORE_OK && look_at(me) == STORE_OK);
	CU_ASSERT_EQUAL(epoch_of(me), 1);
	CU_ASSERT_EQUAL(fixture_events(admin, &me->user_id, "sessions_ended"), 1);
}

/* --- who is known ---------------------------------------------------------------------------- */

static struct credential found(const struct account *account, const char *network,
			       const struct principal *shown)
{
	const struct credential_query query = { account->email_key, network, shown };
	struct credential credential;

	CU_ASSERT_FATAL(store_credential_find(store, arena, &query, &credential) == STORE_OK);
	return credential;
}

static bool network_known(const struct account *account, const char *network,
			  const struct principal *shown)
{
	return found(account, network, shown).network_known;
}

static bool known(const struct account *account, const char *network, const struct principal *shown)
{
	return network_known(account, network, shown) ||
	       found(account, network, shown).session_lives;
}

static void test_known(void)
{
	const struct client client = fixture_client();
	struct account account, stranger;
	struct principal mixed;
	struct login login;
	struct user user;
	struct session session;

	fixture_account(store, &account);
	fixture_account(store, &stranger);
	CU_ASSERT(known(&account, "192.0.2.7", NULL));
	CU_ASSERT(!known(&account, "192.0.2.8", NULL));
	CU_ASSERT(known(&account, "192.0.2.8", &account.principal));
	CU_ASSERT(!network_known(&account, "192.0.2.8", &account.principal));
	CU_ASSERT(!known(&account, "192.0.2.8", &stranger.principal));
	mixed = (struct principal){ account.principal.user_id, stranger.principal.session_id };
	CU_ASSERT(!known(&account, "192.0.2.8", &mixed));
	mixed = (struct principal){ stranger.principal.user_id, account.principal.session_id };
	CU_ASSERT(!known(&account, "192.0.2.8", &mixed));
	/* That no address could be kept is no network. */
	login = login_of(&account);
	login.client.network = login.client.address = "";
	CU_ASSERT_FATAL(store_login(store, arena, &login, &user, &session) == STORE_OK);
	CU_ASSERT(!known(&account, "", NULL));
	/* A session that ended here tells of the owner all the same, but no longer by itself. */
	CU_ASSERT(store_session_end(store, &account.principal, &client) == STORE_OK);
	CU_ASSERT(known(&account, "192.0.2.7", NULL));
	CU_ASSERT(!known(&account, "192.0.2.8", &account.principal));
	for (size_t i = 0; i < ARRAY_LEN(deaths); i++) {
		mixed = another_login(&stranger);
		CU_ASSERT(known(&stranger, "192.0.2.8", &mixed));
		kill_session(i, &mixed);
		CU_ASSERT(!known(&stranger, "192.0.2.8", &mixed));
	}
}

CU_TestInfo own_session_tests[] = {
	{ "logout", test_logout },
	{ "logout of the dead", test_logout_of_the_dead },
	{ "theft", test_theft },
	{ "list", test_list },
	{ "list without the dead", test_list_without_the_dead },
	{ "end one", test_end_own },
	{ "end the others", test_end_others },
	{ "who is known", test_known },
	CU_TEST_INFO_NULL,
};
