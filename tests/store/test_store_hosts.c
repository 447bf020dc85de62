/* Hosts that are not the server itself: silent ones, and poolers. */
#include "base/base.h"

#include "store/test_store.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

/* A socket where libpq looks for a server, in a directory of its own. */
struct host {
	char dir[32];
	struct sockaddr_un address;
	int fd;
};

static struct host host_new(void)
{
	struct host host = { .dir = "/tmp/taskcell-host.XXXXXX",
			     .address = { .sun_family = AF_UNIX },
			     .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(host.dir));
	snprintf(host.address.sun_path, sizeof(host.address.sun_path), "%s/.s.PGSQL.%s", host.dir,
		 PQport(admin));
	CU_ASSERT_FATAL(bind(host.fd, (struct sockaddr *)&host.address, sizeof(host.address)) == 0);
	CU_ASSERT_FATAL(listen(host.fd, 5) == 0);
	return host;
}

static void host_free(struct host *host)
{
	close(host->fd);
	unlink(host->address.sun_path);
	rmdir(host->dir);
}

static struct sockaddr_un server_address(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/.s.PGSQL.%s", PQhost(admin),
		 PQport(admin));
	return address;
}

/* A store of these hosts. */
static struct store *store_at(const char *hosts, int connect_timeout_ms, bool prepared)
{
	struct store_options options = fixture_options;

	options.connect_timeout_ms = connect_timeout_ms;
	options.prepared_statements = prepared;
	options.conninfo = arena_printf(arena, "host=%s port=%s dbname=%s user=taskcell", hosts,
					PQport(admin), PQdb(admin));
	return store_open(&options);
}

/* --- silent hosts ---------------------------------------------------------------------------- */

/* The first host of a list takes the connection and says nothing: the second is found in time. */
static void test_silent_host(void)
{
	struct host host = host_new();
	struct store *patient = store_at(arena_printf(arena, "%s,%s", host.dir, PQhost(admin)),
					 3000, fixture_options.prepared_statements);

	CU_ASSERT(store_check(patient) == STORE_OK);
	store_close(patient);
	host_free(&host);
}

/* Not every call waits for a host that is silent, and it is found soon after it is back. */
static void test_rest(void)
{
	enum { TIMEOUT_MS = 600 };
	struct host host = host_new();
	struct sockaddr_un server = server_address();
	struct store *waiting = store_at(host.dir, TIMEOUT_MS, fixture_options.prepared_statements);
	int64_t began = clock_monotonic_us(), failed;

	log_start();
	CU_ASSERT(store_check(waiting) == STORE_UNAVAILABLE);
	failed = clock_monotonic_us();
	CU_ASSERT(failed - began >= TIMEOUT_MS * 1000);
	CU_ASSERT(store_check(waiting) == STORE_UNAVAILABLE);
	CU_ASSERT(store_ready(waiting) == STORE_UNAVAILABLE);
	CU_ASSERT(clock_monotonic_us() - failed < TIMEOUT_MS * 1000);
	CU_ASSERT_FATAL(unlink(host.address.sun_path) == 0);
	CU_ASSERT_FATAL(symlink(server.sun_path, host.address.sun_path) == 0);
	while (store_check(waiting) != STORE_OK)
		fixture_poll(failed + 2 * US_PER_SECOND, "for a host that is back");
	CU_ASSERT_EQUAL(occurrences(log_read(), "event=database_unreachable"), 1);
	CU_ASSERT_EQUAL(occurrences(log_read(), "event=database_found"), 1);
	log_stop();
	store_close(waiting);
	host_free(&host);
}

/* --- poolers --------------------------------------------------------------------------------- */

/* What a pooler shows of itself: it names a process of its own to the client, and if it looks after
 * prepared statements, it names these as well. */
static void disguise_process(char *bytes, size_t n)
{
	static const char key_data[] = { 'K', 0, 0, 0, 12 };
	char *found = memmem(bytes, n, key_data, sizeof(key_data));

	if (found != NULL)
		found[8] ^= 1;
}

static void rename_statement(char *bytes, size_t n)
{
	static const char name[] = "fitness";

	for (char *p = bytes; (p = memmem(p, n - (size_t)(p - bytes), name, sizeof(name))) != NULL;)
		*p = 'F';
}

/* Passes on what comes from `from`; false at its end. */
static bool pass_on(int from, int to, void (*change)(char *, size_t))
{
	static char bytes[256 * 1024];
	ssize_t n = read(from, bytes, sizeof(bytes)), m;

	if (n <= 0)
		return false;
	if (change != NULL)
		change(bytes, (size_t)n);
	for (ssize_t done = 0; done < n; done += m) {
		m = write(to, bytes + done, (size_t)(n - done));
		if (m <= 0)
			return false;
	}
	return true;
}

static void relay(int client, const struct sockaddr_un *address, bool renames)
{
	int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd p[] = { { .fd = client, .events = POLLIN },
			      { .fd = server, .events = POLLIN } };
	bool begun = false, on;

	on = connect(server, (const struct sockaddr *)address, sizeof(*address)) == 0;
	while (on && poll(p, 2, -1) > 0) {
		if (p[0].revents != 0)
			on = pass_on(client, server, renames ? rename_statement : NULL);
		if (on && p[1].revents != 0) {
			on = pass_on(server, client, begun ? NULL : disguise_process);
			begun = true;
		}
	}
	close(server);
	close(client);
}

static pid_t pooler_start(const struct host *host, bool renames)
{
	struct sockaddr_un address = server_address();
	pid_t pid;

	fflush(NULL);
	pid = fork();
	CU_ASSERT_FATAL(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		relay(accept(host->fd, NULL, NULL), &address, renames);
}

static void pooler_stop(pid_t pid)
{
	CU_ASSERT(kill(pid, SIGKILL) == 0);
	CU_ASSERT(waitpid(pid, NULL, 0) == pid);
}

static void test_pooler(void)
{
	static const struct {
		bool renames, prepared;
		enum store_result result;
	} cases[] = {
		{ false, true, STORE_UNFIT },
		{ false, false, STORE_OK },
		{ true, true, STORE_OK },
		{ true, false, STORE_OK },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const unsigned refused = cases[i].result == STORE_UNFIT;
		struct host host = host_new();
		pid_t pooler = pooler_start(&host, cases[i].renames);
		struct store *behind = store_at(host.dir, 20000, cases[i].prepared);

		log_start();
		CU_ASSERT(store_check(behind) == cases[i].result);
		CU_ASSERT(store_check(behind) == cases[i].result);
		CU_ASSERT(store_ready(behind) == cases[i].result);
		CU_ASSERT_EQUAL(occurrences(log_read(), "event=database_unfit"), refused);
		CU_ASSERT_EQUAL(occurrences(log_read(), "set prepared_statements = off"), refused);
		CU_ASSERT_EQUAL(occurrences(log_read(), "event="), refused);
		log_stop();
		store_close(behind);
		pooler_stop(pooler);
		host_free(&host);
	}
}

CU_TestInfo host_tests[] = {
	{ "a silent host before one that speaks", test_silent_host },
	{ "a silent host alone", test_rest },
	{ "behind a pooler", test_pooler },
	CU_TEST_INFO_NULL,
};
