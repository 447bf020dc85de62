-- Registration, what a login reads, and what a person does to the own account.

-- name: register_enter
-- scope: pre_user
-- Opens the fence for an id that was made in this very request.
select set_config('taskcell.user_id', $1::uuid::text, true);

-- name: user_email_insert
-- scope: pre_user
-- The second of two racers waits here for the first and then gets no row.
insert into taskcell.user_emails (email, user_id)
values ($2::text, $1::uuid)
on conflict (email) do nothing
returning user_id;

-- name: invite_find
-- scope: pre_user
select digest from taskcell.invites
 where digest = $1::text and expires_at > now() and uses_left > 0;

-- name: invite_lock
-- scope: pre_user
-- Until the end of the registration nobody else can use it; no row: it is of no use.
select digest from taskcell.invites
 where digest = $1::text and expires_at > now() and uses_left > 0
   for update;

-- name: user_email_insert_invited
-- scope: pre_user
-- Behind invite_lock, whose row it reads.
insert into taskcell.user_emails (email, user_id)
select $2::text, $1::uuid
  from taskcell.invites i
 where i.digest = $3::text and i.expires_at > now() and i.uses_left > 0
on conflict (email) do nothing
returning user_id;

-- name: invite_use
-- scope: pre_user
-- Only when the registration has the e-mail: its id was made in this very request.
update taskcell.invites
   set uses_left = uses_left - 1
 where digest = $3::text
   and exists (select from taskcell.user_emails e
                where e.email = $2::text and e.user_id = $1::uuid);

-- name: user_insert
-- scope: pre_user
insert into taskcell.users (id, email, name)
select e.user_id, $3::text, $4::text
  from taskcell.user_emails e
 where e.user_id = $1::uuid and e.email = $2::text
returning id, email, name, created_at;

-- name: credential_insert
-- scope: pre_user
insert into taskcell.credentials (user_id, password_hash)
select u.id, $2::text
  from taskcell.users u
 where u.id = $1::uuid
returning user_id;

-- name: user_email_find
-- scope: pre_user
select user_id from taskcell.user_emails where email = $1::text;

-- name: credential_get
-- scope: pre_user
-- The last columns: whether a session of this user began on network $2, whether session $3 lives.
select c.user_id, c.password_hash, c.epoch, c.disabled_at is not null,
       exists (select from taskcell.sessions s
                where s.user_id = $1::uuid and s.network = $2::text and s.network <> ''),
       exists (select from taskcell.sessions s
                where s.user_id = $1::uuid and s.id = $3::uuid and s.epoch = c.epoch
                  and s.revoked_at is null and s.expires_at > now()
                  and s.idle_expires_at > now())
  from taskcell.credentials c
 where c.user_id = $1::uuid;

-- name: credential_rehash
-- scope: pre_user
-- The same password under new parameters: the epoch stays, and sessions with it.
update taskcell.credentials
   set password_hash = $3::text
 where user_id = $1::uuid and password_hash = $2::text and disabled_at is null;

-- name: user_get
-- scope: user
select id, email, name, created_at from taskcell.users where id = $1::uuid;

-- name: user_change
-- scope: user
-- $2 is the new e-mail if there is one, $3 says whether the name is set. With $5 only when that act
-- was done in this transaction.
update taskcell.users
   set email = coalesce($2::text, email), updated_at = now(),
       name = case when $3::boolean then $4::text else name end
 where id = $1::uuid
   and ($5::uuid is null
        or exists (select from taskcell.audit a where a.user_id = $1::uuid and a.id = $5::uuid))
returning id, email, name, created_at;

-- name: credential_lock
-- scope: user
-- Whoever changes an account waits here: the next statements see what is committed, and it stays.
-- Locks are taken in the order credentials, sessions, user_emails, users.
select user_id from taskcell.credentials where user_id = $1::uuid for no key update;

-- name: password_change
-- scope: user
-- Behind credential_lock. The new session, and with it the audit, comes from session_create.
update taskcell.credentials c
   set password_hash = $4::text, epoch = c.epoch + 1, changed_at = now()
  from taskcell.sessions s
 where c.user_id = $1::uuid and s.user_id = $1::uuid and s.id = $2::uuid and s.epoch = c.epoch
   and s.revoked_at is null and s.expires_at > now() and s.idle_expires_at > now()
   and c.disabled_at is null and c.password_hash = $3::text
returning c.user_id;

-- name: user_email_claim
-- scope: pre_user
-- When act $3 was done in this transaction. Fails when the e-mail is taken, and takes all of the
-- transaction back.
insert into taskcell.user_emails (email, user_id)
select $2::text, a.user_id
  from taskcell.audit a
 where a.user_id = $1::uuid and a.id = $3::uuid;

-- name: user_email_drop
-- scope: pre_user
-- When act $3 was done in this transaction.
delete from taskcell.user_emails
 where email = $2::text and user_id = $1::uuid
   and exists (select from taskcell.audit a where a.user_id = $1::uuid and a.id = $3::uuid);

-- name: account_delete
-- scope: user
-- Behind credential_lock. Credential, sessions and tasks go with the user.
with u as (
	delete from taskcell.users u
	 using taskcell.credentials c, taskcell.sessions s
	 where u.id = $1::uuid and c.user_id = $1::uuid and s.user_id = $1::uuid
	   and s.id = $2::uuid and s.epoch = c.epoch and s.revoked_at is null
	   and s.expires_at > now() and s.idle_expires_at > now() and c.disabled_at is null
	   and c.password_hash = $3::text and c.epoch = $4::bigint
	returning u.id),
a as (
	insert into taskcell.audit (user_id, id, event, request_id)
	select $1::uuid, $5::uuid, 'account_deleted', $6::text from u)
select u.id from u;

-- name: account_export
-- scope: user
select u.id, u.email, u.name, u.created_at, u.updated_at, c.changed_at
  from taskcell.users u
  join taskcell.credentials c on c.user_id = u.id
 where u.id = $1::uuid and c.user_id = $1::uuid;

-- name: session_export
-- scope: user
-- All there are, also those that have ended.
select s.id, s.counter, s.key_id, s.created_at, s.rotated_at, s.idle_expires_at, s.expires_at, s.ip,
       s.user_agent
  from taskcell.sessions s
 where s.user_id = $1::uuid
 order by s.created_at, s.id;
