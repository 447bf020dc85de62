/* The floor of the benchmark: the least that a libfcgi and libpq program can do to answer with a
 * list of 20 tasks, or with one. The same statements as taskcell's, of a role that no policy fences
 * in: no token, no session, no isolation, no checks, no escaping, no log, blocking calls. What
 * taskcell costs above this is what it does for its users.
 *
 *	floor WORKERS LIST_STATEMENT GET_STATEMENT
 *
 * Descriptor 0 is the listening socket, DATABASE_URL names the database. Without workers this
 * process serves by itself. */
#include <fcgiapp.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIST_PARAMS = 11, GET_PARAMS = 2, USER_AT = 5, UUID_LEN = 36, TASK_AT = 48, PAGE = 20 };

#define LAST_UUID "ffffffff-ffff-ffff-ffff-ffffffffffff"

static void must(bool ok, const PGconn *conn)
{
	if (ok)
		return;
	fprintf(stderr, "floor: %s", PQerrorMessage(conn));
	exit(EXIT_FAILURE);
}

static PGconn *connect_and_prepare(char *statements[])
{
	PGconn *conn = PQconnectdb(getenv("DATABASE_URL"));
	PGresult *list = PQprepare(conn, "list", statements[0], LIST_PARAMS, NULL);
	PGresult *get = PQprepare(conn, "get", statements[1], GET_PARAMS, NULL);

	must(PQresultStatus(list) == PGRES_COMMAND_OK && PQresultStatus(get) == PGRES_COMMAND_OK,
	     conn);
	PQclear(list);
	PQclear(get);
	return conn;
}

/* /api/USER/tasks?limit=20 or /api/USER/tasks/TASK */
static PGresult *ask(PGconn *conn, const char *uri)
{
	char user[UUID_LEN + 1];
	const char *list[LIST_PARAMS] = { user, [8] = "21", "infinity", LAST_UUID };
	const char *get[GET_PARAMS] = { user, uri + TASK_AT };

	memcpy(user, uri + USER_AT, UUID_LEN);
	user[UUID_LEN] = '\0';
	return uri[TASK_AT - 1] == '/'
		       ? PQexecPrepared(conn, "get", GET_PARAMS, get, NULL, NULL, 0)
		       : PQexecPrepared(conn, "list", LIST_PARAMS, list, NULL, NULL, 0);
}

static size_t write_row(const PGresult *rows, int row, char *to, size_t size)
{
	size_t len = 0;

	for (int f = 0; f < PQnfields(rows); f++)
		len += (size_t)snprintf(to + len, size - len, "%c\"%s\":\"%s\"", f ? ',' : '{',
					PQfname(rows, f), PQgetvalue(rows, row, f));
	to[len++] = '}';
	return len;
}

static void serve(char *statements[])
{
	PGconn *conn = connect_and_prepare(statements);
	static char body[65536];
	FCGX_Request r;

	must(FCGX_Init() == 0 && FCGX_InitRequest(&r, 0, 0) == 0, conn);
	while (FCGX_Accept_r(&r) == 0) {
		PGresult *rows = ask(conn, FCGX_GetParam("REQUEST_URI", r.envp));
		int n = PQntuples(rows) < PAGE ? PQntuples(rows) : PAGE;
		size_t len = 1;

		body[0] = '[';
		for (int i = 0; i < n && len < sizeof(body) - 4096; i++) {
			if (i)
				body[len++] = ',';
			len += write_row(rows, i, body + len, sizeof(body) - len - 1);
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
	exit(EXIT_SUCCESS);
}

int main(int argc, char *argv[])
{
	long workers;

	if (argc != 4)
		return 64;
	workers = strtol(argv[1], NULL, 10);
	if (workers == 0)
		serve(argv + 2);
	/* the group is ended by the benchmark, all at once */
	for (long i = 0; i < workers; i++) {
		if (fork() == 0)
			serve(argv + 2);
	}
	while (wait(NULL) > 0)
		;
	return EXIT_SUCCESS;
}
