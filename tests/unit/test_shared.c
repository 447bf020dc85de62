#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "shared/gate.h"
#include "shared/scoreboard.h"
#include "shared/usage.h"

#include "cunit.h"

/* --- the gate: each holder is a process, told apart and steered by pipes
 * -------------------------- */

static char dir[] = "/tmp/taskcell-test-XXXXXX";
static char path[sizeof(dir) + 8];

static int gate_setup(void)
{
	if (!mkdtemp(dir))
		return 1;
	(void)snprintf(path, sizeof(path), "%s/gate", dir);
	return 0;
}

static int gate_cleanup(void)
{
	return unlink(path) || rmdir(dir);
}

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

struct child {
	pid_t pid;
	int said; /* y or n arrives here */
	int hold; /* a byte into it ends the child; later children hold copies of it */
};

/* A process that tries to enter, says whether it did, and stays until told to go. */
static struct child spawn(int slots, int wait_ms)
{
	int say[2], hold[2];
	struct child c;

	must(!pipe2(say, O_CLOEXEC) && !pipe2(hold, O_CLOEXEC), "pipe2");
	c = (struct child){ .pid = fork(), .said = say[0], .hold = hold[1] };
	must(c.pid >= 0, "fork");
	if (c.pid == 0) {
		struct gate gate;
		char answer;

		(void)close(hold[1]);
		if (!gate_open(&gate, path, slots))
			_exit(2);
		answer = gate_enter(&gate, wait_ms) ? 'y' : 'n';
		if (write(say[1], &answer, 1) != 1)
			_exit(2);
		(void)!read(hold[0], &answer, 1);
		_exit(0);
	}
	(void)close(say[1]);
	(void)close(hold[0]);
	return c;
}

static char answer_of(const struct child *c)
{
	char answer = '?';

	return read(c->said, &answer, 1) == 1 ? answer : '!';
}

static void end(struct child *c, int signo)
{
	int status;

	must(signo ? !kill(c->pid, signo) : write(c->hold, "", 1) == 1, "ending a child");
	(void)close(c->hold);
	(void)close(c->said);
	must(waitpid(c->pid, &status, 0) == c->pid, "waitpid");
	CU_ASSERT(signo ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_gate_file(void)
{
	struct gate gate;
	struct stat st;

	CU_ASSERT_TRUE_FATAL(gate_open(&gate, path, 2));
	CU_ASSERT(gate.held == -1);
	CU_ASSERT(fcntl(gate.fd, F_GETFD) == FD_CLOEXEC);
	CU_ASSERT(!fstat(gate.fd, &st) && (st.st_mode & 07777) == 0600);
	gate_close(&gate);
	CU_ASSERT(gate.fd == -1);

	errno = 0;
	CU_ASSERT_FALSE(gate_open(&gate, dir, 2));
	CU_ASSERT(errno == EISDIR);
	gate_close(&gate); /* harmless after a failure */
	errno = 0;
	CU_ASSERT_FALSE(gate_open(&gate, "/nonexistent/gate", 2));
	CU_ASSERT(errno == ENOENT);
}

static void test_gate_holds_k(void)
{
	enum { SLOTS = 3, CHILDREN = 8 };
	struct child c[CHILDREN];
	struct gate gate;
	int in = 0;

	for (int i = 0; i < CHILDREN; i++)
		c[i] = spawn(SLOTS, 0);
	for (int i = 0; i < CHILDREN; i++)
		in += answer_of(&c[i]) == 'y';
	CU_ASSERT(in == SLOTS);
	CU_ASSERT_TRUE_FATAL(gate_open(&gate, path, SLOTS));
	CU_ASSERT_FALSE(gate_enter(&gate, 0));
	for (int i = 0; i < CHILDREN; i++)
		end(&c[i], 0);
	CU_ASSERT_TRUE(gate_enter(&gate, 0));
	CU_ASSERT(gate.held >= 0 && gate.held < SLOTS);
	gate_leave(&gate);
	CU_ASSERT(gate.held == -1);
	gate_leave(&gate); /* twice is harmless */
	gate_close(&gate);
}

/* Two open files in one process are two holders; leaving and closing both make room. */
static void test_gate_leave(void)
{
	struct gate a, b;

	CU_ASSERT_TRUE_FATAL(gate_open(&a, path, 1));
	CU_ASSERT_TRUE_FATAL(gate_open(&b, path, 1));
	CU_ASSERT_TRUE(gate_enter(&a, 0));
	CU_ASSERT_FALSE(gate_enter(&b, 0));
	CU_ASSERT(b.held == -1);
	gate_leave(&b); /* a holder of nothing frees nobody's lock */
	CU_ASSERT_FALSE(gate_enter(&b, 0));
	gate_leave(&a);
	CU_ASSERT_TRUE(gate_enter(&b, 0));
	CU_ASSERT_FALSE(gate_enter(&a, 0));
	gate_close(&b);
	CU_ASSERT_TRUE(gate_enter(&a, 0));
	gate_close(&a);
}

static void test_gate_killed_holder(void)
{
	struct child c = spawn(1, 0);
	struct gate gate;

	CU_ASSERT(answer_of(&c) == 'y');
	CU_ASSERT_TRUE_FATAL(gate_open(&gate, path, 1));
	CU_ASSERT_FALSE(gate_enter(&gate, 0));
	end(&c, SIGKILL);
	CU_ASSERT_TRUE(gate_enter(&gate, 0));
	gate_close(&gate);
}

static void ignore(int signo)
{
	(void)signo;
}

/* The wait is kept, and not cut short by a storm of signals. */
static void test_gate_times_out(void)
{
	struct itimerval storm = { { 0, 1000 }, { 0, 1000 } }, patience;
	struct sigaction act = { .sa_handler = ignore }, old;
	struct child c = spawn(1, 0);
	struct gate gate;
	int64_t start, took;

	CU_ASSERT(answer_of(&c) == 'y');
	CU_ASSERT_TRUE_FATAL(gate_open(&gate, path, 1));
	must(!sigaction(SIGALRM, &act, &old) && !setitimer(ITIMER_REAL, &storm, &patience),
	     "timer");
	start = clock_monotonic_us();
	CU_ASSERT_FALSE(gate_enter(&gate, 60));
	took = clock_monotonic_us() - start;
	must(!setitimer(ITIMER_REAL, &patience, NULL) && !sigaction(SIGALRM, &old, NULL), "timer");
	CU_ASSERT(took >= 60 * 1000);
	CU_ASSERT(took < 5 * US_PER_SECOND);
	end(&c, 0);
	gate_close(&gate);
}

static void test_gate_waiter_gets_in(void)
{
	struct child waiter;
	struct gate gate;

	CU_ASSERT_TRUE_FATAL(gate_open(&gate, path, 1));
	CU_ASSERT_TRUE(gate_enter(&gate, 0));
	waiter = spawn(1, 60 * 1000);
	gate_leave(&gate);
	CU_ASSERT(answer_of(&waiter) == 'y');
	CU_ASSERT_FALSE(gate_enter(&gate, 0));
	end(&waiter, 0);
	gate_close(&gate);
}

/* Racing processes count how many are inside. */
static void test_gate_race(void)
{
	enum { SLOTS = 2, CHILDREN = 6, ROUNDS = 200 };
	struct counts {
		_Atomic int inside, most, entered;
	} *n = mmap(NULL, sizeof(*n), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[CHILDREN];

	must(n != MAP_FAILED, "mmap");
	for (int i = 0; i < CHILDREN; i++) {
		pids[i] = fork();
		must(pids[i] >= 0, "fork");
		if (pids[i] == 0) {
			struct gate gate;

			if (!gate_open(&gate, path, SLOTS))
				_exit(2);
			for (int round = 0; round < ROUNDS; round++) {
				int now, most;

				if (!gate_enter(&gate, 60 * 1000))
					_exit(3);
				now = atomic_fetch_add(&n->inside, 1) + 1;
				most = atomic_load(&n->most);
				while (now > most &&
				       !atomic_compare_exchange_weak(&n->most, &most, now))
					;
				atomic_fetch_add(&n->entered, 1);
				(void)sched_yield(); /* let another one in, if it can */
				atomic_fetch_sub(&n->inside, 1);
				gate_leave(&gate);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < CHILDREN; i++) {
		int status;

		must(waitpid(pids[i], &status, 0) == pids[i], "waitpid");
		CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	CU_ASSERT(n->entered == CHILDREN * ROUNDS);
	CU_ASSERT(n->most >= 1 && n->most <= SLOTS);
	(void)munmap(n, sizeof(*n));
}

/* A lock that cannot be had at all is refused at once rather than waited for. */
static void test_gate_broken(void)
{
	struct gate gate = { .fd = -1, .slots = 2, .held = -1 };
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC), err = dup(STDERR_FILENO);
	int64_t start = clock_monotonic_us();

	must(null >= 0 && err >= 0 && dup2(null, STDERR_FILENO) >= 0, "dup2");
	CU_ASSERT_FALSE(gate_enter(&gate, 60 * 1000));
	must(dup2(err, STDERR_FILENO) >= 0, "dup2");
	CU_ASSERT(clock_monotonic_us() - start < 30 * US_PER_SECOND);
	(void)close(null);
	(void)close(err);
}

/* --- the scoreboard
 * ------------------------------------------------------------------------------- */

static void expect_empty(struct slot *slot)
{
	struct slot_view view;

	memset(&view, 'x', sizeof(view));
	slot_read(slot, &view);
	CU_ASSERT(view.state == SLOT_EMPTY);
	CU_ASSERT(view.route == SLOT_NO_ROUTE);
	CU_ASSERT(view.since == 0);
	CU_ASSERT_STRING_EQUAL(view.request_id, "");
	CU_ASSERT(atomic_load(&slot->served) == 0);
}

static void test_scoreboard_life(void)
{
	struct board *board = board_new();
	struct slot *slots = board_take(board, 3);
	struct slot_view view;

	CU_ASSERT_PTR_NOT_NULL_FATAL(slots);
	for (int i = 0; i < 3; i++)
		expect_empty(&slots[i]);

	slot_set_state(&slots[1], SLOT_IDLE, 10);
	slot_set_state(&slots[1], SLOT_READING, 20);
	slot_set_state(&slots[1], SLOT_RUNNING, 30);
	slot_set_request(&slots[1], 7, "0123456789abcdef");
	slot_read(&slots[1], &view);
	CU_ASSERT(view.state == SLOT_RUNNING);
	CU_ASSERT(view.route == 7);
	CU_ASSERT(view.since == 20); /* when the reading began */
	CU_ASSERT_STRING_EQUAL(view.request_id, "0123456789abcdef");
	CU_ASSERT(slots[1].served == 0);
	slot_set_since(&slots[1], 35); /* its time counts anew; it is the same request */
	slot_read(&slots[1], &view);
	CU_ASSERT(view.state == SLOT_RUNNING && view.route == 7 && view.since == 35);
	CU_ASSERT(slots[1].served == 0);

	slot_set_state(&slots[1], SLOT_IDLE, 40);
	CU_ASSERT(slots[1].served == 1);
	slot_set_state(&slots[1], SLOT_READING, 50); /* nothing of the request before is left */
	slot_read(&slots[1], &view);
	CU_ASSERT(view.state == SLOT_READING);
	CU_ASSERT(view.route == SLOT_NO_ROUTE);
	CU_ASSERT(view.since == 50);
	CU_ASSERT_STRING_EQUAL(view.request_id, "");
	slot_set_state(&slots[1], SLOT_IDLE, 60); /* a request that was never read is not served */
	CU_ASSERT(slots[1].served == 1);

	expect_empty(&slots[0]);
	expect_empty(&slots[2]);
	slot_clear(&slots[1]);
	expect_empty(&slots[1]);
	board_free(board);
	board_free(NULL);
}

/* Two generations at a time, and no more slots than there are. */
static void test_scoreboard_halves(void)
{
	struct board *board = board_new();
	struct slot *a, *b;

	CU_ASSERT_PTR_NULL(board_take(board, BOARD_SLOTS + 1));
	CU_ASSERT_PTR_NULL(board_take(board, SIZE_MAX));
	a = board_take(board, BOARD_SLOTS);
	b = board_take(board, 1);
	CU_ASSERT(a && b && a != b);
	CU_ASSERT_PTR_NULL(board_take(board, 1));
	board_give_back(board, NULL);
	CU_ASSERT_PTR_NULL(board_take(board, 1));
	/* the second stays, and the third has the place of the first */
	board_give_back(board, a);
	CU_ASSERT_PTR_EQUAL(board_take(board, 2), a);
	board_give_back(board, b);
	CU_ASSERT_PTR_EQUAL(board_take(board, 2), b);
	board_free(board);
}

static void in_child(struct slot *slot, void (*work)(struct slot *))
{
	int status;
	pid_t pid = fork();

	must(pid >= 0, "fork");
	if (pid == 0) {
		work(slot);
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void count_some(struct slot *slot)
{
	for (int i = 0; i < 1000; i++)
		slot_add(slot, 5, 1);
	slot_add(slot, SLOT_COUNTS - 1, UINT64_C(1) << 40);
}

/* Counts go on over the ends of processes and generations; what a process does at a time ends with
 * it. */
static void test_scoreboard_sums(void)
{
	struct board *board = board_new();
	struct board_view *v = malloc(sizeof(*v));
	struct slot *old = board_take(board, 2), *new;

	CU_ASSERT_FATAL(board && v && old);
	slot_set_pool(&old[1], 1);
	slot_set_state(&old[1], SLOT_RUNNING, 1);
	slot_set_hashing(&old[1], HASHING_RUNS);
	slot_set_memory(&old[1], 3000, 2000);
	slot_set_hashing(&old[0], HASHING_RUNS); /* no process */
	in_child(&old[0], count_some);
	in_child(&old[1], count_some);
	board_restarted(board, RESTART_STUCK);
	board_read(board, v);
	CU_ASSERT(v->counts[5] == 2000 && v->counts[4] == 0 && v->counts[6] == 0);
	CU_ASSERT(v->counts[SLOT_COUNTS - 1] == UINT64_C(1) << 41);
	CU_ASSERT(v->workers[1][SLOT_RUNNING] == 1 && v->workers[0][SLOT_EMPTY] == 0);
	CU_ASSERT(v->hashing[HASHING_RUNS] == 1);
	CU_ASSERT(v->resident[1] == 3000 && v->proportional[1] == 2000 && v->resident[0] == 0);
	CU_ASSERT(v->restarts[RESTART_STUCK] == 1 && v->restarts[RESTART_UNFIT] == 0);

	slot_clear(&old[1]);
	new = board_take(board, 3);
	CU_ASSERT_FATAL(new != NULL);
	in_child(&new[2], count_some);
	board_give_back(board, old);
	old = board_take(board, 1); /* fewer workers: the others' counts stay */
	in_child(&old[0], count_some);
	board_read(board, v);
	CU_ASSERT(v->counts[5] == 4000);
	CU_ASSERT(v->workers[1][SLOT_RUNNING] == 0 && v->hashing[HASHING_RUNS] == 0);
	CU_ASSERT(v->resident[1] == 0 && v->proportional[1] == 0);
	free(v);
	board_free(board);
}

static void run_wild(struct slot *slot)
{
	memset((void *)slot, 0xff, sizeof(*slot));
}

static void test_scoreboard_wild(void)
{
	struct board *board = board_new();
	struct board_view *v = malloc(sizeof(*v));
	struct slot *slots = board_take(board, 2);

	CU_ASSERT_FATAL(board && v && slots);
	in_child(&slots[0], run_wild);
	slot_set_pool(&slots[1], 0);
	slot_set_state(&slots[1], SLOT_IDLE, 1);
	board_read(board, v);
	CU_ASSERT(v->workers[0][SLOT_IDLE] == 1 && v->workers[1][SLOT_IDLE] == 0);
	/* a pool, but a state that is none */
	slot_set_pool(&slots[0], BOARD_POOLS);
	board_read(board, v);
	CU_ASSERT(v->workers[0][SLOT_IDLE] == 1);
	slot_set_pool(&slots[0], 1);
	board_read(board, v);
	for (int i = 0; i < BOARD_STATES; i++)
		CU_ASSERT(v->workers[1][i] == 0);
	/* sums that no memory is as large as */
	slot_set_pool(&slots[1], 1);
	for (int i = 0; i < 2; i++)
		slot_set_memory(&slots[i], INT64_MAX, INT64_MIN);
	board_read(board, v);
	CU_ASSERT(v->resident[1] == UINT64_MAX - 1 && v->proportional[1] == 0);
	free(v);
	board_free(board);
}

static void test_usage(void)
{
	int64_t resident = -1, proportional = -1;

	usage_memory(&resident, &proportional);
	CU_ASSERT(resident >= 0 && proportional >= 0 && proportional <= resident);
	if (access("/proc/self/smaps_rollup", R_OK) == 0)
		CU_ASSERT(resident > 100 * 1024 && proportional > 10 * 1024);
}

static void test_scoreboard_is_shared(void)
{
	struct board *board = board_new();
	struct slot *slot = board_take(board, 1);
	struct slot_view view;
	int status;
	pid_t pid;

	CU_ASSERT_PTR_NOT_NULL_FATAL(slot);
	pid = fork();
	must(pid >= 0, "fork");
	if (pid == 0) {
		slot_set_state(slot, SLOT_READING, 5);
		slot_set_request(slot, 2, "child");
		_exit(0);
	}
	must(waitpid(pid, &status, 0) == pid, "waitpid");
	slot_read(slot, &view);
	CU_ASSERT(view.state == SLOT_READING && view.route == 2 && view.since == 5);
	CU_ASSERT_STRING_EQUAL(view.request_id, "child");
	board_free(board);
}

static void test_scoreboard_distrust(void)
{
	struct board *board = board_new();
	struct slot *slot = board_take(board, 1);
	struct slot_view view;

	CU_ASSERT_PTR_NOT_NULL_FATAL(slot);
	slot_set_request(slot, 1,
			 "a request id that is much longer than the forty bytes that are kept");
	slot_read(slot, &view);
	CU_ASSERT_STRING_EQUAL(view.request_id, "a?request?id?that?is?much?longer?than?t");
	slot_set_request(slot, 1, "a\nb\x1b[31m\x7f\xc3\xa4\tz");
	slot_read(slot, &view);
	CU_ASSERT_STRING_EQUAL(view.request_id, "a?b?[31m????z");

	memset((void *)slot, 0xff, sizeof(*slot)); /* a worker that has run wild */
	slot_read(slot, &view);
	CU_ASSERT(view.state == SLOT_RUNNING);
	CU_ASSERT(view.route == SLOT_NO_ROUTE);
	CU_ASSERT(view.since == 0);
	CU_ASSERT(strlen(view.request_id) == SLOT_REQUEST_ID - 1);
	CU_ASSERT(strspn(view.request_id, "?") == SLOT_REQUEST_ID - 1);

	slot->state = SLOT_RUNNING + 1;
	slot->since = INT64_MIN;
	slot->route = INT_MIN;
	slot_read(slot, &view);
	CU_ASSERT(view.state == SLOT_RUNNING && view.since == 0 && view.route == SLOT_NO_ROUTE);
	board_free(board);
}

int main(void)
{
	CU_TestInfo gate[] = {
		{ "file", test_gate_file },
		{ "at most k inside", test_gate_holds_k },
		{ "leaving", test_gate_leave },
		{ "a killed holder frees its lock", test_gate_killed_holder },
		{ "time-out", test_gate_times_out },
		{ "a waiter gets in", test_gate_waiter_gets_in },
		{ "race", test_gate_race },
		{ "no descriptor", test_gate_broken },
		CU_TEST_INFO_NULL,
	};
	CU_TestInfo scoreboard[] = {
		{ "life of a slot", test_scoreboard_life },
		{ "shared with children", test_scoreboard_is_shared },
		{ "distrust", test_scoreboard_distrust },
		{ "two generations", test_scoreboard_halves },
		{ "sums", test_scoreboard_sums },
		{ "sums of nonsense", test_scoreboard_wild },
		{ "memory", test_usage },
		CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {
		{ "gate", gate_setup, gate_cleanup, NULL, NULL, gate },
		{ "scoreboard", NULL, NULL, NULL, NULL, scoreboard },
		CU_SUITE_INFO_NULL,
	};

	return run_suites(suites);
}
