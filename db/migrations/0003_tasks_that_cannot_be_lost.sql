-- Priority, due date and tags; the trash; what a retry is recognised by; the change feed's floor.

alter table taskcell.users
	add column feed_floor bigint not null default 0;
comment on column taskcell.users.feed_floor is
	'The change feed is complete from behind this revision on: older tombstones are gone';

alter table taskcell.tasks
	add column priority smallint not null default 0 check (priority between 0 and 3),
	add column due_date text check (octet_length(due_date) <= 64),
	add column due_at timestamptz not null default 'infinity',
	add column tags text[] not null default '{}' check (cardinality(tags) <= 20),
	add column title_key text collate "C" not null
		generated always as (lower(title)) stored,
	add column search tsvector not null
		generated always as (to_tsvector('simple', regexp_replace(
			title || ' ' || coalesce(description, ''), '[!-/:-@[-`{-~]+', ' ', 'g'))) stored,
	add check ((due_date is null) = (due_at = 'infinity'));
create index tasks_by_version on taskcell.tasks (user_id, version);
comment on column taskcell.tasks.priority is '0 none, 1 low, 2 medium, 3 high';
comment on column taskcell.tasks.due_date is 'When it is due, as it was given: a date or a date-time';
comment on column taskcell.tasks.due_at is
	'What due_date is ordered and filtered by: the moment, or the date''s midnight in UTC; infinity without one';
comment on column taskcell.tasks.tags is 'Words to find it by, in the order given';
comment on column taskcell.tasks.title_key is 'What titles are ordered by';
comment on column taskcell.tasks.search is
	'The words of title and description, cut at ASCII punctuation: an address or a hyphenated word would otherwise be found as a whole only';

create table taskcell.trash (
	user_id uuid not null references taskcell.users (id) on delete cascade,
	id uuid not null,
	title text,
	description text,
	completed boolean not null default false,
	completed_at timestamptz,
	priority smallint not null default 0,
	due_date text,
	due_at timestamptz not null default 'infinity',
	tags text[] not null default '{}',
	version bigint not null,
	created_at timestamptz not null,
	updated_at timestamptz not null,
	deleted_at timestamptz not null default now(),
	primary key (user_id, id)
);
create index trash_by_version on taskcell.trash (user_id, version);
create index trash_newest_first on taskcell.trash (user_id, deleted_at desc, id desc)
	where title is not null;
create index trash_tombstones on taskcell.trash (user_id, deleted_at) where title is null;
comment on table taskcell.trash is
	'Deleted tasks: for a while they can be restored, and longer they tell other devices that the task is gone';
comment on column taskcell.trash.user_id is 'Whose task it was';
comment on column taskcell.trash.id is 'Its id';
comment on column taskcell.trash.title is 'As it was; null once the task is gone for good';
comment on column taskcell.trash.description is 'As it was';
comment on column taskcell.trash.completed is 'As it was';
comment on column taskcell.trash.completed_at is 'As it was';
comment on column taskcell.trash.priority is 'As it was';
comment on column taskcell.trash.due_date is 'As it was';
comment on column taskcell.trash.due_at is 'As it was';
comment on column taskcell.trash.tags is 'As it was';
comment on column taskcell.trash.version is 'users.revision of the deletion';
comment on column taskcell.trash.created_at is 'As it was';
comment on column taskcell.trash.updated_at is 'As it was';
comment on column taskcell.trash.deleted_at is 'When it was deleted';

create table taskcell.idempotency (
	user_id uuid not null references taskcell.users (id) on delete cascade,
	key text not null,
	digest text not null,
	task_id uuid not null,
	version bigint not null,
	created_at timestamptz not null default now(),
	primary key (user_id, key)
);
create index idempotency_oldest_first on taskcell.idempotency (user_id, created_at);
comment on table taskcell.idempotency is
	'Keys of requests that made a task, so that a retry makes no second one. The answer is not kept: the request, which is the same, and these columns give it again';
comment on column taskcell.idempotency.user_id is 'Whose request';
comment on column taskcell.idempotency.key is 'Idempotency-Key, as the client sent it';
comment on column taskcell.idempotency.digest is 'SHA-256 of the request, as hex';
comment on column taskcell.idempotency.task_id is 'The task that it made';
comment on column taskcell.idempotency.version is 'Its version then';
comment on column taskcell.idempotency.created_at is
	'When, and the times of the task that it made';

alter table taskcell.trash enable row level security, force row level security;
create policy own_rows on taskcell.trash
	using (user_id = nullif(current_setting('taskcell.user_id', true), '')::uuid);
create policy administration on taskcell.trash
	using (current_setting('taskcell.admin', true) = 'on');
alter table taskcell.idempotency enable row level security, force row level security;
create policy own_rows on taskcell.idempotency
	using (user_id = nullif(current_setting('taskcell.user_id', true), '')::uuid);
create policy administration on taskcell.idempotency
	using (current_setting('taskcell.admin', true) = 'on');
