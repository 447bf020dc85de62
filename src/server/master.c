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
#include "server/privileges.h"
#include "server/worker.h"

#define TICK_US      US_PER_SECOND        /* how often deadlines are looked at */
#define COMING_UP_US (30 * US_PER_SECOND) /* what a new generation has to reach its loops */

struct master {
	const char *config_path;
	struct ground ground;
	struct generation *current; /* serves */
	struct generation *next;    /* comes up after HUP, or NULL */
	struct generation *old;     /* drains, or NULL */
	unsigned generations;
	int64_t next_until; /* when the patience with `next` ends */
	bool stopping;
};

static volatile sig_atomic_t stops, quits, reloads, reopens;

static void on_signal(int signo)
{
	if (signo == SIGTERM || signo == SIGINT)
		stops = stops < 2 ? stops + 1 : 2;
	else if (signo == SIGQUIT)
		quits = 1;
	else if (signo == SIGHUP)
		reloads = 1;
	else if (signo == SIGUSR1)
		reopens = 1;
	/* SIGCHLD only has to end the ppoll */
}

/* Blocked from here on, in every child too, but for the ppoll in each loop. */
static void install_signals(void)
{
	static const int handled[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGCHLD };
	struct sigaction action = { .sa_handler = on_signal }, ignore = { .sa_handler = SIG_IGN };
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	for (size_t i = 0; i < ARRAY_LEN(handled); i++)
		sigaction(handled[i], &action, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
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
	struct settings *s = load_again(m);

	reloads = 0;
	if (!s)
		return;
	m->next = generation_new(s, &m->ground, ++m->generations);
	if (!m->next)
		return;
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
	} else if (generation_has_losses(m->next) || clock_monotonic_us() >= m->next_until) {
		m->old = m->next;
		m->next = NULL;
		generation_drain(m->old, SIGUSR2);
		log_message(LOG_ERROR, "reload_failed",
			    "the new workers do not come up; the old configuration stays");
	}
}

/* --- the loop -------------------------------------------------------------------------------- */

static void wait_for_event(const struct master *m)
{
	int64_t now = clock_monotonic_us(), at = now + TICK_US;
	int64_t due = generation_next_start(m->current);
	struct timespec ts = { 0 };
	sigset_t open;

	if (due < at)
		at = due;
	/* a slot that comes up sends no signal */
	if (m->next && now + TICK_US / 20 < at)
		at = now + TICK_US / 20;
	if (at > now) {
		ts.tv_sec = (time_t)((at - now) / US_PER_SECOND);
		ts.tv_nsec = (long)((at - now) % US_PER_SECOND * 1000);
	}
	sigemptyset(&open);
	if (ppoll(NULL, 0, &ts, &open) < 0 && errno != EINTR)
		fatal("ppoll: %s", strerror(errno));
}

static void begin_stop(struct master *m)
{
	log_message(LOG_INFO, "stopping", "waiting for the requests at hand");
	m->stopping = true;
	/* from now on the web server finds nobody; what it has queued is served */
	for (int pool = 0; pool < POOL_COUNT; pool++)
		listener_hide(&m->ground.listeners[pool]);
	generation_drain(m->current, SIGTERM);
	if (m->next)
		generation_drain(m->next, SIGTERM);
	if (m->old)
		generation_drain(m->old, SIGTERM);
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

static int supervise(struct master *m)
{
	for (;;) {
		look_after(m);
		if (m->stopping && !m->old && !generation_alive(m->current) &&
		    (!m->next || !generation_alive(m->next)))
			return EXIT_SUCCESS;
		if (!m->stopping && generation_is_unfit(m->current) && !m->next) {
			log_message(LOG_ERROR, "unfit",
				    "no worker can serve; the lines above say what to do");
			return EXIT_UNFIT;
		}
		wait_for_event(m);
		if (reopens)
			reopen_logs(m);
		if ((stops || quits) && !m->stopping)
			begin_stop(m);
		if (m->next && !m->stopping)
			finish_reload(m);
		/* one reload at a time: the next begins when the last one's old workers are gone */
		if (reloads && !m->stopping && !m->next && !m->old)
			begin_reload(m);
	}
}

/* --- start and end --------------------------------------------------------------------------- */

static bool listen_all(struct ground *g, const struct settings *s)
{
	for (int pool = 0; pool < POOL_COUNT; pool++)
		g->listeners[pool] = (struct listener){ .fd = -1, .lock_fd = -1 };
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

int master_run(struct settings *settings, const char *config_path)
{
	struct master m = { .config_path = config_path, .ground = { .lifeline = { -1, -1 } } };
	int status = EXIT_FAILURE;

	install_signals();
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
	return status;
}
