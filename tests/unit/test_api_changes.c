/* The change feed, waiting for it, and the numbers of a list. */
#include "base/base.h"

#include "test_api.h"

#include "base/codec.h"
#include "world.h"

#define CHANGES "/api/me/changes"

struct scene {
	struct world *w;
	struct person ada;
};

static struct scene scene_new(void)
{
	struct scene s = { .w = world_new() };

	s.ada = person_new(s.w, "ada@example.org");
	return s;
}

static const struct answer *get(struct scene *s, const char *path)
{
	return ASK(s->w, .path = path, .token = s->ada.access);
}

static const struct answer *since(struct scene *s, const char *token)
{
	return get(s, format(s->w, CHANGES "?since=%s", token));
}

static const struct answer *waiting(struct scene *s, const char *token, const char *prefer)
{
	return ASK(s->w, .path = format(s->w, CHANGES "?since=%s", token), .token = s->ada.access,
		   .prefer = prefer);
}

static const struct answer *act(struct scene *s, const char *method, const char *path)
{
	return ASK(s->w, .method = method, .path = path, .token = s->ada.access);
}

/* The place behind everything there is. */
static const char *latest(struct scene *s)
{
	const struct answer *a = get(s, CHANGES);

	CHECK(a, 200, NULL);
	CU_ASSERT(flag(a, "more") == 0);
	return text(a, "next");
}

static bool nothing_new(const struct answer *a, const char *next)
{
	return a->status == 200 && length(a, "changes") == 0 && flag(a, "more") == 0 &&
	       text_is(a, "next", next);
}

/* A token as no answer has had it. */
static const char *token_of_numbers(struct world *w, uint8_t version, int64_t from, int64_t start)
{
	uint8_t bytes[17] = { version };
	char *out = arena_alloc(w->memory, BASE64_LEN(sizeof(bytes)) + 1);

	put_int64(bytes + 1, from);
	put_int64(bytes + 9, start);
	base64url_encode(bytes, sizeof(bytes), out);
	return out;
}

/* --- reading --------------------------------------------------------------------------------- */

static void changes_are_followed(void)
{
	struct scene s = scene_new();
	const char *kept = task_new(s.w, &s.ada, "kept"), *gone = task_new(s.w, &s.ada, "gone");
	const char *path = format(s.w, "/api/me/tasks/%s", kept), *next;
	const struct answer *a;

	CHECK(act(&s, "DELETE", format(s.w, "/api/me/tasks/%s", gone)), 200, NULL);
	a = get(&s, CHANGES);
	CHECK(a, 200, NULL);
	/* what was deleted before is of no interest to whoever has nothing */
	CU_ASSERT(length(a, "") == 3 && length(a, "changes") == 1 && flag(a, "more") == 0);
	CU_ASSERT(text_is(a, "changes.0.title", "kept") && text_is(a, "changes.0.id", kept));
	CU_ASSERT(text_is(a, "changes.0.user_id", s.ada.id));
	CU_ASSERT(header_is(s.w, a, "Cache-Control", "private, no-cache"));
	CU_ASSERT(!header(s.w, a, "Preference-Applied"));
	next = text(a, "next");
	CU_ASSERT(nothing_new(since(&s, next), next));

	CHECK(act(&s, "PATCH", path), 200, NULL);
	a = since(&s, next);
	CU_ASSERT(length(a, "changes") == 1 && flag(a, "changes.0.completed") == 1);
	next = text(a, "next");

	CHECK(act(&s, "DELETE", path), 200, NULL);
	a = since(&s, next);
	CU_ASSERT(length(a, "changes") == 1 && length(a, "changes.0") == 3);
	CU_ASSERT(text_is(a, "changes.0.id", kept) && flag(a, "changes.0.deleted") == 1);
	CU_ASSERT(number(a, "changes.0.version") == s.w->store->accounts[0].revision);
	next = text(a, "next");

	CHECK(act(&s, "POST", format(s.w, "/api/me/trash/%s/restore", kept)), 200, NULL);
	a = since(&s, next);
	CU_ASSERT(length(a, "changes") == 1 && text_is(a, "changes.0.title", "kept"));
	CU_ASSERT(nothing_new(since(&s, text(a, "next")), text(a, "next")));
	world_free(s.w);
}

static void pages_are_in_order_and_whole(void)
{
	struct scene s = scene_new();
	const struct answer *a;
	const char *path = CHANGES "?limit=2", *first;
	int64_t last = 0;

	first = task_new(s.w, &s.ada, "0");
	for (int i = 1; i < 5; i++)
		(void)task_new(s.w, &s.ada, format(s.w, "%d", i));
	for (int i = 0; i < 6; i += 2) {
		a = get(&s, path);
		CHECK(a, 200, NULL);
		CU_ASSERT(length(a, "changes") == (i < 4 ? 2 : 1));
		CU_ASSERT(flag(a, "more") == (i < 4));
		for (int k = 0; k < length(a, "changes"); k++) {
			CU_ASSERT(text_is(a, format(s.w, "changes.%d.title", k),
					  format(s.w, "%d", i + k)));
			CU_ASSERT(number(a, format(s.w, "changes.%d.version", k)) > last);
			last = number(a, format(s.w, "changes.%d.version", k));
		}
		path = format(s.w, CHANGES "?limit=2&since=%s", text(a, "next"));
		/* one that was read is deleted while reading goes on: it is told at the end */
		if (i == 2)
			CHECK(act(&s, "DELETE", format(s.w, "/api/me/tasks/%s", first)), 200, NULL);
		if (i == 2)
			break;
	}
	a = get(&s, path);
	CU_ASSERT(length(a, "changes") == 2 && text_is(a, "changes.0.title", "4"));
	CU_ASSERT(text_is(a, "changes.1.id", first) && flag(a, "changes.1.deleted") == 1);
	CU_ASSERT(flag(a, "more") == 0);
	world_free(s.w);
}

static void limits_are_judged(void)
{
	static const char *const bad[] = {
		"0", "1001", "", "x", "-1", "1.0", "99999999999999999999"
	};
	struct scene s = scene_new();

	(void)task_new(s.w, &s.ada, "x");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(get(&s, format(s.w, CHANGES "?limit=%s", bad[i])), 400, "invalid_query");
	CU_ASSERT(length(get(&s, CHANGES "?limit=1"), "changes") == 1);
	CU_ASSERT(length(get(&s, CHANGES "?limit=1000"), "changes") == 1);
	world_free(s.w);
}

static void tokens_are_judged(void)
{
	struct scene s = scene_new();
	const char *good = latest(&s);
	const char *const bad[] = {
		"",
		"x",
		"AAAA",
		"%00",
		format(s.w, "%.*s", (int)strlen(good) - 1, good),
		format(s.w, "%sA", good),
		format(s.w, "%s=", good),
		token_of_numbers(s.w, 0, 1, 1),
		token_of_numbers(s.w, 2, 1, 1),
		token_of_numbers(s.w, 1, -1, 1),
		token_of_numbers(s.w, 1, 1, INT64_MIN),
	};

	CU_ASSERT(nothing_new(since(&s, good), good));
	calls_reset(s.w);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(since(&s, bad[i]), 400, "invalid_query");
	CU_ASSERT(s.w->store->n_calls == 0);
	world_free(s.w);
}

static void what_is_forgotten_is_gone(void)
{
	struct scene s = scene_new();
	struct fake_account *account = &s.w->store->accounts[0];
	const char *early = latest(&s), *late, *beyond;
	const struct answer *a;

	(void)task_new(s.w, &s.ada, "a");
	late = latest(&s);
	(void)task_new(s.w, &s.ada, "b");
	account->feed_floor = account->revision - 1;
	a = since(&s, early);
	CHECK(a, 410, "gone");
	CU_ASSERT(header_is(s.w, a, "Link", "</api/me/changes>; rel=\"start\""));
	CU_ASSERT(length(since(&s, late), "changes") == 1);
	CU_ASSERT(length(get(&s, CHANGES), "changes") == 2);

	/* a database that was restored has not seen this yet */
	beyond = token_of_numbers(s.w, 1, account->revision + 1, 0);
	CHECK(since(&s, beyond), 410, "gone");
	CHECK(since(&s, token_of_numbers(s.w, 1, INT64_MAX, INT64_MAX)), 410, "gone");
	s.w->app.mount = "/todo";
	a = ASK(s.w, .path = format(s.w, "/api/%s/changes?since=%s", s.ada.id, early),
		.token = s.ada.access);
	CU_ASSERT(header_is(s.w, a, "Link",
			    format(s.w, "</todo/api/%s/changes>; rel=\"start\"", s.ada.id)));
	world_free(s.w);
}

static void others_are_not_told(void)
{
	struct scene s = scene_new();
	struct person bob = person_new(s.w, "bob@example.org");
	const char *next = latest(&s);

	(void)task_new(s.w, &bob, "secret plan");
	CU_ASSERT(nothing_new(since(&s, next), next));
	CHECK(ASK(s.w, .path = format(s.w, "/api/%s/changes", bob.id), .token = s.ada.access), 404,
	      "not_found");
	world_free(s.w);
}

/* --- waiting --------------------------------------------------------------------------------- */

/* Calls of this function among those that are remembered. */
static int calls_of(const struct world *w, const char *function)
{
	int n = 0;

	for (size_t i = 0; i < w->store->n_calls && i < FAKE_CALLS; i++)
		n += strcmp(w->store->calls[i], function) == 0;
	return n;
}

static void a_wait_without_a_change(void)
{
	struct scene s = scene_new();
	const char *next = latest(&s);
	const struct answer *a;

	calls_reset(s.w);
	a = waiting(&s, next, "wait=3");
	CU_ASSERT(nothing_new(a, next));
	CU_ASSERT(header_is(s.w, a, "Preference-Applied", "wait=3"));
	/* about once a second, and what is looked at is the revision alone */
	CU_ASSERT(s.w->pauses == 3);
	CU_ASSERT(calls_of(s.w, "store_changes") <= 2);
	CU_ASSERT(calls_of(s.w, "store_revision") == 3);
	CU_ASSERT(s.w->waiting.held == -1);

	s.w->pauses = 0;
	a = waiting(&s, next, "respond-async, wait=100000");
	CU_ASSERT(header_is(s.w, a, "Preference-Applied", "wait=25"));
	CU_ASSERT(s.w->pauses == 25);
	world_free(s.w);
}

static void nobody_waits_without_asking(void)
{
	static const char *const prefers[] = { NULL,
					       "wait=0",
					       "wait",
					       "wait=x",
					       "wait=-1",
					       "wait=99999999999999999999",
					       "return=minimal" };
	struct scene s = scene_new();
	const char *next = latest(&s);
	const struct answer *a;

	for (size_t i = 0; i < ARRAY_LEN(prefers); i++) {
		a = waiting(&s, next, prefers[i]);
		CU_ASSERT(nothing_new(a, next) && !header(s.w, a, "Preference-Applied"));
	}
	CU_ASSERT(s.w->pauses == 0);

	/* nor when there is something to tell */
	(void)task_new(s.w, &s.ada, "x");
	a = waiting(&s, next, "wait=5");
	CU_ASSERT(length(a, "changes") == 1);
	CU_ASSERT(header_is(s.w, a, "Preference-Applied", "wait=5"));
	a = waiting(&s, token_of_numbers(s.w, 1, 1000, 0), "wait=5");
	CHECK(a, 410, "gone");
	CU_ASSERT(!header(s.w, a, "Preference-Applied"));
	CHECK(waiting(&s, "x", "wait=5"), 400, "invalid_query");
	CU_ASSERT(s.w->pauses == 0);
	world_free(s.w);
}

/* What somebody else does after two seconds. */
static void creates(struct world *w)
{
	struct store *store = w->store;

	if (w->pauses == 2)
		store->tasks[store->n_tasks++] = (struct task){
			.id = uuid_v7(),
			.user_id = store->accounts[0].user.id,
			.title = "meanwhile",
			.version = ++store->accounts[0].revision,
		};
}

static void changes_nothing(struct world *w)
{
	if (w->pauses == 2)
		w->store->accounts[0].revision++;
}

static void ends_the_session(struct world *w)
{
	if (w->pauses == 2)
		w->store->sessions[0].revoked = true;
}

static void forgets(struct world *w)
{
	if (w->pauses == 2)
		w->store->accounts[0].feed_floor = ++w->store->accounts[0].revision;
}

static void wants_to_stop(struct world *w)
{
	w->stopping = w->pauses == 2;
}

static void a_change_ends_the_wait(void)
{
	struct scene s = scene_new();
	const char *next = latest(&s);
	const struct answer *a;

	s.w->on_pause = creates;
	a = waiting(&s, next, "wait=25");
	CHECK(a, 200, NULL);
	CU_ASSERT(length(a, "changes") == 1 && text_is(a, "changes.0.title", "meanwhile"));
	CU_ASSERT(header_is(s.w, a, "Preference-Applied", "wait=25"));
	CU_ASSERT(s.w->pauses == 2 && s.w->waiting.held == -1);
	s.w->on_pause = NULL;
	CU_ASSERT(nothing_new(since(&s, text(a, "next")), text(a, "next")));

	/* without a token, too, as long as there is nothing */
	world_free(s.w);
	s = scene_new();
	s.w->on_pause = creates;
	a = ASK(s.w, .path = CHANGES, .token = s.ada.access, .prefer = "wait=25");
	CU_ASSERT(length(a, "changes") == 1 && s.w->pauses == 2);
	world_free(s.w);
}

static void a_revision_without_a_change_is_no_reason(void)
{
	struct scene s = scene_new();
	const char *next = latest(&s);

	s.w->on_pause = changes_nothing;
	calls_reset(s.w);
	CU_ASSERT(length(waiting(&s, next, "wait=5"), "changes") == 0);
	CU_ASSERT(s.w->pauses == 5);
	/* it is looked into once, not every second */
	CU_ASSERT(calls_of(s.w, "store_changes") <= 3);
	world_free(s.w);
}

static void other_ends_of_a_wait(void)
{
	struct scene s = scene_new();
	const char *next = latest(&s);
	const struct answer *a;

	s.w->on_pause = wants_to_stop;
	a = waiting(&s, next, "wait=25");
	CU_ASSERT(nothing_new(a, next) && !header(s.w, a, "Preference-Applied"));
	CU_ASSERT(s.w->pauses == 2 && s.w->waiting.held == -1);

	s.w->pauses = 0;
	s.w->stopping = false;
	s.w->on_pause = forgets;
	CHECK(waiting(&s, next, "wait=25"), 410, "gone");
	CU_ASSERT(s.w->pauses == 2 && s.w->waiting.held == -1);
	next = latest(&s);

	s.w->pauses = 0;
	s.w->on_pause = ends_the_session;
	CHECK(waiting(&s, next, "wait=25"), 401, "session_ended");
	CU_ASSERT(s.w->pauses == 2 && s.w->waiting.held == -1);
	world_free(s.w);
}

static void no_place_to_wait(void)
{
	struct scene s = scene_new();
	const char *next = latest(&s);
	struct gate other;
	const struct answer *a;

	CU_ASSERT_FATAL(gate_open(&other, s.w->waiting_path, 1) && gate_enter(&other, 0));
	a = waiting(&s, next, "wait=25");
	CU_ASSERT(nothing_new(a, next) && !header(s.w, a, "Preference-Applied"));
	CU_ASSERT(s.w->pauses == 0);
	gate_close(&other);
	CU_ASSERT(header(s.w, waiting(&s, next, "wait=1"), "Preference-Applied") != NULL);
	CU_ASSERT(s.w->pauses == 1);
	world_free(s.w);
}

/* The n-th call of a request that waits fails, for every n. */
static void faults_of_a_wait(void)
{
	static const struct {
		enum store_result result;
		int status;
	} faults[] = {
		{ STORE_BUSY, 503 },
		{ STORE_UNAVAILABLE, 503 },
		{ STORE_FAILED, 500 },
		{ STORE_NO_SESSION, 401 },
	};
	size_t runs = 0;
	bool reached = true;

	for (size_t n = 1; reached; n++) {
		for (size_t k = 0; k < ARRAY_LEN(faults); k++) {
			struct scene s = scene_new();
			const char *next = latest(&s);
			const struct answer *a;

			calls_reset(s.w);
			s.w->on_pause = creates;
			s.w->store->fail_call = n;
			s.w->store->fail_with = faults[k].result;
			a = waiting(&s, next, "wait=25");
			reached = s.w->store->n_calls >= n;
			CU_ASSERT(a->status == (reached ? faults[k].status : 200));
			CU_ASSERT(s.w->waiting.held == -1);
			runs += reached;
			world_free(s.w);
		}
	}
	/* changes; revision; revision, changes */
	CU_ASSERT(runs >= 4 * ARRAY_LEN(faults));
}

/* --- numbers --------------------------------------------------------------------------------- */

static void put(struct scene *s, const char *members)
{
	CHECK(ASK(s->w, .method = "POST", .path = "/api/me/tasks", .token = s->ada.access,
		  .body = format(s->w, "{\"title\":\"x\"%s}", members)),
	      201, NULL);
}

static bool stats_are(const struct answer *a, int overdue, int due_today)
{
	return a->status == 200 && length(a, "") == 6 && number(a, "total") == 5 &&
	       number(a, "pending") == 4 && number(a, "completed") == 1 &&
	       number(a, "overdue") == overdue && number(a, "due_today") == due_today &&
	       number(a, "trash") == 1;
}

/* The clock says 2026-09-21T14:13:20Z. */
static void stats_count(void)
{
	static const char *const bad[] = { "",          "x",          "2026-02-29",
					   "2026-9-21", "today",      "2026-09-21T00:00:00Z",
					   "20260921",  "2026-09-21x" };
	struct scene s = scene_new();
	struct person bob = person_new(s.w, "bob@example.org");
	const char *gone = task_new(s.w, &s.ada, "gone");

	(void)task_new(s.w, &bob, "not counted");
	CHECK(act(&s, "DELETE", format(s.w, "/api/me/tasks/%s", gone)), 200, NULL);
	put(&s, "");
	put(&s, ",\"due_date\":\"2026-09-20\"");
	put(&s, ",\"due_date\":\"2026-09-21\"");
	put(&s, ",\"due_date\":\"2026-09-22\"");
	put(&s, ",\"due_date\":\"2026-09-20\",\"completed\":true");
	CU_ASSERT(stats_are(get(&s, "/api/me/stats"), 1, 1));
	CU_ASSERT(stats_are(get(&s, "/api/me/stats?today=2026-09-21"), 1, 1));
	/* where the day has not begun yet, or is over */
	CU_ASSERT(stats_are(get(&s, "/api/me/stats?today=2026-09-20"), 0, 1));
	CU_ASSERT(stats_are(get(&s, "/api/me/stats?today=2026-09-22"), 2, 1));
	CU_ASSERT(stats_are(get(&s, "/api/me/stats?today=2026-09-23"), 3, 0));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(get(&s, format(s.w, "/api/me/stats?today=%s", bad[i])), 400, "invalid_query");
	CU_ASSERT(number(ASK(s.w, .path = "/api/me/stats", .token = bob.access), "total") == 1);
	world_free(s.w);
}

CU_TestInfo changes_tests[] = {
	{ "changes are followed", changes_are_followed },
	{ "pages", pages_are_in_order_and_whole },
	{ "limits", limits_are_judged },
	{ "tokens", tokens_are_judged },
	{ "gone", what_is_forgotten_is_gone },
	{ "others are not told", others_are_not_told },
	{ "a wait without a change", a_wait_without_a_change },
	{ "nobody waits without asking", nobody_waits_without_asking },
	{ "a change ends the wait", a_change_ends_the_wait },
	{ "a revision without a change", a_revision_without_a_change_is_no_reason },
	{ "other ends of a wait", other_ends_of_a_wait },
	{ "no place to wait", no_place_to_wait },
	{ "faults of a wait", faults_of_a_wait },
	{ "stats", stats_count },
	CU_TEST_INFO_NULL,
};
