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
-- From the credential that was verified: a password changed meanwhile gives no row, an epoch raised
-- meanwhile a session that is dead on arrival.
insert into taskcell.sessions
       (user_id, id, epoch, key_id, idle_expires_at, expires_at, ip, user_agent)
select c.user_id, $2::uuid, c.epoch, $4::text,
       now() + least($5::bigint, $6::bigint) * interval '1 second',
       now() + $6::bigint * interval '1 second', $7::text, $8::text
  from taskcell.credentials c
 where c.user_id = $1::uuid and c.password_hash = $3::text and c.disabled_at is null
returning id, counter, key_id, created_at, rotated_at, idle_expires_at, expires_at;

-- name: session_get
-- scope: user
select id, counter, key_id, created_at, rotated_at, idle_expires_at, expires_at
  from taskcell.sessions
 where user_id = $1::uuid and id = $2::uuid;

-- name: session_refresh
-- scope: pre_user
update taskcell.sessions s
   set counter = s.counter + 1, rotated_at = now(), key_id = $5::text,
       idle_expires_at = least(now() + $4::bigint * interval '1 second', s.expires_at)
  from taskcell.credentials c
 where s.user_id = $1::uuid and c.user_id = $1::uuid and s.id = $2::uuid and s.counter = $3::bigint
   and s.revoked_at is null and s.expires_at > now() and s.idle_expires_at > now()
   and c.epoch = s.epoch and c.disabled_at is null
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

-- name: session_end
-- scope: pre_user
update taskcell.sessions
   set revoked_at = now()
 where user_id = $1::uuid and id = $2::uuid and revoked_at is null
   and ($3::bigint is null or counter = $3::bigint);

-- name: session_prune
-- scope: user
-- Revoked rows stay until they expire, so that their tokens are still recognised.
delete from taskcell.sessions
 where user_id = $1::uuid and (expires_at <= now() or idle_expires_at <= now());
