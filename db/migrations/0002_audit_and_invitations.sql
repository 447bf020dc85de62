-- What was done to accounts, invitations, and what sweeping and known networks need.

create table taskcell.audit (
	user_id uuid not null,
	id uuid not null default gen_random_uuid(),
	at timestamptz not null default now(),
	event text not null,
	session_id uuid,
	ip text,
	user_agent text,
	request_id text,
	detail text,
	primary key (user_id, id)
);
create index audit_newest_first on taskcell.audit (user_id, at desc);
comment on table taskcell.audit is
	'What was done to accounts and tried on them, written in the transaction of the act';
comment on column taskcell.audit.user_id is
	'Whose account; all zeros when it is unknown. No foreign key: the row of a deletion stays';
comment on column taskcell.audit.id is 'Tells rows of one time apart';
comment on column taskcell.audit.at is 'Start of the transaction';
comment on column taskcell.audit.event is 'What was done; docs/operations.md lists the words';
comment on column taskcell.audit.session_id is 'The session that began, ended or acted';
comment on column taskcell.audit.ip is 'Address of the client; none when an administrator acted';
comment on column taskcell.audit.user_agent is 'Its User-Agent, if it sent one';
comment on column taskcell.audit.request_id is 'The request, as in the log';
comment on column taskcell.audit.detail is 'A word more, such as why a login failed';

create table taskcell.invites (
	digest text primary key,
	created_at timestamptz not null default now(),
	expires_at timestamptz not null,
	uses_left bigint not null check (uses_left >= 0),
	note text
);
comment on table taskcell.invites is 'Invitations to register; the code itself is not kept';
comment on column taskcell.invites.digest is 'SHA-256 of the code, as hex';
comment on column taskcell.invites.created_at is 'When it was made';
comment on column taskcell.invites.expires_at is 'From then on it is of no use';
comment on column taskcell.invites.uses_left is 'How many accounts can still be made with it';
comment on column taskcell.invites.note is 'Whom it is for, if noted';

alter table taskcell.sessions add column network text not null default '';
comment on column taskcell.sessions.network is
	'Address of the login as the throttle counts it: IPv6 by /64';

create index throttle_oldest_first on taskcell.throttle (counted_at);
