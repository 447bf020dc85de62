-- The audit. An act writes its row in its own statement, elsewhere: no act is without its row, and
-- no row without its act. The id of the row is made by the program, and later statements of the
-- transaction ask for it to see whether the act was done.

-- name: audit_failure
-- scope: pre_user
-- Nothing for an account that is going away, which would leave the row behind.
insert into taskcell.audit (user_id, id, event, ip, user_agent, request_id, detail)
select c.user_id, $2::uuid, $3::text, nullif($4::text, ''), $5::text, $6::text, $7::text
  from taskcell.credentials c
 where c.user_id = $1::uuid
   for key share of c;

-- name: audit_unknown
-- scope: pre_user
-- $1 is nobody: all zeros.
insert into taskcell.audit (user_id, id, event, ip, user_agent, request_id, detail)
values ($1::uuid, $2::uuid, $3::text, nullif($4::text, ''), $5::text, $6::text, $7::text);

-- name: audit_list
-- scope: user
-- From the start: $2 is -infinity.
select a.id, a.session_id, a.event, a.ip, a.user_agent, a.detail, a.at
  from taskcell.audit a
 where a.user_id = $1::uuid and (a.at, a.id) > ($2::timestamptz, $3::uuid)
 order by a.at, a.id
 limit $4::bigint;

-- name: audit_prune
-- scope: pre_user
-- Old rows of the same user go with each new one, some at a time. They are found by a range of the
-- index, and not by their ids alone: nobody, whose e-mails are unknown, may have very many rows, and
-- whatever the plan, others are not looked at, so that the time of a login does not tell.
with old as materialized (
	select id, at from taskcell.audit
	 where user_id = $1::uuid and at < now() - $2::bigint * interval '1 second'
	 order by at
	 limit 100
	   for update skip locked)
delete from taskcell.audit a
 where a.user_id = $1::uuid and a.at < now() - $2::bigint * interval '1 second'
   and a.at <= (select max(at) from old) and a.id = any (array (select id from old));

-- name: audit_erase
-- scope: user
-- After the user's row has gone, for which all acts of the account were waited: none is missed.
delete from taskcell.audit
 where user_id = $1::uuid and id <> $2::uuid
   and exists (select from taskcell.audit a where a.user_id = $1::uuid and a.id = $2::uuid);
