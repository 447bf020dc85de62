#include "base/base.h"

#include "server/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "api/call.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/fcgi.h"

enum { ARENA_CEILING = 256 * 1024 * 1024 }; /* a list of 1000 tasks of the greatest size */

static volatile sig_atomic_t stop_wanted;

static void on_stop(int signo)
{
	(void)signo;
	stop_wanted = 1;
}

/* INT comes from a terminal to the whole group: the master decides. Everything else that would end
 * a process still does. */
static void install_signals(void)
{
	struct sigaction stop = { .sa_handler = on_stop }, ignore = { .sa_handler = SIG_IGN },
			 plain = { .sa_handler = SIG_DFL };

	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &ignore, NULL);
	sigaction(SIGHUP, &ignore, NULL);
	sigaction(SIGUSR1, &ignore, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
	sigaction(SIGQUIT, &plain, NULL);
	sigaction(SIGCHLD, &plain, NULL);
}

/* Everything a worker owns. */
struct world {
	struct app app;
	struct gate gate;
	struct arena *arena;
	struct response response;
	struct fcgi *fcgi;
};

static void world_free(struct world *w)
{
	fcgi_close(w->fcgi);
	store_close(w->app.store);
	keys_free(w->app.keys);
	gate_close(&w->gate);
	response_free(&w->response);
	arena_free(w->arena);
}

static bool gate_start(struct gate *g, const struct settings *s)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/hashing.lock", s->run_dir);
	if (gate_open(g, path, (int)s->scrypt_concurrency))
		return true;
	log_message(LOG_ERROR, "worker", "cannot open %s: %s", path, strerror(errno));
	return false;
}

/* EXIT_SUCCESS, or the status to leave with. */
static int world_make(struct world *w, const struct worker *worker)
{
	const struct settings *s = worker->settings;
	struct store_options options = {
		.conninfo = s->database,
		.connect_timeout_ms = (int)s->connect_timeout,
		.statement_timeout_ms = (int)s->statement_timeout,
	};

	*w = (struct world){ .gate = { .fd = -1, .held = -1 } };
	response_init(&w->response);
	w->arena = arena_new(ARENA_CEILING);
	w->app = (struct app){
		.store = store_open(&options),
		.keys = keys_new(s->jwt_secret, strlen(s->jwt_secret), s->jwt_issuer,
				 s->jwt_audience),
		.gate = &w->gate,
		.slot = worker->slot,
		.mount = s->mount,
		.access_s = s->access_token_lifetime,
		.refresh_idle_s = s->refresh_idle_lifetime,
		.refresh_absolute_s = s->refresh_absolute_lifetime,
		.refresh_grace_s = s->refresh_grace,
		.scrypt_cost = (unsigned)s->scrypt_cost,
		.scrypt_wait_ms = (int)s->scrypt_wait,
		.registration_open = s->registration,
		.throttle = s->throttle,
		.throttle_address_per_minute = s->throttle_address_per_minute,
	};
	if (!w->app.keys || !gate_start(&w->gate, s))
		return EXIT_UNFIT;
	w->fcgi = fcgi_open(worker->listen_fd);
	if (!w->fcgi)
		return EXIT_FAILURE;
	/* A database that is down may come back; one that is wrong will stay so. */
	return store_check(w->app.store) == STORE_UNFIT ? EXIT_UNFIT : EXIT_SUCCESS;
}

static void serve_one(struct world *w, const struct worker *worker)
{
	struct request request;

	slot_set_state(worker->slot, SLOT_READING, clock_monotonic_us());
	if (fcgi_accept(w->fcgi, w->arena, w->app.mount, &request)) {
		slot_set_state(worker->slot, SLOT_RUNNING, clock_monotonic_us());
		dispatch(&w->app, w->arena, &request, &w->response);
		fcgi_send(w->fcgi, &request, &w->response);
		response_reset(&w->response);
	}
	arena_reset(w->arena);
	slot_set_state(worker->slot, SLOT_IDLE, clock_monotonic_us());
}

static void serve(struct world *w, const struct worker *worker, const sigset_t *open)
{
	struct pollfd fds[] = {
		{ .fd = worker->listen_fd, .events = POLLIN },
		{ .fd = worker->lifeline, .events = POLLIN },
	};
	const struct timespec at_once = { 0 };

	slot_set_state(worker->slot, SLOT_IDLE, clock_monotonic_us());
	while (!stop_wanted) {
		int ready = ppoll(fds, ARRAY_LEN(fds), NULL, open);

		if (ready < 0 && errno != EINTR)
			fatal("ppoll: %s", strerror(errno));
		if (ready < 0)
			continue;
		if (fds[1].revents)
			return;
		if (fds[0].revents)
			serve_one(w, worker);
		/* With a descriptor ready, ppoll returns before it looks at signals: under steady
		 * load TERM would wait for ever. Without descriptors it looks. */
		(void)ppoll(NULL, 0, &at_once, open);
	}
}

int worker_run(const struct worker *worker)
{
	sigset_t open;
	struct world w;
	int status;

	sigemptyset(&open);
	status = world_make(&w, worker);
	install_signals(); /* after libfcgi's own */
	if (status == EXIT_SUCCESS)
		serve(&w, worker, &open);
	world_free(&w);
	return status;
}
