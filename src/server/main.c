#include "base/base.h"

#include <errno.h>
#include <getopt.h>
#include <unistd.h>

#include "base/log.h"
#include "config/settings.h"
#include "server/master.h"

enum { EXIT_USAGE = 64 };

static const char usage[] = "usage: taskcell [-c FILE] [--check]\n"
			    "  -c, --config FILE  read this configuration (default: %s)\n"
			    "      --check        test the configuration and leave\n"
			    "  -h, --help         show this\n"
			    "  -V, --version      show the version\n";

struct options {
	const char *config;
	bool check;
};

/* -1 to go on, or the status to leave with. */
static int read_options(int argc, char *argv[], struct options *out)
{
	enum { OPT_CHECK = 256 };
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, OPT_CHECK },
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

int main(int argc, char *argv[])
{
	struct options options = { 0 };
	int status = read_options(argc, argv, &options);
	struct settings *settings;

	if (status >= 0)
		return status;
	settings = settings_load(settings_path(options.config), SETTINGS_NEED_ALL, stderr);
	if (!settings)
		return EXIT_FAILURE;
	log_open(STDERR_FILENO, (enum log_level)settings->log_level);
	if (options.check) {
		puts("configuration ok");
		status = EXIT_SUCCESS;
	} else if (geteuid() == 0) {
		fputs("taskcell: start me as an ordinary user, not as root\n", stderr);
		status = EXIT_FAILURE;
	} else {
		status = master_run(settings);
	}
	settings_free(settings);
	return status;
}
