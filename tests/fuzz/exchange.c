/* Files of tasks. Input: one character for the format, then the file. What was read without an
 * error is written in every format and comes back the same. */
#include "base/base.h"

#include "fuzz.h"

#include "base/codec.h"
#include "exchange/exchange.h"

static bool in_years(int64_t us)
{
	char text[RFC3339_LEN + 1];
	int64_t again;

	/* which holds what lies outside at the ends */
	rfc3339_format(us, text);
	return rfc3339_parse(text, RFC3339_LEN, &again) && again <= us && us - again < 1000;
}

static void check_text(const char *s)
{
	CHECK(s && fuzz_utf8(s, strlen(s), NULL));
}

static void check_due(const struct due *due)
{
	int64_t at;

	if (!due->text)
		return;
	CHECK(date_parse(due->text, strlen(due->text), &at) ||
	      rfc3339_parse(due->text, strlen(due->text), &at));
	CHECK(at == due->at);
}

static void check_row(const struct exchange_row *row)
{
	const struct new_task *t = &row->task;
	size_t len = row->error ? strlen(row->error) : 0;

	CHECK(!row->error || (len && row->error[len - 1] == '.'));
	CHECK(t->tags.n <= TASK_TAGS_MAX);
	if (row->error)
		return;
	check_text(t->title);
	if (t->description)
		check_text(t->description);
	if (row->uid)
		check_text(row->uid);
	for (size_t i = 0; i < t->tags.n; i++)
		check_text(t->tags.list[i]);
	check_due(&t->due);
	CHECK(t->created_at >= 0 && t->completed_at >= 0);
	CHECK(t->completed || !t->completed_at);
	CHECK(t->priority >= PRIORITY_NONE && t->priority <= PRIORITY_HIGH);
}

/* What iCalendar cannot write as it is. */
static bool has_control(const char *s)
{
	for (; s && *s; s++)
		if (((unsigned char)*s < ' ' && *s != '\t' && *s != '\n') || *s == 0x7f)
			return true;
	return false;
}

static bool comparable(const struct new_task *t, enum exchange_format format)
{
	bool control = has_control(t->title) || has_control(t->description);

	for (size_t i = 0; i < t->tags.n; i++) {
		const char *tag = t->tags.list[i];

		/* such a tag is none, which is found out later for JSON */
		if (!tag[strspn(tag, " ")])
			return false;
		control = control || has_control(tag);
	}
	return format != EXCHANGE_ICALENDAR || !(control || (t->due.text && !in_years(t->due.at)));
}

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void check_again(struct arena *a, const struct new_task *was, enum exchange_format format)
{
	struct task task = {
		.id = was->id,
		.title = was->title,
		.description = was->description,
		.completed = was->completed,
		.completed_at = was->completed_at / 1000 * 1000,
		.priority = was->priority,
		.due = was->due,
		.tags = was->tags,
		.created_at = was->created_at / 1000 * 1000,
	};
	struct exchange_reader *r;
	struct exchange_row row;
	const char *error;
	struct buf out;

	/* what no task has; and no task has no id */
	task.id.bytes[0] |= 1;
	task.created_at += task.created_at ? 0 : 1000;
	task.completed_at += task.completed && !task.completed_at ? 1000 : 0;
	if (!comparable(was, format))
		return;
	buf_init(&out, 1 << 20);
	exchange_begin(format, &out);
	exchange_task(format, &out, &task, true);
	exchange_end(format, &out);
	CHECK(!out.overflow);
	r = exchange_open(format, fuzz_copy(a, out.data, out.len), out.len);
	CHECK(exchange_next(r, a, &row, &error) && !row.error && !row.uid);
	CHECK(uuid_equal(&row.task.id, &task.id));
	CHECK(same(row.task.title, task.title) && same(row.task.description, task.description));
	CHECK(row.task.completed == task.completed && row.task.priority == task.priority);
	CHECK(row.task.completed_at == task.completed_at && row.task.created_at == task.created_at);
	CHECK(same(row.task.due.text, task.due.text) && row.task.due.at == task.due.at);
	CHECK(row.task.tags.n == task.tags.n);
	for (size_t i = 0; i < task.tags.n; i++)
		CHECK(same(row.task.tags.list[i], task.tags.list[i]));
	CHECK(!exchange_next(r, a, &row, &error) && !error);
	exchange_close(r);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena *file, *rows;
	enum exchange_format format;
	struct exchange_reader *r;
	struct exchange_row row;
	const char *error;
	size_t number = 0;

	if (!size)
		return 0;
	if (!file) {
		file = arena_new(64 << 20);
		rows = arena_new(64 << 20);
	}
	format = (enum exchange_format)(data[0] % 3);
	r = exchange_open(format, fuzz_copy(file, data + 1, size - 1), size - 1);
	while (exchange_next(r, rows, &row, &error)) {
		CHECK(row.number == ++number && !error);
		check_row(&row);
		for (int f = EXCHANGE_JSON; !row.error && f <= EXCHANGE_ICALENDAR; f++)
			check_again(rows, &row.task, (enum exchange_format)f);
		arena_reset(rows);
	}
	CHECK(!exchange_next(r, rows, &row, &error));
	CHECK(!error || error[strlen(error) - 1] == '.');
	exchange_close(r);
	arena_reset(rows);
	arena_reset(file);
	return 0;
}
