#include "base/base.h"

#include "ctl/ctl.h"

#include "store/admin.h"

int ctl_session_list(struct ctl *c)
{
	struct admin_user u;
	struct session_list list;
	enum store_result r;

	if (!ctl_open(c, SETTINGS_NEED_DATABASE) || !ctl_find_user(c, c->args[0], &u))
		return EXIT_FAILURE;
	r = admin_session_list(c->store, c->arena, &u.user.id, &list);
	if (r != STORE_OK)
		return ctl_store_failed("not listed", r);
	printf("%-36s  %-24s  %-24s  %-24s  %-15s  %s\n", "ID", "CREATED", "LAST USED", "EXPIRES",
	       "ADDRESS", "AGENT");
	for (size_t i = 0; i < list.n; i++) {
		const struct session_info *s = &list.sessions[i];
		int64_t idle = s->session.idle_expires_at, end = s->session.expires_at;
		char id[UUID_TEXT_LEN + 1];

		uuid_format(&s->session.id, id);
		printf("%s  %s  %s  %s  %-15s  ", id, ctl_time(c, s->session.created_at),
		       ctl_time(c, s->session.rotated_at), ctl_time(c, idle < end ? idle : end),
		       s->ip[0] ? s->ip : "-");
		ctl_print_text(s->user_agent);
		putchar('\n');
	}
	return EXIT_SUCCESS;
}

static int end_one(struct ctl *c, const struct admin_user *u)
{
	const char *text = c->args[1];
	struct uuid id;
	enum store_result r;

	if (!uuid_parse(text, strlen(text), &id))
		return ctl_usage("not the id of a session: %s", text);
	r = admin_session_end(c->store, &u->user.id, &id);
	if (r != STORE_OK)
		return ctl_store_failed(text, r);
	puts("1 session ended");
	return EXIT_SUCCESS;
}

int ctl_session_end(struct ctl *c)
{
	bool everyone = ctl_option(c, "all") != NULL;
	struct admin_user u;
	enum store_result r;
	int64_t ended;

	if (everyone == (c->n > 0))
		return ctl_usage("session end: either a USER or --all");
	if (!ctl_open(c, SETTINGS_NEED_DATABASE) ||
	    (!everyone && !ctl_find_user(c, c->args[0], &u)))
		return EXIT_FAILURE;
	if (c->n == 2)
		return end_one(c, &u);
	r = admin_session_end_all(c->store, everyone ? NULL : &u.user.id, &ended);
	if (r != STORE_OK)
		return ctl_store_failed("not all were ended", r);
	printf("%lld session%s ended\n", (long long)ended, ended == 1 ? "" : "s");
	return EXIT_SUCCESS;
}

static void print_swept(const struct swept *s)
{
	const struct {
		const char *what;
		int64_t n;
	} rows[] = {
		{ "trash", s->trash },
		{ "tombstones", s->tombstones },
		{ "idempotency", s->idempotency },
		{ "sessions", s->sessions },
		{ "throttle", s->throttle },
		{ "audit", s->audit },
		{ "invites", s->invites },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		printf("%-11s  %lld\n", rows[i].what, (long long)rows[i].n);
}

int ctl_sweep(struct ctl *c)
{
	struct swept all = { 0 }, swept;
	bool more = true;

	if (!ctl_open(c, SETTINGS_NEED_DATABASE))
		return EXIT_FAILURE;
	while (more) {
		enum store_result r =
			admin_sweep(c->store, ctl_store_options(c).audit_keep_s, &swept, &more);

		if (r != STORE_OK)
			return ctl_store_failed("not swept to the end", r);
		all.trash += swept.trash;
		all.tombstones += swept.tombstones;
		all.idempotency += swept.idempotency;
		all.sessions += swept.sessions;
		all.throttle += swept.throttle;
		all.audit += swept.audit;
		all.invites += swept.invites;
	}
	print_swept(&all);
	return EXIT_SUCCESS;
}
