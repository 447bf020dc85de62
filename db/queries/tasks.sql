-- Single tasks. Locks are taken in the order users, tasks, trash, idempotency; a user's row by
-- `for no key update`. Whoever writes tasks or moves them out of the trash holds that lock, so
-- versions follow the order of commits, and an id is a task or in the trash, never both.

-- name: user_lock
-- scope: user
-- As a statement of its own: the next one sees what those who were waited for have committed.
select id from taskcell.users where id = $1::uuid for no key update;

-- name: task_get
-- scope: user
select id, user_id, title, description, completed, completed_at, priority, due_date, due_at, tags,
       version, created_at, updated_at
  from taskcell.tasks
 where user_id = $1::uuid and id = $2::uuid;

-- name: task_create
-- scope: user
-- Behind user_lock. $12 and $13 are the client's key and the request's digest, if there is a key.
-- First column: 1 made; 2 the key is known, and what of the task is kept with it; 3 the id is a
-- task's, which stays as it is. No row: the id is in the trash.
with k as materialized (
	select digest, task_id, version, created_at
	  from taskcell.idempotency
	 where user_id = $1::uuid and key = $12::text and created_at > now() - interval '1 day'),
r as (
	update taskcell.users set revision = revision + 1
	 where id = $1::uuid and not exists (select from k)
	   and not exists (select from taskcell.tasks t
	                    where t.user_id = $1::uuid and t.id = $2::uuid)
	   and not exists (select from taskcell.trash x
	                    where x.user_id = $1::uuid and x.id = $2::uuid)
	returning revision),
w as (
	insert into taskcell.tasks
	       (user_id, id, title, description, completed, completed_at, priority, due_date,
	        due_at, tags, version, created_at)
	select $1::uuid, $2::uuid, $3::text, $4::text, $5::boolean,
	       case when $5::boolean then coalesce($11::timestamptz, now()) end, $6::bigint,
	       $7::text, $8::timestamptz, $9::text[], r.revision, coalesce($10::timestamptz, now())
	  from r
	returning id, user_id, title, description, completed, completed_at, priority, due_date,
	          due_at, tags, version, created_at, updated_at),
i as (
	insert into taskcell.idempotency (user_id, key, digest, task_id, version)
	select $1::uuid, $12::text, $13::text, w.id, w.version
	  from w
	 where $12::text is not null
	on conflict (user_id, key) do update
	   set digest = excluded.digest, task_id = excluded.task_id, version = excluded.version,
	       created_at = excluded.created_at)
select 1::bigint, null::text, w.id, w.user_id, w.title, w.description, w.completed, w.completed_at,
       w.priority, w.due_date, w.due_at, w.tags, w.version, w.created_at, w.updated_at
  from w
union all
select 2, k.digest, k.task_id, $1::uuid, null, null, null, null, null, null, null, null, k.version,
       k.created_at, k.created_at
  from k
union all
select 3, null, t.id, t.user_id, t.title, t.description, t.completed, t.completed_at, t.priority,
       t.due_date, t.due_at, t.tags, t.version, t.created_at, t.updated_at
  from taskcell.tasks t
 where t.user_id = $1::uuid and t.id = $2::uuid and not exists (select from k);

-- name: idempotency_prune
-- scope: user
-- Old keys of the same user go with new ones, some at a time.
with old as materialized (
	select key from taskcell.idempotency
	 where user_id = $1::uuid and created_at <= now() - interval '1 day'
	 order by created_at
	 limit 10
	   for update skip locked)
delete from taskcell.idempotency i
 using old
 where i.user_id = $1::uuid and i.key = old.key;

-- name: task_change
-- scope: user
-- $3 are the versions that will do; $4, $9 and $13 the new title, priority and tags, if there are;
-- $5 and $10 say whether description and due date are set; $7 is the new state if there is one, $8
-- flips it. The first column says whether the version was one of $3. The revision moves only when
-- the row changes; a lost race is answered from the row as it was locked.
with o as materialized (select id from taskcell.users where id = $1::uuid for no key update),
cur as materialized (
	select t.id, t.user_id, t.title, t.description, t.completed, t.completed_at, t.priority,
	       t.due_date, t.due_at, t.tags, t.version, t.created_at, t.updated_at
	  from taskcell.tasks t join o on o.id = t.user_id
	 where t.user_id = $1::uuid and t.id = $2::uuid
	   for update of t),
n as materialized (
	select coalesce($4::text, cur.title) as title,
	       case when $5::boolean then $6::text else cur.description end as description,
	       case when $8::boolean then not cur.completed
	            else coalesce($7::boolean, cur.completed) end as completed,
	       coalesce($9::bigint, cur.priority) as priority,
	       case when $10::boolean then $11::text else cur.due_date end as due_date,
	       case when $10::boolean then $12::timestamptz else cur.due_at end as due_at,
	       coalesce($13::text[], cur.tags) as tags
	  from cur
	 where $3::bigint[] is null or cur.version = any ($3::bigint[])),
r as (
	update taskcell.users set revision = revision + 1
	 where id = $1::uuid
	   and exists (select from n cross join cur
	                where (n.title, n.description, n.completed, n.priority, n.due_date,
	                       n.due_at, n.tags)
	                      is distinct from (cur.title, cur.description, cur.completed,
	                                        cur.priority, cur.due_date, cur.due_at, cur.tags))
	returning revision),
w as (
	update taskcell.tasks t
	   set title = n.title, description = n.description, completed = n.completed,
	       completed_at = case when n.completed then coalesce(t.completed_at, now()) end,
	       priority = n.priority, due_date = n.due_date, due_at = n.due_at, tags = n.tags,
	       version = r.revision, updated_at = now()
	  from n, r
	 where t.user_id = $1::uuid and t.id = $2::uuid
	returning t.id, t.user_id, t.title, t.description, t.completed, t.completed_at, t.priority,
	          t.due_date, t.due_at, t.tags, t.version, t.created_at, t.updated_at)
select true, w.id, w.user_id, w.title, w.description, w.completed, w.completed_at, w.priority,
       w.due_date, w.due_at, w.tags, w.version, w.created_at, w.updated_at
  from w
union all
select exists (select from n), cur.id, cur.user_id, cur.title, cur.description, cur.completed,
       cur.completed_at, cur.priority, cur.due_date, cur.due_at, cur.tags, cur.version,
       cur.created_at, cur.updated_at
  from cur
 where not exists (select from w);

-- name: task_delete
-- scope: user
-- Behind user_lock, since what is old in the trash goes behind this, whether or not the task is
-- there. Into the trash; $3 and the first column as above; the last is when it was deleted.
with cur as materialized (
	select t.id, t.user_id, t.title, t.description, t.completed, t.completed_at, t.priority,
	       t.due_date, t.due_at, t.tags, t.version, t.created_at, t.updated_at
	  from taskcell.tasks t
	 where t.user_id = $1::uuid and t.id = $2::uuid
	   for update),
r as (
	update taskcell.users set revision = revision + 1
	 where id = $1::uuid
	   and exists (select from cur where $3::bigint[] is null or version = any ($3::bigint[]))
	returning revision),
d as (
	delete from taskcell.tasks t using r
	 where t.user_id = $1::uuid and t.id = $2::uuid),
x as (
	insert into taskcell.trash
	       (user_id, id, title, description, completed, completed_at, priority, due_date,
	        due_at, tags, version, created_at, updated_at)
	select $1::uuid, cur.id, cur.title, cur.description, cur.completed, cur.completed_at,
	       cur.priority, cur.due_date, cur.due_at, cur.tags, r.revision, cur.created_at,
	       cur.updated_at
	  from cur cross join r
	returning id, user_id, title, description, completed, completed_at, priority, due_date,
	          due_at, tags, version, created_at, updated_at, deleted_at)
select true, x.id, x.user_id, x.title, x.description, x.completed, x.completed_at, x.priority,
       x.due_date, x.due_at, x.tags, x.version, x.created_at, x.updated_at, x.deleted_at
  from x
union all
select false, cur.id, cur.user_id, cur.title, cur.description, cur.completed, cur.completed_at,
       cur.priority, cur.due_date, cur.due_at, cur.tags, cur.version, cur.created_at,
       cur.updated_at, null
  from cur
 where not exists (select from x);

-- name: task_clear_completed
-- scope: user
-- Behind user_lock. Each task takes a revision of its own, since the feed is read by them.
with c as materialized (
	select t.id, t.title, t.description, t.completed_at, t.priority, t.due_date, t.due_at,
	       t.tags, t.created_at, t.updated_at,
	       row_number() over (order by t.created_at, t.id) as n
	  from taskcell.tasks t
	 where t.user_id = $1::uuid and t.completed),
r as (
	update taskcell.users set revision = revision + (select count(*) from c)
	 where id = $1::uuid and exists (select from c)
	returning revision),
d as (
	delete from taskcell.tasks t using c
	 where t.user_id = $1::uuid and t.id = c.id),
x as (
	insert into taskcell.trash
	       (user_id, id, title, description, completed, completed_at, priority, due_date,
	        due_at, tags, version, created_at, updated_at)
	select $1::uuid, c.id, c.title, c.description, true, c.completed_at, c.priority, c.due_date,
	       c.due_at, c.tags, r.revision - (select count(*) from c) + c.n, c.created_at,
	       c.updated_at
	  from c cross join r)
select count(*) from c;

-- name: task_import
-- scope: user
-- Behind user_lock. Creates the task or sets what an import has of it; $12 only asks. The result:
-- 0 new, 1 changed, 2 the same, 3 out of the trash. Times that are kept already stay, since files
-- have them in milliseconds.
with cur as materialized (
	select false as trashed, t.title, t.description, t.completed, t.completed_at, t.priority,
	       t.due_date, t.due_at, t.tags, t.created_at
	  from taskcell.tasks t
	 where t.user_id = $1::uuid and t.id = $2::uuid
	union all
	select true, x.title, x.description, x.completed, x.completed_at, x.priority, x.due_date,
	       x.due_at, x.tags, x.created_at
	  from taskcell.trash x
	 where x.user_id = $1::uuid and x.id = $2::uuid),
n as materialized (
	select case when not exists (select from cur) then 0
	            when exists (select from cur where cur.trashed) then 3
	            when exists (select from cur
	                          where (cur.title, cur.description, cur.completed, cur.priority,
	                                 cur.due_date, cur.due_at, cur.tags)
	                                is distinct from
	                                ($3::text, $4::text, $5::boolean, $6::bigint, $7::text,
	                                 $8::timestamptz, $9::text[]))
	            then 1 else 2 end::bigint as what),
r as (
	update taskcell.users set revision = revision + 1
	 where id = $1::uuid and not $12::boolean and exists (select from n where n.what <> 2)
	returning revision),
d as (
	delete from taskcell.trash x using r
	 where x.user_id = $1::uuid and x.id = $2::uuid),
w as (
	insert into taskcell.tasks
	       (user_id, id, title, description, completed, completed_at, priority, due_date,
	        due_at, tags, version, created_at, updated_at)
	select $1::uuid, $2::uuid, $3::text, $4::text, $5::boolean,
	       case when $5::boolean then coalesce(cur.completed_at, $11::timestamptz, now()) end,
	       $6::bigint, $7::text, $8::timestamptz, $9::text[], r.revision,
	       coalesce(cur.created_at, $10::timestamptz, now()), now()
	  from r left join cur on true
	on conflict (user_id, id) do update
	   set title = excluded.title, description = excluded.description,
	       completed = excluded.completed, completed_at = excluded.completed_at,
	       priority = excluded.priority, due_date = excluded.due_date, due_at = excluded.due_at,
	       tags = excluded.tags, version = excluded.version, updated_at = excluded.updated_at)
select what from n;
