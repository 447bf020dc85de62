/* Login. */
#include "base/base.h"

#include "test_api.h"

#include "security/password.h"
#include "world.h"

static struct fake_account *the_account(struct world *w)
{
	return &w->store->accounts[0];
}

/* --- login ----------------------------------------------------------------------------------- */

static void login_starts_a_session_each_time(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *one = login(w, "ada@example.org", PASSWORD);
	const struct answer *two = login(w, "ADA@example.org", PASSWORD);

	CHECK(one, 200, NULL);
	CHECK(two, 200, NULL);
	CU_ASSERT(text_is(one, "user.id", ada.id));
	CU_ASSERT(w->store->n_sessions == 3);
	CU_ASSERT(strcmp(text(one, "access_token"), text(two, "access_token")) != 0);
	CU_ASSERT(strcmp(text(one, "refresh_token"), text(two, "refresh_token")) != 0);
	check_claims(w, two, &w->store->sessions[2]);
	CHECK(ASK(w, .path = "/api/auth/session", .token = ada.access), 200, NULL);
	world_free(w);
}

/* What the web server hands over may be any bytes; the database takes UTF-8 alone. */
static void login_keeps_what_is_text(void)
{
	struct world *w = world_new();
	char umlauts[402] = "x", address[66];
	const struct {
		const char *agent, *kept;
		size_t len;
	} agents[] = {
		{ "caf\xe9", NULL, 0 },
		{ "caf\xc3\xa9", "caf\xc3\xa9", 5 },
		{ "a\x80z", NULL, 0 },
		{ umlauts, umlauts, 255 },
		{ umlauts + 1, umlauts + 1, 254 },
		{ "control \x01\x7f", "control \x01\x7f", 10 },
	};
	const struct {
		const char *address, *kept;
	} addresses[] = {
		{ "\xff\xfe", "" },
		{ "", "" },
		{ "unix:", "unix:" },
		{ address, address + 1 },
	};

	for (size_t i = 1; i < sizeof(umlauts) - 1; i += 2)
		memcpy(umlauts + i, "\xc3\xa4", 3);
	memset(address, 'x', sizeof(address));
	address[65] = '\0';
	(void)person_new(w, "ada@example.org");
	for (size_t i = 0; i < ARRAY_LEN(agents); i++) {
		const char *is;

		CHECK(ASK(w, LOGIN, .body = credentials(w, "ada@example.org", PASSWORD),
			  .agent = agents[i].agent),
		      200, NULL);
		is = w->store->sessions[w->store->n_sessions - 1].user_agent;
		CU_ASSERT(agents[i].kept ? is && strlen(is) == agents[i].len &&
						   strncmp(is, agents[i].kept, agents[i].len) == 0
					 : !is);
	}
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		CHECK(ASK(w, LOGIN, .body = credentials(w, "ada@example.org", PASSWORD),
			  .address = addresses[i].address),
		      200, NULL);
		CU_ASSERT_STRING_EQUAL(w->store->sessions[w->store->n_sessions - 1].ip,
				       addresses[i].kept);
		CU_ASSERT(fake_throttle_of(w->store, format(w, "address:%s", addresses[i].kept)) !=
			  NULL);
	}
	world_free(w);
}

static void login_tells_nothing_of_accounts(void)
{
	struct world *w = world_new();
	const struct answer *wrong, *unknown, *disabled;
	const char *right = "{\"email\":\"ada@example.org\",\"password\":\"" PASSWORD "\"}";

	(void)person_new(w, "ada@example.org");
	wrong = ASK(w, LOGIN, .request_id = "same",
		    .body = credentials(w, "ada@example.org", "no"));
	unknown = ASK(w, LOGIN, .request_id = "same",
		      .body = credentials(w, "eve@example.org", PASSWORD));
	the_account(w)->disabled = true;
	disabled = ASK(w, LOGIN, .request_id = "same", .body = right);
	CU_ASSERT(!was_called(w, "store_login"));
	CHECK(wrong, 401, "invalid_credentials");
	CU_ASSERT_STRING_EQUAL(wrong->body, unknown->body);
	CU_ASSERT_STRING_EQUAL(wrong->headers, unknown->headers);
	CU_ASSERT_STRING_EQUAL(wrong->body, disabled->body);
	CU_ASSERT_STRING_EQUAL(wrong->headers, disabled->headers);
	CU_ASSERT(strstr(wrong->log, " reason=wrong_password ") != NULL);
	CU_ASSERT(strstr(unknown->log, " reason=unknown_email ") != NULL);
	CU_ASSERT(strstr(disabled->log, " reason=disabled ") != NULL);
	CU_ASSERT(w->store->n_sessions == 1);
	/* people type passwords into the e-mail field */
	CHECK(login(w, "my secret word", "x"), 401, "invalid_credentials");
	CU_ASSERT(strstr(login(w, "my secret word", "x")->log, "secret") == NULL);
	world_free(w);
}

/* Unknown, wrong and disabled: the same calls of the store, and a hash behind the gate each. */
static void login_costs_the_same(void)
{
	static const char *const calls[] = { "store_throttle_address", "store_credential_find",
					     "store_throttle_reserve", "store_audit_failure" };
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org");
	const struct {
		const char *email, *password, *reason;
		const struct uuid *user_id;
	} cases[] = {
		{ "eve@example.org", PASSWORD, "unknown_email", NULL },
		{ "no e-mail", "x", "unknown_email", NULL },
		{ "ada@example.org", "wrong", "wrong_password", &ada.principal.user_id },
		{ "bob@example.org", PASSWORD, "disabled", &bob.principal.user_id },
		{ "bob@example.org", "wrong", "wrong_password", &bob.principal.user_id },
	};
	struct gate other;

	w->store->accounts[1].disabled = true;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct audit_event *e;

		calls_reset(w);
		CHECK(login(w, cases[i].email, cases[i].password), 401, "invalid_credentials");
		CU_ASSERT(w->store->n_calls == ARRAY_LEN(calls));
		for (size_t k = 0; k < ARRAY_LEN(calls); k++)
			CU_ASSERT_STRING_EQUAL(w->store->calls[k], calls[k]);
		CU_ASSERT(has_event(w, cases[i].user_id, "login_failed", cases[i].reason));
		e = &w->store->events[w->store->n_events - 1].event;
		CU_ASSERT(!e->has_session && strcmp(e->ip, "192.0.2.1") == 0);
		/* the gate decides for each of them */
		CU_ASSERT_FATAL(gate_open(&other, w->gate_path, 1) && gate_enter(&other, 0));
		CHECK(login(w, cases[i].email, cases[i].password), 503, "hashing_busy");
		gate_close(&other);
	}
	CU_ASSERT(w->store->n_events == 2 + ARRAY_LEN(cases));
	world_free(w);
}

static void login_rehashes_when_the_cost_grows(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const char *before = the_account(w)->password_hash;

	CHECK(login(w, "ada@example.org", PASSWORD), 200, NULL);
	CU_ASSERT(the_account(w)->password_hash == before);
	w->app.scrypt_cost = 11;
	CHECK(login(w, "ada@example.org", "wrong"), 401, "invalid_credentials");
	CU_ASSERT(the_account(w)->password_hash == before);
	CHECK(login(w, "ada@example.org", PASSWORD), 200, NULL);
	CU_ASSERT(strncmp(the_account(w)->password_hash, "$scrypt$ln=11,", 14) == 0);
	CU_ASSERT(the_account(w)->epoch == 0);
	CHECK(ASK(w, .path = "/api/auth/session", .token = ada.access), 200, NULL);
	/* never back */
	w->app.scrypt_cost = 10;
	before = the_account(w)->password_hash;
	CHECK(login(w, "ada@example.org", PASSWORD), 200, NULL);
	CU_ASSERT(the_account(w)->password_hash == before);
	world_free(w);
}

/* --- what another process does between verifying and store_login() --------------------------- */

static void another_hash(struct store *s)
{
	static char hash[PASSWORD_HASH_MAX];

	CU_ASSERT(password_hash(10, PASSWORD, strlen(PASSWORD), hash) == PASSWORD_OK);
	s->accounts[0].password_hash = hash;
}

static void another_password(struct store *s)
{
	another_hash(s);
	s->accounts[0].epoch++;
}

static void disable(struct store *s)
{
	s->accounts[0].disabled = true;
}

static void vanish(struct store *s)
{
	s->n_accounts = 0;
}

static void replace_by_another(struct store *s)
{
	another_hash(s);
	s->accounts[0].user.id.bytes[15] ^= 1;
}

static void login_survives_a_rehash_alone(void)
{
	static const struct {
		void (*hook)(struct store *);
		int status;
		const char *last; /* of limit, find, reserve, login, find, login or audit */
	} cases[] = {
		{ another_hash, 200, "store_login" },
		{ another_password, 401, "store_audit_failure" },
		{ disable, 401, "store_audit_failure" },
		{ vanish, 401, "store_audit_failure" },
		{ replace_by_another, 401, "store_audit_failure" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct world *w = world_new();
		const struct answer *a;

		(void)person_new(w, "ada@example.org");
		w->store->hook_call = 4;
		w->store->hook = cases[i].hook;
		a = login(w, "ada@example.org", PASSWORD);
		CHECK(a, cases[i].status, cases[i].status == 200 ? NULL : "invalid_credentials");
		CU_ASSERT((strstr(a->log, " reason=credential_changed ") != NULL) ==
			  (cases[i].status == 401));
		CU_ASSERT(w->store->n_calls == 6);
		CU_ASSERT_STRING_EQUAL(w->store->calls[5], cases[i].last);
		CU_ASSERT(w->store->n_sessions == (cases[i].status == 200 ? 2 : 1));
		/* a login that lost is a failure that stays counted */
		CU_ASSERT((account_throttle(w) == NULL) == (cases[i].status == 200));
		world_free(w);
	}
}

/* A new password whose hash is found by the second look, whose epoch is not: the rehash that was
 * prepared must not overwrite it either. */
static void login_never_overwrites_a_newer_hash(void)
{
	struct world *w = world_new();
	const char *hash;

	(void)person_new(w, "ada@example.org");
	w->app.scrypt_cost = 11;
	w->store->hook_call = 4;
	w->store->hook = another_hash;
	CHECK(login(w, "ada@example.org", PASSWORD), 200, NULL);
	hash = the_account(w)->password_hash;
	CU_ASSERT(strncmp(hash, "$scrypt$ln=10,", 14) == 0); /* the other process's */
	world_free(w);
}

/* --- the gate -------------------------------------------------------------------------------- */

static void hashing_waits_for_the_gate(void)
{
	struct world *w = world_new();
	struct gate other;
	const struct answer *a;

	(void)person_new(w, "ada@example.org");
	CU_ASSERT_FATAL(gate_open(&other, w->gate_path, 1));
	CU_ASSERT_FATAL(gate_enter(&other, 0));
	a = login(w, "ada@example.org", PASSWORD);
	CHECK(a, 503, "hashing_busy");
	CU_ASSERT(header_is(w, a, "Retry-After", "1"));
	CHECK(login(w, "eve@example.org", PASSWORD), 503, "hashing_busy");
	CHECK(ASK(w, REGISTER, .body = credentials(w, "eve@example.org", PASSWORD)), 503,
	      "hashing_busy");
	/* busy is nobody's failure */
	for (size_t i = 0; i < w->store->n_throttles; i++)
		CU_ASSERT(strncmp(w->store->throttles[i].key, "account:", 8) != 0 ||
			  w->store->throttles[i].hits == 0);
	CU_ASSERT(w->store->n_accounts == 1 && w->store->n_sessions == 1);
	/* a refund that fails does not hide the answer */
	calls_reset(w);
	w->store->fail_call = 4;
	w->store->fail_with = STORE_UNAVAILABLE;
	CHECK(login(w, "ada@example.org", PASSWORD), 503, "hashing_busy");
	CU_ASSERT(strcmp(w->store->calls[3], "store_throttle_refund") == 0);
	calls_reset(w);
	gate_leave(&other);
	CHECK(login(w, "ada@example.org", PASSWORD), 200, NULL);
	/* and the gate was left again */
	CU_ASSERT(w->gate.held == -1 && gate_enter(&other, 0));
	gate_close(&other);
	world_free(w);
}

/* The sixth failure's wait is lifted with the failure that started it. */
static void busy_gives_the_wait_back(void)
{
	struct world *w = world_new();
	struct gate other;

	(void)person_new(w, "ada@example.org");
	for (int i = 0; i < 5; i++)
		CHECK(login(w, "ada@example.org", "wrong"), 401, "invalid_credentials");
	fake_clock_advance(US_PER_SECOND);
	CU_ASSERT_FATAL(gate_open(&other, w->gate_path, 1) && gate_enter(&other, 0));
	for (int i = 0; i < 3; i++)
		CHECK(login(w, "ada@example.org", PASSWORD), 503, "hashing_busy");
	CU_ASSERT(account_throttle(w)->hits == 5);
	gate_close(&other);
	CHECK(login(w, "ada@example.org", PASSWORD), 200, NULL);
	world_free(w);
}

CU_TestInfo auth_tests[] = {
	{ "login: a session each time", login_starts_a_session_each_time },
	{ "login: what is text", login_keeps_what_is_text },
	{ "login: nothing of accounts", login_tells_nothing_of_accounts },
	{ "login: the same cost", login_costs_the_same },
	{ "login: rehash", login_rehashes_when_the_cost_grows },
	{ "login: a hash changed meanwhile", login_survives_a_rehash_alone },
	{ "login: no newer hash overwritten", login_never_overwrites_a_newer_hash },
	{ "the gate", hashing_waits_for_the_gate },
	{ "the gate and the wait", busy_gives_the_wait_back },
	CU_TEST_INFO_NULL,
};
