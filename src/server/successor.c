#include "base/base.h"

#include "server/successor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

/* --- the file -------------------------------------------------------------------------------- */

/* All zero for one that is not there, and so another one than any that ran. */
static struct program_file look_at(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		return (struct program_file){ 0 };
	return (struct program_file){
		.dev = st.st_dev, .ino = st.st_ino, .size = st.st_size, .mtime = st.st_mtim
	};
}

void program_init(struct program *p, char *argv[])
{
	ssize_t n;

	*p = (struct program){ .argv = argv };
	/* as it was named, which may be a link that is changed for an upgrade */
	(void)snprintf(p->path, sizeof(p->path), "%s", argv[0] ? argv[0] : "");
	if (!strchr(p->path, '/')) {
		n = readlink("/proc/self/exe", p->path, sizeof(p->path) - 1);
		p->path[n > 0 ? n : 0] = '\0';
	}
	p->file = look_at(p->path);
}

bool program_differs(const struct program *p, const struct program_file *f)
{
	struct program_file now = look_at(p->path);

	return now.dev != f->dev || now.ino != f->ino || now.size != f->size ||
	       now.mtime.tv_sec != f->mtime.tv_sec || now.mtime.tv_nsec != f->mtime.tv_nsec;
}

/* --- the start ------------------------------------------------------------------------------- */

static void set_number(const char *name, int64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRId64, value);
	if (setenv(name, text, 1) != 0)
		fatal("out of memory");
}

/* The sockets become descriptors 3, 4, …; first they are moved out of each other's way. */
static void give_sockets(const struct ground *ground)
{
	int high[POOL_COUNT], n = 0;
	char names[64] = "";

	for (int pool = 0; pool < POOL_COUNT; pool++) {
		if (ground->listeners[pool].fd < 0)
			continue;
		high[n] = fcntl(ground->listeners[pool].fd, F_DUPFD_CLOEXEC,
				FIRST_GIVEN + POOL_COUNT);
		if (high[n++] < 0)
			fatal("cannot give a socket away: %s", strerror(errno));
		(void)snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
			       *names ? ":" : "", pool_names[pool]);
	}
	for (int i = 0; i < n; i++) {
		if (dup2(high[i], FIRST_GIVEN + i) < 0)
			fatal("cannot give a socket away: %s", strerror(errno));
	}
	set_number("LISTEN_PID", getpid());
	set_number("LISTEN_FDS", n);
	if (setenv("LISTEN_FDNAMES", names, 1) != 0)
		fatal("out of memory");
}

/* As a program expects them at its start. What has arrived meanwhile ends this one. */
static void open_signals(void)
{
	struct sigaction plain = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int signo = 1; signo < SIGRTMIN; signo++)
		(void)sigaction(signo, &plain, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static NO_RETURN void become(const struct successor *s, const struct program *p,
			     const struct inheritance *given, pid_t parent)
{
	/* it stops when we die, as workers do */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	give_sockets(given->ground);
	if (given->beat_us) {
		set_number("WATCHDOG_PID", getpid());
		set_number("WATCHDOG_USEC", given->beat_us * 2);
	}
	/* whoever looks into pid_file is to find us, who pass everything on */
	if (setenv("NOTIFY_SOCKET", s->notify_path, 1) != 0 ||
	    setenv("TASKCELL_PID_FILE", "", 1) != 0)
		fatal("out of memory");
	open_signals();
	(void)execv(p->path, p->argv);
	fatal("%s: %s", p->path, strerror(errno));
}

static void close_ears(struct successor *s)
{
	(void)unlink(s->notify_path);
	(void)close(s->notify_fd);
	s->notify_fd = -1;
}

bool successor_start(struct successor *s, const struct program *p, const struct inheritance *given,
		     unsigned number)
{
	pid_t us = getpid();
	int n;

	*s = (struct successor){ .file = look_at(p->path),
				 .until = clock_monotonic_us() + given->patience_us };
	n = snprintf(s->notify_path, sizeof(s->notify_path), "%s/notify.%ld.%u", given->run_dir,
		     (long)us, number);
	if (n < 0 || (size_t)n >= sizeof(s->notify_path)) {
		log_message(LOG_ERROR, "upgrade_failed", "the path of run_dir is too long");
		return false;
	}
	s->notify_fd = notify_listen(s->notify_path);
	if (s->notify_fd < 0)
		return false;
	s->pid = fork();
	if (s->pid == 0)
		become(s, p, given, us);
	if (s->pid > 0)
		return true;
	log_message(LOG_ERROR, "master", "cannot fork: %s", strerror(errno));
	s->pid = 0;
	close_ears(s);
	return false;
}

/* --- its life -------------------------------------------------------------------------------- */

bool successor_hear(struct successor *s, char out[NOTIFY_MAX])
{
	return s->pid && notify_hear(s->notify_fd, out);
}

bool successor_reap(struct successor *s, int *status)
{
	if (!s->pid || waitpid(s->pid, status, WNOHANG) != s->pid)
		return false;
	s->pid = 0;
	close_ears(s);
	return true;
}

void successor_signal(const struct successor *s, int signo)
{
	if (s->pid)
		(void)kill(s->pid, signo);
}

void successor_leave(struct successor *s, int signo, int64_t patience_us)
{
	s->until = clock_monotonic_us() + patience_us;
	successor_signal(s, signo);
}

void successor_hurry(struct successor *s)
{
	int64_t soon = clock_monotonic_us() + US_PER_SECOND;

	if (s->until > soon)
		s->until = soon;
	successor_signal(s, SIGQUIT);
}

bool successor_kill_late(struct successor *s)
{
	if (!s->pid || clock_monotonic_us() < s->until)
		return false;
	successor_signal(s, SIGKILL);
	s->until = INT64_MAX;
	return true;
}
