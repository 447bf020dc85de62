#include "base/base.h"

#include "test_http.h"

#include "http/json_bind.h"

/* A body such as a batch has: objects in an array, and texts in an array in these. */
struct data {
	struct json_text title;
	struct json_word priority;
	struct json_texts tags;
	struct json_text secret;
};
struct operation {
	struct json_word op;
	struct json_int version;
	struct json_part data;
};
struct batch {
	struct json_flag atomic;
	struct json_int count;
	struct json_texts names;
	struct json_part first;
	struct json_parts operations;
};

static const char *const priorities[] = { "none", "low", "high", NULL };
static const char *const ops[] = { "create", "delete", NULL };

#define AT(target, member, kind, demands)                                                          \
	.name = #member, .type = (kind), .rules = (demands),                                       \
	.offset = offsetof(struct target, member)

static const struct field data_fields[] = {
	{ AT(data, title, FIELD_TEXT, FIELD_REQUIRED | FIELD_TRIMMED), .min = 1, .max = 5 },
	{ AT(data, priority, FIELD_WORD, FIELD_NULLABLE), .words = priorities },
	{ AT(data, tags, FIELD_TEXTS, FIELD_NULLABLE | FIELD_TRIMMED), .min = 1, .max = 3,
	  .max_items = 3 },
	{ AT(data, secret, FIELD_TEXT, FIELD_SECRET), .max = 100 },
};
static const struct field_table data_table = FIELD_TABLE(data_fields, struct data);

static const struct field operation_fields[] = {
	{ AT(operation, op, FIELD_WORD, FIELD_REQUIRED), .words = ops },
	{ AT(operation, version, FIELD_INT, FIELD_TAG), .min = 1, .max = INT64_MAX },
	{ AT(operation, data, FIELD_PART, FIELD_NULLABLE), .table = &data_table },
};
static const struct field_table operation_table = FIELD_TABLE(operation_fields, struct operation);

static const struct field batch_fields[] = {
	{ AT(batch, atomic, FIELD_FLAG, FIELD_NULLABLE) },
	{ AT(batch, count, FIELD_INT, FIELD_NULLABLE), .min = 2, .max = 40 },
	{ AT(batch, names, FIELD_TEXTS, 0), .min = 0, .max = 2, .max_items = 2 },
	{ AT(batch, first, FIELD_PART, 0), .table = &operation_table },
	{ AT(batch, operations, FIELD_PARTS, FIELD_NULLABLE), .table = &operation_table,
	  .max_items = 3 },
};
static const struct field_table table = FIELD_TABLE(batch_fields, struct batch);

static struct arena *arena;

int nested_start(void)
{
	arena = arena_new((size_t)8 << 20);
	return 0;
}

int nested_stop(void)
{
	arena_free(arena);
	return 0;
}

static struct batch *bind(const char *text)
{
	struct field_errors errors;
	void *out = NULL;

	return json_bind(arena, &table, text, strlen(text), true, &errors, &out) == API_OK ? out
											   : NULL;
}

static const char *verdict(const char *text, bool strict)
{
	return bind_verdict(arena, &table, text, strlen(text), strict);
}

static void test_values(void)
{
	const struct operation *o;
	const struct data *d;
	struct batch *b = bind("{\"atomic\":true,\"count\":40,\"names\":[\"\",\"ab\"],"
			       "\"first\":{\"op\":\"delete\",\"version\":9223372036854775806},"
			       "\"operations\":[{\"op\":\"create\",\"data\":{\"title\":\" a \","
			       "\"priority\":\"high\",\"tags\":[\" x \",\"\\u00e4bc\"]}},"
			       "{\"op\":\"delete\",\"version\":\"W/\\\"17-gzip\\\"\","
			       "\"data\":null}]}");

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT(b->atomic.present && b->atomic.value);
	CU_ASSERT(b->count.present && b->count.value == 40);
	CU_ASSERT_FATAL(b->names.present && b->names.n == 2);
	CU_ASSERT(text_is(&b->names.list[0], "") && text_is(&b->names.list[1], "ab"));

	CU_ASSERT_FATAL(b->first.present && b->first.value);
	o = b->first.value;
	CU_ASSERT(o->op.present && o->op.index == 1);
	CU_ASSERT(o->version.present && o->version.value == INT64_MAX - 1);
	CU_ASSERT(!o->data.present && !o->data.value);

	CU_ASSERT_FATAL(b->operations.present && b->operations.n == 2);
	o = b->operations.list;
	CU_ASSERT(o[0].op.index == 0 && !o[0].version.present);
	CU_ASSERT_FATAL(o[0].data.present && o[0].data.value);
	d = o[0].data.value;
	CU_ASSERT(text_is(&d->title, "a") && d->priority.present && d->priority.index == 2);
	CU_ASSERT_FATAL(d->tags.present && d->tags.n == 2);
	CU_ASSERT(text_is(&d->tags.list[0], "x") && text_is(&d->tags.list[1], "\xc3\xa4"
									      "bc"));
	CU_ASSERT(!d->secret.present);
	CU_ASSERT(o[1].op.index == 1 && o[1].version.value == 17);
	CU_ASSERT(o[1].data.present && !o[1].data.value);
	arena_reset(arena);
}

static void test_absent_and_null(void)
{
	const struct operation *o;
	const struct data *d;
	struct batch *b = bind("{}");

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT(!b->atomic.present && !b->count.present && !b->names.present &&
		  !b->first.present && !b->operations.present);
	CU_ASSERT(!b->names.n && !b->operations.n && !b->operations.list);

	b = bind("{\"atomic\":null,\"count\":null,\"names\":[],\"operations\":null,\"first\":"
		 "{\"op\":\"create\",\"data\":{\"title\":\"t\",\"priority\":null,\"tags\":null}}}");
	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT(b->atomic.present && !b->atomic.value && b->count.present);
	CU_ASSERT(b->names.present && !b->names.n);
	CU_ASSERT(b->operations.present && !b->operations.n && !b->operations.list);
	o = b->first.value;
	d = o->data.value;
	CU_ASSERT(d->priority.present && d->priority.index == -1);
	CU_ASSERT(d->tags.present && !d->tags.n && !d->tags.list);
	arena_reset(arena);
}

static void test_errors(void)
{
#define DATA(members) "{\"operations\":[{\"op\":\"create\",\"data\":{" members "}}]}"
#define AT_DATA       "operations[0].data."
	static const struct {
		const char *text;
		const char *lenient;
		const char *strict; /* NULL: the same */
	} cases[] = {
		/* numbers */
		{ "{\"count\":2}", "ok", NULL },
		{ "{\"count\":40.0}", "ok", NULL },
		{ "{\"count\":4e1}", "ok", NULL },
		{ "{\"count\":400E-1}", "ok", NULL },
		{ "{\"count\":1}", "count:out_of_range", NULL },
		{ "{\"count\":41}", "count:out_of_range", NULL },
		{ "{\"count\":-3}", "count:out_of_range", NULL },
		{ "{\"count\":9223372036854775808}", "count:out_of_range", NULL },
		{ "{\"count\":18446744073709551618}", "count:out_of_range", NULL },
		{ "{\"count\":-99999999999999999999}", "count:out_of_range", NULL },
		{ "{\"count\":1e999}", "count:out_of_range", NULL },
		{ "{\"count\":-1e30}", "count:out_of_range", NULL },
		{ "{\"count\":2.5}", "count:invalid_type", NULL },
		{ "{\"count\":\"2\"}", "count:invalid_type", NULL },
		{ "{\"count\":true}", "count:invalid_type", NULL },
		{ "{\"count\":[2]}", "count:invalid_type", NULL },
		/* and tags */
		{ "{\"first\":{\"op\":\"create\",\"version\":\"\\\"1\\\"\"}}", "ok", NULL },
		{ "{\"first\":{\"op\":\"create\",\"version\":\"1\"}}",
		  "first.version:invalid_value", NULL },
		{ "{\"first\":{\"op\":\"create\",\"version\":\"*\"}}",
		  "first.version:invalid_value", NULL },
		{ "{\"first\":{\"op\":\"create\",\"version\":\"\\\"1\\\",\\\"2\\\"\"}}",
		  "first.version:invalid_value", NULL },
		{ "{\"first\":{\"op\":\"create\",\"version\":0}}", "first.version:out_of_range",
		  NULL },
		{ "{\"first\":{\"op\":\"create\",\"version\":9223372036854775807}}",
		  "first.version:out_of_range", NULL },
		{ "{\"first\":{\"op\":\"create\",\"version\":null}}", "first.version:invalid_type",
		  NULL },
		/* words */
		{ "{\"first\":{\"op\":\"Create\"}}", "first.op:invalid_value", NULL },
		{ "{\"first\":{\"op\":\"\"}}", "first.op:invalid_value", NULL },
		{ "{\"first\":{\"op\":0}}", "first.op:invalid_type", NULL },
		{ "{\"first\":{\"op\":null}}", "first.op:invalid_type", NULL },
		{ "{\"first\":{}}", "first.op:required", NULL },
		{ DATA("\"title\":\"t\",\"priority\":\"lowest\""), AT_DATA "priority:invalid_value",
		  NULL },
		/* texts in an array */
		{ "{\"names\":null}", "names:invalid_type", NULL },
		{ "{\"names\":\"a\"}", "names:invalid_type", NULL },
		{ "{\"names\":{}}", "names:invalid_type", NULL },
		{ "{\"names\":[\"a\",\"b\",\"c\"]}", "names:too_many", NULL },
		{ "{\"names\":[1,null]}", "names[0]:invalid_type names[1]:invalid_type", NULL },
		{ "{\"names\":[\"ab\",\"abc\"]}", "names[1]:too_long", NULL },
		{ DATA("\"title\":\"t\",\"tags\":[\"a\",null,\" \",\"b\"]"),
		  AT_DATA "tags:too_many", NULL },
		{ DATA("\"title\":\"t\",\"tags\":[\"abcd\",null,\" \"]"),
		  AT_DATA "tags[0]:too_long " AT_DATA "tags[1]:invalid_type " AT_DATA
			  "tags[2]:too_short",
		  NULL },
		/* objects */
		{ "{\"first\":null}", "first:invalid_type", NULL },
		{ "{\"first\":[]}", "first:invalid_type", NULL },
		{ "{\"first\":\"create\"}", "first:invalid_type", NULL },
		{ "{\"operations\":[]}", "operations:too_few", NULL },
		{ "{\"operations\":{}}", "operations:invalid_type", NULL },
		{ "{\"operations\":[{},{},{},{}]}", "operations:too_many", NULL },
		{ "{\"operations\":[null,[],{\"op\":\"create\"}]}",
		  "operations[0]:invalid_type operations[1]:invalid_type", NULL },
		{ DATA(""), AT_DATA "title:required", NULL },
		{ DATA("\"title\":7"), AT_DATA "title:invalid_type", NULL },
		/* unknown members, wherever they are */
		{ DATA("\"title\":\"t\",\"x\":1,\"id\":2"), "ok", AT_DATA "x:unknown_field" },
		{ "{\"first\":{\"op\":\"delete\",\"y\":{\"z\":1}},\"w\":1}", "ok",
		  "first.y:unknown_field w:unknown_field" },
		{ "{\"operations\":[{\"op\":\"delete\"},{\"op\":\"delete\",\"op2\":1}]}", "ok",
		  "operations[1].op2:unknown_field" },
		/* duplicates, wherever they are */
		{ DATA("\"title\":\"t\",\"titl\\u0065\":\"t\""), "400", NULL },
		{ "{\"operations\":[{\"op\":\"delete\",\"op\":\"delete\"}]}", "400", NULL },
		{ "{\"operations\":[{\"op\":\"delete\"},{\"op\":\"delete\"}]}", "ok", NULL },
	};
#undef DATA
#undef AT_DATA

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *text = cases[i].text, *lenient = cases[i].lenient;
		const char *strict = cases[i].strict ? cases[i].strict : lenient;

		CHECK_CASE(!strcmp(verdict(text, false), lenient), text);
		CHECK_CASE(!strcmp(verdict(text, true), strict), text);
	}
	arena_reset(arena);
}

static void test_details(void)
{
	static const char text[] = "{\"atomic\":0,\"count\":1,\"names\":[1,2,3],\"first\":{\"op\":"
				   "\"x\",\"version\":\"x\",\"data\":{\"title\":\"\",\"priority\":"
				   "\"x\"}},\"operations\":[]}";
	static const char *const details[] = {
		"It must be true or false or null.", "It must be between 2 and 40.",
		"It must have at most 2 entries.",   "It must be create or delete.",
		"It must be one ETag of ours.",      "It must not be empty.",
		"It must be none, low or high.",     "It must not be empty.",
	};
	struct field_errors errors;
	void *out;

	CU_ASSERT_EQUAL(json_bind(arena, &table, text, sizeof(text) - 1, true, &errors, &out),
			API_VALIDATION_FAILED);
	CU_ASSERT_EQUAL_FATAL(errors.n, ARRAY_LEN(details));
	for (size_t i = 0; i < errors.n; i++)
		CU_ASSERT_STRING_EQUAL(errors.list[i].detail, details[i]);
	arena_reset(arena);
}

/* However many there are, a few are told. */
static void test_many_errors(void)
{
	struct field_errors errors;
	const char *text = "{\"operations\":[{\"op\":\"create\",\"data\":{";
	void *out;

	for (int i = 0; i < 200; i++)
		text = arena_printf(arena, "%s%s\"m%d\":%d", text, i ? "," : "", i, i);
	text = arena_printf(arena, "%s}}]}", text);
	CU_ASSERT_EQUAL(json_bind(arena, &table, text, strlen(text), true, &errors, &out),
			API_VALIDATION_FAILED);
	CU_ASSERT_EQUAL_FATAL(errors.n, FIELD_ERRORS_MAX);
	CU_ASSERT_STRING_EQUAL(errors.list[0].field, "operations[0].data.title");
	CU_ASSERT_STRING_EQUAL(errors.list[FIELD_ERRORS_MAX - 1].field, "operations[0].data.m14");
	arena_reset(arena);
}

static void test_nested_secret(void)
{
	static const char text[] =
		"{\"operations\":[{\"op\":\"create\",\"data\":{\"title\":\"abc\","
		"\"secret\":\"hunter2hunter2\"}}]}";
	const struct operation *o;
	const char *secret, *title;
	const struct data *d;
	struct batch *b = bind(text);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	o = b->operations.list;
	d = o->data.value;
	secret = d->secret.s;
	title = d->title.s;
	CU_ASSERT_STRING_EQUAL(secret, "hunter2hunter2");
	arena_reset(arena);
	/* the arena keeps its first block, so the bytes may still be looked at */
	for (size_t i = 0; i < strlen("hunter2hunter2"); i++)
		CU_ASSERT_NOT_EQUAL(secret[i], "hunter2hunter2"[i]);
	CU_ASSERT_STRING_EQUAL(title, "abc");
}

CU_TestInfo nested_tests[] = {
	{ "values", test_values },
	{ "absent and null", test_absent_and_null },
	{ "errors", test_errors },
	{ "details", test_details },
	{ "many errors", test_many_errors },
	{ "secrets", test_nested_secret },
	CU_TEST_INFO_NULL,
};
