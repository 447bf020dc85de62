-- What administrators do. admin_enter opens every row for the one transaction it is in; what
-- changes an account writes its audit row in the same statement.

-- name: admin_enter
-- scope: admin
-- Filters here are often left out, so that a plan for all cases would read whole tables.
select set_config('taskcell.admin', 'on', true),
       set_config('plan_cache_mode', 'force_custom_plan', true),
       set_config('enable_sort', 'on', true);

-- name: admin_user_list
-- scope: admin
select u.id, u.email, u.name, u.created_at, e.email, c.disabled_at,
       (select count(*)
          from taskcell.sessions s
         where s.user_id = u.id and s.epoch = c.epoch and c.disabled_at is null
           and s.revoked_at is null and s.expires_at > now() and s.idle_expires_at > now()),
       (select count(*) from taskcell.tasks t where t.user_id = u.id),
       (select max(s.rotated_at) from taskcell.sessions s where s.user_id = u.id)
  from taskcell.user_emails e
  join taskcell.users u on u.id = e.user_id
  join taskcell.credentials c on c.user_id = e.user_id
 where e.email > $2::text and ($1::text is null or strpos(e.email, $1::text) > 0)
 order by e.email
 limit $3::bigint;

-- name: admin_user_get
-- scope: admin
-- By the id or, when it is null, by the e-mail.
select u.id, u.email, u.name, u.created_at, e.email, c.disabled_at,
       (select count(*)
          from taskcell.sessions s
         where s.user_id = u.id and s.epoch = c.epoch and c.disabled_at is null
           and s.revoked_at is null and s.expires_at > now() and s.idle_expires_at > now()),
       (select count(*) from taskcell.tasks t where t.user_id = u.id),
       (select max(s.rotated_at) from taskcell.sessions s where s.user_id = u.id)
  from taskcell.users u
  join taskcell.user_emails e on e.email = lower(u.email collate "C") and e.user_id = u.id
  join taskcell.credentials c on c.user_id = u.id
 where u.id = coalesce($1::uuid,
                       (select f.user_id from taskcell.user_emails f where f.email = $2::text));

-- name: admin_user_add
-- scope: admin
with e as (
	insert into taskcell.user_emails (email, user_id)
	values ($2::text, $1::uuid)
	on conflict (email) do nothing
	returning user_id),
u as (
	insert into taskcell.users (id, email, name, created_at)
	select e.user_id, $3::text, $4::text, coalesce($6::timestamptz, now()) from e
	returning id),
c as (
	insert into taskcell.credentials (user_id, password_hash)
	select u.id, $5::text from u
	returning user_id)
insert into taskcell.audit (user_id, event, detail)
select c.user_id, 'registered', $7::text from c
returning user_id;

-- name: admin_user_disable
-- scope: admin
with c as (
	update taskcell.credentials
	   set disabled_at = now(), epoch = epoch + 1
	 where user_id = $1::uuid and disabled_at is null
	returning user_id),
a as (
	insert into taskcell.audit (user_id, event, detail)
	select c.user_id, 'account_disabled', 'taskcellctl' from c)
select user_id from taskcell.credentials where user_id = $1::uuid;

-- name: admin_user_enable
-- scope: admin
with c as (
	update taskcell.credentials
	   set disabled_at = null
	 where user_id = $1::uuid and disabled_at is not null
	returning user_id),
a as (
	insert into taskcell.audit (user_id, event, detail)
	select c.user_id, 'account_enabled', 'taskcellctl' from c)
select user_id from taskcell.credentials where user_id = $1::uuid;

-- name: admin_user_delete
-- scope: admin
-- Behind credential_lock. Credential, sessions and tasks go with the user's row.
with u as (
	delete from taskcell.users where id = $1::uuid returning id),
a as (
	insert into taskcell.audit (user_id, id, event, detail)
	select u.id, $2::uuid, 'account_deleted', 'taskcellctl' from u)
select id from u;

-- name: admin_user_forget
-- scope: admin
-- Behind admin_user_delete, and only if that was done: it has waited for logins that were under
-- way, and their rows are seen now. $3 begins the keys of the throttle.
with d as (
	select user_id from taskcell.audit where user_id = $1::uuid and id = $2::uuid),
e as (
	delete from taskcell.user_emails e using d where e.user_id = d.user_id),
t as (
	delete from taskcell.throttle t using d where starts_with(t.key, $3::text))
delete from taskcell.audit a using d where a.user_id = d.user_id and a.id <> $2::uuid;

-- name: admin_user_password
-- scope: admin
with c as (
	update taskcell.credentials
	   set password_hash = $2::text, epoch = epoch + 1, changed_at = now()
	 where user_id = $1::uuid
	returning user_id),
t as (
	delete from taskcell.throttle t using c where starts_with(t.key, $3::text)),
a as (
	insert into taskcell.audit (user_id, event, detail)
	select c.user_id, 'password_changed', 'taskcellctl' from c)
select user_id from c;

-- name: admin_session_list
-- scope: admin
select s.id, s.counter, s.key_id, s.created_at, s.rotated_at, s.idle_expires_at, s.expires_at,
       s.ip, s.user_agent
  from taskcell.sessions s
  join taskcell.credentials c on c.user_id = s.user_id and c.epoch = s.epoch
 where s.user_id = $1::uuid and c.user_id = $1::uuid and c.disabled_at is null
   and s.revoked_at is null and s.expires_at > now() and s.idle_expires_at > now()
 order by s.rotated_at desc, s.id desc
 limit $2::bigint;

-- name: admin_session_end
-- scope: admin
with s as (
	update taskcell.sessions s
	   set revoked_at = now()
	  from taskcell.credentials c
	 where s.user_id = $1::uuid and s.id = $2::uuid and c.user_id = $1::uuid
	   and c.epoch = s.epoch and c.disabled_at is null and s.revoked_at is null
	   and s.expires_at > now() and s.idle_expires_at > now()
	returning s.user_id, s.id),
a as (
	insert into taskcell.audit (user_id, event, session_id, detail)
	select s.user_id, 'session_ended', s.id, 'taskcellctl' from s)
select id from s;

-- name: admin_session_end_all
-- scope: admin
-- Of the first $3 users from $1 to $2: how many users, the last of them, and how many sessions
-- lived. Also those end that are just beginning.
with b as materialized (
	select user_id, epoch, disabled_at
	  from taskcell.credentials
	 where user_id >= $1::uuid and user_id <= $2::uuid
	 order by user_id
	 limit $3::bigint),
c as (
	update taskcell.credentials c
	   set epoch = c.epoch + 1
	  from b
	 where c.user_id = b.user_id),
n as materialized (
	select s.user_id, count(*) as lived
	  from taskcell.sessions s
	  join b on b.user_id = s.user_id and b.epoch = s.epoch
	 where b.disabled_at is null and s.revoked_at is null
	   and s.expires_at > now() and s.idle_expires_at > now()
	 group by s.user_id),
a as (
	insert into taskcell.audit (user_id, event, detail)
	select n.user_id, 'sessions_ended', 'taskcellctl' from n)
select (select count(*) from b),
       (select b.user_id from b order by b.user_id desc limit 1),
       (select coalesce(sum(n.lived), 0)::bigint from n);

-- name: admin_audit_list
-- scope: admin
select a.user_id, u.email, a.id, a.at, a.event, a.session_id, a.ip, a.user_agent, a.detail,
       a.request_id
  from taskcell.audit a
  left join taskcell.users u on u.id = a.user_id
 where ($1::uuid is null or a.user_id = $1::uuid)
   and ($2::text is null or a.event = $2::text)
   and ($3::timestamptz is null or a.at >= $3::timestamptz)
 order by a.at desc, a.id desc
 limit $4::bigint;

-- name: admin_audit_add
-- scope: admin
insert into taskcell.audit (user_id, event, detail)
values ('00000000-0000-0000-0000-000000000000', $1::text, $2::text);

-- name: admin_invite_add
-- scope: admin
insert into taskcell.invites (digest, expires_at, uses_left, note)
values ($1::text, $2::timestamptz, $3::bigint, $4::text)
on conflict (digest) do nothing
returning digest;

-- name: admin_invite_list
-- scope: admin
select digest, created_at, expires_at, uses_left, note
  from taskcell.invites
 order by created_at, digest;

-- name: admin_invite_delete
-- scope: admin
-- How many begin so, at most 2; only a single one goes.
with m as materialized (
	select digest from taskcell.invites where starts_with(digest, $1::text) limit 2),
d as (
	delete from taskcell.invites i using m
	 where i.digest = m.digest and (select count(*) from m) = 1)
select count(*) from m;

-- name: admin_sweep_trash
-- scope: admin
-- As in db/queries/trash.sql. How many are looked at, lose their content, are forgotten.
-- The users are locked before their rows, as everywhere, and in order for another sweep's sake.
with b as materialized (
	select user_id, id
	  from taskcell.trash
	 where deleted_at <= now() - interval '30 days'
	   and (title is not null or deleted_at <= now() - interval '90 days')
	 limit $1::bigint),
u as materialized (
	select id
	  from taskcell.users
	 where id in (select user_id from b)
	 order by id
	   for no key update),
e as (
	update taskcell.trash x
	   set title = null, description = null, completed = false, completed_at = null,
	       priority = 0, due_date = null, due_at = 'infinity', tags = '{}'
	  from b
	  join u on u.id = b.user_id
	 where x.user_id = b.user_id and x.id = b.id and x.title is not null
	   and x.deleted_at > now() - interval '90 days'
	   and x.deleted_at <= now() - interval '30 days'
	returning x.id),
d as (
	delete from taskcell.trash x
	 using b
	  join u on u.id = b.user_id
	 where x.user_id = b.user_id and x.id = b.id
	   and x.deleted_at <= now() - interval '90 days'
	returning x.user_id, x.version),
f as (
	update taskcell.users u
	   set feed_floor = greatest(u.feed_floor, m.version)
	  from (select user_id, max(version) as version from d group by user_id) m
	 where u.id = m.user_id)
select (select count(*) from b), (select count(*) from e), (select count(*) from d);

-- name: admin_sweep_idempotency
-- scope: admin
with b as materialized (
	select user_id, key
	  from taskcell.idempotency
	 where created_at <= now() - interval '1 day'
	 limit $1::bigint
	   for update skip locked),
d as (
	delete from taskcell.idempotency i using b
	 where i.user_id = b.user_id and i.key = b.key
	returning i.key)
select count(*) from d;

-- name: admin_sweep_sessions
-- scope: admin
with b as materialized (
	select user_id, id
	  from taskcell.sessions
	 where expires_at <= now() or idle_expires_at <= now()
	 limit $1::bigint
	   for update skip locked),
d as (
	delete from taskcell.sessions s using b
	 where s.user_id = b.user_id and s.id = b.id
	returning s.id)
select count(*) from d;

-- name: admin_sweep_throttle
-- scope: admin
-- After a day nothing of a count matters any more.
with b as materialized (
	select key
	  from taskcell.throttle
	 where counted_at < now() - interval '24 hours' and ends_at <= now()
	 limit $1::bigint
	   for update skip locked),
d as (
	delete from taskcell.throttle t using b where t.key = b.key returning t.key)
select count(*) from d;

-- name: admin_sweep_audit
-- scope: admin
with b as materialized (
	select user_id, id
	  from taskcell.audit
	 where at < now() - $2::bigint * interval '1 second'
	 limit $1::bigint
	   for update skip locked),
d as (
	delete from taskcell.audit a using b
	 where a.user_id = b.user_id and a.id = b.id
	returning a.id)
select count(*) from d;

-- name: admin_sweep_invites
-- scope: admin
with b as materialized (
	select digest
	  from taskcell.invites
	 where expires_at <= now() or uses_left = 0
	 limit $1::bigint
	   for update skip locked),
d as (
	delete from taskcell.invites i using b where i.digest = b.digest returning i.digest)
select count(*) from d;

-- name: admin_snapshot_begin
-- scope: admin
-- Stays open behind its call, for pg_dump to join.
begin isolation level repeatable read, read only;

-- name: admin_snapshot_export
-- scope: admin
-- The role ends transactions that idle, and this one waits.
select pg_export_snapshot(),
       set_config('idle_in_transaction_session_timeout', '0', true);

-- name: admin_schema_exists
-- scope: admin
select exists (select from pg_catalog.pg_namespace where nspname = 'taskcell');

-- name: admin_table_counts
-- scope: admin
-- The rows of each table there is, whatever migrations have made.
select c.relname::text,
       substring(query_to_xml(format('select count(*) as n from taskcell.%I', c.relname),
                              false, false, '')::text from '<n>([0-9]+)</n>')::bigint
  from pg_catalog.pg_class c
 where c.relnamespace = (select n.oid from pg_catalog.pg_namespace n where n.nspname = 'taskcell')
   and c.relkind = 'r'
 order by c.relname;

-- name: admin_restored
-- scope: admin
-- Ends all sessions of a restored database, which may be of an older schema. Revisions that were
-- given out since the backup are never given out again: clients know other tasks by them.
with u as (update taskcell.users set revision = revision + 1000000000)
update taskcell.credentials set epoch = epoch + 1;

-- name: admin_feeds_over
-- scope: admin
-- Who has read a feed before the database was set back starts over.
update taskcell.users set feed_floor = revision;

-- name: admin_diagnosis
-- scope: admin
-- For taskcellctl doctor; there may be no schema yet.
select r.rolname::text,
       r.rolsuper or r.rolbypassrls,
       pg_encoding_to_char(d.encoding)::text,
       now(),
       current_setting('max_connections')::bigint
       - current_setting('superuser_reserved_connections')::bigint,
       r.rolconnlimit::bigint,
       d.datconnlimit::bigint,
       pg_backend_pid()::bigint
  from pg_catalog.pg_roles r
  join pg_catalog.pg_database d on d.datname = current_database()
 where r.rolname = current_user;
