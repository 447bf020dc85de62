/* Registration and login. */
#include "base/base.h"

#include "test_api.h"

#include "base/codec.h"
#include "security/password.h"
#include "world.h"

static struct fake_account *the_account(struct world *w)
{
	return &w->store->accounts[0];
}

/* --- the auth response ----------------------------------------------------------------------- */

static void check_claims(struct world *w, const struct answer *a, const struct fake_session *s)
{
	const char *payload = strchr(text(a, "access_token"), '.') + 1;
	char bytes[1024], sid[UUID_TEXT_LEN + 1];
	struct json_object *claims;
	size_t n;

	CU_ASSERT_FATAL(base64url_decode(payload, strcspn(payload, "."), bytes, sizeof(bytes), &n));
	/* existing clients read it with a plain atob() */
	CU_ASSERT(strcspn(payload, "-_") >= strcspn(payload, "."));
	for (size_t i = 0; i < n; i++)
		CU_ASSERT(bytes[i] >= ' ' && bytes[i] <= '~');
	claims = look_parse(bytes, n);
	CU_ASSERT_FATAL(claims != NULL);
	uuid_format(&s->row.id, sid);
	CU_ASSERT_STRING_EQUAL(look_text(claims, "iss"), ISSUER);
	CU_ASSERT_STRING_EQUAL(look_text(claims, "aud"), AUDIENCE);
	CU_ASSERT_STRING_EQUAL(look_text(claims, "sub"), text(a, "user.id"));
	CU_ASSERT_STRING_EQUAL(look_text(claims, "user_id"), text(a, "user.id"));
	CU_ASSERT_STRING_EQUAL(look_text(claims, "email"), text(a, "user.email"));
	CU_ASSERT_STRING_EQUAL(look_text(claims, "sid"), sid);
	CU_ASSERT_STRING_EQUAL(look_text(claims, "token_use"), "access");
	CU_ASSERT(look_number(claims, "iat") == FAKE_START_S);
	CU_ASSERT(look_number(claims, "nbf") == FAKE_START_S);
	CU_ASSERT(look_number(claims, "exp") == FAKE_START_S + w->app.access_s);
	CU_ASSERT(strlen(look_text(claims, "jti")) == UUID_TEXT_LEN);
	look_free(claims);
}

static void register_answers_with_tokens(void)
{
	struct world *w = world_new();
	const struct answer *a = ASK(w, REGISTER,
				     .body = "{\"email\":\"  Ada.L\xc3\xb6ve+x@Example.ORG\\t\","
					     "\"password\":\"" PASSWORD "\"}");
	const struct fake_session *s = &w->store->sessions[0];

	CHECK(a, 422, "validation_failed"); /* ö stands in no address */
	a = ASK(w, REGISTER,
		.body = "{\"email\":\"  Ada.Love+x@Example.ORG\\t\",\"name\":\"Ada \xc3\xb6\","
			"\"password\":\"" PASSWORD "\",\"more\":1}");
	CHECK(a, 201, NULL);
	CU_ASSERT(header_is(w, a, "Cache-Control", "no-store"));
	CU_ASSERT(length(a, "") == 7 && length(a, "user") == 4);
	CU_ASSERT(text_is(a, "token_type", "bearer"));
	CU_ASSERT(number(a, "expires_in") == 900);
	CU_ASSERT(text_is(a, "expires_at", "2026-09-21T14:28:20.000Z"));
	CU_ASSERT(text_is(a, "refresh_expires_at", "2026-10-05T14:13:20.000Z"));
	CU_ASSERT(text_is(a, "user.email", "Ada.Love+x@Example.ORG"));
	CU_ASSERT(text_is(a, "user.name", "Ada \xc3\xb6"));
	CU_ASSERT(text_is(a, "user.created_at", "2026-09-21T14:13:20.000Z"));
	CU_ASSERT(strstr(a->log, format(w, " user=%s ", text(a, "user.id"))) != NULL);
	check_claims(w, a, s);

	CU_ASSERT(w->store->n_accounts == 1 && w->store->n_sessions == 1);
	CU_ASSERT_STRING_EQUAL(the_account(w)->email_key, "ada.love+x@example.org");
	CU_ASSERT(strncmp(the_account(w)->password_hash, "$scrypt$ln=10,r=8,p=3$", 22) == 0);
	CU_ASSERT(strstr(the_account(w)->password_hash, PASSWORD) == NULL);
	CU_ASSERT(s->row.idle_expires_at - s->row.created_at == 14 * 86400 * US_PER_SECOND);
	CU_ASSERT(s->row.expires_at - s->row.created_at == 60 * 86400 * US_PER_SECOND);
	CU_ASSERT_STRING_EQUAL(s->ip, "192.0.2.1");
	CU_ASSERT_STRING_EQUAL(s->user_agent, "test/1.0");

	/* the id is of the clock, and the token works */
	CU_ASSERT(the_account(w)->user.id.bytes[6] >> 4 == 7);
	CU_ASSERT(strncmp(text(a, "user.id"), "01a0c4", 6) == 0);
	CHECK(ASK(w, .path = "/api/auth/session", .token = text(a, "access_token")), 200, NULL);
	world_free(w);
}

static void register_takes_an_email_once(void)
{
	static const char *const same[] = { "ada@example.org", "ADA@EXAMPLE.org",
					    " ada@example.org " };
	struct world *w = world_new();
	const struct answer *a =
		ASK(w, REGISTER, .body = credentials(w, "Ada@example.org", PASSWORD));

	CHECK(a, 201, NULL);
	CU_ASSERT(is_null(a, "user.name"));
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		CHECK(ASK(w, REGISTER, .body = credentials(w, same[i], PASSWORD)), 409,
		      "email_taken");
	CU_ASSERT(w->store->n_accounts == 1 && w->store->n_sessions == 1);
	CHECK(login(w, " aDa@example.ORG", PASSWORD), 200, NULL);
	world_free(w);
}

static const char *const bad_emails[] = {
	"ada",
	"@example.org",
	"ada@",
	"ada@example",
	"ada@example.",
	"ada@.example.org",
	"ada@exa..mple.org",
	"a b@example.org",
	"ada@exa mple.org",
	"ada@@example.org",
	"ada@-example.org",
	"ada@example-.org",
	"ada@example.org-",
	"ada@example_x.org",
	"ada@example.org\\n.x",
	"<ada@example.org>",
	"\\\"a\\\"@example.org",
	"ada@[192.0.2.1]",
	"ada,bob@example.org",
	"ada@ex\xc3\xa4mple.org",
};

static const char *const good_emails[] = { "a@b.c", "o'neil+tag=1@sub.example.org",
					   "{_}~|`^?/*&%$#!-.@1-2.x" };

static void register_judges_emails(void)
{
	struct world *w = world_new();
	char local[66], long_one[300];

	w->app.throttle = false;
	for (size_t i = 0; i < ARRAY_LEN(bad_emails); i++) {
		const struct answer *a =
			ASK(w, REGISTER, .body = credentials(w, bad_emails[i], PASSWORD));

		CHECK(a, 422, "validation_failed");
		CU_ASSERT(text_is(a, "errors.0.field", "email"));
		CU_ASSERT(text_is(a, "errors.0.code", "invalid_format"));
	}
	for (size_t i = 0; i < ARRAY_LEN(good_emails); i++)
		CHECK(ASK(w, REGISTER, .body = credentials(w, good_emails[i], PASSWORD)), 201,
		      NULL);

	/* 64 bytes before the @, 63 in a label, 254 in all */
	memset(local, 'a', sizeof(local));
	for (int n = 64; n <= 65; n++) {
		const char *email = format(w, "%.*s@example.org", n, local);

		CHECK(ASK(w, REGISTER, .body = credentials(w, email, PASSWORD)),
		      n == 64 ? 201 : 422, n == 64 ? NULL : "validation_failed");
	}
	for (int n = 63; n <= 64; n++) {
		const char *email = format(w, "x@%.*s.org", n, local);

		CHECK(ASK(w, REGISTER, .body = credentials(w, email, PASSWORD)),
		      n == 63 ? 201 : 422, n == 63 ? NULL : "validation_failed");
	}
	for (size_t n = 254; n <= 255; n++) {
		memset(long_one, 'b', sizeof(long_one));
		memcpy(long_one, "long@", 5);
		for (size_t i = 40; i < n - 4; i += 40)
			long_one[i] = '.';
		long_one[n] = '\0';
		CHECK(ASK(w, REGISTER, .body = credentials(w, long_one, PASSWORD)),
		      n == 254 ? 201 : 422, n == 254 ? NULL : "validation_failed");
	}
	world_free(w);
}

static void register_judges_passwords(void)
{
	static const struct {
		const char *password, *code;
	} cases[] = {
		{ "", "too_short" },
		{ "7-chars", "too_short" },
		{ "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4", "too_short" },
		{ "password", "too_common" },
		{ "PassWord", "too_common" },
		{ "my-ADALOVE-x", "contains_email" },
		{ "8--chars", NULL },
		{ "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6", NULL },
		{ "        x", NULL },
	};
	struct world *w = world_new();
	char longest[130];
	const struct answer *a;

	w->app.throttle = false;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *email =
			cases[i].code ? "adalove@example.org" : format(w, "x%zu@example.org", i);

		a = ASK(w, REGISTER, .body = credentials(w, email, cases[i].password));
		CHECK(a, cases[i].code ? 422 : 201, cases[i].code ? "validation_failed" : NULL);
		CU_ASSERT(!cases[i].code || (text_is(a, "errors.0.field", "password") &&
					     text_is(a, "errors.0.code", cases[i].code)));
		CU_ASSERT(strlen(cases[i].password) < 4 || !strstr(a->log, cases[i].password));
	}
	memset(longest, 'x', sizeof(longest));
	longest[129] = '\0';
	CHECK(ASK(w, REGISTER, .body = credentials(w, "y@example.org", longest)), 422,
	      "validation_failed");
	CHECK(ASK(w, REGISTER, .body = credentials(w, "y@example.org", longest + 1)), 201, NULL);
	CHECK(login(w, "y@example.org", longest + 1), 200, NULL);
	CHECK(login(w, "y@example.org", longest + 2), 401, "invalid_credentials");
	world_free(w);
}

static void register_tells_all_errors_at_once(void)
{
	struct world *w = world_new();
	const struct answer *a = ASK(w, REGISTER, .body = "{\"password\":5,\"name\":\"\"}");

	CHECK(a, 422, "validation_failed");
	CU_ASSERT(length(a, "errors") == 3);
	CU_ASSERT(text_is(a, "errors.0.field", "email") && text_is(a, "errors.0.code", "required"));
	CU_ASSERT(text_is(a, "errors.1.field", "password") &&
		  text_is(a, "errors.1.code", "invalid_type"));
	CU_ASSERT(text_is(a, "errors.2.field", "name") && text_is(a, "errors.2.code", "too_short"));
	a = ASK(w, REGISTER, .body = "{\"email\":\"ada\",\"password\":\"password\"}");
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(length(a, "errors") == 2);
	a = ASK(w, REGISTER, .prefer = "handling=strict",
		.body = "{\"email\":\"a@b.c\",\"password\":\"" PASSWORD "\",\"role\":\"admin\"}");
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(text_is(a, "errors.0.field", "role") &&
		  text_is(a, "errors.0.code", "unknown_field"));
	CHECK(ASK(w, REGISTER), 400, "invalid_json");
	CU_ASSERT(w->store->n_accounts == 0);
	world_free(w);
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
		size_t calls; /* limit, reserve, find, login, and then find and login again */
	} cases[] = {
		{ another_hash, 200, 6 }, { another_password, 401, 5 },   { disable, 401, 5 },
		{ vanish, 401, 5 },       { replace_by_another, 401, 5 },
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
		CU_ASSERT(w->store->n_calls == cases[i].calls);
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
	{ "register: the answer", register_answers_with_tokens },
	{ "register: an e-mail once", register_takes_an_email_once },
	{ "register: e-mails", register_judges_emails },
	{ "register: passwords", register_judges_passwords },
	{ "register: all errors at once", register_tells_all_errors_at_once },
	{ "login: a session each time", login_starts_a_session_each_time },
	{ "login: what is text", login_keeps_what_is_text },
	{ "login: nothing of accounts", login_tells_nothing_of_accounts },
	{ "login: rehash", login_rehashes_when_the_cost_grows },
	{ "login: a hash changed meanwhile", login_survives_a_rehash_alone },
	{ "login: no newer hash overwritten", login_never_overwrites_a_newer_hash },
	{ "the gate", hashing_waits_for_the_gate },
	{ "the gate and the wait", busy_gives_the_wait_back },
	CU_TEST_INFO_NULL,
};
