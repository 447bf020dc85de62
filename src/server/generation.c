#include "base/base.h"

#include "server/generation.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/routes.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/worker.h"

#define DELAY_FIRST_US (US_PER_SECOND / 10) /* before a worker that died young is replaced */
#define DELAY_MOST_US  (30 * US_PER_SECOND) /* doubled up to this */
#define GROWN_UP_US    (10 * US_PER_SECOND) /* who lived that long is replaced at once */
#define HEAD_START_US  (US_PER_SECOND / 20)
#define NEVER          INT64_MAX

const char *const pool_names[POOL_COUNT] = { "api", "auth" };

/* What the master itself knows of a slot; never read back from shared memory. */
struct place {
	pid_t pid; /* 0 when empty */
	int pool;
	bool unfit;  /* the last process left with EXIT_UNFIT */
	bool killed; /* past its deadline, the signal is sent */
	int64_t started;
	int64_t delay;    /* of the next start, grows with young deaths */
	int64_t start_at; /* monotonic; NEVER while a process lives */
};

struct generation {
	unsigned number;
	struct settings *settings;
	const struct ground *ground;
	size_t n;
	struct place *places;
	struct slot *slots;
	size_t losses;
	bool draining;
	int64_t kill_at; /* while draining: when patience ends */
};

struct generation *generation_new(struct settings *settings, const struct ground *ground,
				  unsigned number)
{
	struct generation *g = calloc(1, sizeof(*g));

	if (!g)
		fatal("out of memory");
	g->number = number;
	g->settings = settings;
	g->ground = ground;
	g->n = (size_t)(settings->workers + settings->auth_workers);
	g->places = calloc(g->n, sizeof(*g->places));
	g->slots = board_take(ground->board, g->n);
	if (!g->places || !g->slots) {
		log_message(LOG_ERROR, "master", "no memory for workers: %s", strerror(errno));
		generation_free(g);
		return NULL;
	}
	for (size_t i = 0; i < g->n; i++) {
		g->places[i].pool = i < (size_t)settings->workers ? POOL_API : POOL_AUTH;
		/* All at once would share the processors with as many backends that prepare
		 * statements: the first goes ahead, for the sake of the first answer. */
		g->places[i].start_at = i == 0 ? 0 : clock_monotonic_us() + HEAD_START_US;
	}
	return g;
}

void generation_free(struct generation *g)
{
	if (!g)
		return;
	board_give_back(g->ground->board, g->slots);
	free(g->places);
	settings_free(g->settings);
	free(g);
}

const struct settings *generation_settings(const struct generation *g)
{
	return g->settings;
}

static void log_place(const struct generation *g, size_t i, enum log_level level, const char *event,
		      int status)
{
	const struct place *p = &g->places[i];
	struct log_line l;

	log_begin(&l, level, event);
	log_str(&l, "pool", pool_names[p->pool]);
	log_int(&l, "slot", (int64_t)i);
	log_int(&l, "worker", p->pid);
	log_int(&l, "generation", g->number);
	if (status && WIFEXITED(status))
		log_int(&l, "status", WEXITSTATUS(status));
	if (status && WIFSIGNALED(status))
		log_int(&l, "signal", WTERMSIG(status));
	if (p->start_at != NEVER && p->delay)
		log_int(&l, "restart_ms", p->delay / 1000);
	log_end(&l);
}

/* --- starting -------------------------------------------------------------------------------- */

enum { MASTER_FDS = 64 }; /* more than a master ever has open */

/* Of these a worker keeps its socket and its end of the lifeline: with the other end it would
 * outlive the master. */
static void close_others(int listen_fd, int lifeline)
{
	for (int fd = STDERR_FILENO + 1; fd < MASTER_FDS; fd++) {
		if (fd != listen_fd && fd != lifeline)
			(void)close(fd);
	}
}

static NO_RETURN void be_worker(const struct generation *g, size_t i)
{
	const struct ground *ground = g->ground;
	struct worker w = {
		.settings = g->settings,
		.board = ground->board,
		.slot = &g->slots[i],
		.listen_fd = ground->listeners[g->places[i].pool].fd,
		.lifeline = ground->lifeline[0],
	};

	close_others(w.listen_fd, w.lifeline);
	exit(worker_run(&w));
}

static void start(struct generation *g, size_t i)
{
	struct place *p = &g->places[i];
	pid_t pid;

	slot_clear(&g->slots[i]);
	slot_set_pool(&g->slots[i], p->pool);
	p->started = clock_monotonic_us();
	pid = fork();
	if (pid == 0)
		be_worker(g, i);
	if (pid < 0) {
		log_message(LOG_ERROR, "master", "cannot fork: %s", strerror(errno));
		p->start_at = p->started + US_PER_SECOND;
		return;
	}
	p->pid = pid;
	p->killed = false;
	p->unfit = false;
	p->start_at = NEVER;
	log_place(g, i, LOG_INFO, "worker_started", 0);
}

void generation_start_due(struct generation *g)
{
	int64_t now = clock_monotonic_us();

	for (size_t i = 0; i < g->n; i++) {
		if (g->places[i].start_at <= now)
			start(g, i);
	}
}

int64_t generation_next_start(const struct generation *g)
{
	int64_t at = NEVER;

	for (size_t i = 0; i < g->n; i++) {
		if (g->places[i].start_at < at)
			at = g->places[i].start_at;
	}
	return at;
}

/* --- ending ---------------------------------------------------------------------------------- */

static void count_restart(const struct generation *g, const struct place *p, int status)
{
	enum restart cause = RESTART_FAILED;

	if (p->killed)
		cause = RESTART_STUCK;
	else if (p->unfit)
		cause = RESTART_UNFIT;
	else if (WIFSIGNALED(status))
		cause = RESTART_SIGNAL;
	else if (WEXITSTATUS(status) == EXIT_SUCCESS)
		cause = RESTART_LIMIT;
	board_restarted(g->ground->board, cause);
}

/* A planned end (max_requests) and a kill of ours cost nothing; who dies young waits. */
static void plan_restart(struct place *p, int status, int64_t now)
{
	bool planned = p->killed || (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);

	if (p->unfit) {
		p->delay = DELAY_MOST_US; /* what it met may be mended, while others serve */
	} else if (planned || now - p->started >= GROWN_UP_US) {
		p->delay = 0;
	} else {
		p->delay = p->delay ? p->delay * 2 : DELAY_FIRST_US;
		if (p->delay > DELAY_MOST_US)
			p->delay = DELAY_MOST_US;
	}
	p->start_at = now + p->delay;
}

void generation_reap(struct generation *g)
{
	int64_t now = clock_monotonic_us();

	for (size_t i = 0; i < g->n; i++) {
		struct place *p = &g->places[i];
		int status;

		if (!p->pid || waitpid(p->pid, &status, WNOHANG) != p->pid)
			continue;
		g->losses++;
		p->unfit = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_UNFIT;
		slot_clear(&g->slots[i]);
		if (!g->draining) {
			count_restart(g, p, status);
			plan_restart(p, status, now);
			slot_set_pool(&g->slots[i], p->pool); /* that waits for it */
		}
		log_place(g, i, status ? LOG_WARNING : LOG_INFO, "worker_ended", status);
		p->pid = 0;
	}
}

/* A worker that reads or runs one request for too long is lost in a library or a peer. */
void generation_kill_stuck(struct generation *g)
{
	int64_t now = clock_monotonic_us();
	int64_t limit = g->settings->request_timeout * US_PER_SECOND;

	for (size_t i = 0; i < g->n; i++) {
		struct place *p = &g->places[i];
		struct slot_view view;
		struct log_line l;

		if (!p->pid || p->killed)
			continue;
		slot_read(&g->slots[i], &view);
		if ((view.state != SLOT_READING && view.state != SLOT_RUNNING) ||
		    now - view.since <= limit)
			continue;
		log_begin(&l, LOG_ERROR, "worker_stuck");
		log_str(&l, "pool", pool_names[p->pool]);
		log_int(&l, "slot", (int64_t)i);
		log_int(&l, "worker", p->pid);
		if (view.route >= 0 && (size_t)view.route < routes_count)
			log_str(&l, "route", routes[view.route].path);
		log_str(&l, "request_id", view.request_id);
		log_end(&l);
		(void)kill(p->pid, SIGKILL);
		p->killed = true;
	}
}

void generation_signal(struct generation *g, int signo)
{
	for (size_t i = 0; i < g->n; i++) {
		if (g->places[i].pid)
			(void)kill(g->places[i].pid, signo);
	}
}

void generation_drain(struct generation *g, int signo)
{
	g->draining = true;
	g->kill_at = clock_monotonic_us() + g->settings->stop_timeout * US_PER_SECOND;
	for (size_t i = 0; i < g->n; i++) {
		g->places[i].start_at = NEVER;
		if (!g->places[i].pid)
			slot_clear(&g->slots[i]); /* nobody is missed there any more */
	}
	generation_signal(g, signo);
}

void generation_resume(struct generation *g)
{
	g->draining = false;
	for (size_t i = 0; i < g->n; i++) {
		g->places[i].delay = 0;
		g->places[i].start_at = g->places[i].pid ? NEVER : 0;
	}
}

void generation_drain_late(struct generation *g, bool at_once)
{
	if (g->draining && (at_once || clock_monotonic_us() >= g->kill_at))
		generation_signal(g, SIGKILL);
}

/* --- questions ------------------------------------------------------------------------------- */

size_t generation_alive(const struct generation *g)
{
	size_t n = 0;

	for (size_t i = 0; i < g->n; i++)
		n += g->places[i].pid != 0;
	return n;
}

bool generation_is_up(const struct generation *g)
{
	struct slot_view view;

	for (size_t i = 0; i < g->n; i++) {
		slot_read(&g->slots[i], &view);
		if (!g->places[i].pid || view.state == SLOT_EMPTY)
			return false;
	}
	return true;
}

bool generation_has_losses(const struct generation *g)
{
	return g->losses > 0;
}

bool generation_is_unfit(const struct generation *g)
{
	for (size_t i = 0; i < g->n; i++) {
		if (!g->places[i].unfit)
			return false;
	}
	return true;
}
