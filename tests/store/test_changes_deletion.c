/* The deletion of an account beside everything that writes for it: of all tables, nothing is left
 * but the one row of the audit that tells of it. */
#include "base/base.h"

#include "store/test_changes.h"

enum deed {
	DELETE,
	TASK,
	LOGIN,
	REFRESH,
	LOGOUT,
	END_OWN,
	FAILURE,
	NAME,
	/* These raise the epoch: the deletion may find it changed. */
	PASSWORD,
	END_OTHERS,
	EMAIL,
	DEEDS
};

struct arg {
	struct account account;
	enum deed deed;
};

static enum store_result begin_or_change(struct racer *racer, enum deed deed,
					 const struct account *account)
{
	const struct principal *me = &account->principal;
	const struct client client = fixture_client();
	const struct login login = { .user_id = me->user_id,
				     .verified_hash = account->password_hash,
				     .session = fixture_session(),
				     .client = client };
	const struct password_change password = { .principal = *me,
						  .verified_hash = account->password_hash,
						  .new_hash = "chosen anew",
						  .session = fixture_session(),
						  .client = client };
	const struct email_change email = {
		.principal = *me,
		.verified_hash = account->password_hash,
		.old_email_key = account->email_key,
		.email = "x",
		.email_key = arena_printf(racer->arena, "x%s", account->email_key),
		.client = client,
	};
	struct user user;
	struct session session;

	if (deed == LOGIN)
		return store_login(racer->store, racer->arena, &login, &user, &session);
	if (deed == PASSWORD)
		return store_password_change(racer->store, racer->arena, &password, &user,
					     &session);
	return store_email_change(racer->store, racer->arena, &email, &user);
}

static enum store_result run_deed(struct racer *racer, enum deed deed,
				  const struct account *account)
{
	const struct principal *me = &account->principal;
	const struct client client = fixture_client();
	const struct account_delete deletion = { .principal = *me,
						 .verified_hash = account->password_hash,
						 .email_key = account->email_key,
						 .client = client };
	const struct uuid task_id = uuid_v7();
	const struct session_refresh refresh = { .principal = *me, .idle_s = 60, .key_id = "k" };
	struct session_state state;
	struct user user;

	switch (deed) {
	case DELETE:
		return store_account_delete(racer->store, &deletion);
	case TASK:
		return fixture_create(racer->store, me, &task_id, "beside the deletion");
	case REFRESH:
		return store_session_refresh(racer->store, racer->arena, &refresh, &state);
	case LOGOUT:
		return store_session_end(racer->store, me, &client);
	case END_OWN:
		return store_session_end_own(racer->store, me, &me->session_id, &client);
	case FAILURE:
		return store_audit_failure(racer->store, AUDIT_LOGIN_FAILED, &me->user_id, "x",
					   &client);
	case NAME:
		return store_name_change(racer->store, racer->arena, me, "Name", &user);
	case END_OTHERS:
		return store_session_end_others(racer->store, me, &client);
	case LOGIN:
	case PASSWORD:
	case EMAIL:
	case DEEDS:
		break;
	}
	return begin_or_change(racer, deed, account);
}

static void expect_nothing_left(const struct account *account)
{
	const struct uuid *user_id = &account->principal.user_id;

	CU_ASSERT_EQUAL(fixture_rows(admin, user_id), 0);
	CU_ASSERT_EQUAL(fixture_events(admin, user_id, NULL), 1);
	CU_ASSERT_EQUAL(fixture_events(admin, user_id, "account_deleted"), 1);
	CU_ASSERT_EQUAL(
		fixture_int(admin,
			    "select count(*) from taskcell.user_emails where email like '%%%s'",
			    account->email_key),
		0);
}

/* --- forced orders ---------------------------------------------------------------------------- */

static void run_alone(struct racer *racer, void *shared, void *out)
{
	const struct arg *arg = shared;

	*(enum store_result *)out = run_deed(racer, arg->deed, &arg->account);
}

static struct fork *start(enum deed deed, const struct account *account)
{
	struct arg *arg = fixture_shared(sizeof(*arg));
	struct race one = { .racers = 1,
			    .rounds = 1,
			    .run = run_alone,
			    .arg = arg,
			    .result_size = sizeof(enum store_result) };

	*arg = (struct arg){ *account, deed };
	return fork_start(&one);
}

static enum store_result join(struct fork *f)
{
	return *(enum store_result *)fork_join(f);
}

/* The deletion has removed the user and waits for a task that somebody holds; the other comes, and
 * waits, or has nothing to wait for. */
static void test_deletion_first(void)
{
	for (enum deed deed = TASK; deed < DEEDS; deed++) {
		struct account account;
		struct fork *deletion, *other;
		enum store_result r;

		fixture_account(store, &account);
		(void)fixture_task(store, &account.principal, "held");
		fixture_exec(admin,
			     "begin; select from taskcell.tasks where user_id = '%s' for update",
			     fixture_id(&account.principal.user_id));
		deletion = start(DELETE, &account);
		fixture_wait_blocked(admin, 1);
		other = start(deed, &account);
		wait_blocked_or_done(other, 2);
		fixture_exec(admin, "commit");
		CU_ASSERT(join(deletion) == STORE_OK);
		r = join(other);
		/* The act is either too late, or as if it had been just before. */
		CU_ASSERT(r == STORE_OK || r == STORE_NO_SESSION || r == STORE_NOT_FOUND ||
			  r == STORE_STALE);
		expect_nothing_left(&account);
	}
}

/* The other has written what it will write, but has not committed: it is waited for. */
static void test_deletion_behind(void)
{
	for (int i = 0; i < 4; i++) {
		PGconn *other = fixture_ordinary();
		struct account account;
		struct uuid act = uuid_v7(), id = uuid_v7();
		struct fork *deletion;
		const char *user_id;

		fixture_account(store, &account);
		user_id = fixture_id(&account.principal.user_id);
		fixture_exec(other, "begin; select set_config('taskcell.user_id', '%s', true)",
			     user_id);
		if (i == 0)
			run_statement(other, STATEMENT_AUDIT_FAILURE,
				      (const char *[]){ user_id, fixture_id(&act), "login_failed",
							"192.0.2.9", NULL, "r", NULL });
		if (i == 1)
			run_statement(other, STATEMENT_SESSION_END,
				      (const char *[]){ user_id,
							fixture_id(&account.principal.session_id),
							fixture_id(&act), "logout", "192.0.2.9",
							NULL, "r", NULL });
		if (i == 2)
			CU_ASSERT_EQUAL(
				run_statement(other, STATEMENT_SESSION_CREATE,
					      (const char *[]){ user_id, fixture_id(&id),
								account.password_hash, "k", "60",
								"60", "192.0.2.9", NULL, "r",
								"192.0.2.9", fixture_id(&act),
								"login" }),
				1);
		if (i == 3)
			CU_ASSERT_EQUAL(run_statement(other, STATEMENT_TASK_CREATE,
						      (const char *[]){ user_id, fixture_id(&id),
									"late", NULL, "false", "0",
									NULL, "infinity", "{}",
									NULL, NULL, NULL, NULL }),
					1);
		deletion = start(DELETE, &account);
		fixture_wait_blocked(admin, 1);
		fixture_exec(other, "commit");
		CU_ASSERT(join(deletion) == STORE_OK);
		expect_nothing_left(&account);
		PQfinish(other);
	}
}

/* --- storms ----------------------------------------------------------------------------------- */

enum { ROUNDS = 12 };

static void run_storm(struct racer *racer, void *shared, void *out)
{
	const struct account *account = (struct account *)shared + racer->round;

	*(enum store_result *)out = run_deed(racer, (enum deed)racer->index, account);
}

static void storm(unsigned deeds)
{
	struct account *accounts = fixture_shared(ROUNDS * sizeof(*accounts));
	struct race race_ = { .racers = deeds,
			      .rounds = ROUNDS,
			      .run = run_storm,
			      .arg = accounts,
			      .result_size = sizeof(enum store_result) };
	const enum store_result *results;
	unsigned deleted = 0;

	for (unsigned i = 0; i < ROUNDS; i++)
		fixture_account(store, &accounts[i]);
	results = race(&race_);
	for (unsigned i = 0; i < ROUNDS; i++) {
		const enum store_result *r = results + (size_t)i * deeds;

		/* A logout may have come first, or the epoch moved on. */
		CU_ASSERT(r[DELETE] == STORE_OK || r[DELETE] == STORE_NO_SESSION ||
			  r[DELETE] == STORE_STALE);
		for (unsigned j = 1; j < deeds; j++)
			CU_ASSERT(r[j] == STORE_OK || r[j] == STORE_NO_SESSION ||
				  r[j] == STORE_NOT_FOUND || r[j] == STORE_STALE);
		if (r[DELETE] == STORE_OK)
			expect_nothing_left(&accounts[i]);
		else
			CU_ASSERT(fixture_rows(admin, &accounts[i].principal.user_id) >= 4);
		deleted += r[DELETE] == STORE_OK;
	}
	fprintf(stderr, "deletion beside %u others: %u of %d accounts\n", deeds - 1, deleted,
		ROUNDS);
}

static void test_storm(void)
{
	storm(REFRESH + 1); /* none of which could stop it */
	storm(PASSWORD);
	storm(DEEDS);
}

CU_TestInfo deletion_race_tests[] = {
	{ "the deletion is first", test_deletion_first },
	{ "the other is first", test_deletion_behind },
	{ "storms", test_storm },
	CU_TEST_INFO_NULL,
};
