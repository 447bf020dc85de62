-- Accounts, their sessions and tasks, and the throttle.
--
-- Every key of a person's table leads with the user's id, and foreign keys run along it only, so
-- that the same tables can be distributed by user. The one global key is the e-mail, in a table
-- of its own. What a person sees is fenced by row-level security, for the owner of the tables as
-- well; what is read before a user is known is not.

create table taskcell.users (
	id uuid primary key,
	email text not null check (octet_length(email) <= 254),
	name text check (char_length(name) between 1 and 100),
	revision bigint not null default 0,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now()
);
comment on table taskcell.users is 'What a person sees of the own account; one row a person';
comment on column taskcell.users.id is 'UUIDv7, made by the program';
comment on column taskcell.users.email is
	'E-mail as it was typed; user_emails has the form that is compared';
comment on column taskcell.users.name is 'Name to show, if given';
comment on column taskcell.users.revision is
	'Counts the writes to this person''s data; each changed row takes it as its version';
comment on column taskcell.users.created_at is 'Registration';
comment on column taskcell.users.updated_at is 'Last change of e-mail or name';

create table taskcell.user_emails (
	email text primary key,
	user_id uuid not null
);
comment on table taskcell.user_emails is
	'E-mail to user: the one key over all users; no foreign key, since it is not kept by user';
comment on column taskcell.user_emails.email is 'E-mail in the form that is compared';
comment on column taskcell.user_emails.user_id is 'Whose it is';

create table taskcell.credentials (
	user_id uuid primary key references taskcell.users (id) on delete cascade,
	password_hash text not null,
	epoch bigint not null default 0,
	disabled_at timestamptz,
	changed_at timestamptz not null default now()
);
comment on table taskcell.credentials is
	'What a login is checked against; read before there is a session';
comment on column taskcell.credentials.user_id is 'Whose credential';
comment on column taskcell.credentials.password_hash is
	'PHC-style string of scrypt, with its parameters';
comment on column taskcell.credentials.epoch is
	'Raised to end all sessions: one of another epoch is dead, also when it is inserted later';
comment on column taskcell.credentials.disabled_at is
	'When the account was disabled; null while it is usable';
comment on column taskcell.credentials.changed_at is
	'When the password was last chosen; a rehash leaves it';

create table taskcell.sessions (
	user_id uuid not null references taskcell.users (id) on delete cascade,
	id uuid not null,
	epoch bigint not null,
	counter bigint not null default 0,
	key_id text not null,
	created_at timestamptz not null default now(),
	rotated_at timestamptz not null default now(),
	idle_expires_at timestamptz not null,
	expires_at timestamptz not null,
	revoked_at timestamptz,
	ip text not null,
	user_agent text,
	primary key (user_id, id)
);
comment on table taskcell.sessions is
	'Logins and what has become of them; rows past their expiry go with later logins';
comment on column taskcell.sessions.user_id is 'Whose session';
comment on column taskcell.sessions.id is 'UUIDv7, made by the program; `sid` of its tokens';
comment on column taskcell.sessions.epoch is
	'Epoch of the credential at login; lives only while they are equal';
comment on column taskcell.sessions.counter is 'Number of the refresh token that is current';
comment on column taskcell.sessions.key_id is 'Key that signs the current refresh token';
comment on column taskcell.sessions.created_at is 'Login';
comment on column taskcell.sessions.rotated_at is
	'When the counter last moved; the last use of the session';
comment on column taskcell.sessions.idle_expires_at is
	'Ends the session unless it is refreshed before';
comment on column taskcell.sessions.expires_at is 'Ends the session in any case';
comment on column taskcell.sessions.revoked_at is 'When it was ended by logout or for theft';
comment on column taskcell.sessions.ip is 'Address of the login';
comment on column taskcell.sessions.user_agent is 'User-Agent of the login, if it sent one';

create table taskcell.tasks (
	user_id uuid not null references taskcell.users (id) on delete cascade,
	id uuid not null,
	title text not null check (char_length(title) between 1 and 200),
	description text check (char_length(description) <= 10000),
	completed boolean not null default false,
	completed_at timestamptz,
	version bigint not null,
	created_at timestamptz not null default now(),
	updated_at timestamptz not null default now(),
	primary key (user_id, id),
	check (completed = (completed_at is not null))
);
create index tasks_newest_first on taskcell.tasks (user_id, created_at desc, id desc);
comment on table taskcell.tasks is 'The tasks of all persons';
comment on column taskcell.tasks.user_id is 'Whose task';
comment on column taskcell.tasks.id is 'UUIDv7, made by the program';
comment on column taskcell.tasks.title is 'What is to be done';
comment on column taskcell.tasks.description is 'More about it, if given';
comment on column taskcell.tasks.completed is 'Whether it is done';
comment on column taskcell.tasks.completed_at is 'Since when it is done';
comment on column taskcell.tasks.version is
	'users.revision of the write that last changed this row';
comment on column taskcell.tasks.created_at is 'Creation; orders lists, with the id';
comment on column taskcell.tasks.updated_at is
	'Start of the transaction that last changed this row; orders nothing';

create table taskcell.throttle (
	key text primary key,
	hits bigint not null,
	counted_at timestamptz not null,
	ends_at timestamptz not null
);
comment on table taskcell.throttle is 'Attempts that are counted, by account and by address';
comment on column taskcell.throttle.key is 'What is counted, with a prefix for its kind';
comment on column taskcell.throttle.hits is
	'Account: failures in a row. Address: attempts in the window';
comment on column taskcell.throttle.counted_at is 'The last attempt that was counted';
comment on column taskcell.throttle.ends_at is
	'Account: end of the wait, -infinity without one. Address: end of the window';

-- An unset setting is NULL or empty: both mean nobody.
alter table taskcell.users enable row level security, force row level security;
create policy own_row on taskcell.users
	using (id = nullif(current_setting('taskcell.user_id', true), '')::uuid);
create policy administration on taskcell.users
	using (current_setting('taskcell.admin', true) = 'on');

alter table taskcell.tasks enable row level security, force row level security;
create policy own_rows on taskcell.tasks
	using (user_id = nullif(current_setting('taskcell.user_id', true), '')::uuid);
create policy administration on taskcell.tasks
	using (current_setting('taskcell.admin', true) = 'on');
