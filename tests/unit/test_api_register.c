/* Registration. */
#include "base/base.h"

#include "test_api.h"

#include "base/codec.h"
#include "world.h"

static struct fake_account *the_account(struct world *w)
{
	return &w->store->accounts[0];
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
		{ "a\xcc\x88-chars", "too_short" }, /* seven, once composed */
		{ "password", "too_common" },
		{ "PassWord", "too_common" },
		{ "my-ADALOVE-x", "contains_email" },
		{ "Evergreen-lists", "contains_site" },
		{ "8--chars", NULL },
		{ "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6", NULL },
		{ " leading and trailing ", NULL },
	};
	struct world *w = world_new();
	const struct answer *a;

	w->app.throttle = false;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *email =
			cases[i].code ? "adalove@example.org" : format(w, "x%zu@example.org", i);

		a = ASK(w, REGISTER, .body = credentials(w, email, cases[i].password));
		CHECK(a, cases[i].code ? 422 : 201, cases[i].code ? "validation_failed" : NULL);
		CU_ASSERT(!cases[i].code ||
			  (length(a, "errors") == 1 && text_is(a, "errors.0.field", "password") &&
			   text_is(a, "errors.0.code", cases[i].code)));
		CU_ASSERT(strlen(cases[i].password) < 4 || !strstr(a->log, cases[i].password));
	}
	world_free(w);
}

/* What counts are the characters of the normalised form. */
static void register_limits_passwords(void)
{
	struct world *w = world_new();
	const char *part = "", *email;

	for (int i = 0; i < 128; i++)
		part = format(w, "%s%c\xcc\x88", part,
			      "aou"[i % 7 % 3]); /* a or o or u, and dots */
	const struct {
		const char *password, *code;
	} cases[] = {
		{ part, NULL },
		{ format(w, "%s!", part), "too_long" },
		{ format(w, "%sx\xcc\x88", part), "too_long" },
		{ format(w, "%s%s", part, part), "too_long" },
		/* one that is sent is eighteen: U+FDFA */
		{ "2-chars-\xef\xb7\xba", NULL },
		{ "12345678\xef\xb7\xba\xef\xb7\xba\xef\xb7\xba\xef\xb7\xba\xef\xb7\xba"
		  "\xef\xb7\xba\xef\xb7\xba",
		  "too_long" },
	};

	w->app.throttle = false;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct answer *a;

		email = format(w, "x%zu@example.org", i);
		a = ASK(w, REGISTER, .body = credentials(w, email, cases[i].password));
		CHECK(a, cases[i].code ? 422 : 201, cases[i].code ? "validation_failed" : NULL);
		CU_ASSERT(!cases[i].code || text_is(a, "errors.0.code", cases[i].code));
		CHECK(login(w, email, cases[i].password), cases[i].code ? 401 : 200,
		      cases[i].code ? "invalid_credentials" : NULL);
	}
	CHECK(login(w, "x0@example.org", part + 3), 401, "invalid_credentials");
	world_free(w);
}

/* What another keyboard composes differently is the same password. */
static void register_normalises_passwords(void)
{
	static const char *const forms[] = { "Gr\xc3\xbc\xc3\x9f"
					     "e-an-\xc3\x85se",
					     "Gru\xcc\x88\xc3\x9f"
					     "e-an-A\xcc\x8ase",
					     "\xef\xbc\xa7r\xc3\xbc\xc3\x9f"
					     "e-an-\xe2\x84\xabse" };
	struct world *w = world_new();

	for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
		const char *email = format(w, "x%zu@example.org", i);

		CHECK(ASK(w, REGISTER, .body = credentials(w, email, forms[i])), 201, NULL);
		for (size_t k = 0; k < ARRAY_LEN(forms); k++)
			CHECK(login(w, email, forms[k]), 200, NULL);
		CHECK(login(w, email, "Grusse-an-Ase"), 401, "invalid_credentials");
	}
	world_free(w);
}

/* --- invitations ----------------------------------------------------------------------------- */

static const char *invited(struct world *w, const char *email, const char *code)
{
	return format(w, "{\"email\":\"%s\",\"password\":\"%s\",\"invite\":%s}", email, PASSWORD,
		      code);
}

static void invitations_are_used_up(void)
{
	struct world *w = world_new();
	const char *code = format(w, "\"%s\"", invite_new(w, 2));

	w->app.registration_invite = true;
	/* what fails uses none up */
	CHECK(ASK(w, REGISTER, .body = invited(w, "nobody", code)), 422, "validation_failed");
	CHECK(ASK(w, REGISTER, .body = invited(w, "ada@example.org", code)), 201, NULL);
	CHECK(ASK(w, REGISTER, .body = invited(w, "ada@example.org", code)), 409, "email_taken");
	CU_ASSERT(w->store->invites[0].uses_left == 1);
	CHECK(ASK(w, REGISTER, .body = invited(w, "bob@example.org", code)), 201, NULL);
	CHECK(ASK(w, REGISTER, .body = invited(w, "eve@example.org", code)), 403, "invalid_invite");
	CU_ASSERT(w->store->n_accounts == 2);
	/* who has an account needs none */
	CHECK(login(w, "ada@example.org", PASSWORD), 200, NULL);
	world_free(w);
}

static void invitations_are_demanded(void)
{
	static const char *const codes[] = { "null", "\"\"", "\"x\"", "\" \"",
					     "\"AAAAAAAAAAAAAAAAAAAAAA\"" };
	struct world *w = world_new();
	const char *code = invite_new(w, 1);
	const struct answer *first = NULL, *a;
	struct gate other;

	w->app.registration_invite = true;
	w->app.throttle = false;
	CU_ASSERT_FATAL(gate_open(&other, w->gate_path, 1) && gate_enter(&other, 0));
	for (size_t i = 0; i < ARRAY_LEN(codes) + 3; i++) {
		const char *sent = i < ARRAY_LEN(codes) ? codes[i]
				   : i == 5             ? format(w, "\"%s \"", code)
				   : i == 6             ? format(w, "\"%s=\"", code)
					    : format(w, "\"%s\"", w->store->invites[0].digest);

		/* before anything is hashed */
		a = ASK(w, REGISTER, .body = invited(w, "eve@example.org", sent),
			.request_id = "same");
		CHECK(a, 403, "invalid_invite");
		first = first ? first : a;
		CU_ASSERT_STRING_EQUAL(a->body, first->body);
	}
	CHECK(ASK(w, REGISTER, .body = credentials(w, "eve@example.org", PASSWORD)), 403,
	      "invalid_invite");
	CHECK(ASK(w, REGISTER, .body = invited(w, "eve@example.org", format(w, "\"%s\"", code))),
	      503, "hashing_busy");
	gate_close(&other);
	a = ASK(w, REGISTER, .body = invited(w, "eve@example.org", "5"));
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(text_is(a, "errors.0.field", "invite"));
	w->store->invites[0].expires_at = FAKE_START_S * US_PER_SECOND;
	CHECK(ASK(w, REGISTER, .body = invited(w, "eve@example.org", format(w, "\"%s\"", code))),
	      403, "invalid_invite");
	CU_ASSERT(w->store->n_accounts == 0 && w->store->invites[0].uses_left == 1);
	world_free(w);
}

static void use_up(struct store *s)
{
	s->invites[0].uses_left = 0;
}

static void invitations_used_up_meanwhile(void)
{
	struct world *w = world_new();
	const char *code = format(w, "\"%s\"", invite_new(w, 1));

	w->app.registration_invite = true;
	w->store->hook_call = 3; /* limit, check, create */
	w->store->hook = use_up;
	CHECK(ASK(w, REGISTER, .body = invited(w, "eve@example.org", code)), 403, "invalid_invite");
	CU_ASSERT(was_called(w, "store_account_create") && w->store->n_accounts == 0);
	world_free(w);
}

/* Open needs none and uses none; closed is closed to everybody. */
static void invitations_elsewhere(void)
{
	struct world *w = world_new();
	const char *code = format(w, "\"%s\"", invite_new(w, 1));

	CHECK(ASK(w, REGISTER, .body = invited(w, "ada@example.org", code)), 201, NULL);
	CHECK(ASK(w, REGISTER, .body = invited(w, "bob@example.org", "\"x\"")), 201, NULL);
	CU_ASSERT(!was_called(w, "store_invite_check"));
	w->app.registration_open = false;
	CHECK(ASK(w, REGISTER, .body = invited(w, "eve@example.org", code)), 403,
	      "registration_closed");
	CU_ASSERT(w->store->invites[0].uses_left == 1);
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

CU_TestInfo register_tests[] = {
	{ "the answer", register_answers_with_tokens },
	{ "an e-mail once", register_takes_an_email_once },
	{ "e-mails", register_judges_emails },
	{ "passwords", register_judges_passwords },
	{ "passwords: limits", register_limits_passwords },
	{ "passwords: forms", register_normalises_passwords },
	{ "invitations are used up", invitations_are_used_up },
	{ "invitations are demanded", invitations_are_demanded },
	{ "invitations used up meanwhile", invitations_used_up_meanwhile },
	{ "invitations elsewhere", invitations_elsewhere },
	{ "all errors at once", register_tells_all_errors_at_once },
	CU_TEST_INFO_NULL,
};
