#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "config/settings.h"
#include "server/master.h"
#include "server/worker.h"

enum { EXIT_USAGE = 64 };

static const char usage[] =
	"usage: taskcell [-c FILE] [--check] [--master | --worker]\n"
	"  -c, --config FILE  read this configuration (default: %s)\n"
	"      --check        test the configuration and leave\n"
	"      --master       keep a pool of workers on sockets of its own\n"
	"      --worker       be one worker on the socket that is descriptor 0\n"
	"                     (without either: what descriptor 0 is decides)\n"
	"  -h, --help         show this\n"
	"  -V, --version      show the version\n";

enum mode { MODE_GUESS, MODE_MASTER, MODE_WORKER };

struct options {
	const char *config;
	bool check;
	enum mode mode;
};

/* -1 to go on, or the status to leave with. */
static int read_options(int argc, char *argv[], struct options *out)
{
	enum { OPT_CHECK = 256, OPT_MASTER, OPT_WORKER };
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, OPT_CHECK },
		{ "master", no_argument, NULL, OPT_MASTER },
		{ "worker", no_argument, NULL, OPT_WORKER },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "c:hV", longs, NULL)) != -1) {
		switch (opt) {
		case 'c':
			out->config = optarg;
			break;
		case OPT_CHECK:
			out->check = true;
			break;
		case OPT_MASTER:
			out->mode = MODE_MASTER;
			break;
		case OPT_WORKER:
			out->mode = MODE_WORKER;
			break;
		case 'h':
			printf(usage, settings_default_path);
			return EXIT_SUCCESS;
		case 'V':
			puts(PACKAGE_STRING);
			return EXIT_SUCCESS;
		default:
			fprintf(stderr, usage, settings_default_path);
			return EXIT_USAGE;
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, usage, settings_default_path);
	return EXIT_USAGE;
}

/* mod_fcgid, spawn-fcgi and others start us with a listening socket as descriptor 0. */
static bool socket_is_given(void)
{
	int listening = 0;
	socklen_t len = sizeof(listening);

	return getsockopt(STDIN_FILENO, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 &&
	       listening;
}

/* One worker; whoever gave us the socket is the master. */
static int serve_alone(const struct settings *settings, struct board *board)
{
	struct worker worker = {
		.settings = settings,
		.board = board,
		.slot = board ? board_take(board, 1) : NULL,
		.listen_fd = STDIN_FILENO,
		.lifeline = -1,
		.alone = true,
	};
	int flags = fcntl(STDIN_FILENO, F_GETFL);
	sigset_t all;

	if (geteuid() == 0 || !socket_is_given() || !worker.slot || flags < 0 ||
	    fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK) < 0) {
		log_message(LOG_ERROR, "worker", "%s",
			    geteuid() == 0 ? "a worker does not run as root"
					   : "descriptor 0 is not a listening socket");
		return EXIT_FAILURE;
	}
	if (!log_open_file(settings->log_file)) {
		log_message(LOG_ERROR, "worker", "log_file %s: %s", settings->log_file,
			    strerror(errno));
		return EXIT_FAILURE;
	}
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	slot_set_pool(worker.slot, 0);
	return worker_run(&worker);
}

static int serve(const struct options *options, struct settings *settings, const char *path,
		 char *argv[])
{
	const struct rlimit none = { 0 };
	struct board *board;
	int status;

	/* a core would hold the keys and people's passwords */
	(void)setrlimit(RLIMIT_CORE, &none);
	if (options->mode == MODE_MASTER || (options->mode == MODE_GUESS && !socket_is_given()))
		return master_run(settings, path, argv);
	board = board_new();
	status = serve_alone(settings, board);
	board_free(board);
	settings_free(settings);
	return status;
}

int main(int argc, char *argv[])
{
	struct options options = { 0 };
	int status = read_options(argc, argv, &options);
	struct settings *settings;
	const char *path;

	if (status >= 0)
		return status;
	path = settings_path(options.config);
	settings = settings_load(path, SETTINGS_NEED_ALL, stderr);
	if (!settings)
		return EXIT_FAILURE;
	log_open(STDERR_FILENO, (enum log_level)settings->log_level);
	if (!options.check)
		return serve(&options, settings, path, argv);
	puts("configuration ok");
	settings_free(settings);
	return EXIT_SUCCESS;
}
