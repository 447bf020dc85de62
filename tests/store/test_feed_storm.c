/* Readers that know nothing but the feed, beside four writers who do anything: they end with what
 * there is. */
#include "base/base.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/test_tasks.h"

enum {
	WRITERS = 4,
	READERS = 2, /* the second starts over again and again */
	AGER = WRITERS + READERS,
	RACERS = AGER + 1,
	IDS = 24,
	WRITES = 150,
	SEEDS = 10,
};

struct storm {
	struct principal principal;
	struct uuid ids[IDS];
	unsigned seed;
	bool aging; /* tombstones are forgotten meanwhile */
	atomic_uint writing;
};

/* What a reader has put together: the version of each id, 0 for none. */
struct picture {
	int64_t version[IDS];
	char title[IDS][24];
	unsigned reads, repeats, restarts, odd;
};

static unsigned next_random(unsigned *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* --- writers --------------------------------------------------------------------------------- */

enum deed { CHANGE, COMPLETE, CREATE, IMPORT, DELETE, RESTORE, FOR_GOOD, CLEAR, DEEDS };

static enum store_result write_something(struct racer *racer, const struct storm *storm,
					 unsigned *seed)
{
	const struct principal *p = &storm->principal;
	const struct uuid *id = &storm->ids[next_random(seed) % IDS];
	struct new_task new = { .id = *id };
	struct task_change change = { .set_title = true };
	struct versions any = { 0 };
	enum created created;
	enum imported imported;
	struct task task;
	int64_t n;

	new.title = change.title =
		arena_printf(racer->arena, "%u/%u", racer->index, next_random(seed) % 1000);
	switch ((enum deed)(next_random(seed) % DEEDS)) {
	case COMPLETE:
		change = (struct task_change){ .completed = COMPLETED_FLIP };
		/* fall through */
	case CHANGE:
		return store_task_change(racer->store, racer->arena, p, id, &change, &task);
	case CREATE:
		return store_task_create(racer->store, racer->arena, p, &new, NULL, &task,
					 &created);
	case IMPORT:
		return store_task_import(racer->store, racer->arena, p, &new, false, &imported);
	case DELETE:
		return store_task_delete(racer->store, racer->arena, p, id, &any, &task);
	case RESTORE:
		return store_trash_restore(racer->store, racer->arena, p, id, &task);
	case FOR_GOOD:
		return store_trash_delete(racer->store, p, id);
	case CLEAR:
		if (next_random(seed) % 4 == 0)
			return store_task_clear_completed(racer->store, p, &n);
		return STORE_OK;
	case DEEDS:
		break;
	}
	return STORE_FAILED;
}

static void run_writer(struct racer *racer, struct storm *storm, struct picture *out)
{
	unsigned seed = storm->seed * 1000 + racer->index;

	for (int i = 0; i < WRITES; i++) {
		enum store_result r;

		arena_reset(racer->arena);
		r = write_something(racer, storm, &seed);
		/* Busy it may be, on a machine that is: deadlocks are counted elsewhere. */
		out->odd += r != STORE_OK && r != STORE_NOT_FOUND && r != STORE_CONFLICT &&
			    r != STORE_BUSY;
	}
	atomic_fetch_sub(&storm->writing, 1);
}

/* Moves tombstones beyond their time, so that the writers forget them under the readers. */
static void run_ager(struct storm *storm)
{
	PGconn *conn = fixture_admin();

	while (storm->aging && atomic_load(&storm->writing) > 0)
		fixture_exec(conn,
			     "update taskcell.trash set title = null, deleted_at ="
			     " now() - interval '100 d' where (user_id, id) in (select user_id, id"
			     " from taskcell.trash where user_id = '%s' order by random() limit 1"
			     " for update skip locked)",
			     fixture_id(&storm->principal.user_id));
	PQfinish(conn);
}

/* --- readers --------------------------------------------------------------------------------- */

static size_t index_of(const struct storm *storm, const struct uuid *id)
{
	size_t i = 0;

	while (i < IDS && !uuid_equal(&storm->ids[i], id))
		i++;
	if (i == IDS)
		fatal("a task from nowhere");
	return i;
}

static void apply(struct picture *picture, const struct storm *storm, const struct changes *changes)
{
	for (size_t i = 0; i < changes->n; i++) {
		const struct change *c = &changes->list[i];
		size_t at = index_of(storm, &c->task.id);

		/* The same version twice would be wrong, and so would an older one. */
		picture->repeats += c->task.version <= picture->version[at];
		picture->version[at] = c->deleted ? 0 : c->task.version;
		if (!c->deleted)
			snprintf(picture->title[at], sizeof(picture->title[at]), "%s",
				 c->task.title);
	}
}

static void start_over(struct picture *picture)
{
	memset(picture->version, 0, sizeof(picture->version));
	picture->restarts++;
}

static void run_reader(struct racer *racer, struct storm *storm, struct picture *out)
{
	unsigned seed = storm->seed * 1000 + racer->index;
	struct feed_place place;
	bool placed = false;

	for (;;) {
		bool writing = atomic_load(&storm->writing) > 0;
		struct changes changes;
		int32_t limit = (int32_t)(next_random(&seed) % 7) + 1;

		arena_reset(racer->arena);
		if (store_changes(racer->store, racer->arena, &storm->principal,
				  placed ? &place : NULL, limit, &changes) != STORE_OK) {
			out->odd++;
			return;
		}
		out->reads++;
		for (size_t i = 0; i < changes.n; i++)
			out->odd += changes.list[i].task.version <=
				    (i > 0    ? changes.list[i - 1].task.version
				     : placed ? place.since
					      : 0);
		apply(out, storm, &changes);
		placed = !changes.gone;
		place = changes.next;
		if (changes.gone) {
			out->odd += !storm->aging;
			start_over(out);
		} else if (!writing && !changes.more) {
			return;
		} else if (writing && racer->index == WRITERS + 1 && out->reads % 50 == 0) {
			placed = false;
			start_over(out);
		}
	}
}

/* --- the storm ------------------------------------------------------------------------------- */

static void run_storm(struct racer *racer, void *shared, void *result)
{
	if (racer->index < WRITERS)
		run_writer(racer, shared, result);
	else if (racer->index < AGER)
		run_reader(racer, shared, result);
	else
		run_ager(shared);
}

static void prepare(struct storm *storm, unsigned seed)
{
	new_account();
	storm->principal = account.principal;
	storm->seed = seed;
	storm->aging = seed % 2 == 1;
	for (int i = 0; i < IDS; i++) {
		storm->ids[i] = uuid_v7();
		storm->ids[i].bytes[0] = (uint8_t)i; /* in this order */
	}
	for (int i = 0; i < IDS; i += 2)
		(void)make(&(struct new_task){ .id = storm->ids[i], .title = "at first" });
	atomic_store(&storm->writing, WRITERS);
}

static void expect_picture(const struct picture *picture, const char *state,
			   const struct uuid ids[IDS])
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	CU_ASSERT_FATAL(out != NULL);
	for (int i = 0; i < IDS; i++)
		if (picture->version[i] != 0)
			fprintf(out, "%s %d %s\n", fixture_id(&ids[i]), (int)picture->version[i],
				picture->title[i]);
	fclose(out);
	CU_ASSERT_STRING_EQUAL(text, state);
	if (strcmp(text, state) != 0)
		fprintf(stderr, "read:\n%snot:\n%s", text, state);
	free(text);
}

static char *state_of_tasks(void)
{
	return fixture_text(admin,
			    "select id || ' ' || version || ' ' || title from taskcell.tasks"
			    " where user_id = '%s' order by id",
			    fixture_id(&account.principal.user_id));
}

static void expect_sound(void)
{
	const char *id = fixture_id(&account.principal.user_id);

	/* No id is in both places, no version twice, and none is newer than the revision. */
	CU_ASSERT_EQUAL(fixture_int(admin,
				    "select count(*) from taskcell.tasks join taskcell.trash"
				    " using (user_id, id) where user_id = '%s'",
				    id),
			0);
	CU_ASSERT_EQUAL(
		fixture_int(admin,
			    "select count(*) - count(distinct version) from (select version"
			    " from taskcell.tasks where user_id = '%s' union all select version"
			    " from taskcell.trash where user_id = '%s') v",
			    id, id),
		0);
	CU_ASSERT_EQUAL(fixture_int(admin,
				    "select count(*) from taskcell.users u join taskcell.tasks t"
				    " on t.user_id = u.id and t.version > u.revision"
				    " where u.id = '%s'",
				    id),
			0);
}

/* When the racers' backends are gone, their counts are in. A deadlock would not show otherwise: the
 * store runs what was in it again. */
static int64_t deadlocks(void)
{
	int64_t deadline = clock_monotonic_us() + 10 * US_PER_SECOND;

	while (fixture_int(admin, "select count(*) from pg_stat_activity where datname ="
				  " current_database() and client_port is not null") > 2)
		fixture_poll(deadline, "for backends to end");
	return fixture_int(admin, "select deadlocks from pg_stat_database where datname ="
				  " current_database()");
}

static void test_storm(void)
{
	struct storm *storm = fixture_shared(sizeof(*storm));
	struct race race_ = { .racers = RACERS,
			      .rounds = 1,
			      .run = run_storm,
			      .arg = storm,
			      .result_size = sizeof(struct picture) };
	unsigned reads = 0, restarts = 0;
	int64_t before = deadlocks();

	for (unsigned seed = 0; seed < SEEDS; seed++) {
		const struct picture *pictures;
		char *state;

		prepare(storm, seed);
		pictures = race(&race_);
		state = state_of_tasks();
		for (unsigned i = 0; i < RACERS; i++) {
			CU_ASSERT_EQUAL(pictures[i].odd, 0);
			CU_ASSERT_EQUAL(pictures[i].repeats, 0);
			reads += pictures[i].reads;
			restarts += pictures[i].restarts;
		}
		for (unsigned i = WRITERS; i < AGER; i++)
			expect_picture(&pictures[i], state, storm->ids);
		expect_sound();
		free(state);
	}
	CU_ASSERT_EQUAL(deadlocks(), before);
	fprintf(stderr, "%d storms of %d writes: %u reads of the feed, %u times from the start\n",
		SEEDS, WRITERS * WRITES, reads, restarts);
}

CU_TestInfo feed_storm_tests[] = {
	{ "readers of the feed in a storm", test_storm },
	CU_TEST_INFO_NULL,
};
