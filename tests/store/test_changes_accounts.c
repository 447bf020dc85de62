/* Racers for one e-mail, and for one invitation. */
#include "base/base.h"

#include "store/test_changes.h"

/* --- one e-mail ------------------------------------------------------------------------------ */

enum { EMAIL_ROUNDS = 12, CHANGERS = 3, REGISTRARS = 2, EMAIL_RACERS = CHANGERS + REGISTRARS };

struct email_round {
	struct account accounts[CHANGERS];
	char email_key[64]; /* that all want */
};

struct email_result {
	enum store_result r;
	struct uuid user_id;
};

static void run_for_email(struct racer *racer, void *shared, void *out)
{
	const struct email_round *round = (struct email_round *)shared + racer->round;
	const struct account *account = &round->accounts[racer->index % CHANGERS];
	struct email_result *result = out;
	struct email_change change = { .principal = account->principal,
				       .verified_hash = account->password_hash,
				       .old_email_key = account->email_key,
				       .email = round->email_key,
				       .email_key = round->email_key,
				       .client = fixture_client() };
	struct new_account create = { .user_id = uuid_v7(),
				      .email = round->email_key,
				      .email_key = round->email_key,
				      .password_hash = "h",
				      .session = fixture_session(),
				      .client = fixture_client() };
	struct user user;
	struct session session;

	if (racer->index < CHANGERS) {
		result->user_id = account->principal.user_id;
		result->r = store_email_change(racer->store, racer->arena, &change, &user);
	} else {
		result->user_id = create.user_id;
		result->r =
			store_account_create(racer->store, racer->arena, &create, &user, &session);
	}
}

/* Each user has one e-mail, which both tables agree on; each e-mail has a user. */
static void expect_consistent_emails(void)
{
	CU_ASSERT_EQUAL(fixture_int(admin, "select count(*) from taskcell.users u full join"
					   " taskcell.user_emails e on e.user_id = u.id"
					   " and e.email = lower(u.email)"
					   " where u.id is null or e.email is null"),
			0);
}

static void test_one_owner(void)
{
	struct email_round *rounds = fixture_shared(EMAIL_ROUNDS * sizeof(*rounds));
	struct race race_ = { .racers = EMAIL_RACERS,
			      .rounds = EMAIL_ROUNDS,
			      .run = run_for_email,
			      .arg = rounds,
			      .result_size = sizeof(struct email_result) };
	const struct email_result *results;

	for (unsigned i = 0; i < EMAIL_ROUNDS; i++) {
		for (unsigned j = 0; j < CHANGERS; j++)
			fixture_account(store, &rounds[i].accounts[j]);
		snprintf(rounds[i].email_key, sizeof(rounds[i].email_key), "wanted%u@example.org",
			 i);
	}
	results = race(&race_);
	for (unsigned i = 0; i < EMAIL_ROUNDS; i++) {
		unsigned ok = 0;

		for (unsigned j = 0; j < EMAIL_RACERS; j++) {
			const struct email_result *got = &results[i * EMAIL_RACERS + j];
			bool won = got->r == STORE_OK;

			CU_ASSERT(won || got->r == STORE_CONFLICT);
			ok += won;
			CU_ASSERT_EQUAL(fixture_int(admin,
						    "select count(*) from taskcell.user_emails"
						    " where email = '%s' and user_id = '%s'",
						    rounds[i].email_key, fixture_id(&got->user_id)),
					won);
			if (j >= CHANGERS) {
				CU_ASSERT_EQUAL(fixture_rows(admin, &got->user_id), won ? 4 : 0);
				continue;
			}
			CU_ASSERT_EQUAL(fixture_events(admin, &got->user_id, "email_changed"), won);
			CU_ASSERT_EQUAL(fixture_int(admin,
						    "select epoch from taskcell.credentials"
						    " where user_id = '%s'",
						    fixture_id(&got->user_id)),
					won);
		}
		CU_ASSERT_EQUAL(ok, 1);
	}
	expect_consistent_emails();
}

static void run_two_emails(struct racer *racer, void *shared, void *out)
{
	const struct account *account = shared;
	struct email_change change = { .principal = account->principal,
				       .verified_hash = account->password_hash,
				       .client = fixture_client() };
	struct credential credential;
	struct user user;
	enum store_result r;

	/* As a handler does; here e-mails are their own keys. */
	r = store_account_get(racer->store, racer->arena, &account->principal, &user, &credential);
	if (r == STORE_OK) {
		change.epoch = credential.epoch;
		change.old_email_key = user.email;
		change.email = change.email_key = arena_printf(racer->arena, "own%u.%u@example.org",
							       racer->round, racer->index);
		r = store_email_change(racer->store, racer->arena, &change, &user);
	}
	*(enum store_result *)out = r;
}

/* A person's own changes at once, each from what was read: no e-mail is left behind. */
static void test_own_changes_at_once(void)
{
	enum { N = 4, ROUNDS = 10 };
	struct account *account = fixture_shared(sizeof(*account));
	struct race race_ = { .racers = N,
			      .rounds = ROUNDS,
			      .run = run_two_emails,
			      .arg = account,
			      .result_size = sizeof(enum store_result) };
	const enum store_result *results;
	const struct uuid *user_id = &account->principal.user_id;
	int64_t won = 0;

	fixture_account(store, account);
	fixture_exec(admin, "update taskcell.users set email = lower(email) where id = '%s'",
		     fixture_id(user_id));
	results = race(&race_);
	for (unsigned i = 0; i < N * ROUNDS; i++) {
		CU_ASSERT(results[i] == STORE_OK || results[i] == STORE_STALE);
		won += results[i] == STORE_OK;
	}
	CU_ASSERT(won >= ROUNDS);
	CU_ASSERT_EQUAL(fixture_events(admin, user_id, "email_changed"), won);
	CU_ASSERT_EQUAL(
		fixture_int(admin, "select count(*) from taskcell.user_emails where user_id = '%s'",
			    fixture_id(user_id)),
		1);
	expect_consistent_emails();
}

CU_TestInfo email_race_tests[] = {
	{ "three changes and two registrations", test_one_owner },
	{ "one's own changes at once", test_own_changes_at_once },
	CU_TEST_INFO_NULL,
};

/* --- one invitation -------------------------------------------------------------------------- */

struct invited_arg {
	char digest[16];
	bool same_email;
};

static void run_invited(struct racer *racer, void *shared, void *out)
{
	const struct invited_arg *arg = shared;
	struct email_result *result = out;
	struct new_account create = { .user_id = uuid_v7(),
				      .password_hash = "h",
				      .invite = arg->digest,
				      .session = fixture_session(),
				      .client = fixture_client() };
	struct user user;
	struct session session;

	create.email = create.email_key = arena_printf(
		racer->arena, "%s%u@example.org", arg->digest, arg->same_email ? 0 : racer->index);
	result->user_id = create.user_id;
	result->r = store_account_create(racer->store, racer->arena, &create, &user, &session);
}

static void race_invited(const char *digest, int uses, bool same_email, unsigned expected)
{
	enum { N = 8 };
	struct invited_arg arg = { .same_email = same_email };
	struct race race_ = { .racers = N,
			      .rounds = 1,
			      .run = run_invited,
			      .arg = &arg,
			      .result_size = sizeof(struct email_result) };
	const struct email_result *results;
	unsigned ok = 0;

	snprintf(arg.digest, sizeof(arg.digest), "%s", digest);
	fixture_exec(admin,
		     "insert into taskcell.invites (digest, uses_left, expires_at)"
		     " values ('%s', %d, 'infinity')",
		     digest, uses);
	results = race(&race_);
	for (unsigned i = 0; i < N; i++) {
		bool won = results[i].r == STORE_OK;

		CU_ASSERT(won || results[i].r == (same_email ? STORE_CONFLICT : STORE_NOT_FOUND));
		CU_ASSERT_EQUAL(fixture_rows(admin, &results[i].user_id), won ? 4 : 0);
		CU_ASSERT_EQUAL(fixture_events(admin, &results[i].user_id, NULL), won);
		ok += won;
	}
	CU_ASSERT_EQUAL(ok, expected);
	CU_ASSERT_EQUAL(fixture_int(admin,
				    "select uses_left from taskcell.invites"
				    " where digest = '%s'",
				    digest),
			uses - (int64_t)expected);
}

static void test_one_use(void)
{
	for (int i = 0; i < 5; i++)
		race_invited(arena_printf(arena, "once%d", i), 1, false, 1);
}

static void test_some_uses(void)
{
	race_invited("thrice", 3, false, 3);
	race_invited("same", 3, true, 1);
}

CU_TestInfo invite_race_tests[] = {
	{ "eight with one use", test_one_use },
	{ "eight with three", test_some_uses },
	CU_TEST_INFO_NULL,
};
