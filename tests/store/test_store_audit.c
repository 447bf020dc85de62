/* Invitations, and what the audit has of each act: one row when it was done, none when it was
 * not. */
#include "base/base.h"

#include "store/statements.h"
#include "store/test_store.h"

/* --- invitations ----------------------------------------------------------------------------- */

static void invite(const char *digest, int uses, const char *expires_at)
{
	fixture_exec(admin,
		     "insert into taskcell.invites (digest, uses_left, expires_at)"
		     " values ('%s', %d, %s)",
		     digest, uses, expires_at);
}

static int64_t uses_left(const char *digest)
{
	return fixture_int(admin, "select uses_left from taskcell.invites where digest = '%s'",
			   digest);
}

static void test_invite_check(void)
{
	invite("usable", 1, "now() + interval '1 h'");
	invite("expired", 1, "now()");
	invite("used up", 0, "now() + interval '1 h'");
	CU_ASSERT(store_invite_check(store, "usable") == STORE_OK);
	CU_ASSERT(store_invite_check(store, "usable") == STORE_OK);
	CU_ASSERT(store_invite_check(store, "expired") == STORE_NOT_FOUND);
	CU_ASSERT(store_invite_check(store, "used up") == STORE_NOT_FOUND);
	CU_ASSERT(store_invite_check(store, "unknown") == STORE_NOT_FOUND);
	CU_ASSERT(store_invite_check(store, "\xff") == STORE_REFUSED);
	CU_ASSERT_EQUAL(uses_left("usable"), 1);
}

static enum store_result registered(const char *email_key, const char *digest, struct uuid *user_id)
{
	struct new_account create = { .user_id = uuid_v7(),
				      .email = email_key,
				      .email_key = email_key,
				      .password_hash = "h",
				      .invite = digest,
				      .session = fixture_session(),
				      .client = fixture_client() };
	struct user user;
	struct session session;
	enum store_result r = store_account_create(store, arena, &create, &user, &session);

	*user_id = create.user_id;
	if (r == STORE_OK) {
		CU_ASSERT(uuid_equal(&user.id, &create.user_id));
		CU_ASSERT(uuid_equal(&session.id, &create.session.id));
	}
	return r;
}

static void test_invited(void)
{
	static const char *const useless[] = { "twice", "too late", "never was" };
	struct uuid id;

	invite("twice", 2, "now() + interval '1 h'");
	invite("too late", 1, "now()");
	CU_ASSERT(registered("guest1@example.org", "twice", &id) == STORE_OK);
	CU_ASSERT_EQUAL(fixture_rows(admin, &id), 4);
	CU_ASSERT_EQUAL(uses_left("twice"), 1);
	/* No account, no use. */
	CU_ASSERT(registered("guest1@example.org", "twice", &id) == STORE_CONFLICT);
	CU_ASSERT_EQUAL(uses_left("twice"), 1);
	CU_ASSERT(registered("guest2@example.org", "twice", &id) == STORE_OK);
	CU_ASSERT_EQUAL(uses_left("twice"), 0);
	for (size_t i = 0; i < ARRAY_LEN(useless); i++) {
		CU_ASSERT(registered("guest3@example.org", useless[i], &id) == STORE_NOT_FOUND);
		CU_ASSERT_EQUAL(fixture_rows(admin, &id), 0);
		CU_ASSERT_EQUAL(fixture_events(admin, &id, NULL), 0);
	}
	CU_ASSERT_EQUAL(uses_left("too late"), 1);
	CU_ASSERT(registered("guest3@example.org", NULL, &id) == STORE_OK);
}

CU_TestInfo invite_tests[] = {
	{ "check", test_invite_check },
	{ "registration", test_invited },
	CU_TEST_INFO_NULL,
};

/* --- rows ------------------------------------------------------------------------------------ */

/* All rows of a user as text, in order; to be freed. */
static char *rows_of(const struct uuid *user_id)
{
	return fixture_text(admin,
			    "select concat_ws('|', event, session_id, ip, user_agent, request_id,"
			    " detail) from taskcell.audit where user_id = '%s' order by at, id",
			    fixture_id(user_id));
}

static void test_what_is_kept(void)
{
	struct account account;
	struct client client = fixture_client();
	struct login login;
	struct user user;
	struct session session;
	char *rows;

	fixture_account(store, &account);
	login = login_of(&account);
	login.client = (struct client){ .address = "", .network = "", .request_id = "r2" };
	CU_ASSERT(store_login(store, arena, &login, &user, &session) == STORE_OK);
	CU_ASSERT(store_session_end_own(store, &account.principal, &session.id, &client) ==
		  STORE_OK);
	client.user_agent = NULL;
	CU_ASSERT(store_audit_failure(store, AUDIT_PASSWORD_REFUSED, &user.id, NULL, &client) ==
		  STORE_OK);
	CU_ASSERT(store_audit_failure(store, AUDIT_LOGIN_FAILED, &user.id, "disabled", &client) ==
		  STORE_OK);
	rows = rows_of(&user.id);
	CU_ASSERT_STRING_EQUAL(rows,
			       arena_printf(arena,
					    "registered|%s|192.0.2.7|fixture|request-1\n"
					    "login|%s|r2\n"
					    "session_ended|%s|192.0.2.7|fixture|request-1\n"
					    "password_refused|192.0.2.7|request-1\n"
					    "login_failed|192.0.2.7|request-1|disabled\n",
					    fixture_id(&account.principal.session_id),
					    fixture_id(&session.id), fixture_id(&session.id)));
	free(rows);
}

static void test_unknown_account(void)
{
	static const struct uuid nobody;
	const struct client client = fixture_client();
	struct uuid gone = uuid_v7();
	char *rows;

	fixture_exec(admin, "delete from taskcell.audit where user_id = '%s'", fixture_id(&nobody));
	CU_ASSERT(store_audit_failure(store, AUDIT_LOGIN_FAILED, NULL, "unknown", &client) ==
		  STORE_OK);
	rows = rows_of(&nobody);
	CU_ASSERT_STRING_EQUAL(rows, "login_failed|192.0.2.7|fixture|request-1|unknown\n");
	free(rows);
	/* Of an account that has gone in between, nothing comes back. */
	CU_ASSERT(store_audit_failure(store, AUDIT_LOGIN_FAILED, &gone, "x", &client) == STORE_OK);
	CU_ASSERT_EQUAL(fixture_events(admin, &gone, NULL), 0);
}

static void test_no_act_no_row(void)
{
	struct account account;
	struct login login;
	struct user user;
	struct session session;
	struct uuid id;

	fixture_account(store, &account);
	login = login_of(&account);
	login.verified_hash = "another";
	CU_ASSERT(store_login(store, arena, &login, &user, &session) == STORE_NO_SESSION);
	login.new_hash = "new";
	CU_ASSERT(store_login(store, arena, &login, &user, &session) == STORE_NO_SESSION);
	CU_ASSERT_EQUAL(fixture_events(admin, &account.principal.user_id, "login"), 0);
	CU_ASSERT(registered(account.email_key, NULL, &id) == STORE_CONFLICT);
	CU_ASSERT_EQUAL(fixture_events(admin, &id, NULL), 0);
}

/* --- a commit that fails --------------------------------------------------------------------- */

/* Each act on an account, by its number; false behind the last. */
static bool act(int i, const struct account *account, enum store_result *r)
{
	const struct client client = fixture_client();
	const struct principal *me = &account->principal;
	struct password_change password = { .principal = *me,
					    .verified_hash = account->password_hash,
					    .new_hash = "new",
					    .session = fixture_session(),
					    .client = client };
	struct email_change email = { .principal = *me,
				      .verified_hash = account->password_hash,
				      .old_email_key = account->email_key,
				      .email = "failing@example.org",
				      .email_key = "failing@example.org",
				      .client = client };
	struct account_delete deletion = { .principal = *me,
					   .verified_hash = account->password_hash,
					   .email_key = account->email_key,
					   .client = client };
	struct login login = login_of(account);
	struct user user;
	struct session session;

	switch (i) {
	case 0:
		*r = store_login(store, arena, &login, &user, &session);
		return true;
	case 1:
		*r = store_session_end(store, me, &client);
		return true;
	case 2:
		*r = store_session_theft(store, me, 0, &client);
		return true;
	case 3:
		*r = store_session_end_own(store, me, &me->session_id, &client);
		return true;
	case 4:
		*r = store_session_end_others(store, me, &client);
		return true;
	case 5:
		*r = store_password_change(store, arena, &password, &user, &session);
		return true;
	case 6:
		*r = store_email_change(store, arena, &email, &user);
		return true;
	case 7:
		*r = store_account_delete(store, &deletion);
		return true;
	default:
		return false;
	}
}

static void test_commit_fails(void)
{
	struct account account;
	const struct uuid *user_id = &account.principal.user_id;
	enum store_result r;

	fixture_account(store, &account);
	/* At the commit, when every row of the act has long been written. */
	fixture_exec(admin, "create function public.fault() returns trigger language plpgsql as"
			    " $$ begin raise exception 'wanted' using errcode = '23514'; end $$;"
			    "create constraint trigger fault after insert on taskcell.audit"
			    " deferrable initially deferred for each row"
			    " execute function public.fault()");
	log_start();
	for (int i = 0; act(i, &account, &r); i++) {
		CU_ASSERT_EQUAL(r, STORE_FAILED);
		CU_ASSERT_EQUAL(fixture_events(admin, user_id, NULL), 1);
		CU_ASSERT_EQUAL(fixture_rows(admin, user_id), 4);
		CU_ASSERT(look_at(&account.principal) == STORE_OK);
	}
	CU_ASSERT_EQUAL(occurrences(log_read(), "statement=commit"), 8);
	log_stop();
	fixture_exec(admin, "drop trigger fault on taskcell.audit; drop function public.fault");
}

/* Each act has one row; no more, no fewer. */
static void test_one_row_each(void)
{
	enum store_result r;

	for (int i = 0;; i++) {
		struct account account;

		fixture_account(store, &account);
		fixture_exec(admin, "delete from taskcell.user_emails"
				    " where email = 'failing@example.org'");
		if (!act(i, &account, &r))
			break;
		CU_ASSERT_EQUAL(r, STORE_OK);
		/* `registered` goes with the account. */
		CU_ASSERT_EQUAL(fixture_events(admin, &account.principal.user_id, NULL),
				i == 7 ? 1 : 2);
	}
}

/* --- keeping --------------------------------------------------------------------------------- */

static void age(const struct uuid *user_id, const char *by, int rows)
{
	fixture_exec(admin,
		     "insert into taskcell.audit (user_id, at, event)"
		     " select '%s', now() - interval '%s', 'of old' from generate_series(1, %d)",
		     fixture_id(user_id), by, rows);
}

static void test_old_rows_go(void)
{
	static const struct uuid nobody;
	const struct client client = fixture_client();
	struct store_options options = fixture_options;
	struct account account, stranger;
	const struct uuid *user_id = &account.principal.user_id;
	struct store *keeper;
	enum store_result r;

	fixture_account(store, &stranger);
	age(&stranger.principal.user_id, "2 days", 1);
	for (int i = 0;; i++) {
		fixture_account(store, &account);
		fixture_exec(admin, "delete from taskcell.user_emails"
				    " where email = 'failing@example.org'");
		age(user_id, "24 h 1 s", 130);
		age(user_id, "23 h 59 min", 1);
		if (!act(i, &account, &r))
			break;
		/* Some with each act. */
		CU_ASSERT_EQUAL(fixture_events(admin, user_id, "of old"), i == 7 ? 0 : 31);
	}
	for (int i = 0; i < 2; i++)
		CU_ASSERT(store_audit_failure(store, AUDIT_LOGIN_FAILED, user_id, NULL, &client) ==
			  STORE_OK);
	CU_ASSERT_EQUAL(fixture_events(admin, user_id, "of old"), 1);
	age(&nobody, "25 h", 1);
	CU_ASSERT(store_audit_failure(store, AUDIT_LOGIN_FAILED, NULL, NULL, &client) == STORE_OK);
	CU_ASSERT_EQUAL(fixture_events(admin, &nobody, "of old"), 0);
	CU_ASSERT_EQUAL(fixture_events(admin, &stranger.principal.user_id, "of old"), 1);
	options.audit_keep_s = 0;
	keeper = store_open(&options);
	CU_ASSERT(store_session_end(keeper, &stranger.principal, &client) == STORE_OK);
	CU_ASSERT_EQUAL(fixture_events(admin, &stranger.principal.user_id, "of old"), 1);
	store_close(keeper);
}

/* Nobody waits for a row that another is just removing. */
static void test_pruning_passes_locks(void)
{
	const struct client client = fixture_client();
	PGconn *other = fixture_admin();
	struct account account;

	fixture_account(store, &account);
	age(&account.principal.user_id, "25 h", 3);
	fixture_exec(other,
		     "begin; select from taskcell.audit where user_id = '%s' and event = 'of old'"
		     " for update",
		     fixture_id(&account.principal.user_id));
	CU_ASSERT(store_session_end(store, &account.principal, &client) == STORE_OK);
	fixture_exec(other, "commit");
	CU_ASSERT_EQUAL(fixture_events(admin, &account.principal.user_id, "of old"), 3);
	PQfinish(other);
}

/* However many rows there are, new and old ones, pruning looks at those alone that it removes: the
 * time of a login must not tell whether its e-mail is known. */
static void test_pruning_looks_at_few(void)
{
	static const struct uuid nobody;
	const char *id = fixture_id(&nobody);
	size_t deep = 0;
	PGresult *plan;

	fixture_exec(admin,
		     "insert into taskcell.audit (user_id, event, at)"
		     " select '%s', 'of old', now() - interval '1 h' * i"
		     "   from generate_series(1, 3000) i;"
		     "insert into taskcell.audit (user_id, event, at)"
		     " select gen_random_uuid(), 'of others', now() - interval '1 h' * i"
		     "   from generate_series(1, 3000) i; analyze taskcell.audit;"
		     "set plan_cache_mode = force_generic_plan; prepare pruning as %s",
		     id, statements[STATEMENT_AUDIT_PRUNE].text);
	plan = PQexec(admin, arena_printf(arena,
					  "explain (analyze, costs off, timing off, summary off)"
					  " execute pruning ('%s', 3600 * 2000)",
					  id));
	CU_ASSERT_FATAL(PQresultStatus(plan) == PGRES_TUPLES_OK);
	for (int i = 0; i < PQntuples(plan); i++) {
		const char *line = PQgetvalue(plan, i, 0), *rows = strstr(line, "(actual rows=");

		CU_ASSERT(strstr(line, "Rows Removed") == NULL && strstr(line, "Seq") == NULL);
		deep += rows != NULL;
		CU_ASSERT(rows == NULL || strtol(rows + strlen("(actual rows="), NULL, 10) <= 100);
	}
	PQclear(plan);
	CU_ASSERT(deep >= 4);
	CU_ASSERT_EQUAL(fixture_events(admin, &nobody, "of old"), 2900);
	fixture_exec(admin,
		     "delete from taskcell.audit where user_id = '%s' or event = 'of others';"
		     "deallocate pruning;"
		     "reset plan_cache_mode",
		     id);
}

CU_TestInfo audit_tests[] = {
	{ "what is kept", test_what_is_kept },
	{ "an account that is not there", test_unknown_account },
	{ "no act, no row", test_no_act_no_row },
	{ "a row each", test_one_row_each },
	{ "the commit fails", test_commit_fails },
	{ "old rows go", test_old_rows_go },
	{ "pruning passes locks", test_pruning_passes_locks },
	{ "pruning looks at few", test_pruning_looks_at_few },
	CU_TEST_INFO_NULL,
};
