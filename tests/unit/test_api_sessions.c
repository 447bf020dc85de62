/* The list of one's sessions, and ending them. */
#include "base/base.h"

#include "test_api.h"

#include "world.h"

#define SESSIONS "/api/auth/sessions"
#define MISSING  "0198c2f0-1a2b-7c3d-8e4f-a0b1c2d3e4ff"

static const char *sid_of(struct world *w, const struct person *p)
{
	char id[UUID_TEXT_LEN + 1];

	uuid_format(&p->principal.session_id, id);
	return format(w, "%s", id);
}

static const struct answer *end_one(struct world *w, const struct person *p, const char *id)
{
	return ASK(w, .method = "DELETE", .path = format(w, SESSIONS "/%s", id), .token = p->access,
		   .request_id = "same");
}

static const struct answer *list(struct world *w, const struct person *p)
{
	return ASK(w, .path = SESSIONS, .token = p->access);
}

static void check_dead(struct world *w, const struct person *p)
{
	CHECK(list(w, p), 401, "session_ended");
	CHECK(refresh(w, p->refresh), 401, "session_ended");
}

static void list_tells_of_each(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"), second, third;
	const struct answer *a;

	fake_clock_advance(60 * US_PER_SECOND);
	second = person_again(w, &ada);
	third = person_again(w, &ada);
	(void)person_new(w, "bob@example.org");
	w->store->sessions[1].ip = "2001:db8::1";
	w->store->sessions[1].user_agent = "Tabs \"9\"";
	w->store->sessions[2].ip = "";
	fake_clock_advance(60 * US_PER_SECOND);
	CHECK(refresh(w, ada.refresh), 200, NULL);
	a = list(w, &second);
	CHECK(a, 200, NULL);
	CU_ASSERT(header_is(w, a, "Cache-Control", "no-store"));
	CU_ASSERT(length(a, "") == 3 && length(a, "0") == 7);
	/* the last used first, and of two the younger */
	CU_ASSERT(text_is(a, "0.id", sid_of(w, &ada)) && text_is(a, "1.id", sid_of(w, &third)) &&
		  text_is(a, "2.id", sid_of(w, &second)));
	CU_ASSERT(flag(a, "0.current") == 0 && flag(a, "1.current") == 0 &&
		  flag(a, "2.current") == 1);
	CU_ASSERT(text_is(a, "0.created_at", "2026-09-21T14:13:20.000Z"));
	CU_ASSERT(text_is(a, "0.last_used_at", "2026-09-21T14:15:20.000Z"));
	CU_ASSERT(text_is(a, "0.expires_at", "2026-10-05T14:15:20.000Z"));
	CU_ASSERT(text_is(a, "0.ip", "192.0.2.1") && is_null(a, "0.user_agent"));
	CU_ASSERT(text_is(a, "2.ip", "2001:db8::1") && text_is(a, "2.user_agent", "Tabs \"9\""));
	CU_ASSERT(is_null(a, "1.ip"));
	world_free(w);
}

static void list_has_those_that_live(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org");

	for (int i = 0; i < 4; i++)
		(void)person_again(w, &ada);
	CU_ASSERT(length(list(w, &ada), "") == 5);
	w->store->sessions[1].revoked = true;
	w->store->sessions[2].row.expires_at = FAKE_START_S * US_PER_SECOND;
	w->store->sessions[3].row.idle_expires_at = FAKE_START_S * US_PER_SECOND;
	w->store->sessions[4].epoch = -1;
	CU_ASSERT(length(list(w, &ada), "") == 1);
	world_free(w);
}

static void ending_one(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"), second = person_again(w, &ada),
		      third = person_again(w, &ada);
	char *upper = arena_strndup(w->memory, sid_of(w, &third), UUID_TEXT_LEN);
	const struct answer *a = end_one(w, &ada, sid_of(w, &second));

	CHECK(a, 204, NULL);
	CU_ASSERT(header_is(w, a, "Cache-Control", "no-store"));
	check_dead(w, &second);
	CU_ASSERT(length(list(w, &ada), "") == 2);
	CHECK(end_one(w, &ada, sid_of(w, &second)), 404, "not_found");
	/* an id in capitals is the same */
	for (char *p = upper; *p; p++)
		*p = (char)(*p >= 'a' && *p <= 'f' ? *p - 'a' + 'A' : *p);
	CHECK(end_one(w, &ada, upper), 204, NULL);
	check_dead(w, &third);
	/* one's own */
	CHECK(end_one(w, &ada, sid_of(w, &ada)), 204, NULL);
	check_dead(w, &ada);
	CU_ASSERT(has_event(w, &ada.principal.user_id, "session_ended", NULL));
	CU_ASSERT(w->store->n_events == 3 + 3);
	world_free(w);
}

/* Not yours, not there, over and not an id are the same bytes. */
static void ending_what_is_not_there(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org"), ended = person_again(w, &ada);
	const char *const ids[] = { MISSING, sid_of(w, &bob), sid_of(w, &ended), ada.id, "me", "x",
				    "17",    MISSING "0",     "%20" MISSING };
	const struct answer *first = NULL;

	fake_session_of(w->store, &ended.principal)->row.expires_at = 0;
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		const struct answer *a = end_one(w, &ada, ids[i]);

		CHECK(a, 404, "not_found");
		first = first ? first : a;
		CU_ASSERT_STRING_EQUAL(a->body, first->body);
		CU_ASSERT_STRING_EQUAL(a->headers, first->headers);
	}
	CHECK(list(w, &bob), 200, NULL);
	CHECK(end_one(w, &ended, sid_of(w, &ada)), 401, "session_ended");
	CHECK(list(w, &ada), 200, NULL);
	world_free(w);
}

/* Also those that are beginning: they carry the former epoch. */
static void ending_all_others(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"), second = person_again(w, &ada),
		      bob = person_new(w, "bob@example.org");
	const struct ask q = { .method = "DELETE", .path = SESSIONS, .token = ada.access };
	const struct answer *a;

	CHECK(ask(w, &q), 204, NULL);
	check_dead(w, &second);
	CHECK(list(w, &bob), 200, NULL);
	a = list(w, &ada);
	CU_ASSERT(length(a, "") == 1 && text_is(a, "0.id", sid_of(w, &ada)));
	CU_ASSERT(has_event(w, &ada.principal.user_id, "sessions_ended", NULL));
	CHECK(ask(w, &q), 204, NULL); /* there are none: fine */
	CHECK(refresh(w, ada.refresh), 200, NULL);
	CHECK(ASK(w, .method = "DELETE", .path = SESSIONS, .token = second.access), 401,
	      "session_ended");
	CHECK(list(w, &ada), 200, NULL);
	world_free(w);
}

static void audit_has_who_asked(void)
{
	struct world *w = world_new();
	struct person ada = person_new(w, "ada@example.org"), second = person_again(w, &ada);
	const struct fake_event *e;

	CHECK(ASK(w, .method = "DELETE", .path = format(w, SESSIONS "/%s", sid_of(w, &second)),
		  .token = ada.access, .address = "::ffff:198.51.100.7", .agent = "caf\xe9",
		  .request_id = "the-request"),
	      204, NULL);
	e = &w->store->events[w->store->n_events - 1];
	CU_ASSERT_STRING_EQUAL(e->event.event, "session_ended");
	CU_ASSERT(uuid_equal(&e->event.session_id, &second.principal.session_id));
	CU_ASSERT_STRING_EQUAL(e->event.ip, "198.51.100.7");
	CU_ASSERT(e->event.user_agent == NULL && e->event.detail == NULL);
	CU_ASSERT_STRING_EQUAL(e->request_id, "the-request");
	world_free(w);
}

CU_TestInfo sessions_tests[] = {
	{ "list", list_tells_of_each },
	{ "list: those that live", list_has_those_that_live },
	{ "end one", ending_one },
	{ "end what is not there", ending_what_is_not_there },
	{ "end all others", ending_all_others },
	{ "audit", audit_has_who_asked },
	CU_TEST_INFO_NULL,
};
