/* The FastCGI transport with answers and bodies in files, and a little application above it:
 *
 *	transport DIR			on the listening socket that is descriptor 0
 *
 *	GET /spill?N	N bytes, spilled between pieces; 503 when they cannot be
 *	GET /lost?N	the same, but half of the file is gone when it is sent
 *	GET /wait	waits for what fcgi_wait_set() watches, and says what it was
 *	anything else	says what the body was
 */
#include "base/base.h"

#include "server/fcgi.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

enum { KEEP = 2, PIECE = 10000, WAIT_MS = 20000 };

static void answer(struct response *r, int status, const char *type)
{
	r->status = status;
	r->content_type = type;
}

/* Byte n is n % 251: a piece that is lost, doubled or misplaced shows. */
static bool fill(struct response *r, int64_t len, const char *dir)
{
	int64_t n = 0;

	while (n < len) {
		size_t piece = len - n < PIECE ? (size_t)(len - n) : PIECE;
		char *room = buf_reserve(&r->body, piece);

		if (!room)
			return false;
		for (size_t i = 0; i < piece; i++)
			room[i] = (char)(n++ % 251);
		buf_commit(&r->body, piece);
		if (!response_spill(r, dir))
			return false;
	}
	return true;
}

static void spill(const struct request *q, struct response *r, const char *dir)
{
	bool lost = strcmp(q->path, "/lost") == 0;

	if (!fill(r, strtoll(q->query, NULL, 10), dir)) {
		response_drop_body(r);
		answer(r, 503, "text/plain");
		return;
	}
	answer(r, 200, "application/octet-stream");
	if (lost && ftruncate(r->spill_fd, r->spill_len / 2) < 0)
		answer(r, 500, "text/plain");
}

static void wait_for_somebody(struct fcgi *f, struct response *r)
{
	struct pollfd fds[KEEP + 2];
	size_t n = fcgi_wait_set(f, fds);
	const char *who = "nobody";

	if (poll(fds, n, WAIT_MS) < 0)
		who = strerror(errno);
	for (size_t i = 0; i < n; i++) {
		if (fds[i].revents)
			who = i == n - 1 ? "listener" : fds[i].events ? "kept" : "peer";
	}
	answer(r, 200, "text/plain");
	buf_printf(&r->body, "%s", who);
	fprintf(stderr, "%s\n", who);
}

static void say(const struct request *q, struct response *r)
{
	static const char *const states[] = { "complete", "too large", "cut", "lost" };
	uint32_t sum = 0;

	for (size_t i = 0; i < q->body_len; i++)
		sum = sum * 31 + (uint8_t)q->body[i];
	answer(r, 200, "application/json");
	buf_printf(&r->body,
		   "{\"state\":\"%s\",\"len\":%zu,\"sum\":%" PRIu32 ",\"end\":%d,"
		   "\"accept\":\"%s\",\"key\":\"%s\"}",
		   states[q->body_state], q->body_len, sum, q->body[q->body_len],
		   q->accept ? q->accept : "none",
		   q->idempotency_key ? q->idempotency_key : "none");
}

static void serve_one(struct fcgi *f, size_t entry, struct arena *a, const char *dir)
{
	struct response r;
	struct request q;

	response_init(&r);
	if (fcgi_accept(f, entry, a, "", &q) == FCGI_REQUEST) {
		response_header(&r, "X-Request-Id", q.request_id);
		if (q.query && (!strcmp(q.path, "/spill") || !strcmp(q.path, "/lost")))
			spill(&q, &r, dir);
		else if (!strcmp(q.path, "/wait"))
			wait_for_somebody(f, &r);
		else
			say(&q, &r);
		fcgi_send(f, &q, &r);
	}
	response_free(&r);
	arena_reset(a);
}

int main(int argc, char *argv[])
{
	struct arena *arena = arena_new((size_t)1 << 20);
	struct pollfd fds[KEEP + 1];
	struct fcgi *f;

	(void)signal(SIGXFSZ, SIG_IGN);
	if (argc != 2 || fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) < 0)
		return 2;
	f = fcgi_open(STDIN_FILENO, KEEP, argv[1]);
	if (!f)
		return 2;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGTERM, SIG_DFL); /* the library's own does nothing */
	for (;;) {
		size_t n = fcgi_poll_set(f, fds);

		if (poll(fds, n, -1) < 0 && errno != EINTR)
			return 2;
		for (size_t i = 0; i < n; i++) {
			if (fds[i].revents)
				serve_one(f, i, arena, argv[1]);
		}
	}
}
