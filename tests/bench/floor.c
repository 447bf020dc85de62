/* The floor of the benchmark: the least that a libfcgi and libpq program can do to answer with the
 * list of 20 tasks. One statement, the same as taskcell's, with the user fixed at the start: no
 * token, no session, no fence, no checks, no escaping, no log, blocking calls. What taskcell costs
 * above this is what it does for its users.
 *
 *	floor SOCKET WORKERS USER_ID STATEMENT	(DATABASE_URL names the database) */
#include <fcgiapp.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PARAMS = 11 }; /* of the statement */

#define LAST_UUID "ffffffff-ffff-ffff-ffff-ffffffffffff"

static void serve(int fd, const char *user, const char *statement)
{
	/* no filter; from the start */
	const char *values[PARAMS] = { user, [8] = "21", "infinity", LAST_UUID };
	PGconn *conn = PQconnectdb(getenv("DATABASE_URL"));
	static char body[65536];
	FCGX_Request r;

	/* the fence stands open for this one user, once and for all */
	PQclear(PQexecParams(conn, "select set_config('taskcell.user_id', $1, false)", 1, NULL,
			     &user, NULL, NULL, 0));
	PQclear(PQprepare(conn, "list", statement, PARAMS, NULL));
	if (PQstatus(conn) != CONNECTION_OK || FCGX_Init() != 0 ||
	    FCGX_InitRequest(&r, fd, 0) != 0) {
		fprintf(stderr, "floor: %s", PQerrorMessage(conn));
		exit(1);
	}
	while (FCGX_Accept_r(&r) == 0) {
		PGresult *rows = PQexecPrepared(conn, "list", PARAMS, values, NULL, NULL, 0);
		int n = PQntuples(rows) < 20 ? PQntuples(rows) : 20;
		size_t len = 1;

		body[0] = '[';
		for (int i = 0; i < n && len < sizeof(body) - 4096; i++) {
			len += (size_t)snprintf(body + len, sizeof(body) - len, "%s{",
						i ? "," : "");
			for (int f = 0; f < PQnfields(rows); f++)
				len += (size_t)snprintf(body + len, sizeof(body) - len,
							"%s\"%s\":\"%s\"", f ? "," : "",
							PQfname(rows, f), PQgetvalue(rows, i, f));
			body[len++] = '}';
		}
		body[len++] = ']';
		PQclear(rows);
		FCGX_FPrintF(r.out,
			     "Status: 200 OK\r\nContent-Type: application/json\r\n"
			     "Content-Length: %d\r\n\r\n",
			     (int)len);
		FCGX_PutStr(body, (int)len, r.out);
		FCGX_Finish_r(&r);
	}
	exit(0);
}

int main(int argc, char *argv[])
{
	int fd, workers;

	if (argc != 5)
		return 64;
	workers = (int)strtol(argv[2], NULL, 10);
	fd = FCGX_OpenSocket(argv[1], 511);
	if (fd < 0)
		return 1;
	/* the group is ended by the benchmark, all at once */
	for (int i = 0; i < workers; i++) {
		if (fork() == 0)
			serve(fd, argv[3], argv[4]);
	}
	while (wait(NULL) > 0)
		;
	return 0;
}
