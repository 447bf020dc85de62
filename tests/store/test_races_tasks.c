/* One task and many writers. */
#include "base/base.h"

#include "store/tasks.h"
#include "store/test_races.h"

struct task_arg {
	struct principal principal;
	struct uuid task_id;
	int64_t expected;
};

struct task_result {
	enum store_result r;
	int64_t version;
	char title[40];
	bool completed;
};

static void keep_task(struct task_result *result, const struct task *task)
{
	if (result->r != STORE_OK && result->r != STORE_STALE)
		return;
	result->version = task->version;
	result->completed = task->completed;
	snprintf(result->title, sizeof(result->title), "%s", task->title);
}

static struct task_arg *new_task_arg(void)
{
	struct task_arg *arg = fixture_shared(sizeof(*arg));
	struct account account;

	fixture_account(store, &account);
	arg->principal = account.principal;
	arg->task_id = fixture_task(store, &account.principal, "at first");
	return arg;
}

static void read_version(unsigned round, void *shared)
{
	struct task_arg *arg = shared;
	struct task task;

	(void)round;
	CU_ASSERT_FATAL(store_task_get(store, arena, &arg->principal, &arg->task_id, &task) ==
			STORE_OK);
	arg->expected = task.version;
}

static void run_expected_change(struct racer *racer, void *shared, void *out)
{
	const struct task_arg *arg = shared;
	struct task_result *result = out;
	struct task task;
	struct task_change change = { .expected = { &arg->expected, 1 }, .set_title = true };

	change.title = arena_printf(racer->arena, "%u of round %u", racer->index, racer->round);
	result->r = store_task_change(racer->store, racer->arena, &arg->principal, &arg->task_id,
				      &change, &task);
	keep_task(result, &task);
}

static void check_one_winner(const struct task_result *round, unsigned n, int64_t *version)
{
	const struct task_result *winner = NULL;

	for (unsigned i = 0; i < n; i++)
		if (round[i].r == STORE_OK) {
			CU_ASSERT(winner == NULL);
			winner = &round[i];
		}
	CU_ASSERT_FATAL(winner != NULL);
	CU_ASSERT(winner->version > *version);
	*version = winner->version;
	for (unsigned i = 0; i < n; i++) {
		CU_ASSERT(&round[i] == winner || round[i].r == STORE_STALE);
		CU_ASSERT_EQUAL(round[i].version, winner->version);
		CU_ASSERT_STRING_EQUAL(round[i].title, winner->title);
	}
}

static void test_change_of_one_version(void)
{
	enum { N = 12, ROUNDS = 20 };
	struct task_arg *arg = new_task_arg();
	struct race race_ = { .racers = N,
			      .rounds = ROUNDS,
			      .before = read_version,
			      .run = run_expected_change,
			      .arg = arg,
			      .result_size = sizeof(struct task_result) };
	int64_t version = fixture_revision(admin, &arg->principal);
	const struct task_result *results = race(&race_);

	for (unsigned round = 0; round < ROUNDS; round++)
		check_one_winner(results + round * N, N, &version);
	CU_ASSERT_EQUAL(fixture_revision(admin, &arg->principal), version);
}

static void run_delete(struct racer *racer, void *shared, void *out)
{
	const struct task_arg *arg = shared;
	const struct versions any = { NULL, 0 };
	struct task_result *result = out;
	struct task task;

	result->r = store_task_delete(racer->store, racer->arena, &arg->principal, &arg->task_id,
				      &any, &task);
}

static void test_one_delete_wins(void)
{
	enum { N = 12 };
	struct task_arg *arg = new_task_arg();
	struct race race_ = { .racers = N,
			      .rounds = 1,
			      .run = run_delete,
			      .arg = arg,
			      .result_size = sizeof(struct task_result) };
	const struct task_result *results = race(&race_);
	unsigned ok = 0;

	for (unsigned i = 0; i < N; i++) {
		ok += results[i].r == STORE_OK;
		CU_ASSERT(results[i].r == STORE_OK || results[i].r == STORE_NOT_FOUND);
	}
	CU_ASSERT_EQUAL(ok, 1);
}

/* Even racers change the one task, odd ones make tasks of their own. */
static void run_any_write(struct racer *racer, void *shared, void *out)
{
	const struct task_arg *arg = shared;
	struct task_result *result = out;
	struct task task;
	struct task_change change = { .set_title = true };
	struct new_task create = { .id = uuid_v7() };
	enum created created;

	change.title = arena_printf(racer->arena, "%u of round %u", racer->index, racer->round);
	create.title = change.title;
	if (racer->index % 2 == 0)
		result->r = store_task_change(racer->store, racer->arena, &arg->principal,
					      &arg->task_id, &change, &task);
	else
		result->r = store_task_create(racer->store, racer->arena, &arg->principal, &create,
					      NULL, &task, &created);
	keep_task(result, &task);
}

static int by_version(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a;
	int64_t y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void test_no_version_twice(void)
{
	enum { N = 10, ROUNDS = 20 };
	struct task_arg *arg = new_task_arg();
	struct race race_ = { .racers = N,
			      .rounds = ROUNDS,
			      .run = run_any_write,
			      .arg = arg,
			      .result_size = sizeof(struct task_result) };
	int64_t first = fixture_revision(admin, &arg->principal);
	const struct task_result *results = race(&race_);
	int64_t versions[N * ROUNDS];

	for (unsigned i = 0; i < N * ROUNDS; i++) {
		CU_ASSERT(results[i].r == STORE_OK);
		/* A round begins after all of the round before have committed. */
		for (unsigned j = 0; i >= N && j < N; j++)
			CU_ASSERT(results[i].version > results[(i / N - 1) * N + j].version);
		versions[i] = results[i].version;
	}
	qsort(versions, N * ROUNDS, sizeof(versions[0]), by_version);
	CU_ASSERT(versions[0] > first);
	for (unsigned i = 1; i < N * ROUNDS; i++)
		CU_ASSERT(versions[i] > versions[i - 1]);
	CU_ASSERT_EQUAL(fixture_revision(admin, &arg->principal), versions[N * ROUNDS - 1]);
	CU_ASSERT_EQUAL(fixture_int(admin,
				    "select max(version) from taskcell.tasks where user_id = '%s'",
				    fixture_id(&arg->principal.user_id)),
			versions[N * ROUNDS - 1]);
}

static void run_complete(struct racer *racer, void *shared, void *out)
{
	const struct task_arg *arg = shared;
	struct task_result *result = out;
	struct task task;
	struct task_change change = { .completed = COMPLETED_SET };

	result->r = store_task_change(racer->store, racer->arena, &arg->principal, &arg->task_id,
				      &change, &task);
	keep_task(result, &task);
}

/* Of racers who want the same, one changes something and the others find it done. */
static void test_nothing_to_change(void)
{
	enum { N = 12, ROUNDS = 2 };
	struct task_arg *arg = new_task_arg();
	struct race race_ = { .racers = N,
			      .rounds = ROUNDS,
			      .run = run_complete,
			      .arg = arg,
			      .result_size = sizeof(struct task_result) };
	int64_t before = fixture_revision(admin, &arg->principal);
	const struct task_result *results = race(&race_);
	int64_t after = fixture_revision(admin, &arg->principal);
	struct task_change same = { .set_title = true,
				    .title = "at first",
				    .set_description = true,
				    .completed = COMPLETED_SET };
	struct task task;

	CU_ASSERT(after > before);
	for (unsigned i = 0; i < N * ROUNDS; i++) {
		CU_ASSERT(results[i].r == STORE_OK);
		CU_ASSERT(results[i].completed);
		CU_ASSERT_EQUAL(results[i].version, after);
	}
	CU_ASSERT(store_task_change(store, arena, &arg->principal, &arg->task_id, &same, &task) ==
		  STORE_OK);
	CU_ASSERT_EQUAL(task.version, after);
	CU_ASSERT_EQUAL(fixture_revision(admin, &arg->principal), after);
}

/* The row goes while the statement waits for it. */
static void test_deleted_meanwhile(void)
{
	static void (*const runs[])(struct racer *, void *, void *) = { run_expected_change,
									run_any_write, run_delete };

	for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
		struct task_arg *arg = new_task_arg();
		struct race one = { .racers = 1,
				    .rounds = 1,
				    .run = runs[i],
				    .arg = arg,
				    .result_size = sizeof(struct task_result) };
		int64_t before = fixture_revision(admin, &arg->principal);
		const struct task_result *result;
		struct fork *waiting;

		read_version(0, arg);
		waiting = fork_ready(&one);
		fixture_exec(admin, "begin; delete from taskcell.tasks where id = '%s'",
			     fixture_id(&arg->task_id));
		fork_go(waiting);
		fixture_wait_blocked(admin, 1);
		fixture_exec(admin, "commit");
		result = fork_join(waiting);
		CU_ASSERT(result->r == STORE_NOT_FOUND);
		CU_ASSERT_EQUAL(fixture_revision(admin, &arg->principal), before);
	}
}

/* Users before tasks: who waits for the user's row holds none of the tasks. */
static void test_lock_order(void)
{
	static void (*const runs[])(struct racer *, void *, void *) = { run_any_write, run_delete };
	PGconn *other = fixture_admin();

	for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
		struct task_arg *arg = new_task_arg();
		struct race one = { .racers = 1,
				    .rounds = 1,
				    .run = runs[i],
				    .arg = arg,
				    .result_size = sizeof(struct task_result) };
		struct fork *waiting = fork_ready(&one);
		const struct task_result *result;

		fixture_exec(admin,
			     "begin; select from taskcell.users where id = '%s' for no key update",
			     fixture_id(&arg->principal.user_id));
		fork_go(waiting);
		fixture_wait_blocked(admin, 1);
		CU_ASSERT_STRING_EQUAL(
			fixture_try(other,
				    "select from taskcell.tasks where id = '%s' for update nowait",
				    fixture_id(&arg->task_id)),
			"00000");
		fixture_exec(admin, "commit");
		result = fork_join(waiting);
		CU_ASSERT(result->r == STORE_OK);
	}
	PQfinish(other);
}

CU_TestInfo task_race_tests[] = {
	{ "12 changes of one version", test_change_of_one_version },
	{ "12 deletes of one task", test_one_delete_wins },
	{ "no version twice, none lost", test_no_version_twice },
	{ "nothing to change moves nothing", test_nothing_to_change },
	{ "deleted meanwhile", test_deleted_meanwhile },
	{ "users before tasks", test_lock_order },
	CU_TEST_INFO_NULL,
};
