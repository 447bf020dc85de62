/* One key, one id, one task, and many who want it. */
#include "base/base.h"

#include "store/test_tasks.h"

enum { N = 12, ROUNDS = 10 };

struct arg {
	struct principal principal;
	struct uuid ids[N];
	char key[32];
};

struct result {
	enum store_result r;
	enum created created;
	struct uuid id;
	int64_t version, created_at, deleted;
	bool completed;
	char title[32];
};

static struct arg *new_arg(void)
{
	struct arg *arg = fixture_shared(sizeof(*arg));

	new_account();
	arg->principal = account.principal;
	return arg;
}

static const struct result *run_race(struct race race_, struct arg *arg)
{
	race_.racers = N;
	race_.arg = arg;
	race_.result_size = sizeof(struct result);
	return race(&race_);
}

static void keep(struct result *result, const struct task *task)
{
	result->id = task->id;
	result->version = task->version;
	result->created_at = task->created_at;
	result->completed = task->completed;
	snprintf(result->title, sizeof(result->title), "%s",
		 task->title != NULL ? task->title : "");
}

/* --- one key --------------------------------------------------------------------------------- */

static void next_key(unsigned round, void *shared)
{
	struct arg *arg = shared;

	snprintf(arg->key, sizeof(arg->key), "round %u", round);
}

static void create_with_key(struct racer *racer, const struct arg *arg, const char *digest,
			    struct result *result)
{
	const struct idempotency key = { arg->key, digest };
	struct new_task new = { .id = uuid_v7(), .title = digest };
	struct task task;

	result->r = store_task_create(racer->store, racer->arena, &arg->principal, &new, &key,
				      &task, &result->created);
	if (result->r == STORE_OK)
		keep(result, &task);
}

static void run_one_request(struct racer *racer, void *shared, void *out)
{
	create_with_key(racer, shared, "the same", out);
}

static void test_one_key(void)
{
	struct arg *arg = new_arg();
	const struct result *results = run_race(
		(struct race){ .rounds = ROUNDS, .before = next_key, .run = run_one_request }, arg);

	for (unsigned round = 0; round < ROUNDS; round++) {
		const struct result *r = results + (size_t)round * N;
		unsigned made = 0;

		for (unsigned i = 0; i < N; i++) {
			CU_ASSERT(r[i].r == STORE_OK);
			CU_ASSERT(r[i].created == CREATED_NEW || r[i].created == CREATED_BEFORE);
			CU_ASSERT(uuid_equal(&r[i].id, &r[0].id));
			CU_ASSERT(r[i].version == r[0].version &&
				  r[i].created_at == r[0].created_at);
			made += r[i].created == CREATED_NEW;
		}
		CU_ASSERT_EQUAL(made, 1);
	}
	CU_ASSERT_EQUAL(rows_in("tasks", "true"), ROUNDS);
	CU_ASSERT_EQUAL(revision(), ROUNDS);
}

static void run_two_requests(struct racer *racer, void *shared, void *out)
{
	create_with_key(racer, shared, racer->index % 2 ? "odd" : "even", out);
}

static void test_one_key_two_requests(void)
{
	struct arg *arg = new_arg();
	const struct result *results = run_race(
		(struct race){ .rounds = ROUNDS, .before = next_key, .run = run_two_requests },
		arg);

	for (unsigned round = 0; round < ROUNDS; round++) {
		const struct result *r = results + (size_t)round * N;
		unsigned winner = 0, made = 0;

		for (unsigned i = 0; i < N; i++) {
			made += r[i].created == CREATED_NEW;
			if (r[i].created == CREATED_NEW)
				winner = i;
		}
		CU_ASSERT_EQUAL(made, 1);
		for (unsigned i = 0; i < N; i++) {
			CU_ASSERT(r[i].r == STORE_OK);
			if (i % 2 != winner % 2)
				CU_ASSERT(r[i].created == CREATED_OTHERWISE)
			else
				CU_ASSERT(i == winner || r[i].created == CREATED_BEFORE);
		}
	}
	CU_ASSERT_EQUAL(rows_in("tasks", "true"), ROUNDS);
}

/* --- one id ---------------------------------------------------------------------------------- */

static void next_id(unsigned round, void *shared)
{
	struct arg *arg = shared;

	(void)round;
	arg->ids[0] = uuid_v7();
}

static void create_with_id(struct racer *racer, const struct arg *arg, struct result *result)
{
	struct new_task new = { .id = arg->ids[0] };
	struct task task;

	new.title = arena_printf(racer->arena, "racer %u", racer->index);
	result->r = store_task_create(racer->store, racer->arena, &arg->principal, &new, NULL,
				      &task, &result->created);
	keep(result, &task);
}

static void run_one_id(struct racer *racer, void *shared, void *out)
{
	create_with_id(racer, shared, out);
}

static void test_one_id(void)
{
	struct arg *arg = new_arg();
	const struct result *results = run_race(
		(struct race){ .rounds = ROUNDS, .before = next_id, .run = run_one_id }, arg);

	for (unsigned round = 0; round < ROUNDS; round++) {
		const struct result *r = results + (size_t)round * N;
		unsigned made = 0;

		/* Losers get the winner's task, and the revision does not move for them. */
		for (unsigned i = 0; i < N; i++) {
			CU_ASSERT(r[i].r == STORE_OK || r[i].r == STORE_CONFLICT);
			CU_ASSERT_EQUAL(r[i].version, (int64_t)round + 1);
			CU_ASSERT_STRING_EQUAL(r[i].title, r[0].title);
			made += r[i].r == STORE_OK;
		}
		CU_ASSERT_EQUAL(made, 1);
	}
	CU_ASSERT_EQUAL(revision(), ROUNDS);
}

static void run_import(struct racer *racer, void *shared, void *out)
{
	const struct arg *arg = shared;
	struct result *result = out;
	const struct new_task new = { .id = arg->ids[0], .title = "from a file" };
	enum imported imported = IMPORTED_SAME;

	result->r = store_task_import(racer->store, racer->arena, &arg->principal, &new, false,
				      &imported);
	result->version = imported;
}

static void test_one_import(void)
{
	struct arg *arg = new_arg();
	const struct result *results = run_race(
		(struct race){ .rounds = ROUNDS, .before = next_id, .run = run_import }, arg);
	unsigned made = 0;

	for (unsigned i = 0; i < N * ROUNDS; i++) {
		CU_ASSERT(results[i].r == STORE_OK);
		CU_ASSERT(results[i].version == IMPORTED_NEW ||
			  results[i].version == IMPORTED_SAME);
		made += results[i].version == IMPORTED_NEW;
	}
	CU_ASSERT_EQUAL(made, ROUNDS);
	CU_ASSERT_EQUAL(revision(), ROUNDS);
}

/* --- away and back --------------------------------------------------------------------------- */

static void fresh_task(unsigned round, void *shared)
{
	struct arg *arg = shared;

	next_id(round, arg);
	(void)make(&(struct new_task){ .id = arg->ids[0], .title = "at first" });
}

enum { CHANGES, DELETES, RESTORES, CREATES, KINDS };

static void run_away_and_back(struct racer *racer, void *shared, void *out)
{
	const struct arg *arg = shared;
	const struct principal *p = &arg->principal;
	struct task_change change = { .set_title = true };
	const struct versions any = { 0 };
	struct result *result = out;
	struct task task = { 0 };

	change.title = arena_printf(racer->arena, "racer %u", racer->index);
	switch (racer->index % KINDS) {
	case CHANGES:
		result->r = store_task_change(racer->store, racer->arena, p, &arg->ids[0], &change,
					      &task);
		break;
	case DELETES:
		result->r =
			store_task_delete(racer->store, racer->arena, p, &arg->ids[0], &any, &task);
		break;
	case RESTORES:
		result->r = store_trash_restore(racer->store, racer->arena, p, &arg->ids[0], &task);
		break;
	case CREATES:
		create_with_id(racer, arg, result);
		return;
	}
	keep(result, &task);
}

/* What is answered STORE_OK has happened, once, and in the order of the versions. */
static void check_round(const struct result *r, const struct uuid *id, unsigned total[KINDS])
{
	unsigned done[KINDS] = { 0 };
	int64_t last = 0, live, dead;
	char where[128];

	for (unsigned i = 0; i < N; i++) {
		unsigned kind = i % KINDS;

		if (kind == CREATES) {
			CU_ASSERT(r[i].r == STORE_CONFLICT);
			continue;
		}
		CU_ASSERT(r[i].r == STORE_OK || r[i].r == STORE_NOT_FOUND);
		if (r[i].r != STORE_OK)
			continue;
		done[kind]++;
		last = r[i].version > last ? r[i].version : last;
		for (unsigned j = 0; j < i; j++)
			CU_ASSERT(r[j].r != STORE_OK || r[j].version != r[i].version);
	}
	snprintf(where, sizeof(where), "id = '%s' and version = %d", fixture_id(id), (int)last);
	live = rows_in("tasks", where);
	dead = rows_in("trash", where);
	CU_ASSERT(last == 0 || live + dead == 1);
	CU_ASSERT(last == 0 || (int64_t)done[DELETES] - done[RESTORES] == dead);
	for (int i = 0; i < KINDS; i++)
		total[i] += done[i];
}

struct kept_ids {
	struct arg arg;
	struct uuid ids[30];
};

static void fresh_kept_task(unsigned round, void *shared)
{
	struct kept_ids *kept = shared;

	fresh_task(round, &kept->arg);
	kept->ids[round] = kept->arg.ids[0];
}

static void test_away_and_back(void)
{
	enum { MANY = 30 };
	struct kept_ids *kept = fixture_shared(sizeof(*kept));
	const struct result *results;
	unsigned total[KINDS] = { 0 };

	new_account();
	kept->arg.principal = account.principal;
	results = run_race((struct race){ .rounds = MANY,
					  .before = fresh_kept_task,
					  .run = run_away_and_back },
			   &kept->arg);
	for (unsigned round = 0; round < MANY; round++)
		check_round(results + (size_t)round * N, &kept->ids[round], total);
	CU_ASSERT_EQUAL(revision(), MANY + total[CHANGES] + total[DELETES] + total[RESTORES]);
	CU_ASSERT_EQUAL(rows_in("tasks", "true") + rows_in("trash", "true"), MANY);
	CU_ASSERT(total[DELETES] > 0 && total[CHANGES] > 0);
	fprintf(stderr, "%d tasks: %u changes, %u deletions, %u restored\n", MANY, total[CHANGES],
		total[DELETES], total[RESTORES]);
}

/* --- clearing -------------------------------------------------------------------------------- */

static void fresh_tasks(unsigned round, void *shared)
{
	struct arg *arg = shared;

	(void)round;
	for (int i = 0; i < N; i++) {
		arg->ids[i] = uuid_v7();
		(void)make(&(struct new_task){ .id = arg->ids[i], .title = "one of twelve" });
	}
}

static void run_complete_or_clear(struct racer *racer, void *shared, void *out)
{
	const struct arg *arg = shared;
	const struct task_change done = { .completed = COMPLETED_SET };
	struct result *result = out;
	struct task task = { 0 };

	if (racer->index % 3 == 2) {
		result->r =
			store_task_clear_completed(racer->store, &arg->principal, &result->deleted);
		return;
	}
	result->r = store_task_change(racer->store, racer->arena, &arg->principal,
				      &arg->ids[racer->index], &done, &task);
	keep(result, &task);
}

static void test_clear_beside_complete(void)
{
	struct arg *arg = new_arg();
	const struct result *results = run_race((struct race){ .rounds = ROUNDS,
							       .before = fresh_tasks,
							       .run = run_complete_or_clear },
						arg);
	int64_t deleted = 0, completed = 0;

	for (unsigned i = 0; i < N * ROUNDS; i++) {
		CU_ASSERT(results[i].r == STORE_OK);
		CU_ASSERT(i % 3 == 2 || results[i].completed);
		deleted += results[i].deleted;
		completed += results[i].completed;
	}
	CU_ASSERT(deleted > 0);
	CU_ASSERT_EQUAL(rows_in("trash", "completed"), deleted);
	CU_ASSERT_EQUAL(rows_in("trash", "true"), deleted);
	CU_ASSERT_EQUAL(rows_in("tasks", "completed"), completed - deleted);
	CU_ASSERT_EQUAL(rows_in("tasks", "true"), N * ROUNDS - deleted);
	CU_ASSERT_EQUAL(revision(), N * ROUNDS + completed + deleted);
	CU_ASSERT_EQUAL(fixture_int(admin,
				    "select count(distinct version) from taskcell.trash"
				    " where user_id = '%s'",
				    fixture_id(&account.principal.user_id)),
			deleted);
}

/* --- forced orders --------------------------------------------------------------------------- */

static void run_restore(struct racer *racer, void *shared, void *out)
{
	const struct arg *arg = shared;
	struct task task;

	((struct result *)out)->r = store_trash_restore(racer->store, racer->arena, &arg->principal,
							&arg->ids[0], &task);
}

static void run_for_good(struct racer *racer, void *shared, void *out)
{
	const struct arg *arg = shared;

	((struct result *)out)->r = store_trash_delete(racer->store, &arg->principal, &arg->ids[0]);
}

/* The row of the trash goes, or is emptied, while they wait for it. */
static void test_lost_in_the_trash(void)
{
	static void (*const runs[])(struct racer *, void *, void *) = { run_restore, run_for_good };
	static const char *const meanwhile[] = {
		"begin; delete from taskcell.trash where id = '%s'",
		"begin; update taskcell.trash set title = null where id = '%s'",
	};

	for (size_t i = 0; i < ARRAY_LEN(runs); i++)
		for (size_t j = 0; j < ARRAY_LEN(meanwhile); j++) {
			struct arg *arg = new_arg();
			struct race one = { .racers = 1,
					    .rounds = 1,
					    .run = runs[i],
					    .arg = arg,
					    .result_size = sizeof(struct result) };
			struct fork *waiting;
			const struct result *result;

			fresh_task(0, arg);
			(void)delete_task(&arg->ids[0]);
			waiting = fork_ready(&one);
			fixture_exec(admin, meanwhile[j], fixture_id(&arg->ids[0]));
			fork_go(waiting);
			fixture_wait_blocked(admin, 1);
			fixture_exec(admin, "commit");
			result = fork_join(waiting);
			CU_ASSERT(result->r == STORE_NOT_FOUND);
			CU_ASSERT_EQUAL(revision(), 2);
			CU_ASSERT_EQUAL(rows_in("tasks", "true"), 0);
		}
}

static void run_clear(struct racer *racer, void *shared, void *out)
{
	struct result *result = out;

	result->r = store_task_clear_completed(racer->store, &((struct arg *)shared)->principal,
					       &result->deleted);
}

/* Of a task that is not there: what is old in the trash goes all the same. */
static void run_delete(struct racer *racer, void *shared, void *out)
{
	const struct arg *arg = shared;
	struct task task;

	((struct result *)out)->r = store_task_delete(racer->store, racer->arena, &arg->principal,
						      &arg->ids[0], &(struct versions){ 0 }, &task);
}

static void run_keyed(struct racer *racer, void *shared, void *out)
{
	create_with_key(racer, shared, "digest", out);
}

/* Who waits for the user's row holds nothing else yet. */
static void test_lock_order(void)
{
	static void (*const runs[])(struct racer *, void *, void *) = { run_restore, run_clear,
									run_import, run_keyed,
									run_delete };
	PGconn *other = fixture_admin();

	for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
		struct arg *arg = new_arg();
		struct race one = { .racers = 1,
				    .rounds = 1,
				    .run = runs[i],
				    .arg = arg,
				    .result_size = sizeof(struct result) };
		struct fork *waiting = fork_ready(&one);
		const char *id = fixture_id(&account.principal.user_id);

		fresh_task(0, arg);
		(void)delete_task(&arg->ids[0]);
		(void)make(
			&(struct new_task){ .id = uuid_v7(), .title = "done", .completed = true });
		/* What would be removed meanwhile. */
		fixture_exec(admin,
			     "insert into taskcell.trash"
			     " (user_id, id, title, version, created_at, updated_at, deleted_at)"
			     " select '%s', gen_random_uuid(), title, 1, now(), now(), now()"
			     " - interval '100 d' from (values ('old'), (null)) t (title)",
			     id);
		fixture_exec(admin,
			     "begin; select from taskcell.users where id = '%s' for no key"
			     " update",
			     id);
		fork_go(waiting);
		fixture_wait_blocked(admin, 1);
		CU_ASSERT_STRING_EQUAL(
			fixture_try(other,
				    "begin; select from taskcell.tasks where user_id = '%s' for"
				    " update nowait; select from taskcell.trash where user_id ="
				    " '%s' for update nowait; rollback",
				    id, id),
			"00000");
		fixture_exec(admin, "commit");
		CU_ASSERT(((const struct result *)fork_join(waiting))->r ==
			  (runs[i] == run_delete ? STORE_NOT_FOUND : STORE_OK));
	}
	PQfinish(other);
}

CU_TestInfo one_task_races[] = {
	{ "12 requests with one key", test_one_key },
	{ "one key, two requests", test_one_key_two_requests },
	{ "12 tasks with one id", test_one_id },
	{ "12 imports of one task", test_one_import },
	{ "change, delete, restore, create", test_away_and_back },
	{ "clear completed beside complete", test_clear_beside_complete },
	{ "lost in the trash", test_lost_in_the_trash },
	{ "users before all else", test_lock_order },
	CU_TEST_INFO_NULL,
};
