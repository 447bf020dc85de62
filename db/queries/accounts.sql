-- Registration and what a login reads.

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
select user_id, password_hash, epoch, disabled_at is not null
  from taskcell.credentials
 where user_id = $1::uuid;

-- name: credential_rehash
-- scope: pre_user
-- The same password under new parameters: the epoch stays, and sessions with it.
update taskcell.credentials
   set password_hash = $3::text
 where user_id = $1::uuid and password_hash = $2::text and disabled_at is null;

-- name: user_get
-- scope: user
select id, email, name, created_at from taskcell.users where id = $1::uuid;
