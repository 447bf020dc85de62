#include "base/base.h"

#include "server/master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/generation.h"
#include "server/notify.h"
#include "server/privileges.h"
#include "server/upgrade.h"
#include "server/worker.h"

#define TICK_US      US_PER_SECOND        /* how often deadlines are looked at */
#define COMING_UP_US (30 * US_PER_SECOND) /* what a new generation has to reach its loops */
#define LEAVING_US   (5 * US_PER_SECOND)  /* what a successor may need beyond stop_timeout */

struct master {
	const char *config_path;
	struct ground ground;
	struct generation *current; /* serves */
	struct generation *next;    /* comes up after HUP, or NULL */
	struct generation *old;     /* drains, or NULL */
	unsigned generations;
	int64_t next_until; /* when the patience with `next` ends */
	bool stopping;
	bool ready; /* all workers of a generation were there, once */
	struct notify notify;

	struct upgrade upgrade; /* once it serves, `current` drains */
	bool resumed;           /* `current` serves again, since a new program has failed */
};

static volatile sig_atomic_t stops, quits, leaves, reloads, reopens;

static void on_signal(int signo)
{
	if (signo == SIGTERM || signo == SIGINT)
		stops = stops < 2 ? stops + 1 : 2;
	else if (signo == SIGQUIT)
		quits = 1;
	else if (signo == SIGUSR2)
		leaves = 1;
	else if (signo == SIGHUP)
		reloads = 1;
	else if (signo == SIGUSR1)
		reopens = 1;
	/* SIGCHLD only has to end the ppoll */
}

/* Blocked from here on, in every child too, but for the ppoll in each loop. */
static void install_signals(void)
{
	static const int handled[] = {
		SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD
	};
	struct sigaction action = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (size_t i = 0; i < ARRAY_LEN(handled); i++)
		sigaction(handled[i], &action, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

static void tell_ready(struct master *m)
{
	m->ready = true;
	notify_send(&m->notify, "READY=1\nSTATUS=taskcell %s: %zu workers of generation %u serve",
		    PACKAGE_VERSION, generation_alive(m->current), m->generations);
}

/* After a reload that has failed. Who was not ready before is not ready now. */
static void tell_unchanged(const struct master *m, const char *what)
{
	if (m->ready)
		notify_send(&m->notify, "READY=1\nSTATUS=%s", what);
}

/* --- reload ---------------------------------------------------------------------------------- */

static void log_lines(const char *event, char *text)
{
	for (char *line = text, *end; *line; line = end) {
		end = line + strcspn(line, "\n");
		if (*end)
			*end++ = '\0';
		log_message(LOG_ERROR, event, "%s", line);
	}
}

/* The new settings, or NULL and the reasons in the log. */
static struct settings *load_again(const struct master *m)
{
	char *text = NULL;
	size_t len = 0;
	FILE *errors = open_memstream(&text, &len);
	struct settings *s;

	if (!errors)
		return NULL;
	s = settings_load(m->config_path, SETTINGS_NEED_ALL, errors);
	if (s && !settings_may_replace(generation_settings(m->current), s, errors)) {
		settings_free(s);
		s = NULL;
	}
	(void)fclose(errors);
	log_lines("reload_failed", text);
	free(text);
	return s;
}

/* Everything of the new world is built before anything of the old one is touched. */
static void begin_reload(struct master *m)
{
	struct settings *s;

	notify_reloading(&m->notify);
	s = load_again(m);
	if (s)
		m->next = generation_new(s, &m->ground, ++m->generations);
	if (!m->next) {
		tell_unchanged(m, "the new configuration cannot be used; the old one stays");
		return;
	}
	m->next_until = clock_monotonic_us() + COMING_UP_US;
	log_message(LOG_INFO, "reloading", "generation %u comes up", m->generations);
}

static void finish_reload(struct master *m)
{
	if (generation_is_up(m->next)) {
		m->old = m->current;
		m->current = m->next;
		m->next = NULL;
		log_set_level((enum log_level)generation_settings(m->current)->log_level);
		generation_drain(m->old, SIGUSR2);
		log_message(LOG_INFO, "reloaded", "generation %u serves", m->generations);
		tell_ready(m);
	} else if (generation_has_losses(m->next) || clock_monotonic_us() >= m->next_until) {
		m->old = m->next;
		m->next = NULL;
		generation_drain(m->old, SIGUSR2);
		log_message(LOG_ERROR, "reload_failed",
			    "the new workers do not come up; the old configuration stays");
		tell_unchanged(m, "the new workers do not come up; the old configuration stays");
	}
}

/* --- upgrade --------------------------------------------------------------------------------- */

/* The new program gets our sockets, too, and has to show that it can serve before anything of the
 * old one is touched. */
static void begin_upgrade(struct master *m)
{
	const struct inheritance given = {
		.ground = &m->ground,
		.run_dir = generation_settings(m->current)->run_dir,
		.patience_us = COMING_UP_US,
		.beat_us = m->notify.beat_us,
	};

	notify_reloading(&m->notify);
	if (!upgrade_begin(&m->upgrade, &given))
		tell_unchanged(m, "the new program cannot be started; the old one stays");
}

/* How long a successor may take to leave: a bit more than we would. */
static int64_t patience_us(const struct master *m)
{
	return generation_settings(m->current)->stop_timeout * US_PER_SECOND + LEAVING_US;
}

static void after_upgrade(struct master *m, enum upgrade_event event)
{
	switch (event) {
	case UPGRADE_NOTHING:
		break;
	case UPGRADE_DONE:
		m->ready = true;
		generation_drain(m->current, SIGUSR2);
		break;
	case UPGRADE_REFUSED:
		tell_unchanged(m, "the new program does not come up; the old one stays");
		break;
	case UPGRADE_LOST:
		m->resumed = true;
		generation_resume(m->current);
		notify_send(&m->notify, "STATUS=the new program has failed; taskcell %s serves",
			    PACKAGE_VERSION);
		break;
	}
}

static void look_after_upgrade(struct master *m)
{
	enum upgrade_event event;

	if (m->stopping && (quits || stops > 1))
		upgrade_hurry(&m->upgrade);
	do {
		event = upgrade_look_after(&m->upgrade, &m->notify, patience_us(m));
		after_upgrade(m, event);
	} while (event != UPGRADE_NOTHING);
}

/* What HUP asks for. One thing at a time: when it is over nothing old is left. */
static void begin_change(struct master *m)
{
	bool serves = upgrade_serves(&m->upgrade);

	if (m->next || m->old || upgrade_is_busy(&m->upgrade) ||
	    (serves && generation_alive(m->current)))
		return;
	reloads = 0;
	if (upgrade_is_due(&m->upgrade))
		begin_upgrade(m);
	else if (serves)
		upgrade_signal(&m->upgrade, SIGHUP);
	else
		begin_reload(m);
}

/* --- the loop -------------------------------------------------------------------------------- */

static void wait_for_event(const struct master *m)
{
	int64_t now = clock_monotonic_us(), at = now + TICK_US;
	int64_t due = generation_next_start(m->current);
	struct timespec ts = { 0 };
	struct pollfd fds[UPGRADE_FDS];
	sigset_t open;

	if (due < at)
		at = due;
	if (m->notify.beat_us && m->notify.next_beat_us < at)
		at = m->notify.next_beat_us;
	/* a slot that comes up sends no signal */
	if ((m->next || !m->ready) && now + TICK_US / 20 < at)
		at = now + TICK_US / 20;
	if (at > now) {
		ts.tv_sec = (time_t)((at - now) / US_PER_SECOND);
		ts.tv_nsec = (long)((at - now) % US_PER_SECOND * 1000);
	}
	sigemptyset(&open);
	upgrade_wait_set(&m->upgrade, fds);
	if (ppoll(fds, UPGRADE_FDS, &ts, &open) < 0 && errno != EINTR)
		fatal("ppoll: %s", strerror(errno));
}

static void begin_stop(struct master *m)
{
	/* with USR2 somebody else serves what is in the queue */
	int signo = stops || quits ? SIGTERM : SIGUSR2;

	log_message(LOG_INFO, "stopping", "waiting for the requests at hand");
	notify_send(&m->notify, "STOPPING=1\nSTATUS=waiting for the requests at hand");
	m->stopping = true;
	/* from now on the web server finds nobody; what it has queued is served */
	for (int pool = 0; pool < POOL_COUNT; pool++)
		listener_hide(&m->ground.listeners[pool]);
	generation_drain(m->current, signo);
	if (m->next)
		generation_drain(m->next, signo);
	if (m->old)
		generation_drain(m->old, signo);
	upgrade_stop(&m->upgrade, signo, patience_us(m));
}

static void reopen_logs(struct master *m)
{
	struct generation *all[] = { m->current, m->next, m->old };

	reopens = 0;
	if (!log_reopen())
		log_message(LOG_ERROR, "master", "cannot reopen the log: %s", strerror(errno));
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (all[i])
			generation_signal(all[i], SIGUSR1);
	}
	upgrade_signal(&m->upgrade, SIGUSR1);
}

/* What each generation needs again and again. */
static void look_after(struct master *m)
{
	struct generation *all[] = { m->current, m->next, m->old };
	bool at_once = m->stopping && (quits || stops > 1);

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		if (!all[i])
			continue;
		generation_reap(all[i]);
		generation_kill_stuck(all[i]);
		generation_drain_late(all[i], at_once);
		generation_start_due(all[i]);
	}
	if (m->old && !generation_alive(m->old)) {
		generation_free(m->old);
		m->old = NULL;
	}
}

static bool all_gone(const struct master *m)
{
	return !m->old && !generation_alive(m->current) &&
	       (!m->next || !generation_alive(m->next)) && upgrade_is_over(&m->upgrade);
}

/* All are there for the first time; and from then on that we are well, which a successor that
 * serves says for itself. */
static void report(struct master *m)
{
	bool serves = !upgrade_serves(&m->upgrade);

	if (serves && !m->ready && !m->stopping && generation_is_up(m->current))
		tell_ready(m);
	notify_beat(&m->notify, clock_monotonic_us(), serves && generation_alive(m->current));
}

/* What is unfit after an upgrade has failed is the old program: a new start takes the new one. */
static int unfit(const struct master *m)
{
	log_message(LOG_ERROR, "unfit", "no worker can serve; the lines above say what to do");
	return m->resumed ? EXIT_FAILURE : EXIT_UNFIT;
}

static int supervise(struct master *m)
{
	for (;;) {
		look_after_upgrade(m);
		look_after(m);
		if (m->stopping && all_gone(m))
			return EXIT_SUCCESS;
		if (!m->stopping && !m->next && upgrade_is_over(&m->upgrade) &&
		    generation_is_unfit(m->current))
			return unfit(m);
		report(m);
		wait_for_event(m);
		if (reopens)
			reopen_logs(m);
		if ((stops || quits || leaves) && !m->stopping)
			begin_stop(m);
		if (m->next && !m->stopping)
			finish_reload(m);
		if (reloads && !m->stopping)
			begin_change(m);
	}
}

/* --- start and end --------------------------------------------------------------------------- */

/* All that we serve, and no other: its clients would wait for ever. */
static bool given_fit(const struct ground *g, const struct settings *s)
{
	const char *wrong = NULL;
	bool auth = g->listeners[POOL_AUTH].fd >= 0;

	if (g->listeners[POOL_API].fd < 0)
		wrong = "a socket was given, but not api";
	else if (auth && !s->auth_workers)
		wrong = "the socket auth was given, but auth_workers is 0";
	else if (!auth && s->auth_workers)
		wrong = "the socket auth was not given; without it auth_workers has to be 0";
	if (wrong)
		log_message(LOG_ERROR, "listen", "%s", wrong);
	return !wrong;
}

static bool listen_all(struct ground *g, const struct settings *s)
{
	int given;

	for (int pool = 0; pool < POOL_COUNT; pool++)
		g->listeners[pool] = (struct listener){ .fd = -1, .lock_fd = -1 };
	given = listener_take_given(g->listeners, pool_names, POOL_COUNT);
	if (given)
		return given > 0 && given_fit(g, s);
	return listener_open(&g->listeners[POOL_API], s->listen, s->listen_group) &&
	       (!s->auth_workers ||
		listener_open(&g->listeners[POOL_AUTH], s->listen_auth, s->listen_group));
}

static bool write_pid_file(const char *path)
{
	FILE *f;
	bool ok;

	if (!*path)
		return true;
	f = fopen(path, "we");
	ok = f && fprintf(f, "%ld\n", (long)getpid()) > 0;
	if (f && fclose(f) != 0)
		ok = false;
	if (!ok)
		log_message(LOG_ERROR, "master", "pid_file %s: %s", path, strerror(errno));
	return ok;
}

/* In this order: what only root may do, giving that up, then what needs to be the user's own. */
static bool take_ground(struct master *m, const struct settings *s)
{
	if (!privileges_prepare(s) || !listen_all(&m->ground, s) || !privileges_drop(s))
		return false;
	if (!log_open_file(s->log_file)) {
		log_message(LOG_ERROR, "master", "log_file %s: %s", s->log_file, strerror(errno));
		return false;
	}
	if (pipe2(m->ground.lifeline, O_CLOEXEC) != 0) {
		log_message(LOG_ERROR, "master", "pipe: %s", strerror(errno));
		return false;
	}
	return write_pid_file(s->pid_file);
}

int master_run(struct settings *settings, const char *config_path, char *argv[])
{
	struct master m = { .config_path = config_path, .ground = { .lifeline = { -1, -1 } } };
	int status = EXIT_FAILURE;

	install_signals();
	notify_init(&m.notify);
	upgrade_init(&m.upgrade, argv);
	m.ground.board = board_new();
	if (!m.ground.board)
		fatal("no memory for the scoreboard: %s", strerror(errno));
	if (take_ground(&m, settings)) {
		m.current = generation_new(settings, &m.ground, ++m.generations);
		if (!m.current)
			return status;
		log_message(LOG_INFO, "started", "taskcell %s", PACKAGE_VERSION);
		status = supervise(&m);
		log_message(LOG_INFO, "stopped", "status %d", status);
		if (*generation_settings(m.current)->pid_file)
			(void)unlink(generation_settings(m.current)->pid_file);
	} else {
		settings_free(settings);
	}
	for (int pool = 0; pool < POOL_COUNT; pool++)
		listener_close(&m.ground.listeners[pool]);
	generation_free(m.next);
	generation_free(m.current);
	board_free(m.ground.board);
	return status;
}
