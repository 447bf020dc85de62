/* Every statement of a user, run: the owner is in the statement itself. */
#include "base/base.h"

#include "store/test_statements.h"

/* What each statement of scope user is run with. The first parameter is always A's id. */
enum value {
	V_END,
	V_SESSION,
	V_TASK, /* also of a session that is over, and of a row of the audit */
	V_OLD,  /* a session of a former epoch; in the trash for too long */
	V_TRASHED,
	V_KEY, /* of an idempotent request */
	V_NEW,
	V_HASH,
	V_NULL,
	V_TEXT,
	V_TRUE,
	V_FALSE,
	V_LATE,
	V_LAST_ID,
	V_EARLY,
	V_NOW,
	V_TAG,
	V_TAGS,
	V_WORD,
	V_ZERO,
	V_ONE,
	V_TEN
};

/* Parameters $2 to $8 of lists: nothing, and everything about the tasks of load_two_users(). */
#define NO_FILTER    V_NULL, V_NULL, V_NULL, V_NULL, V_NULL, V_NULL, V_NULL
#define EVERY_FILTER V_TRUE, V_ONE, V_TAG, V_LATE, V_EARLY, V_WORD, V_ZERO
/* $3 to $11 of what makes a task. */
#define NEW_TASK V_TEXT, V_TEXT, V_TRUE, V_ONE, V_TEXT, V_NOW, V_TAGS, V_NOW, V_NOW

struct user_case {
	enum statement_id id;
	enum value values[13];
	int rows; /* given back, or written when it gives none */
};

static const struct user_case user_cases[] = {
	{ STATEMENT_USER_GET, { V_END }, 1 },
	{ STATEMENT_SESSION_GET, { V_SESSION }, 1 },
	{ STATEMENT_USER_CHANGE, { V_TEXT, V_TRUE, V_TEXT, V_TASK }, 1 },
	{ STATEMENT_USER_CHANGE, { V_NULL, V_TRUE, V_NULL, V_NULL }, 1 },
	{ STATEMENT_USER_CHANGE, { V_TEXT, V_TRUE, V_TEXT, V_NEW }, 0 },
	{ STATEMENT_CREDENTIAL_LOCK, { V_END }, 1 },
	{ STATEMENT_PASSWORD_CHANGE, { V_SESSION, V_HASH, V_TEXT }, 1 },
	{ STATEMENT_PASSWORD_CHANGE, { V_SESSION, V_TEXT, V_TEXT }, 0 },
	{ STATEMENT_PASSWORD_CHANGE, { V_TASK, V_HASH, V_TEXT }, 0 },
	{ STATEMENT_PASSWORD_CHANGE, { V_OLD, V_HASH, V_TEXT }, 0 },
	{ STATEMENT_ACCOUNT_DELETE, { V_SESSION, V_HASH, V_ZERO, V_NEW, V_TEXT }, 1 },
	{ STATEMENT_ACCOUNT_DELETE, { V_SESSION, V_HASH, V_TEN, V_NEW, V_TEXT }, 0 },
	{ STATEMENT_ACCOUNT_DELETE, { V_SESSION, V_TEXT, V_ZERO, V_NEW, V_TEXT }, 0 },
	{ STATEMENT_ACCOUNT_DELETE, { V_TASK, V_HASH, V_ZERO, V_NEW, V_TEXT }, 0 },
	{ STATEMENT_ACCOUNT_DELETE, { V_OLD, V_HASH, V_ZERO, V_NEW, V_TEXT }, 0 },
	{ STATEMENT_ACCOUNT_EXPORT, { V_END }, 1 },
	/* one that is live, one of a former epoch, one that is over */
	{ STATEMENT_SESSION_EXPORT, { V_END }, 3 },
	/* `registered` and `known` */
	{ STATEMENT_AUDIT_LIST, { V_EARLY, V_LAST_ID, V_TEN }, 2 },
	{ STATEMENT_AUDIT_ERASE, { V_TASK }, 1 },
	{ STATEMENT_AUDIT_ERASE, { V_NEW }, 0 },
	{ STATEMENT_SESSION_LIST, { V_END }, 1 },
	{ STATEMENT_SESSION_END_OWN, { V_SESSION, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_SESSION }, 1 },
	{ STATEMENT_SESSION_END_OWN, { V_TASK, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_SESSION }, 0 },
	{ STATEMENT_SESSION_END_OWN, { V_SESSION, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_TASK }, 0 },
	{ STATEMENT_SESSION_END_OWN, { V_OLD, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_SESSION }, 0 },
	{ STATEMENT_SESSION_END_OWN, { V_SESSION, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_OLD }, 0 },
	{ STATEMENT_SESSION_END_OTHERS,
	  { V_SESSION, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_TEXT, V_NULL, V_NULL },
	  1 },
	{ STATEMENT_SESSION_END_OTHERS,
	  { V_OLD, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_TEXT, V_NULL, V_NULL },
	  0 },
	{ STATEMENT_SESSION_END_OTHERS,
	  { V_SESSION, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_TEXT, V_HASH, V_ZERO },
	  1 },
	{ STATEMENT_SESSION_END_OTHERS,
	  { V_SESSION, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_TEXT, V_TEXT, V_ZERO },
	  0 },
	{ STATEMENT_SESSION_END_OTHERS,
	  { V_SESSION, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_TEXT, V_HASH, V_TEN },
	  0 },
	{ STATEMENT_SESSION_END_OTHERS,
	  { V_TASK, V_NEW, V_TEXT, V_TEXT, V_TEXT, V_TEXT, V_NULL, V_NULL },
	  0 },
	{ STATEMENT_SESSION_PRUNE, { V_END }, 1 },
	{ STATEMENT_USER_LOCK, { V_END }, 1 },
	{ STATEMENT_TASK_REVISION, { V_END }, 1 },
	{ STATEMENT_TASK_LIST_NEWEST, { NO_FILTER, V_TEN, V_LATE, V_LAST_ID }, 1 },
	{ STATEMENT_TASK_LIST_OLDEST, { NO_FILTER, V_TEN, V_EARLY, V_LAST_ID }, 1 },
	{ STATEMENT_TASK_LIST_UP, { NO_FILTER, V_TEN, V_EARLY, V_LAST_ID, V_TEXT, V_ONE }, 1 },
	{ STATEMENT_TASK_LIST_DOWN, { NO_FILTER, V_TEN, V_LATE, V_LAST_ID, V_TEXT, V_ONE }, 1 },
	{ STATEMENT_TASK_LIST_NEWEST, { EVERY_FILTER, V_TEN, V_LATE, V_LAST_ID }, 1 },
	{ STATEMENT_TASK_LIST_OLDEST, { EVERY_FILTER, V_TEN, V_EARLY, V_LAST_ID }, 1 },
	{ STATEMENT_TASK_LIST_UP, { EVERY_FILTER, V_TEN, V_EARLY, V_LAST_ID, V_TEXT, V_ONE }, 1 },
	{ STATEMENT_TASK_LIST_DOWN, { EVERY_FILTER, V_TEN, V_LATE, V_LAST_ID, V_TEXT, V_ONE }, 1 },
	{ STATEMENT_TASK_COUNT, { NO_FILTER }, 1 },
	{ STATEMENT_TASK_COUNT, { EVERY_FILTER }, 1 },
	{ STATEMENT_TASK_STATS, { V_NOW }, 1 },
	{ STATEMENT_TASK_FEED, { V_ZERO, V_ZERO, V_TEN }, 4 },
	{ STATEMENT_TASK_GET, { V_TASK }, 1 },
	{ STATEMENT_TASK_CREATE, { V_NEW, NEW_TASK, V_TEXT, V_TEXT }, 1 },
	{ STATEMENT_TASK_CREATE, { V_NEW, NEW_TASK, V_NULL, V_NULL }, 1 },
	{ STATEMENT_TASK_CREATE, { V_NEW, NEW_TASK, V_KEY, V_TEXT }, 1 },
	{ STATEMENT_TASK_CREATE, { V_TASK, NEW_TASK, V_TEXT, V_TEXT }, 1 },
	{ STATEMENT_TASK_CREATE, { V_TRASHED, NEW_TASK, V_TEXT, V_TEXT }, 0 },
	{ STATEMENT_TASK_IMPORT, { V_NEW, NEW_TASK, V_FALSE }, 1 },
	{ STATEMENT_TASK_IMPORT, { V_TASK, NEW_TASK, V_FALSE }, 1 },
	{ STATEMENT_TASK_IMPORT, { V_TRASHED, NEW_TASK, V_FALSE }, 1 },
	{ STATEMENT_IDEMPOTENCY_PRUNE, { V_END }, 1 },
	{ STATEMENT_TASK_CHANGE,
	  { V_TASK, V_NULL, V_TEXT, V_TRUE, V_TEXT, V_TRUE, V_FALSE, V_ONE, V_TRUE, V_TEXT, V_NOW,
	    V_TAGS },
	  1 },
	{ STATEMENT_TASK_DELETE, { V_TASK, V_NULL }, 1 },
	{ STATEMENT_TASK_CLEAR_COMPLETED, { V_END }, 1 },
	{ STATEMENT_TRASH_LIST, { V_LATE, V_LAST_ID, V_TEN, V_FALSE }, 1 },
	{ STATEMENT_TRASH_LIST, { V_LATE, V_LAST_ID, V_TEN, V_TRUE }, 2 },
	{ STATEMENT_TRASH_RESTORE, { V_TRASHED }, 1 },
	{ STATEMENT_TRASH_RESTORE, { V_OLD }, 0 },
	{ STATEMENT_TRASH_DELETE, { V_TRASHED }, 1 },
	{ STATEMENT_TRASH_EMPTY, { V_END }, 1 },
	{ STATEMENT_TRASH_FORGET, { V_END }, 1 },
};

static const char *value_text(enum value value)
{
	switch (value) {
	case V_SESSION:
		return fixture_id(&a.principal.session_id);
	case V_TASK:
		return fixture_id(&task_id);
	case V_NEW:
		return "01234567-89ab-7def-8123-456789abcdef";
	case V_OLD:
		return fixture_id(&old_id);
	case V_HASH:
		return a.password_hash;
	case V_TEXT:
		return "some text";
	case V_TRUE:
		return "true";
	case V_FALSE:
		return "false";
	case V_LATE:
		return "infinity";
	case V_LAST_ID:
		return "ffffffff-ffff-ffff-ffff-ffffffffffff";
	case V_TRASHED:
		return fixture_id(&trashed_id);
	case V_KEY:
		return "key";
	case V_EARLY:
		return "-infinity";
	case V_NOW:
		return "2026-01-01 00:00:00Z";
	case V_TAG:
		return "TWO words";
	case V_TAGS:
		return "{\"two words\",b}";
	case V_WORD:
		return "o"; /* the title is "of A" */
	case V_ZERO:
		return "0";
	case V_ONE:
		return "1";
	case V_TEN:
		return "10";
	case V_END:
	case V_NULL:
		break;
	}
	return NULL;
}

static void add_result(FILE *out, const PGresult *res)
{
	enum { TIMESTAMPTZ = 1184 };

	fprintf(out, "%s %s rows\n", PQcmdStatus((PGresult *)res),
		PQresStatus(PQresultStatus(res)));
	for (int row = 0; row < PQntuples(res); row++)
		for (int column = 0; column < PQnfields(res); column++)
			/* Each run has its own now(). */
			if (PQftype(res, column) != TIMESTAMPTZ)
				fprintf(out, "%s\n", PQgetvalue(res, row, column));
}

/* What a user has behind the statement, without the times. */
static void add_rows(FILE *out, PGconn *conn, const struct uuid *user_id)
{
	const char *id = fixture_id(user_id);
	char *rows = fixture_text(
		conn,
		"select (id, email, name, revision, feed_floor)::text from taskcell.users"
		" where id = '%s' union all select (id, title, completed, version,"
		" priority, due_date, tags)::text"
		" from taskcell.tasks where user_id = '%s' union all"
		" select (id, title, completed, version, priority, due_date, tags)::text"
		" from taskcell.trash where user_id = '%s' union all"
		" select (key, digest, task_id, version)::text"
		" from taskcell.idempotency where user_id = '%s' union all"
		" select (id, epoch, counter, revoked_at is null)::text"
		" from taskcell.sessions where user_id = '%s' union all"
		" select (password_hash, epoch)::text from taskcell.credentials"
		" where user_id = '%s' union all select (id, event, session_id, ip,"
		" user_agent, request_id)::text from taskcell.audit"
		" where user_id = '%s' order by 1",
		id, id, id, id, id, id, id);

	fputs(rows, out);
	free(rows);
}

/* Runs it and takes it back; returns what it gave and did. */
static char *run_case(PGconn *conn, const struct user_case *c)
{
	const struct statement *s = &statements[c->id];
	const char *params[14] = { fixture_id(&a.principal.user_id) };
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	PGresult *res;

	CU_ASSERT_FATAL(out != NULL && s->params >= 1 && s->params <= 14);
	for (int i = 1; i < s->params; i++)
		params[i] = value_text(c->values[i - 1]);
	fixture_exec(conn, "begin");
	if (conn == ordinary)
		fixture_int(conn, "select length(set_config('taskcell.user_id', '%s', true))",
			    params[0]);
	res = PQexecParams(conn, s->text, s->params, NULL, params, NULL, NULL, 0);
	if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK)
		fail_statement(s, PQerrorMessage(conn));
	if (strtol(PQcmdTuples(res), NULL, 10) != c->rows)
		fail_statement(s, "number of rows");
	add_result(out, res);
	PQclear(res);
	add_rows(out, conn, &a.principal.user_id);
	fclose(out);
	return text;
}

/* The policies change nothing: the statement itself names the owner. And the owner only: under
 * nobody's eyes it leaves the other user as it was. */
static void test_owner_in_the_statement(void)
{
	char *before = NULL, *after = NULL;
	size_t len;
	FILE *out = open_memstream(&before, &len);

	CU_ASSERT_FATAL(out != NULL);
	add_rows(out, admin, &b.principal.user_id);
	fclose(out);
	for (size_t i = 0; i < ARRAY_LEN(user_cases); i++) {
		const struct user_case *c = &user_cases[i];
		char *fenced = run_case(ordinary, c);
		char *free_of_it;

		fixture_exec(ordinary, "rollback");
		free_of_it = run_case(admin, c);
		if (strcmp(fenced, free_of_it) != 0)
			fail_statement(&statements[c->id], "differs without the policies");
		out = open_memstream(&after, &len);
		CU_ASSERT_FATAL(out != NULL);
		add_rows(out, admin, &b.principal.user_id);
		fclose(out);
		if (strcmp(before, after) != 0)
			fail_statement(&statements[c->id], "reaches another user");
		fixture_exec(admin, "rollback");
		free(fenced);
		free(free_of_it);
		free(after);
	}
	free(before);
}

static void test_every_user_statement_runs(void)
{
	for (size_t i = 0; i < STATEMENT_COUNT; i++) {
		bool run = false;

		for (size_t j = 0; j < ARRAY_LEN(user_cases); j++)
			run |= user_cases[j].id == i;
		if (run != (strcmp(statements[i].scope, "user") == 0))
			fail_statement(&statements[i], "user_cases and the scope disagree");
	}
}

CU_TestInfo user_statement_tests[] = {
	{ "the owner is in the statement", test_owner_in_the_statement },
	{ "every statement of a user is run", test_every_user_statement_runs },
	CU_TEST_INFO_NULL,
};
