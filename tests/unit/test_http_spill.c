/* Answers of no bounded size, whose beginning goes to a file. */
#include "base/base.h"

#include "test_http.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/problem.h"
#include "http/response.h"

static char dir[] = "/tmp/taskcell-spill-XXXXXX";

int spill_start(void)
{
	return mkdtemp(dir) ? 0 : 1;
}

int spill_stop(void)
{
	return rmdir(dir); /* fails when a file is left */
}

static size_t files_in_dir(void)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	while (d && readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void append(struct response *r, char c, size_t len)
{
	char *room = buf_reserve(&r->body, len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(room);
	memset(room, c, len);
	buf_commit(&r->body, len);
}

static void test_spill(void)
{
	const size_t piece = RESPONSE_SPILL / 4 * 3, pieces = 100;
	struct response r;
	struct stat st;
	char at_border[2];
	int fd;

	response_init(&r);
	CU_ASSERT(r.spill_fd == -1 && response_length(&r) == 0);
	CU_ASSERT(response_spill(&r, "/nowhere")); /* nothing to write */
	append(&r, 'a', RESPONSE_SPILL);
	CU_ASSERT(response_spill(&r, "/nowhere"));
	CU_ASSERT(r.spill_fd == -1 && response_length(&r) == RESPONSE_SPILL);
	append(&r, 'b', 1);
	CU_ASSERT(response_spill(&r, dir));
	CU_ASSERT(r.spill_fd >= 0 && r.spill_len == RESPONSE_SPILL + 1 && r.body.len == 0);
	for (size_t i = 0; i < RESPONSE_SPILL; i += 4096) /* nothing stays behind */
		CU_ASSERT_FATAL(r.body.data[i] == '\0');

	/* on and on, in the memory of a few pieces */
	for (size_t i = 0; i < pieces; i++) {
		append(&r, (char)('A' + i % 26), piece);
		CU_ASSERT(response_spill(&r, dir));
	}
	CU_ASSERT_EQUAL(response_length(&r), (int64_t)(RESPONSE_SPILL + 1 + pieces * piece));
	CU_ASSERT(r.body.cap <= 3 * RESPONSE_SPILL);
	CU_ASSERT_EQUAL(files_in_dir(), 0);
	CU_ASSERT_FATAL(fstat(r.spill_fd, &st) == 0);
	CU_ASSERT_EQUAL(st.st_size, r.spill_len);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	CU_ASSERT_EQUAL(st.st_nlink, 0);
	CU_ASSERT(fcntl(r.spill_fd, F_GETFD) & FD_CLOEXEC);
	CU_ASSERT_EQUAL(pread(r.spill_fd, at_border, 2, RESPONSE_SPILL), 2);
	CU_ASSERT(at_border[0] == 'b' && at_border[1] == 'A');
	CU_ASSERT_EQUAL(pread(r.spill_fd, at_border, 2, RESPONSE_SPILL + (off_t)piece), 2);
	CU_ASSERT(at_border[0] == 'A' && at_border[1] == 'B');

	fd = r.spill_fd;
	response_reset(&r);
	CU_ASSERT(r.spill_fd == -1 && response_length(&r) == 0 && r.body.cap <= RESPONSE_BODY_KEEP);
	CU_ASSERT(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
	response_free(&r);
}

/* An error in the middle takes the place of what was there. */
static void test_problem_drops_it(void)
{
	struct response r;
	int fd;

	response_init(&r);
	append(&r, 'a', RESPONSE_SPILL + 1);
	CU_ASSERT(response_spill(&r, dir));
	append(&r, 'b', 10);
	fd = r.spill_fd;
	problem_write(&r, &(struct problem){ .error = API_UNAVAILABLE, .request_id = "r" });
	CU_ASSERT(r.spill_fd == -1 && r.spill_len == 0);
	CU_ASSERT(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
	CU_ASSERT(r.body.len > 0 && r.body.data[0] == '{');
	CU_ASSERT_EQUAL(response_length(&r), (int64_t)r.body.len);

	append(&r, 'a', RESPONSE_SPILL + 1);
	CU_ASSERT(response_spill(&r, dir));
	fd = r.spill_fd;
	response_free(&r);
	CU_ASSERT(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
}

static void test_no_room(void)
{
	const struct rlimit small = { RESPONSE_SPILL + 4096, RLIM_INFINITY };
	char long_dir[5000];
	struct rlimit before;
	struct response r;

	response_init(&r);
	append(&r, 'a', RESPONSE_SPILL + 1);
	errno = 0;
	CU_ASSERT_FALSE(response_spill(&r, "/nowhere/at/all"));
	CU_ASSERT_EQUAL(errno, ENOENT);
	memset(long_dir, 'x', sizeof(long_dir));
	long_dir[sizeof(long_dir) - 1] = '\0';
	CU_ASSERT_FALSE(response_spill(&r, long_dir));
	CU_ASSERT_EQUAL(errno, ENAMETOOLONG);
	CU_ASSERT_EQUAL(response_length(&r), RESPONSE_SPILL + 1); /* nothing is lost yet */

	/* the disk is full in the middle of the second write */
	CU_ASSERT_FATAL(getrlimit(RLIMIT_FSIZE, &before) == 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	CU_ASSERT_FATAL(setrlimit(RLIMIT_FSIZE, &small) == 0);
	CU_ASSERT(response_spill(&r, dir));
	append(&r, 'b', RESPONSE_SPILL + 1);
	errno = 0;
	CU_ASSERT_FALSE(response_spill(&r, dir));
	CU_ASSERT_EQUAL(errno, EFBIG);
	CU_ASSERT_FATAL(setrlimit(RLIMIT_FSIZE, &before) == 0);
	response_free(&r);
	CU_ASSERT_EQUAL(files_in_dir(), 0);
}

CU_TestInfo spill_tests[] = {
	{ "spill", test_spill },
	{ "a problem", test_problem_drops_it },
	{ "no room", test_no_room },
	CU_TEST_INFO_NULL,
};
