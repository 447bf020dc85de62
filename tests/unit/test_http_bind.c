#include "base/base.h"

#include "test_http.h"

#include "http/json_bind.h"
#include "http/json_scan.h"
#include "http/json_writer.h"

struct form {
	struct json_text title;
	struct json_text note;
	struct json_text password;
	struct json_flag done;
};

static const struct field fields[] = {
	{ .name = "title",
	  .type = FIELD_TEXT,
	  .rules = FIELD_REQUIRED | FIELD_TRIMMED,
	  .offset = offsetof(struct form, title),
	  .min = 1,
	  .max = 5 },
	{ .name = "note",
	  .type = FIELD_TEXT,
	  .rules = FIELD_NULLABLE,
	  .offset = offsetof(struct form, note),
	  .max = 64 * 1024 },
	{ .name = "password",
	  .type = FIELD_TEXT,
	  .rules = FIELD_SECRET,
	  .offset = offsetof(struct form, password),
	  .min = 8,
	  .max = 128 },
	{ .name = "done", .type = FIELD_FLAG, .offset = offsetof(struct form, done) },
};

static const struct field_table table = FIELD_TABLE(fields, struct form);

static struct arena *arena;

int bind_start(void)
{
	arena = arena_new((size_t)8 << 20);
	return 0;
}

int bind_stop(void)
{
	arena_free(arena);
	return 0;
}

static struct form *bind(const char *text, size_t len, bool strict)
{
	struct field_errors errors;
	void *out = NULL;

	return json_bind(arena, &table, text, len, strict, &errors, &out) == API_OK ? out : NULL;
}

/* Of a constant, strictly. */
#define BIND(text) bind((text), sizeof(text) - 1, true)

const char *bind_verdict(struct arena *a, const struct field_table *form, const char *text,
			 size_t len, bool strict)
{
	struct field_errors errors = { .n = 7 };
	const char *words = "";
	void *out = NULL;

	switch ((int)json_bind(a, form, text, len, strict, &errors, &out)) {
	case API_OK:
		return out && !errors.n ? "ok" : "ok without a form";
	case API_INVALID_JSON:
		return out || errors.n ? "400 with a form" : "400";
	case API_VALIDATION_FAILED:
		for (size_t i = 0; i < errors.n; i++)
			words = arena_printf(a, "%s%s%s:%s", words, i ? " " : "",
					     errors.list[i].field, errors.list[i].code);
		return words;
	default:
		return "another error";
	}
}

bool text_is(const struct json_text *t, const char *s)
{
	return t->present && t->s && t->len == strlen(s) && !memcmp(t->s, s, t->len + 1);
}

static const char *verdict(const char *text, size_t len, bool strict)
{
	return bind_verdict(arena, &table, text, len, strict);
}

static void test_values(void)
{
	static const char full[] = " {\"title\":\" \\u00e4\\n\xe2\x82\xac \", \"note\":\" n \","
				   "\"password\":\" 123456 \",\"done\":true,\"other\":[1,{}]} ";
	struct form *f = bind(full, sizeof(full) - 1, false);

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT(text_is(&f->title, "\xc3\xa4\n\xe2\x82\xac"));
	CU_ASSERT(text_is(&f->note, " n "));
	CU_ASSERT(text_is(&f->password, " 123456 "));
	CU_ASSERT(f->done.present && f->done.value);

	f = BIND("{\"title\":\"t\"}");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT(!f->note.present && !f->note.s && !f->password.present && !f->done.present);

	f = BIND("{\"title\":\"t\",\"note\":null,\"done\":false}");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT(f->note.present && !f->note.s && !f->note.len);
	CU_ASSERT(f->done.present && !f->done.value);

	f = BIND("{\"title\":\"t\",\"note\":\"\"}");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT(text_is(&f->note, ""));

	/* a text of ours is a copy, and keys may be written with escapes */
	f = BIND("{\"\\u0074itle\":\"\\uD83D\\uDE00\"}");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT(text_is(&f->title, "\xf0\x9f\x98\x80"));
	arena_reset(arena);
}

static void test_field_errors(void)
{
	static const struct {
		const char *text;
		const char *lenient;
		const char *strict; /* NULL: the same */
	} cases[] = {
		{ "{\"title\":\"a\"}", "ok", NULL },
		{ "{}", "title:required", NULL },
		{ "{\"Title\":\"a\"}", "title:required", "title:required Title:unknown_field" },
		{ "{\"title\":null}", "title:invalid_type", NULL },
		{ "{\"title\":1}", "title:invalid_type", NULL },
		{ "{\"title\":true}", "title:invalid_type", NULL },
		{ "{\"title\":[\"a\"]}", "title:invalid_type", NULL },
		{ "{\"title\":{\"title\":\"a\"}}", "title:invalid_type", NULL },
		{ "{\"title\":\"\"}", "title:too_short", NULL },
		{ "{\"title\":\" \\t\\n\"}", "title:too_short", NULL },
		{ "{\"title\":\"\\u3000\\u00a0\\u2003\"}", "title:too_short", NULL },
		{ "{\"title\":\"12345\"}", "ok", NULL },
		{ "{\"title\":\"  12345  \"}", "ok", NULL },
		{ "{\"title\":\"123456\"}", "title:too_long", NULL },
		/* code points, not bytes */
		{ "{\"title\":\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80"
		  "\\ud83d\\ude00\"}",
		  "ok", NULL },
		{ "{\"title\":\"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\"}",
		  "title:too_long", NULL },
		{ "{\"title\":\"a\",\"note\":7}", "note:invalid_type", NULL },
		{ "{\"title\":\"a\",\"password\":null}", "password:invalid_type", NULL },
		{ "{\"title\":\"a\",\"password\":\"1234567\"}", "password:too_short", NULL },
		{ "{\"title\":\"a\",\"done\":null}", "done:invalid_type", NULL },
		{ "{\"title\":\"a\",\"done\":1}", "done:invalid_type", NULL },
		{ "{\"title\":\"a\",\"done\":\"true\"}", "done:invalid_type", NULL },
		{ "{\"title\":\"\",\"note\":[],\"password\":\"x\",\"done\":0}",
		  "title:too_short note:invalid_type password:too_short done:invalid_type", NULL },
		{ "{\"title\":\"a\",\"x\":1,\"y\":null}", "ok", "x:unknown_field y:unknown_field" },
		{ "{\"title\":\"a\",\"\":1}", "ok", ":unknown_field" },
		{ "{\"title\":\"a\",\"id\":1,\"user_id\":{}}", "ok", NULL },
		{ "{\"title\":\"a\",\"ID\":1}", "ok", "ID:unknown_field" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *text = cases[i].text, *lenient = cases[i].lenient;
		const char *strict = cases[i].strict ? cases[i].strict : lenient;

		CHECK_CASE(!strcmp(verdict(text, strlen(text), false), lenient), text);
		CHECK_CASE(!strcmp(verdict(text, strlen(text), true), strict), text);
	}
	arena_reset(arena);
}

static void test_error_details(void)
{
	static const char text[] = "{\"title\":\"\",\"note\":1,\"password\":\"x\",\"done\":0}";
	struct field_errors errors;
	void *out;

	CU_ASSERT_EQUAL(json_bind(arena, &table, text, sizeof(text) - 1, false, &errors, &out),
			API_VALIDATION_FAILED);
	CU_ASSERT_EQUAL_FATAL(errors.n, 4);
	CU_ASSERT_STRING_EQUAL(errors.list[0].detail, "It must not be empty.");
	CU_ASSERT_STRING_EQUAL(errors.list[1].detail, "It must be a string or null.");
	CU_ASSERT_STRING_EQUAL(errors.list[2].detail, "It must have at least 8 characters.");
	CU_ASSERT_STRING_EQUAL(errors.list[3].detail, "It must be true or false.");

	/* more than there is room for are left out */
	for (size_t i = 0; i < FIELD_ERRORS_MAX; i++)
		field_error_add(&errors, "f", "c", "D.");
	CU_ASSERT_EQUAL(errors.n, FIELD_ERRORS_MAX);
	CU_ASSERT_STRING_EQUAL(errors.list[3].field, "done");
	CU_ASSERT_STRING_EQUAL(errors.list[FIELD_ERRORS_MAX - 1].field, "f");
	arena_reset(arena);
}

static void test_not_json(void)
{
	static const char *const texts[] = {
		"",
		" ",
		"null",
		"[]",
		"\"title\"",
		"{\"title\":\"a\"",
		"{\"title\":\"a\"} {}",
		"{\"title\":'a'}",
		"{\"title\":\"a\",\"x\":NaN}",
		"{\"title\":\"a\\u0000\"}",
		"{\"title\\u0000\":\"a\"}",
		"{\"title\":\"\\ud800\"}",
		"{\"title\":\"\xc0\xa0\"}",
		"\xef\xbb\xbf{\"title\":\"a\"}",
		"{\"title\":\"a\nb\"}",
		"{\"title\":\"a\",}",
		"{\"title\":\"a\",\"x\":01}",
		/* the same member twice */
		"{\"title\":\"a\",\"title\":\"a\"}",
		"{\"title\":\"a\",\"\\u0074itle\":\"b\"}",
		"{\"title\":\"a\",\"titl\\u0065\":null}",
		"{\"title\":\"a\",\"x\":1,\"y\":2,\"x\":1}",
		"{\"title\":\"a\",\"a\":1,\"\\u0061\":1}",
		"{\"title\":\"a\",\"\xc3\xa4\":1,\"\\u00E4\":1}",
		"{\"title\":\"a\",\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":1}",
		"{\"title\":\"a\",\"\":1,\"\":1}",
		"{\"title\":\"a\",\"/\":1,\"\\/\":1}",
		"{\"title\":\"a\",\"x\":{\"y\":1,\"y\":1}}",
		"{\"title\":\"a\",\"x\":[[{\"y\":1,\"z\":0,\"\\u0079\":2}]]}",
	};
	static const char *const fine[] = {
		"{\"title\":\"a\",\"x\":{\"title\":1},\"y\":[{\"title\":1},{\"title\":1}]}",
		"{\"title\":\"a\",\"TITLE\":1,\"title \":1,\"\\\\u0074itle\":1}",
		/* one letter in two normal forms: two names */
		"{\"title\":\"a\",\"\\u00e4\":1,\"a\\u0308\":1}",
		"{\"title\":\"a\",\"n\":[0,-0,1.5,-0.0,1e5,1E-5,0e0,12.34E+56]}",
		"{\"title\":\"a\",\"n\":[1e999,-1e999,1e-999,-99999999999999999999999]}",
		"{\"title\":\"a\",\"n\":[9223372036854775808,18446744073709551616]}",
		"{\"title\":\"a\"}\r\n\t ",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		CHECK_CASE(!strcmp(verdict(texts[i], strlen(texts[i]), false), "400"), texts[i]);
	CU_ASSERT_STRING_EQUAL(verdict("{\"title\":\"a\"}\0", 14, false), "400");
	CU_ASSERT_STRING_EQUAL(verdict("{\"title\":\"a\0b\"}", 15, false), "400");
	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		CHECK_CASE(!strcmp(verdict(fine[i], strlen(fine[i]), false), "ok"), fine[i]);
	arena_reset(arena);
}

/* What the scan lets through json-c must let through as well, down to the last level. */
static void test_depth(void)
{
	static const char *const innermost[] = { "[]", "{}", "[1]", "{\"a\":1}", "[\"a\"]" };

	for (int n = 2; n < 12; n++)
		for (size_t i = 0; i < ARRAY_LEN(innermost); i++) {
			char text[128] = "{\"title\":\"a\",\"x\":";

			for (int k = 2; k < n; k++)
				memcpy(text + strlen(text), "[", 2);
			memcpy(text + strlen(text), innermost[i], strlen(innermost[i]) + 1);
			for (int k = 2; k < n; k++)
				memcpy(text + strlen(text), "]", 2);
			memcpy(text + strlen(text), "}", 2);
			CHECK_CASE(!strcmp(verdict(text, strlen(text), false),
					   n <= JSON_DEPTH_MAX ? "ok" : "400"),
				   text);
		}
	arena_reset(arena);
}

static void test_large(void)
{
	static char body[64 * 1024];
	const size_t head = strlen("{\"title\":\"a\",\"note\":\"");
	struct form *f;
	size_t at;

	/* one text that fills the body */
	memset(body, 'x', sizeof(body));
	memcpy(body, "{\"title\":\"a\",\"note\":\"", head);
	memcpy(body + sizeof(body) - 2, "\"}", 2);
	f = bind(body, sizeof(body), true);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT_EQUAL(f->note.len, sizeof(body) - head - 2);
	CU_ASSERT_EQUAL(strspn(f->note.s, "x"), f->note.len);
	arena_reset(arena);

	/* thousands of members, and then one of them again */
	at = strlen("{\"title\":\"a\"");
	for (unsigned i = 0; at + 32 < sizeof(body); i++)
		at += (size_t)snprintf(body + at, 16, ",\"%u\":{}", i);
	memcpy(body + at, "}", 1);
	CU_ASSERT_STRING_EQUAL(verdict(body, at + 1, false), "ok");
	CU_ASSERT(strlen(verdict(body, at + 1, true)) > 0);
	memcpy(body + at, ",\"7\":{}}", 8);
	CU_ASSERT_STRING_EQUAL(verdict(body, at + 8, false), "400");
	arena_reset(arena);
}

static void test_secret(void)
{
	static const char text[] = "{\"title\":\"a\",\"password\":\"hunter2hunter2\","
				   "\"note\":\"stays\"}";
	struct form *f = BIND(text);
	const char *password, *note;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	password = f->password.s;
	note = f->note.s;
	CU_ASSERT_STRING_EQUAL(password, "hunter2hunter2");
	arena_reset(arena);
	/* the arena keeps its first block, so the bytes may still be looked at */
	for (size_t i = 0; i < strlen("hunter2hunter2"); i++)
		CU_ASSERT_NOT_EQUAL(password[i], "hunter2hunter2"[i]);
	CU_ASSERT_STRING_EQUAL(note, "stays");
}

/* Every character that the writer writes is read back as it was. */
static void test_round_trip(void)
{
	char text[0x80 + 16] = "";
	struct json_writer w;
	size_t len = 0;
	struct form *f;
	struct buf b;

	for (int c = 1; c < 0x80; c++)
		text[len++] = (char)c;
	memcpy(text + len, "\xc3\xa4\xe2\x80\xa8\xf0\x9f\x98\x80", 9);
	buf_init(&b, 4096);
	json_begin(&w, &b);
	json_object_open(&w);
	json_key(&w, "title");
	json_string(&w, "a");
	json_key(&w, "note");
	json_string(&w, text);
	json_object_close(&w);
	f = bind(b.data, b.len, true);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	CU_ASSERT(text_is(&f->note, text));
	buf_free(&b);
	arena_reset(arena);
}

/* No prefix of a text is one, and no change of a byte makes one that json-c reads differently. No
 * two keys of an object are alike but for one byte. */
static void test_mutations(void)
{
	static const char sample[] = "{\"title\":\"a\",\"a\":[1,-2.5e+3,true,{\"\\u0062\":null}],"
				     "\"cc\":\"\\ud83d\\ude00\\n\xe2\x82\xac\", \"dddd\":{}}";
	const size_t len = sizeof(sample) - 1;
	size_t members, accepted = 0;
	char text[sizeof(sample)];

	CU_ASSERT_STRING_EQUAL(verdict(sample, len, false), "ok");
	for (size_t n = 0; n < len; n++)
		CU_ASSERT_STRING_EQUAL(verdict(sample, n, false), "400");
	for (size_t i = 0; i < len; i++) {
		memcpy(text, sample, sizeof(sample));
		for (int c = 0; c < 256; c++) {
			bool valid;

			text[i] = (char)c;
			valid = json_scan(text, len, &members);
			accepted += valid;
			CHECK_CASE(!strcmp(verdict(text, len, false), "400") == !valid, text);
			arena_reset(arena);
		}
	}
	CU_ASSERT(accepted > 2 * len);
}

CU_TestInfo bind_tests[] = {
	{ "values", test_values },         { "field errors", test_field_errors },
	{ "details", test_error_details }, { "not JSON", test_not_json },
	{ "depth", test_depth },           { "64 KiB", test_large },
	{ "round trip", test_round_trip }, { "mutations", test_mutations },
	{ "secrets", test_secret },        CU_TEST_INFO_NULL,
};
