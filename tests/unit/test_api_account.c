/* One's own account: reading, changing, deleting, taking it away. */
#include "base/base.h"

#include "test_api.h"

#include "world.h"

#define ACCOUNT "/api/auth/account"
#define EXPORT  "/api/auth/export"

static const struct answer *delete_account(struct world *w, const struct person *p)
{
	return ASK(w, .method = "DELETE", .path = ACCOUNT, .token = p->access,
		   .body = "{\"password\":\"" PASSWORD "\"}");
}

static const struct answer *patch(struct world *w, const struct person *p, const char *body)
{
	return ASK(w, .method = "PATCH", .path = ACCOUNT, .token = p->access, .body = body);
}

/* --- reading, the name ----------------------------------------------------------------------- */

static void account_is_read(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "Ada@example.org");
	const struct answer *a = ASK(w, .path = ACCOUNT, .token = ada.access);

	CHECK(a, 200, NULL);
	CU_ASSERT(header_is(w, a, "Cache-Control", "no-store"));
	CU_ASSERT(length(a, "") == 4 && text_is(a, "id", ada.id) && is_null(a, "name"));
	CU_ASSERT(text_is(a, "email", "Ada@example.org"));
	CU_ASSERT(text_is(a, "created_at", "2026-09-21T14:13:20.000Z"));
	world_free(w);
}

static void name_needs_no_password(void)
{
	static const struct {
		const char *body, *name; /* NULL: null */
	} cases[] = {
		{ "{\"name\":\"Ada\"}", "Ada" },
		{ "{}", "Ada" },
		{ "{\"id\":\"x\",\"current_password\":\"wrong\"}", "Ada" },
		{ "{\"name\":\" as sent \"}", " as sent " },
		{ "{\"name\":null}", NULL },
	};
	static const struct {
		const char *value, *code;
	} bad[] = { { "\"\"", "too_short" }, { "5", "invalid_type" }, { "[]", "invalid_type" } };
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"), second = person_again(w, &ada);
	const struct answer *a;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		a = patch(w, &ada, cases[i].body);
		CHECK(a, 200, NULL);
		CU_ASSERT(cases[i].name ? text_is(a, "name", cases[i].name) : is_null(a, "name"));
		CU_ASSERT_STRING_EQUAL(a->body, ASK(w, .path = ACCOUNT, .token = ada.access)->body);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		a = patch(w, &ada, format(w, "{\"name\":%s}", bad[i].value));
		CHECK(a, 422, "validation_failed");
		CU_ASSERT(text_is(a, "errors.0.field", "name") &&
			  text_is(a, "errors.0.code", bad[i].code));
	}
	CHECK(patch(w, &ada, NULL), 400, "invalid_json");
	CHECK(ASK(w, .method = "PATCH", .path = ACCOUNT, .token = ada.access,
		  .type = "application/merge-patch+json", .body = "{\"name\":\"M\"}"),
	      200, NULL);
	CU_ASSERT(w->store->n_throttles == 0 && lives(w, second.access));
	world_free(w);
}

/* --- the e-mail ------------------------------------------------------------------------------ */

static void email_change_ends_the_other_sessions(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"), second = person_again(w, &ada);
	const struct answer *a = patch(w, &ada,
				       "{\"email\":\" New.Ada@Example.org\\t\",\"name\":\"Ada\","
				       "\"current_password\":\"" PASSWORD "\"}");

	CHECK(a, 200, NULL);
	CU_ASSERT(length(a, "") == 4 && text_is(a, "email", "New.Ada@Example.org"));
	CU_ASSERT(text_is(a, "name", "Ada") && text_is(a, "id", ada.id));
	CU_ASSERT_STRING_EQUAL(w->store->accounts[0].email_key, "new.ada@example.org");
	CU_ASSERT(lives(w, ada.access) && !lives(w, second.access));
	CHECK(refresh(w, ada.refresh), 200, NULL);
	CHECK(refresh(w, second.refresh), 401, "session_ended");
	CHECK(login(w, "ada@example.org", PASSWORD), 401, "invalid_credentials");
	CHECK(login(w, "NEW.ada@example.org", PASSWORD), 200, NULL);
	CU_ASSERT(has_event(w, &ada.principal.user_id, "email_changed", NULL));
	/* the same in other letters, and the very same */
	for (int i = 0; i < 2; i++) {
		a = patch(w, &ada,
			  "{\"email\":\"new.ada@example.org\","
			  "\"current_password\":\"" PASSWORD "\"}");
		CHECK(a, 200, NULL);
		CU_ASSERT(text_is(a, "email", "new.ada@example.org") && text_is(a, "name", "Ada"));
	}
	world_free(w);
}

static void email_change_is_judged(void)
{
	static const struct {
		const char *members, *field, *code;
	} cases[] = {
		{ "\"email\":\"x@example.org\"", "current_password", "required" },
		{ "\"email\":\"ada@example.org\"", "current_password", "required" },
		{ "\"email\":\"x@example.org\",\"current_password\":null", "current_password",
		  "invalid_type" },
		{ "\"email\":\"x@example.org\",\"current_password\":\"\"", "current_password",
		  "too_short" },
		{ "\"email\":\"x\",\"current_password\":\"x\"", "email", "invalid_format" },
		{ "\"email\":\"\",\"current_password\":\"x\"", "email", "too_short" },
		{ "\"email\":null,\"current_password\":\"x\"", "email", "invalid_type" },
		{ "\"email\":\"a@b.c\\r\\nBcc: d@e.f\",\"current_password\":\"x\"", "email",
		  "invalid_format" },
	};
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	const struct answer *a;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		a = patch(w, &ada, format(w, "{\"name\":\"x\",%s}", cases[i].members));
		CHECK(a, 422, "validation_failed");
		CU_ASSERT(length(a, "errors") == 1 &&
			  text_is(a, "errors.0.field", cases[i].field) &&
			  text_is(a, "errors.0.code", cases[i].code));
	}
	CU_ASSERT(length(patch(w, &ada, "{\"email\":\"x\"}"), "errors") == 2);
	CU_ASSERT(w->store->n_calls == 0 && w->store->accounts[0].user.name == NULL);
	world_free(w);
}

/* Whether it is taken is told to nobody who does not know the password. */
static void email_that_is_taken(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org"), second = person_again(w, &ada);
	struct ask q = { .method = "PATCH",
			 .path = ACCOUNT,
			 .token = ada.access,
			 .request_id = "same",
			 .body = "{\"email\":\"BOB@example.org\",\"name\":\"x\","
				 "\"current_password\":\"" PASSWORD "\"}" };
	const struct answer *taken;

	CHECK(ask(w, &q), 409, "email_taken");
	CU_ASSERT(session_throttle(w)->hits == 0);
	CU_ASSERT(w->store->accounts[0].user.name == NULL && w->store->accounts[0].epoch == 0);
	CU_ASSERT(lives(w, second.access) && lives(w, bob.access));
	CU_ASSERT(!has_event(w, &ada.principal.user_id, "email_changed", NULL));
	q.body = "{\"email\":\"bob@example.org\",\"current_password\":\"wrong\"}";
	taken = ask(w, &q);
	CHECK(taken, 403, "wrong_password");
	q.body = "{\"email\":\"free@example.org\",\"current_password\":\"wrong\"}";
	CU_ASSERT_STRING_EQUAL(ask(w, &q)->body, taken->body);
	world_free(w);
}

/* --- deleting -------------------------------------------------------------------------------- */

static void deletion_leaves_one_event(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"), second = person_again(w, &ada),
		      bob = person_new(w, "bob@example.org");
	const struct answer *a;

	(void)task_new(w, &ada, "goes");
	(void)task_new(w, &bob, "stays");
	a = delete_account(w, &ada);
	CHECK(a, 204, NULL);
	CU_ASSERT(header_is(w, a, "Cache-Control", "no-store"));
	CU_ASSERT(strstr(a->log, format(w, " user=%s ", ada.id)) != NULL);
	CU_ASSERT(w->store->n_accounts == 1 && w->store->n_sessions == 1 && w->store->n_tasks == 1);
	CU_ASSERT(w->store->n_events == 2);
	CU_ASSERT(has_event(w, &ada.principal.user_id, "account_deleted", NULL));
	CU_ASSERT(w->store->events[1].event.ip == NULL);
	CHECK(ASK(w, .path = "/api/me/tasks", .token = ada.access), 401, "session_ended");
	CHECK(delete_account(w, &ada), 401, "session_ended");
	CHECK(refresh(w, second.refresh), 401, "session_ended");
	CHECK(login(w, "ada@example.org", PASSWORD), 401, "invalid_credentials");
	CU_ASSERT(lives(w, bob.access));
	CHECK(ASK(w, REGISTER, .body = credentials(w, "ada@example.org", PASSWORD)), 201, NULL);
	world_free(w);
}

static void deletion_judges_its_body(void)
{
	static const char *const bodies[] = { "{}", "{\"password\":null}", "{\"password\":5}",
					      "{\"password\":\"\"}",
					      "{\"current_password\":\"" PASSWORD "\"}" };
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");
	struct ask q = { .method = "DELETE", .path = ACCOUNT, .token = ada.access };

	CHECK(ask(w, &q), 400, "invalid_json");
	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		q.body = bodies[i];
		CHECK(ask(w, &q), 422, "validation_failed");
		CU_ASSERT(text_is(ask(w, &q), "errors.0.field", "password"));
	}
	CU_ASSERT(w->store->n_calls == 0 && w->store->n_accounts == 1);
	world_free(w);
}

/* --- export ---------------------------------------------------------------------------------- */

static void export_has_everything_but_secrets(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"), ended = person_again(w, &ada),
		      bob = person_new(w, "bob@example.org");
	const char *task = task_new(w, &ada, "mine"), *gone;
	const struct answer *a;

	(void)task_new(w, &bob, "yours");
	gone = task_new(w, &ada, "deleted");
	CHECK(ASK(w, .method = "DELETE", .path = format(w, "/api/me/tasks/%s", gone),
		  .token = ada.access),
	      200, NULL);
	fake_session_of(w->store, &ended.principal)->revoked = true;
	fake_clock_advance(US_PER_SECOND);
	CHECK(patch(w, &ada, "{\"name\":\"Ada\"}"), 200, NULL);
	CHECK(login(w, "ada@example.org", "wrong"), 401, "invalid_credentials");
	a = ASK(w, .path = EXPORT, .token = ada.access);
	CHECK(a, 200, NULL);
	CU_ASSERT(header_is(w, a, "Cache-Control", "no-store"));
	CU_ASSERT(length(a, "") == 6 && length(a, "user") == 4 && length(a, "account") == 2);
	CU_ASSERT(text_is(a, "user.id", ada.id) && text_is(a, "user.name", "Ada"));
	CU_ASSERT(text_is(a, "account.updated_at", "2026-09-21T14:13:21.000Z"));
	CU_ASSERT(text_is(a, "account.password_changed_at", "2026-09-21T14:13:20.000Z"));
	CU_ASSERT(length(a, "sessions") == 2 && length(a, "sessions.0") == 7);
	CU_ASSERT(flag(a, "sessions.0.current") == 1 && flag(a, "sessions.1.current") == 0);
	CU_ASSERT(length(a, "tasks") == 1 && length(a, "tasks.0") == 12);
	CU_ASSERT(text_is(a, "tasks.0.id", task) && text_is(a, "tasks.0.title", "mine"));
	CU_ASSERT(length(a, "trash") == 1 && length(a, "trash.0") == 13);
	CU_ASSERT(text_is(a, "trash.0.id", gone) && text_is(a, "trash.0.title", "deleted"));
	CU_ASSERT(length(a, "audit") == 3 && length(a, "audit.2") == 6);
	CU_ASSERT(text_is(a, "audit.0.event", "registered"));
	CU_ASSERT(text_is(a, "audit.0.session_id", text(a, "sessions.0.id")));
	CU_ASSERT(is_null(a, "audit.0.user_agent") && is_null(a, "audit.0.detail"));
	CU_ASSERT(text_is(a, "audit.2.event", "login_failed"));
	CU_ASSERT(text_is(a, "audit.2.detail", "wrong_password"));
	CU_ASSERT(text_is(a, "audit.2.at", "2026-09-21T14:13:21.000Z"));
	CU_ASSERT(text_is(a, "audit.2.ip", "192.0.2.1") && is_null(a, "audit.2.session_id"));
	CU_ASSERT(text_is(a, "audit.2.user_agent", "test/1.0"));
	CU_ASSERT(!strstr(a->body, "bob@") && !strstr(a->body, bob.id) &&
		  !strstr(a->body, "yours") && !strstr(a->body, ada.refresh));
	world_free(w);
}

CU_TestInfo account_tests[] = {
	{ "read", account_is_read },
	{ "name", name_needs_no_password },
	{ "e-mail: other sessions end", email_change_ends_the_other_sessions },
	{ "e-mail: judged", email_change_is_judged },
	{ "e-mail: taken", email_that_is_taken },
	{ "delete", deletion_leaves_one_event },
	{ "delete: body", deletion_judges_its_body },
	{ "export", export_has_everything_but_secrets },
	CU_TEST_INFO_NULL,
};
