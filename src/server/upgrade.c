#include "base/base.h"

#include "server/upgrade.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/log.h"

void upgrade_init(struct upgrade *u, char *argv[])
{
	*u = (struct upgrade){ .count = 0 };
	program_init(&u->program, argv);
}

bool upgrade_is_due(const struct upgrade *u)
{
	return program_differs(&u->program, u->serving.pid ? &u->serving.file : &u->program.file);
}

bool upgrade_begin(struct upgrade *u, const struct inheritance *given)
{
	u->missed = 0;
	if (!successor_start(&u->coming, &u->program, given, ++u->count))
		return false;
	log_message(LOG_INFO, "upgrading", "%s comes up as process %ld", u->program.path,
		    (long)u->coming.pid);
	return true;
}

bool upgrade_serves(const struct upgrade *u)
{
	return u->serving.pid != 0;
}

bool upgrade_is_busy(const struct upgrade *u)
{
	return u->coming.pid || u->leaving.pid;
}

bool upgrade_is_over(const struct upgrade *u)
{
	return !u->coming.pid && !u->serving.pid && !u->leaving.pid;
}

static void log_end_of(const char *who, int status)
{
	log_message(LOG_ERROR, "upgrade_failed", "%s ended with %s %d; the one before serves", who,
		    WIFSIGNALED(status) ? "signal" : "status",
		    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void kill_late(struct successor *s, const char *what)
{
	if (successor_kill_late(s))
		log_message(LOG_ERROR, "upgrade_failed",
			    "process %ld does not %s in time and is killed", (long)s->pid, what);
}

static void hand_over(struct upgrade *u, int64_t leaving_us)
{
	u->leaving = u->serving;
	successor_leave(&u->leaving, SIGUSR2, leaving_us);
	u->serving = u->coming;
	u->serving.until = INT64_MAX;
	u->coming.pid = 0;
	if (u->missed)
		successor_signal(&u->serving, u->missed);
	log_message(LOG_INFO, "upgraded", "process %ld serves", (long)u->serving.pid);
}

static bool hear(struct upgrade *u, const struct notify *manager, int64_t leaving_us)
{
	char text[NOTIFY_MAX];
	bool ready = false;

	while (successor_hear(&u->leaving, text))
		;
	while (successor_hear(&u->serving, text)) {
		/* if it alone stops, we go on */
		if (!u->stopping && !notify_says(text, "STOPPING=1"))
			notify_send(manager, "%s", text);
	}
	while (!ready && successor_hear(&u->coming, text))
		ready = !u->stopping && notify_says(text, "READY=1");
	if (ready) {
		hand_over(u, leaving_us);
		notify_send(manager, "%s", text);
	}
	return ready;
}

enum upgrade_event upgrade_look_after(struct upgrade *u, const struct notify *manager,
				      int64_t leaving_us)
{
	int status;

	kill_late(&u->coming, "come up");
	kill_late(&u->serving, "stop");
	kill_late(&u->leaving, "leave");
	successor_reap(&u->leaving, &status);
	if (hear(u, manager, leaving_us))
		return UPGRADE_DONE;
	if (successor_reap(&u->coming, &status) && !u->stopping) {
		log_end_of("the new program", status);
		return UPGRADE_REFUSED;
	}
	if (successor_reap(&u->serving, &status) && !u->stopping) {
		log_end_of("the program that served", status);
		return UPGRADE_LOST;
	}
	return UPGRADE_NOTHING;
}

void upgrade_wait_set(const struct upgrade *u, struct pollfd *fds)
{
	const struct successor *all[UPGRADE_FDS] = { &u->coming, &u->serving, &u->leaving };

	for (size_t i = 0; i < UPGRADE_FDS; i++)
		fds[i] = (struct pollfd){ .fd = all[i]->pid ? all[i]->notify_fd : -1,
					  .events = POLLIN };
}

void upgrade_signal(struct upgrade *u, int signo)
{
	/* it would die of it, as long as it does not say that it is ready */
	if (u->coming.pid)
		u->missed = signo;
	successor_signal(&u->serving, signo);
	successor_signal(&u->leaving, signo);
}

void upgrade_stop(struct upgrade *u, int signo, int64_t patience_us)
{
	u->stopping = true;
	successor_leave(&u->coming, signo, patience_us);
	successor_leave(&u->serving, signo, patience_us);
	successor_leave(&u->leaving, signo, patience_us);
}

void upgrade_hurry(struct upgrade *u)
{
	struct successor *all[] = { &u->coming, &u->serving, &u->leaving };

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		successor_hurry(all[i]);
}
