-- Tasks. Locks are taken in the order users, tasks; a user's row by `for no key update`.

-- name: task_list
-- scope: user
-- From the start: $2 is infinity and $3 the last uuid.
select id, user_id, title, description, completed, completed_at, version, created_at, updated_at
  from taskcell.tasks
 where user_id = $1::uuid and (created_at, id) < ($2::timestamptz, $3::uuid)
   and ($4::boolean is null or completed = $4::boolean)
 order by created_at desc, id desc
 limit $5::bigint;

-- name: task_get
-- scope: user
select id, user_id, title, description, completed, completed_at, version, created_at, updated_at
  from taskcell.tasks
 where user_id = $1::uuid and id = $2::uuid;

-- name: task_create
-- scope: user
with r as (update taskcell.users set revision = revision + 1 where id = $1::uuid returning revision)
insert into taskcell.tasks (user_id, id, title, description, completed, completed_at, version)
select $1::uuid, $2::uuid, $3::text, $4::text, $5::boolean, case when $5::boolean then now() end,
       r.revision
  from r
returning id, user_id, title, description, completed, completed_at, version, created_at, updated_at;

-- name: task_change
-- scope: user
-- $3 are the versions that will do, $4 and $6 say whether title and description are set, $8 is
-- the new state if there is one, $9 flips it. The first column says whether the version was one
-- of $3. The revision moves only when the row changes; a lost race is answered from the row as it
-- was locked.
with o as materialized (select id from taskcell.users where id = $1::uuid for no key update),
cur as materialized (
	select t.id, t.user_id, t.title, t.description, t.completed, t.completed_at, t.version,
	       t.created_at, t.updated_at
	  from taskcell.tasks t join o on o.id = t.user_id
	 where t.user_id = $1::uuid and t.id = $2::uuid
	   for update of t),
n as materialized (
	select case when $4::boolean then $5::text else cur.title end as title,
	       case when $6::boolean then $7::text else cur.description end as description,
	       case when $9::boolean then not cur.completed
	            else coalesce($8::boolean, cur.completed) end as completed
	  from cur
	 where $3::bigint[] is null or cur.version = any ($3::bigint[])),
r as (
	update taskcell.users set revision = revision + 1
	 where id = $1::uuid
	   and exists (select from n cross join cur
	                where (n.title, n.description, n.completed)
	                      is distinct from (cur.title, cur.description, cur.completed))
	returning revision),
w as (
	update taskcell.tasks t
	   set title = n.title, description = n.description, completed = n.completed,
	       completed_at = case when n.completed then coalesce(t.completed_at, now()) end,
	       version = r.revision, updated_at = now()
	  from n, r
	 where t.user_id = $1::uuid and t.id = $2::uuid
	returning t.id, t.user_id, t.title, t.description, t.completed, t.completed_at, t.version,
	          t.created_at, t.updated_at)
select true, w.id, w.user_id, w.title, w.description, w.completed, w.completed_at, w.version,
       w.created_at, w.updated_at
  from w
union all
select exists (select from n), cur.id, cur.user_id, cur.title, cur.description, cur.completed,
       cur.completed_at, cur.version, cur.created_at, cur.updated_at
  from cur
 where not exists (select from w);

-- name: task_delete
-- scope: user
with o as materialized (select id from taskcell.users where id = $1::uuid for no key update),
cur as materialized (
	select t.id, t.user_id, t.title, t.description, t.completed, t.completed_at, t.version,
	       t.created_at, t.updated_at
	  from taskcell.tasks t join o on o.id = t.user_id
	 where t.user_id = $1::uuid and t.id = $2::uuid
	   for update of t),
r as (
	update taskcell.users set revision = revision + 1
	 where id = $1::uuid
	   and exists (select from cur where $3::bigint[] is null or version = any ($3::bigint[]))
	returning revision),
d as (
	delete from taskcell.tasks t using r
	 where t.user_id = $1::uuid and t.id = $2::uuid
	returning t.id, t.user_id, t.title, t.description, t.completed, t.completed_at, t.version,
	          t.created_at, t.updated_at)
select true, d.id, d.user_id, d.title, d.description, d.completed, d.completed_at, d.version,
       d.created_at, d.updated_at
  from d
union all
select false, cur.id, cur.user_id, cur.title, cur.description, cur.completed, cur.completed_at,
       cur.version, cur.created_at, cur.updated_at
  from cur
 where not exists (select from d);
