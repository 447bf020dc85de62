/* Priority, due date and tags. */
#include "base/base.h"

#include "test_api.h"

#include "world.h"

struct scene {
	struct world *w;
	struct person ada;
	const char *path; /* of a task */
};

static struct scene scene_new(void)
{
	struct scene s = { .w = world_new() };

	s.ada = person_new(s.w, "ada@example.org");
	s.path = format(s.w, "/api/me/tasks/%s", task_new(s.w, &s.ada, "first"));
	return s;
}

static const struct answer *send(struct scene *s, const char *method, const char *body)
{
	return ASK(s->w, .method = method,
		   .path = strcmp(method, "POST") == 0 ? "/api/me/tasks" : s->path,
		   .token = s->ada.access, .body = body);
}

static void defaults(void)
{
	static const char *const bodies[] = {
		"{\"title\":\"x\"}",
		"{\"title\":\"x\",\"priority\":null,\"due_date\":null,\"tags\":null}",
		"{\"title\":\"x\",\"priority\":\"none\",\"tags\":[]}",
	};
	struct scene s = scene_new();

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
		const struct answer *a = send(&s, "POST", bodies[i]);

		CHECK(a, 201, NULL);
		CU_ASSERT(text_is(a, "priority", "none") && is_null(a, "due_date"));
		CU_ASSERT(length(a, "tags") == 0);
	}
	world_free(s.w);
}

static void values_come_back(void)
{
	static const char *const priorities[] = { "none", "low", "medium", "high" };
	static const char *const dates[] = {
		"2026-02-28",
		"0001-01-01",
		"9999-12-31",
		"2024-02-29",
		"2026-02-28T23:59:59Z",
		"2026-02-28t08:00:00.5+05:30",
		"2026-02-28T23:59:60-00:00",
	};
	struct scene s = scene_new();
	const struct answer *a;

	for (size_t i = 0; i < ARRAY_LEN(priorities); i++) {
		a = send(&s, "PATCH", format(s.w, "{\"priority\":\"%s\"}", priorities[i]));
		CHECK(a, 200, NULL);
		CU_ASSERT(text_is(a, "priority", priorities[i]));
	}
	for (size_t i = 0; i < ARRAY_LEN(dates); i++) {
		a = send(&s, "PATCH", format(s.w, "{\"due_date\":\"%s\"}", dates[i]));
		CHECK(a, 200, NULL);
		CU_ASSERT(text_is(a, "due_date", dates[i]));
		CU_ASSERT(text_is(a, "priority", "high"));
	}
	a = send(&s, "PATCH", "{\"tags\":[\" home \",\"B\\u00e4r\",\"a b\",\"Home\"]}");
	CHECK(a, 200, NULL);
	CU_ASSERT(length(a, "tags") == 4 && text_is(a, "tags.0", "home"));
	CU_ASSERT(text_is(a, "tags.1", "B\xc3\xa4r") && text_is(a, "tags.3", "Home"));
	/* each is kept when others change, and cleared by null */
	a = send(&s, "PATCH", "{\"due_date\":null}");
	CU_ASSERT(is_null(a, "due_date") && length(a, "tags") == 4);
	a = send(&s, "PUT", "{\"priority\":null,\"title\":\"y\"}");
	CU_ASSERT(text_is(a, "priority", "none") && length(a, "tags") == 4);
	a = send(&s, "PATCH", "{\"tags\":null}");
	CU_ASSERT(length(a, "tags") == 0 && text_is(a, "title", "y"));
	world_free(s.w);
}

/* The same values again do not move the version; another order of tags does. */
static void versions_move_with_values(void)
{
	static const char body[] =
		"{\"priority\":\"low\",\"due_date\":\"2026-02-28\",\"tags\":[\"a\",\"b\"]}";
	struct scene s = scene_new();

	for (int i = 0; i < 2; i++)
		CU_ASSERT(number(send(&s, "PATCH", body), "version") == 2);
	CU_ASSERT(number(send(&s, "PATCH", "{\"tags\":[\"b\",\"a\"]}"), "version") == 3);
	CU_ASSERT(number(send(&s, "PATCH", "{\"due_date\":\"2026-02-28T00:00:00Z\"}"), "version") ==
		  4);
	world_free(s.w);
}

static void strict_put_takes_defaults(void)
{
	struct scene s = scene_new();
	const struct answer *a;

	CHECK(send(&s, "PATCH",
		   "{\"priority\":\"low\",\"due_date\":\"2026-02-28\",\"tags\":[\"a\"]}"),
	      200, NULL);
	a = send(&s, "PUT", "{\"title\":\"x\"}");
	CU_ASSERT(text_is(a, "priority", "low") && length(a, "tags") == 1);
	CU_ASSERT(text_is(a, "due_date", "2026-02-28"));
	a = ASK(s.w, .method = "PUT", .path = s.path, .token = s.ada.access,
		.prefer = "handling=strict", .body = "{\"title\":\"x\"}");
	CHECK(a, 200, NULL);
	CU_ASSERT(text_is(a, "priority", "none") && length(a, "tags") == 0);
	CU_ASSERT(is_null(a, "due_date"));
	world_free(s.w);
}

static const char *tags_of(struct world *w, size_t n)
{
	const char *list = "";

	for (size_t i = 0; i < n; i++)
		list = format(w, "%s%s\"t%zu\"", list, i ? "," : "", i);
	return format(w, "{\"title\":\"x\",\"tags\":[%s]}", list);
}

static void bounds(void)
{
	struct scene s = scene_new();
	char tag[41 * 2 + 1] = "", zeros[65] = "";
	const struct answer *a;

	CHECK(send(&s, "POST", tags_of(s.w, 20)), 201, NULL);
	a = send(&s, "POST", tags_of(s.w, 21));
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(text_is(a, "errors.0.field", "tags") && text_is(a, "errors.0.code", "too_many"));
	for (int i = 0; i < 41; i++)
		memcpy(tag + strlen(tag), "\xc3\xa4", 3);
	a = send(&s, "PATCH", format(s.w, "{\"tags\":[\"x\",\"%s\"]}", tag));
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(text_is(a, "errors.0.field", "tags[1]"));
	CU_ASSERT(text_is(a, "errors.0.code", "too_long"));
	tag[80] = '\0';
	CHECK(send(&s, "PATCH", format(s.w, "{\"tags\":[\"%s\"]}", tag)), 200, NULL);
	/* a fraction may be long, but not without end */
	memset(zeros, '0', 43);
	a = send(&s, "PATCH", format(s.w, "{\"due_date\":\"2026-02-28T00:00:00.%sZ\"}", zeros));
	CHECK(a, 200, NULL);
	a = send(&s, "PATCH", format(s.w, "{\"due_date\":\"2026-02-28T00:00:00.0%sZ\"}", zeros));
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(text_is(a, "errors.0.code", "too_long"));
	world_free(s.w);
}

static void bad_values(void)
{
	static const struct {
		const char *member, *field, *code;
	} bad[] = {
		{ "\"priority\":\"High\"", "priority", "invalid_value" },
		{ "\"priority\":\"\"", "priority", "invalid_value" },
		{ "\"priority\":\"urgent\"", "priority", "invalid_value" },
		{ "\"priority\":2", "priority", "invalid_type" },
		{ "\"due_date\":\"\"", "due_date", "invalid_value" },
		{ "\"due_date\":\"2026-02-29\"", "due_date", "invalid_value" },
		{ "\"due_date\":\"2026-2-1\"", "due_date", "invalid_value" },
		{ "\"due_date\":\"0000-01-01\"", "due_date", "invalid_value" },
		{ "\"due_date\":\"2026-02-28 \"", "due_date", "invalid_value" },
		{ "\"due_date\":\"2026-02-28T10:00\"", "due_date", "invalid_value" },
		{ "\"due_date\":\"2026-02-28T10:00:00\"", "due_date", "invalid_value" },
		{ "\"due_date\":\"9999-12-31T23:59:59-01:00\"", "due_date", "invalid_value" },
		{ "\"due_date\":\"infinity\"", "due_date", "invalid_value" },
		{ "\"due_date\":\"now\"", "due_date", "invalid_value" },
		{ "\"due_date\":1772236800", "due_date", "invalid_type" },
		{ "\"tags\":\"a\"", "tags", "invalid_type" },
		{ "\"tags\":{}", "tags", "invalid_type" },
		{ "\"tags\":[\"a\",1]", "tags[1]", "invalid_type" },
		{ "\"tags\":[null]", "tags[0]", "invalid_type" },
		{ "\"tags\":[\"\"]", "tags[0]", "too_short" },
		{ "\"tags\":[\"a\",\" \\u3000\"]", "tags[1]", "too_short" },
		{ "\"tags\":[\"a\",\"b\",\" a\"]", "tags[2]", "duplicate" },
	};
	static const char *const methods[] = { "POST", "PUT", "PATCH" };
	struct scene s = scene_new();

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		for (size_t m = 0; m < ARRAY_LEN(methods); m++) {
			const struct answer *a = send(
				&s, methods[m], format(s.w, "{\"title\":\"x\",%s}", bad[i].member));

			CHECK(a, 422, "validation_failed");
			CU_ASSERT(length(a, "errors") == 1);
			CU_ASSERT(text_is(a, "errors.0.field", bad[i].field));
			CU_ASSERT(text_is(a, "errors.0.code", bad[i].code));
		}
	}
	CU_ASSERT(s.w->store->n_tasks == 1 && s.w->store->tasks[0].version == 1);
	world_free(s.w);
}

/* All that is wrong is told at once. */
static void errors_come_together(void)
{
	struct scene s = scene_new();
	const struct answer *a =
		send(&s, "POST", "{\"priority\":1,\"tags\":[\"\",2],\"completed\":\"yes\"}");

	CHECK(a, 422, "validation_failed");
	CU_ASSERT(length(a, "errors") == 5);
	a = send(&s, "POST",
		 "{\"title\":\"x\",\"id\":\"y\",\"due_date\":\"z\",\"tags\":[\"a\",\"a\",\"a\"]}");
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(length(a, "errors") == 4);
	CU_ASSERT(text_is(a, "errors.0.field", "id") && text_is(a, "errors.1.field", "due_date"));
	CU_ASSERT(text_is(a, "errors.2.field", "tags[1]"));
	CU_ASSERT(text_is(a, "errors.3.field", "tags[2]"));
	a = send(&s, "POST", "{\"due_date\":\"soon\",\"priority\":\"x\",\"tags\":[\"a\",\"a\"]}");
	CHECK(a, 422, "validation_failed");
	CU_ASSERT(length(a, "errors") == 4);
	world_free(s.w);
}

CU_TestInfo field_tests[] = {
	{ "defaults", defaults },
	{ "values come back", values_come_back },
	{ "versions", versions_move_with_values },
	{ "strict PUT", strict_put_takes_defaults },
	{ "bounds", bounds },
	{ "bad values", bad_values },
	{ "several errors", errors_come_together },
	CU_TEST_INFO_NULL,
};
