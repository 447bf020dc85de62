#include "base/base.h"

#include "ctl/ctl.h"

#include "base/clock.h"
#include "base/codec.h"
#include "store/admin.h"

enum { LIMIT = 100, LIMIT_MAX = 100000, DAYS_MAX = 36500, DAY_LEN = 10 };

/* A day, of which it is the beginning, in UTC. */
static bool read_day(const char *text, int64_t *us)
{
	int64_t year, month, day;
	struct tm tm;

	if (strlen(text) != DAY_LEN || text[4] != '-' || text[7] != '-' ||
	    !decimal_parse(text, 4, 9999, &year) || !decimal_parse(text + 5, 2, 12, &month) ||
	    !decimal_parse(text + 8, 2, 31, &day) || year < 1970 || month < 1 || day < 1)
		return false;
	tm = (struct tm){ .tm_year = (int)year - 1900,
			  .tm_mon = (int)month - 1,
			  .tm_mday = (int)day };
	*us = timegm(&tm) * US_PER_SECOND;
	return tm.tm_mday == day; /* 31 April has become 1 May */
}

/* An age such as 30m, 12h or 7d. */
static bool read_age(const char *text, int64_t *us)
{
	size_t len = strlen(text);
	int64_t n, unit = 0;

	if (len < 2)
		return false;
	if (text[len - 1] == 'm')
		unit = 60;
	else if (text[len - 1] == 'h')
		unit = 3600;
	else if (text[len - 1] == 'd')
		unit = 86400;
	if (!unit || !decimal_parse(text, len - 1, DAYS_MAX, &n))
		return false;
	*us = clock_now_us() - n * unit * US_PER_SECOND;
	return true;
}

/* What has been done stays readable by id when the user has gone. */
static bool find_id(struct ctl *c, const char *who, struct uuid *id)
{
	struct admin_user user;

	if (uuid_parse(who, strlen(who), id))
		return true;
	if (!ctl_find_user(c, who, &user))
		return false;
	*id = user.user.id;
	return true;
}

static const char *id_text(struct ctl *c, const struct uuid *id)
{
	char text[UUID_TEXT_LEN + 1];

	uuid_format(id, text);
	return arena_strndup(c->arena, text, UUID_TEXT_LEN);
}

static void print_event(struct ctl *c, const struct admin_event *e)
{
	static const struct uuid nobody;

	printf("%s  %-16s  %-15s  %-36s  %-36s  %-32s  ", ctl_time(c, e->event.at), e->event.event,
	       e->event.ip && e->event.ip[0] ? e->event.ip : "-",
	       uuid_equal(&e->user_id, &nobody) ? "-" : id_text(c, &e->user_id),
	       e->event.has_session ? id_text(c, &e->event.session_id) : "-",
	       e->request_id ? e->request_id : "-");
	printf("%-25s  %-30s  ", e->event.detail ? e->event.detail : "-",
	       e->email ? e->email : "-");
	ctl_print_text(e->event.user_agent);
	putchar('\n');
}

int ctl_audit(struct ctl *c)
{
	const char *since = ctl_option(c, "since"), *limit = ctl_option(c, "limit");
	struct audit_query query = { .event = ctl_option(c, "event") };
	struct admin_events events;
	struct uuid user_id;
	int64_t n = LIMIT;
	enum store_result r;

	if (since && !read_day(since, &query.since) && !read_age(since, &query.since))
		return ctl_usage("--since takes a day as 2026-01-31, or an age as 30m, 12h, 7d");
	if (limit && (!decimal_parse(limit, strlen(limit), LIMIT_MAX, &n) || n < 1))
		return ctl_usage("--limit takes a number from 1 to %d", LIMIT_MAX);
	if (!ctl_open(c, SETTINGS_NEED_DATABASE) || (c->n && !find_id(c, c->args[0], &user_id)))
		return EXIT_FAILURE;
	query.user_id = c->n ? &user_id : NULL;
	query.limit = (int32_t)n;
	r = admin_audit_list(c->store, c->arena, &query, &events);
	if (r != STORE_OK)
		return ctl_store_failed("not listed", r);
	printf("%-24s  %-16s  %-15s  %-36s  %-36s  %-32s  %-25s  %-30s  %s\n", "TIME", "EVENT",
	       "ADDRESS", "USER", "SESSION", "REQUEST", "DETAIL", "E-MAIL", "AGENT");
	for (size_t i = 0; i < events.n; i++)
		print_event(c, &events.events[i]);
	return EXIT_SUCCESS;
}
