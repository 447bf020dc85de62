-- Sessions. A session lives while it is not revoked, not expired, and of the credential's epoch.

-- name: session_enter
-- scope: pre_user
-- Opens the fence for the rest of the transaction, from the very row that says the session lives.
select set_config('taskcell.user_id', s.user_id::text, true)
  from taskcell.sessions s
  join taskcell.credentials c on c.user_id = s.user_id and c.epoch = s.epoch
 where s.user_id = $1::uuid and c.user_id = $1::uuid and s.id = $2::uuid and s.revoked_at is null
   and s.expires_at > now() and s.idle_expires_at > now() and c.disabled_at is null;

-- name: session_create
-- scope: pre_user
-- From the credential that was verified: a password changed meanwhile gives no row. The lock makes
-- the next change wait, and that raises the epoch: no session of a former one is left alive.
with s as (
	insert into taskcell.sessions
	       (user_id, id, epoch, key_id, idle_expires_at, expires_at, ip, user_agent, network)
	select c.user_id, $2::uuid, c.epoch, $4::text,
	       now() + least($5::bigint, $6::bigint) * interval '1 second',
	       now() + $6::bigint * interval '1 second', $7::text, $8::text, $10::text
	  from taskcell.credentials c
	 where c.user_id = $1::uuid and c.password_hash = $3::text and c.disabled_at is null
	   for share of c
	returning id, counter, key_id, created_at, rotated_at, idle_expires_at, expires_at),
a as (
	insert into taskcell.audit (user_id, id, event, session_id, ip, user_agent, request_id)
	select $1::uuid, $11::uuid, $12::text, s.id, nullif($7::text, ''), $8::text, $9::text
	  from s)
select s.id, s.counter, s.key_id, s.created_at, s.rotated_at, s.idle_expires_at, s.expires_at
  from s;

-- name: session_get
-- scope: user
select id, counter, key_id, created_at, rotated_at, idle_expires_at, expires_at
  from taskcell.sessions
 where user_id = $1::uuid and id = $2::uuid;

-- name: session_refresh
-- scope: pre_user
-- When this waited for the row of a session that outlives the raising of the epoch, the session is
-- read as it is and the credential as it was: hence <= between the epochs. What is let in wrongly
-- by that is dead for session_read.
update taskcell.sessions s
   set counter = s.counter + 1, rotated_at = now(), key_id = $5::text,
       idle_expires_at = least(now() + $4::bigint * interval '1 second', s.expires_at)
  from taskcell.credentials c
 where s.user_id = $1::uuid and c.user_id = $1::uuid and s.id = $2::uuid and s.counter = $3::bigint
   and s.revoked_at is null and s.expires_at > now() and s.idle_expires_at > now()
   and c.epoch <= s.epoch and c.disabled_at is null
returning s.counter;

-- name: session_read
-- scope: pre_user
-- After session_refresh, as a statement of its own: a refresh that lost a race sees the winner's
-- row.
select s.id, s.counter, s.key_id, s.created_at, s.rotated_at, s.idle_expires_at, s.expires_at,
       s.revoked_at is not null or c.disabled_at is not null or c.epoch <> s.epoch, now()
  from taskcell.sessions s
  join taskcell.credentials c on c.user_id = s.user_id
 where s.user_id = $1::uuid and c.user_id = $1::uuid and s.id = $2::uuid;

-- name: session_list
-- scope: user
-- The limit is SESSION_LIST_MAX.
select s.id, s.counter, s.key_id, s.created_at, s.rotated_at, s.idle_expires_at, s.expires_at, s.ip,
       s.user_agent
  from taskcell.sessions s
  join taskcell.credentials c on c.user_id = s.user_id and c.epoch = s.epoch
 where s.user_id = $1::uuid and c.user_id = $1::uuid and s.revoked_at is null
   and s.expires_at > now() and s.idle_expires_at > now() and c.disabled_at is null
 order by s.rotated_at desc, s.id desc
 limit 1000;

-- name: session_end
-- scope: pre_user
-- Revokes in any case; the audit has it only when the session lived (<= as in session_refresh). $8
-- is the counter it must still have, if any.
with s as (
	update taskcell.sessions
	   set revoked_at = now()
	 where user_id = $1::uuid and id = $2::uuid and revoked_at is null
	   and ($8::bigint is null or counter = $8::bigint)
	returning id, epoch, idle_expires_at, expires_at)
insert into taskcell.audit (user_id, id, event, session_id, ip, user_agent, request_id)
select $1::uuid, $3::uuid, $4::text, s.id, nullif($5::text, ''), $6::text, $7::text
  from s
  join taskcell.credentials c on c.epoch <= s.epoch
 where c.user_id = $1::uuid and c.disabled_at is null
   and s.expires_at > now() and s.idle_expires_at > now();

-- name: session_end_own
-- scope: user
-- In the name of session $7, which has to live: no policy would stop a dead one here.
with s as (
	update taskcell.sessions s
	   set revoked_at = now()
	  from taskcell.credentials c, taskcell.sessions m
	 where s.user_id = $1::uuid and c.user_id = $1::uuid and m.user_id = $1::uuid
	   and m.id = $7::uuid and m.epoch = c.epoch and m.revoked_at is null
	   and m.expires_at > now() and m.idle_expires_at > now() and c.disabled_at is null
	   and s.id = $2::uuid and c.epoch <= s.epoch and s.revoked_at is null
	   and s.expires_at > now() and s.idle_expires_at > now()
	returning s.id),
a as (
	insert into taskcell.audit (user_id, id, event, session_id, ip, user_agent, request_id)
	select $1::uuid, $3::uuid, 'session_ended', s.id, nullif($4::text, ''), $5::text, $6::text
	  from s)
select s.id from s;

-- name: session_end_others
-- scope: user
-- Behind credential_lock. Raises the epoch, and session $2 alone comes along. $8 and $9 are hash
-- and epoch that the credential must still have, if any; $4 is the act's word.
with c as (
	update taskcell.credentials c
	   set epoch = c.epoch + 1
	  from taskcell.sessions s
	 where c.user_id = $1::uuid and s.user_id = $1::uuid and s.id = $2::uuid
	   and s.epoch = c.epoch and s.revoked_at is null
	   and s.expires_at > now() and s.idle_expires_at > now() and c.disabled_at is null
	   and ($8::text is null or c.password_hash = $8::text)
	   and ($9::bigint is null or c.epoch = $9::bigint)
	returning c.epoch),
s as (
	update taskcell.sessions s
	   set epoch = c.epoch
	  from c
	 where s.user_id = $1::uuid and s.id = $2::uuid),
a as (
	insert into taskcell.audit (user_id, id, event, session_id, ip, user_agent, request_id)
	select $1::uuid, $3::uuid, $4::text, $2::uuid, nullif($5::text, ''), $6::text, $7::text
	  from c)
select c.epoch from c;

-- name: session_prune
-- scope: user
-- Revoked rows stay until they expire, so that their tokens are still recognised.
delete from taskcell.sessions
 where user_id = $1::uuid and (expires_at <= now() or idle_expires_at <= now());
