#include "base/base.h"

#include "seven.h"

const struct answer *list(struct world *w, const struct person *p, const char *query)
{
	return ASK(w, .path = format(w, "/api/me/tasks%s%s", *query ? "?" : "", query),
		   .token = p->access);
}

const char *titles(struct world *w, const struct answer *a)
{
	const char *all = "";

	for (int i = 0; i < length(a, ""); i++)
		all = format(w, "%s%s%s", all, i ? " " : "", text(a, format(w, "%d.title", i)));
	return all;
}

const char *next_of(struct world *w, const struct answer *a)
{
	const char *link = header(w, a, "Link");

	if (!link)
		return NULL;
	CU_ASSERT(link[0] == '<' && strstr(link, ">; rel=\"next\"") != NULL);
	return arena_strndup(w->memory, link + 1, strcspn(link, ">") - 1);
}

void create(struct world *w, const struct person *p, const char *body)
{
	fake_clock_advance(1000);
	CHECK(ASK(w, .method = "POST", .path = "/api/me/tasks", .token = p->access, .body = body),
	      201, NULL);
}

struct person seven(struct world *w)
{
	static const char *const bodies[] = {
		"{\"title\":\"delta\",\"description\":\"Buy green paint\",\"priority\":\"high\","
		"\"due_date\":\"2026-03-01\",\"tags\":[\"Home\",\"paint\"]}",
		"{\"title\":\"Alpha\",\"completed\":true,\"priority\":\"low\","
		"\"due_date\":\"2026-02-28T23:30:00Z\"}",
		"{\"title\":\"bravo\",\"priority\":\"high\",\"tags\":[\"home\"]}",
		"{\"title\":\"charlie\",\"due_date\":\"2026-03-01T00:30:00+02:00\"}",
		"{\"title\":\"alpha\",\"tags\":[\"work & play\"]}",
		"{\"title\":\"echo\",\"completed\":true,\"priority\":\"medium\","
		"\"due_date\":\"2026-02-28\"}",
		"{\"title\":\"foxtrot\",\"description\":\"paintings, 100% B\\u00e4r\"}",
	};
	struct person ada = person_new(w, "ada@example.org"),
		      bob = person_new(w, "bob@example.org");

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
		create(w, &ada, bodies[i]);
	create(w, &bob, "{\"title\":\"alpha\",\"priority\":\"high\",\"tags\":[\"home\"]}");
	calls_reset(w);
	return ada;
}
