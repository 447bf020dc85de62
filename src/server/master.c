#include "base/base.h"

#include "server/master.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/routes.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/listener.h"
#include "server/worker.h"

enum { POOL_API, POOL_AUTH, POOL_COUNT };

static const char *const pool_names[POOL_COUNT] = { "api", "auth" };

#define TICK_US        US_PER_SECOND        /* how often deadlines are looked at */
#define DELAY_FIRST_US (US_PER_SECOND / 10) /* before a worker that died young is replaced */
#define DELAY_MOST_US  (30 * US_PER_SECOND) /* doubled up to this */
#define GROWN_UP_US    (10 * US_PER_SECOND) /* who lived that long is replaced at once */
#define NEVER          INT64_MAX

/* What the master itself knows of a slot; never read back from shared memory. */
struct place {
	pid_t pid; /* 0 when empty */
	int pool;
	bool unfit;  /* left with EXIT_UNFIT: not started again */
	bool killed; /* past its deadline, the signal is sent */
	int64_t started;
	int64_t delay;    /* of the next start, grows with young deaths */
	int64_t start_at; /* monotonic; NEVER while a process lives */
};

struct master {
	const struct settings *settings;
	struct listener listeners[POOL_COUNT];
	int lifeline[2];
	size_t n;
	struct place *places;
	struct slot *slots;
	bool stopping;
	int64_t kill_at; /* while stopping: when patience ends */
};

static volatile sig_atomic_t stops, quits;

static void on_signal(int signo)
{
	if (signo == SIGTERM || signo == SIGINT)
		stops = stops + 1;
	else if (signo == SIGQUIT)
		quits = 1;
	/* SIGCHLD only has to end the ppoll */
}

/* Blocked from here on, in every child too, but for the ppoll in each loop. */
static void install_signals(void)
{
	static const int handled[] = { SIGTERM, SIGINT, SIGQUIT, SIGCHLD };
	struct sigaction action = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (size_t i = 0; i < ARRAY_LEN(handled); i++)
		sigaction(handled[i], &action, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGHUP, &ignore, NULL);
	sigaction(SIGUSR1, &ignore, NULL);
}

static void log_place(const struct master *m, size_t i, const char *event, int status)
{
	const struct place *p = &m->places[i];
	struct log_line l;

	log_begin(&l, status ? LOG_WARNING : LOG_INFO, event);
	log_str(&l, "pool", pool_names[p->pool]);
	log_int(&l, "slot", (int64_t)i);
	log_int(&l, "worker", p->pid);
	if (status && WIFEXITED(status))
		log_int(&l, "status", WEXITSTATUS(status));
	if (status && WIFSIGNALED(status))
		log_int(&l, "signal", WTERMSIG(status));
	log_end(&l);
}

static NO_RETURN void be_worker(struct master *m, size_t i)
{
	int pool = m->places[i].pool;
	struct worker w = {
		.settings = m->settings,
		.slot = &m->slots[i],
		.pool = pool_names[pool],
		.listen_fd = m->listeners[pool].fd,
		.lifeline = m->lifeline[0],
	};

	/* Our end of the lifeline, or it would outlive the master. Locks and the other pool's
	 * socket are not ours either. */
	(void)close(m->lifeline[1]);
	for (int other = 0; other < POOL_COUNT; other++) {
		if (other != pool && m->listeners[other].fd >= 0)
			(void)close(m->listeners[other].fd);
		if (m->listeners[other].lock_fd >= 0)
			(void)close(m->listeners[other].lock_fd);
	}
	free(m->places);
	exit(worker_run(&w));
}

static void start(struct master *m, size_t i)
{
	struct place *p = &m->places[i];
	pid_t pid;

	slot_clear(&m->slots[i]);
	p->started = clock_monotonic_us();
	pid = fork();
	if (pid == 0)
		be_worker(m, i);
	if (pid < 0) {
		log_message(LOG_ERROR, "master", "cannot fork: %s", strerror(errno));
		p->start_at = p->started + US_PER_SECOND;
		return;
	}
	p->pid = pid;
	p->killed = false;
	p->start_at = NEVER;
	log_place(m, i, "worker_started", 0);
}

static void plan_restart(struct place *p, int64_t now)
{
	if (now - p->started >= GROWN_UP_US || p->killed) {
		p->delay = 0;
		p->start_at = now;
		return;
	}
	p->delay = p->delay ? p->delay * 2 : DELAY_FIRST_US;
	if (p->delay > DELAY_MOST_US)
		p->delay = DELAY_MOST_US;
	p->start_at = now + p->delay;
}

static void reap(struct master *m)
{
	int64_t now = clock_monotonic_us();

	for (size_t i = 0; i < m->n; i++) {
		struct place *p = &m->places[i];
		int status;

		if (!p->pid || waitpid(p->pid, &status, WNOHANG) != p->pid)
			continue;
		log_place(m, i, "worker_ended", status);
		p->pid = 0;
		slot_clear(&m->slots[i]);
		p->unfit = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_UNFIT;
		if (m->stopping || p->unfit)
			p->start_at = NEVER;
		else
			plan_restart(p, now);
	}
}

/* A worker that reads or runs one request for too long is lost in a library or a peer. */
static void kill_stuck(struct master *m)
{
	int64_t now = clock_monotonic_us();
	int64_t limit = m->settings->request_timeout * US_PER_SECOND;

	for (size_t i = 0; i < m->n; i++) {
		struct place *p = &m->places[i];
		struct slot_view view;
		struct log_line l;

		if (!p->pid || p->killed)
			continue;
		slot_read(&m->slots[i], &view);
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

static void signal_all(struct master *m, int signo)
{
	for (size_t i = 0; i < m->n; i++) {
		if (m->places[i].pid)
			(void)kill(m->places[i].pid, signo);
	}
}

static void start_due(struct master *m)
{
	int64_t now = clock_monotonic_us();

	for (size_t i = 0; i < m->n; i++) {
		if (m->places[i].start_at <= now)
			start(m, i);
	}
}

static void begin_stop(struct master *m)
{
	log_message(LOG_INFO, "stopping", "waiting for the requests at hand");
	m->stopping = true;
	m->kill_at = clock_monotonic_us() + m->settings->stop_timeout * US_PER_SECOND;
	for (size_t i = 0; i < m->n; i++)
		m->places[i].start_at = NEVER;
	signal_all(m, SIGTERM);
}

static int64_t next_event(const struct master *m)
{
	int64_t at = clock_monotonic_us() + TICK_US;

	for (size_t i = 0; i < m->n; i++) {
		if (m->places[i].start_at < at)
			at = m->places[i].start_at;
	}
	return at;
}

static void wait_for_event(const struct master *m)
{
	int64_t us = next_event(m) - clock_monotonic_us();
	struct timespec ts = { 0 };
	sigset_t open;

	if (us > 0) {
		ts.tv_sec = (time_t)(us / US_PER_SECOND);
		ts.tv_nsec = (long)(us % US_PER_SECOND * 1000);
	}
	sigemptyset(&open);
	if (ppoll(NULL, 0, &ts, &open) < 0 && errno != EINTR)
		fatal("ppoll: %s", strerror(errno));
}

static size_t alive(const struct master *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->n; i++)
		n += m->places[i].pid != 0;
	return n;
}

static bool all_unfit(const struct master *m)
{
	for (size_t i = 0; i < m->n; i++) {
		if (!m->places[i].unfit)
			return false;
	}
	return true;
}

static int supervise(struct master *m)
{
	for (;;) {
		wait_for_event(m);
		reap(m);
		if (m->stopping && !alive(m))
			return all_unfit(m) ? EXIT_UNFIT : EXIT_SUCCESS;
		if ((stops || quits) && !m->stopping)
			begin_stop(m);
		if (m->stopping && (quits || stops > 1 || clock_monotonic_us() >= m->kill_at))
			signal_all(m, SIGKILL);
		kill_stuck(m);
		if (!m->stopping && all_unfit(m)) {
			log_message(LOG_ERROR, "unfit", "no worker can serve; see the lines above");
			return EXIT_UNFIT;
		}
		start_due(m);
	}
}

static bool listen_all(struct master *m)
{
	const struct settings *s = m->settings;

	for (int pool = 0; pool < POOL_COUNT; pool++)
		m->listeners[pool] = (struct listener){ .fd = -1, .lock_fd = -1 };
	return listener_open(&m->listeners[POOL_API], s->listen, s->listen_group) &&
	       (!s->auth_workers ||
		listener_open(&m->listeners[POOL_AUTH], s->listen_auth, s->listen_group));
}

int master_run(const struct settings *settings)
{
	struct master m = { .settings = settings, .lifeline = { -1, -1 } };
	int status = EXIT_FAILURE;

	m.n = (size_t)(settings->workers + settings->auth_workers);
	m.places = calloc(m.n, sizeof(*m.places));
	m.slots = scoreboard_new(m.n);
	if (!m.places || !m.slots)
		fatal("out of memory");
	for (size_t i = 0; i < m.n; i++)
		m.places[i].pool = i < (size_t)settings->workers ? POOL_API : POOL_AUTH;
	install_signals();
	if (pipe2(m.lifeline, O_CLOEXEC) != 0)
		log_message(LOG_ERROR, "master", "pipe: %s", strerror(errno));
	else if (listen_all(&m)) {
		log_message(LOG_INFO, "started", "taskcell %s, %zu workers", PACKAGE_VERSION, m.n);
		start_due(&m);
		status = supervise(&m);
		log_message(LOG_INFO, "stopped", "status %d", status);
	}
	for (int pool = 0; pool < POOL_COUNT; pool++)
		listener_close(&m.listeners[pool]);
	free(m.places);
	return status;
}
