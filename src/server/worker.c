#include "base/base.h"

#include "server/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "api/call.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "server/fcgi.h"
#include "shared/usage.h"

enum {
	ARENA_CEILING = 256 * 1024 * 1024, /* a list of 1000 tasks of the greatest size */
	DRAIN_MAX = 4096,                  /* requests after TERM; the queue is shorter */
	ACCEPT_PAUSE_MS = 100,
	WAIT_MAX_MS = 1000,
	READY_MAX = 16, /* a look; the others come first at the next */
};

#define LOOK_US (10 * US_PER_SECOND) /* between looks at our memory */

static volatile sig_atomic_t drain_wanted, leave_wanted, reopen_wanted;
static volatile sig_atomic_t at_work; /* with a request, and no master that would wait for it */

/* Whoever started us may send KILL soon after TERM, mod_fcgid a second later. A child is not known
 * to him: there the request goes on to its end, within what is left of its time. */
static void go_on_as_a_child(void)
{
	unsigned left = alarm(0);

	if (_Fork() > 0)
		_exit(EXIT_SUCCESS);
	(void)alarm(left);
}

static void on_signal(int signo)
{
	if (signo == SIGTERM && at_work && !drain_wanted)
		go_on_as_a_child();
	if (signo == SIGTERM)
		drain_wanted = 1;
	else if (signo == SIGUSR2)
		leave_wanted = 1;
	else
		reopen_wanted = 1;
}

/* What interrupts here is stuck in a read or a write, and the process ends: a record may be
 * made. */
static void on_alarm(int signo)
{
	(void)signo;
	log_message(LOG_ERROR, "worker_stuck", "the request took longer than request_timeout");
	_exit(EXIT_FAILURE);
}

/* INT comes from a terminal to the whole group: the master decides. Everything else that would
 * end a process still does. */
static void install_signals(bool alone)
{
	static const int handled[] = { SIGTERM, SIGUSR1, SIGUSR2 };
	/* restarting, since libfcgi takes a write that was interrupted for the end of the peer */
	struct sigaction ours = { .sa_handler = on_signal, .sa_flags = SA_RESTART },
			 ignore = { .sa_handler = SIG_IGN }, plain = { .sa_handler = SIG_DFL },
			 alarmed = { .sa_handler = on_alarm };
	sigset_t late;

	for (size_t i = 0; i < ARRAY_LEN(handled); i++)
		sigaction(handled[i], &ours, NULL);
	sigaction(SIGINT, alone ? &plain : &ignore, NULL);
	sigaction(SIGHUP, &ignore, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGQUIT, &plain, NULL);
	sigaction(SIGCHLD, &plain, NULL);
	if (alone) {
		sigaction(SIGALRM, &alarmed, NULL);
		sigemptyset(&late);
		sigaddset(&late, SIGALRM);
		sigprocmask(SIG_UNBLOCK, &late, NULL);
	}
}

/* Everything a worker owns. */
struct world {
	struct app app; /* first, so that pause_request() finds the rest */
	const struct worker *worker;
	struct gate gate, waiting;
	struct pollfd *wait_fds; /* of fcgi_wait_set(), and the lifeline */
	int epoll;               /* of what there may be work from */
	struct arena *arena;
	struct response response;
	struct fcgi *fcgi;
	int64_t look_at;         /* when the next look at our memory is due */
	char public_origin[256]; /* longer than the longest public_url */
};

static void world_free(struct world *w)
{
	fcgi_close(w->fcgi);
	store_close(w->app.store);
	keys_free(w->app.keys);
	gate_close(&w->gate);
	gate_close(&w->waiting);
	free(w->wait_fds);
	if (w->epoll >= 0)
		(void)close(w->epoll);
	response_free(&w->response);
	arena_free(w->arena);
}

static bool gate_start(struct gate *g, const char *dir, const char *name, int slots)
{
	char path[4096 + 32];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (gate_open(g, path, slots))
		return true;
	log_message(LOG_ERROR, "worker", "cannot open %s: %s", path, strerror(errno));
	return false;
}

/* How many workers may wait for changes: a quarter, but one always. Also of those that a web server
 * starts, if it starts as many as `workers` says. */
static int wait_slots(const struct worker *worker)
{
	int workers = (int)worker->settings->workers;

	return workers >= 4 ? workers / 4 : 1;
}

static bool gates_start(struct world *w, const struct worker *worker)
{
	const struct settings *s = worker->settings;

	return gate_start(&w->gate, s->run_dir, "hashing.lock", (int)s->scrypt_concurrency) &&
	       gate_start(&w->waiting, s->run_dir, "waiting.lock", wait_slots(worker));
}

/* Else the first large request would be the one to tell. */
static bool spool_is_fit(const char *dir)
{
	if (access(dir, W_OK | X_OK) == 0)
		return true;
	log_message(LOG_ERROR, "worker", "cannot make files in %s: %s", dir, strerror(errno));
	return false;
}

/* Keys of a folder, or of one secret, with which tokens may have been signed before. */
static struct keys *keys_make(const struct settings *s)
{
	int64_t access = s->access_token_lifetime, refresh = s->refresh_idle_lifetime;
	const struct keys_options options = {
		.dir = s->key_dir,
		.secret = *s->jwt_secret ? s->jwt_secret : NULL,
		.issuer = s->jwt_issuer,
		.audience = s->jwt_audience,
		.verify_s = access > refresh ? access : refresh,
	};
	struct keys *keys;

	if (*s->key_dir)
		return keys_open(&options); /* says itself what is wrong */
	keys = keys_new(s->jwt_secret, strlen(s->jwt_secret), s->jwt_issuer, s->jwt_audience);
	if (!keys)
		log_message(LOG_ERROR, "worker", "the keys cannot be made of jwt_secret");
	return keys;
}

/* What public_url says of cookies: only the owner of a whole host can tell his pages from those of
 * others, so that a path means no cookies. */
static void app_set_site(struct world *w, const char *public_url)
{
	const char *host = strstr(public_url, "://");
	size_t origin = host ? (size_t)(host - public_url) + 3 : 0;

	origin += strcspn(public_url + origin, "/");
	(void)snprintf(w->public_origin, sizeof(w->public_origin), "%.*s", (int)origin, public_url);
	w->app.public_origin = w->public_origin;
	w->app.cookie_mode = origin && (!public_url[origin] || !public_url[origin + 1]);
	w->app.cookie_secure = strncmp(public_url, "https:", 6) == 0;
}

/* With a descriptor ready, ppoll returns before it looks at signals: under steady load TERM would
 * wait for ever. Without descriptors it looks. */
static void take_signals(const sigset_t *open)
{
	const struct timespec at_once = { 0 };

	(void)ppoll(NULL, 0, &at_once, open);
	if (reopen_wanted && !log_reopen())
		log_message(LOG_ERROR, "worker", "cannot reopen the log: %s", strerror(errno));
	reopen_wanted = 0;
}

/* The time of the request at hand counts from `from`, which may be to come. */
static void start_deadline(struct world *w, int64_t from)
{
	int64_t timeout = w->worker->settings->request_timeout, ahead = from - clock_monotonic_us();

	slot_set_since(w->worker->slot, from);
	/* in time to say so before the master thinks we are stuck */
	store_limit(w->app.store, from + timeout * US_PER_SECOND * 3 / 4);
	if (w->worker->alone)
		(void)alarm((unsigned)(timeout + (ahead > 0 ? ahead / US_PER_SECOND + 1 : 0)));
}

static struct timespec timespec_of(int64_t us)
{
	return (struct timespec){
		.tv_sec = (time_t)(us / US_PER_SECOND),
		.tv_nsec = (long)(us % US_PER_SECOND * 1000),
	};
}

/* struct app's `pause`. False also when somebody needs this worker: it has kept connections that no
 * sibling can serve, the peer has gone, or the workers are so few that one of them is more than a
 * quarter and new connections find nobody else. */
static bool pause_request(struct app *app, int ms)
{
	struct world *w = (struct world *)app;
	const struct timespec ts = timespec_of((int64_t)ms * 1000);
	size_t n = fcgi_wait_set(w->fcgi, w->wait_fds);
	struct pollfd *fds = w->wait_fds;
	sigset_t open;

	start_deadline(w, clock_monotonic_us() + (int64_t)ms * 1000);
	if (!w->worker->alone && w->worker->settings->workers >= 4)
		n--; /* not the listener, which the others watch */
	fds[n++] = (struct pollfd){ .fd = w->worker->lifeline, .events = POLLIN };
	sigemptyset(&open);
	if (ppoll(fds, n, &ts, &open) < 0 && errno != EINTR)
		fatal("ppoll: %s", strerror(errno));
	take_signals(&open);
	for (size_t i = 0; i < n; i++) {
		if (fds[i].revents)
			return false;
	}
	return !drain_wanted && !leave_wanted;
}

static bool app_make(struct world *w, const struct worker *worker)
{
	const struct settings *s = worker->settings;
	const struct store_options options = {
		.conninfo = s->database,
		.connect_timeout_ms = (int)s->connect_timeout,
		.statement_timeout_ms = (int)s->statement_timeout,
		.prepared_statements = s->prepared_statements,
		.audit_keep_s = s->audit_retention * 24 * 60 * 60,
	};

	w->app = (struct app){
		.store = store_open(&options),
		.keys = keys_make(s),
		.gate = &w->gate,
		.board = worker->board,
		.slot = worker->slot,
		.alone = worker->alone,
		.mount = s->mount,
		.access_s = s->access_token_lifetime,
		.refresh_idle_s = s->refresh_idle_lifetime,
		.refresh_absolute_s = s->refresh_absolute_lifetime,
		.refresh_grace_s = s->refresh_grace,
		.scrypt_cost = (unsigned)s->scrypt_cost,
		.scrypt_wait_ms = (int)s->scrypt_wait,
		.registration_open = s->registration != REGISTRATION_CLOSED,
		.registration_invite = s->registration == REGISTRATION_INVITE,
		.throttle = s->throttle,
		.throttle_address_per_minute = s->throttle_address_per_minute,
		.site_name = s->site_name,
		.cors_origins = s->cors_origins,
		.spool_dir = s->spool_dir,
		.waiting = &w->waiting,
		.pause = pause_request,
		.slow_us = s->slow_request * 1000,
		.trace_queries = s->trace_queries,
	};
	app_set_site(w, s->public_url);
	/* the lists have been read once before, when the settings were checked */
	return w->app.keys && net_list_parse(s->trusted_proxies, &w->app.trusted_proxies) &&
	       net_list_parse(s->metrics_allow, &w->app.metrics_allow);
}

/* EXIT_SUCCESS, or the status to leave with. */
static int world_make(struct world *w, const struct worker *worker)
{
	size_t keep = (size_t)worker->settings->keep_connections;

	*w = (struct world){ .worker = worker,
			     .epoll = -1,
			     .gate = { .fd = -1, .held = -1 },
			     .waiting = { .fd = -1, .held = -1 } };
	response_init(&w->response);
	w->arena = arena_new(ARENA_CEILING);
	if (!app_make(w, worker))
		return EXIT_UNFIT;
	if (!gates_start(w, worker) || !spool_is_fit(worker->settings->spool_dir))
		return EXIT_FAILURE;
	w->wait_fds = calloc(keep + 3, sizeof(*w->wait_fds));
	w->fcgi = fcgi_open(worker->listen_fd, keep, worker->settings->spool_dir);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!w->wait_fds || !w->fcgi || w->epoll < 0)
		return EXIT_FAILURE;
	/* A database that is down may come back; one that is wrong will stay so. */
	return store_check(w->app.store) == STORE_UNFIT ? EXIT_UNFIT : EXIT_SUCCESS;
}

/* Without a master TERM comes through while a request is answered. */
static void work(bool on, bool alone)
{
	sigset_t term;

	if (!alone)
		return;
	at_work = on;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(on ? SIG_UNBLOCK : SIG_BLOCK, &term, NULL);
}

/* Not often: it takes as long as a small request. */
static void look_at_memory(struct world *w, int64_t now)
{
	int64_t resident, proportional;

	if (now < w->look_at)
		return;
	w->look_at = now + LOOK_US;
	usage_memory(&resident, &proportional);
	slot_set_memory(w->worker->slot, resident, proportional);
}

/* What is watched already stays so until it is closed. */
static void watch(const struct world *w, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.fd = fd };

	if (fd >= 0 && epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e) != 0 && errno != EEXIST)
		fatal("epoll_ctl: %s", strerror(errno));
}

static bool serve_one(struct world *w, const struct worker *worker, size_t entry)
{
	int64_t now = clock_monotonic_us();
	struct request request;
	enum fcgi_result r;

	slot_set_state(worker->slot, SLOT_READING, now);
	start_deadline(w, now);
	store_reset(w->app.store);
	r = fcgi_accept(w->fcgi, entry, w->arena, w->app.mount, &request);
	if (r == FCGI_REQUEST) {
		slot_set_state(worker->slot, SLOT_RUNNING, clock_monotonic_us());
		work(true, worker->alone);
		dispatch(&w->app, w->arena, &request, &w->response);
		watch(w, fcgi_send(w->fcgi, &request, &w->response), EPOLLIN);
		work(false, worker->alone);
		response_reset(&w->response);
	} else if (r == FCGI_FAILED) {
		log_message(LOG_ERROR, "accept", "%s", strerror(errno));
		(void)poll(NULL, 0, ACCEPT_PAUSE_MS); /* it will not be better at once */
	}
	if (worker->alone)
		(void)alarm(0);
	arena_reset(w->arena);
	now = clock_monotonic_us();
	slot_set_state(worker->slot, SLOT_IDLE, now);
	look_at_memory(w, now);
	return r == FCGI_REQUEST;
}

/* The requests that this process serves before it makes room for a new one: not all workers at
 * once. 0: no limit. */
static int64_t request_limit(int64_t max)
{
	uint32_t chance;

	random_bytes(&chance, sizeof(chance));
	return max ? max - chance % (max / 8 + 1) : 0;
}

/* What waits in the listener's queue, when its socket is about to go. */
static void drain(struct world *w, const struct worker *worker)
{
	for (int i = 0; i < DRAIN_MAX && serve_one(w, worker, 0); i++)
		;
}

/* A connection that we close may be the one on which the web server sends the next request at
 * this very moment; that request would be lost. So a worker that leaves waits for the web server
 * to close those it has kept, for a while. After a reload a successor takes the new connections;
 * a worker that has reached its limit has none yet, and goes on with all of them. */
struct leaving {
	bool on;
	int64_t until; /* earlier than the master's patience */
};

static bool may_go(struct leaving *l, const struct world *w, const struct worker *worker)
{
	int64_t now = clock_monotonic_us();

	if (!l->on) {
		l->on = true;
		l->until = now + worker->settings->stop_timeout * US_PER_SECOND * 3 / 4;
	}
	return fcgi_kept(w->fcgi) == 0 || now >= l->until;
}

/* Waits for something to do, and sets `revents` like poll(2). Now and then it sends to the listener
 * without being told: whoever was woken for a connection may have been killed or stopped just then.
 * False when the master has died. */
static bool wait_for_work(const struct world *w, struct pollfd *fds, size_t n,
			  const struct leaving *leaving, const sigset_t *open)
{
	int64_t left = leaving->until - clock_monotonic_us();
	int timeout = WAIT_MAX_MS, ready;
	struct epoll_event events[READY_MAX];
	bool alive = true;

	if (leaving->on && left < timeout * INT64_C(1000))
		timeout = left > 0 ? (int)(left / 1000 + 1) : 0;
	ready = epoll_pwait(w->epoll, events, READY_MAX, timeout, open);
	if (ready < 0 && errno != EINTR)
		fatal("epoll_pwait: %s", strerror(errno));
	take_signals(open);
	if (ready == 0 && !leave_wanted)
		fds[0].revents = POLLIN;
	for (int e = 0; e < ready; e++) {
		alive = alive && events[e].data.fd != w->worker->lifeline;
		for (size_t i = 0; i < n; i++) {
			if (fds[i].fd == events[e].data.fd)
				fds[i].revents = POLLIN;
		}
	}
	return alive;
}

/* Of the workers that are idle the kernel wakes the one that has watched longest: so each in turn,
 * or the first would have all the connections that are kept. */
static void stand_last(const struct world *w)
{
	int fd = w->worker->listen_fd;

	if (!leave_wanted && epoll_ctl(w->epoll, EPOLL_CTL_DEL, fd, NULL) == 0)
		watch(w, fd, EPOLLIN | EPOLLEXCLUSIVE);
}

/* One request of each connection a round, the listener's included: none can starve another. */
static void serve(struct world *w, const struct worker *worker, const sigset_t *open)
{
	struct pollfd *fds = calloc((size_t)worker->settings->keep_connections + 1, sizeof(*fds));
	int64_t limit = request_limit(worker->settings->max_requests), served = 0;
	struct leaving leaving = { 0 };

	if (!fds)
		fatal("out of memory");
	watch(w, worker->lifeline, EPOLLIN);
	/* of all the workers that are idle a connection wakes one */
	watch(w, worker->listen_fd, EPOLLIN | EPOLLEXCLUSIVE);
	look_at_memory(w, clock_monotonic_us());
	slot_set_state(worker->slot, SLOT_IDLE, clock_monotonic_us());
	while (!drain_wanted) {
		size_t n;

		if ((leave_wanted || (limit && served >= limit)) && may_go(&leaving, w, worker))
			break;
		n = fcgi_poll_set(w->fcgi, fds);
		if (leave_wanted)
			(void)epoll_ctl(w->epoll, EPOLL_CTL_DEL, worker->listen_fd, NULL);
		if (!wait_for_work(w, fds, n, &leaving, open))
			break;
		if (fds[0].revents)
			stand_last(w);
		for (size_t i = 0; i < n; i++) {
			if (fds[i].revents)
				served += serve_one(w, worker, i);
		}
	}
	free(fds);
	if (drain_wanted)
		drain(w, worker);
}

int worker_run(const struct worker *worker)
{
	sigset_t open;
	struct world w;
	int status;

	sigemptyset(&open);
	status = world_make(&w, worker);
	install_signals(worker->alone); /* after libfcgi's own */
	if (status == EXIT_SUCCESS)
		serve(&w, worker, &open);
	world_free(&w);
	return status;
}
