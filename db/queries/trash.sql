-- The trash: a deleted task can be restored for 30 days (TRASH_KEEP_DAYS). Without a title it is a
-- tombstone, which the feed tells of for 90 days (TOMBSTONE_KEEP_DAYS).

-- name: trash_list
-- scope: user
-- From the start: $2 is infinity and $3 the last uuid. $5: also what is kept only until somebody
-- sweeps.
select id, user_id, title, description, completed, completed_at, priority, due_date, due_at, tags,
       version, created_at, updated_at, deleted_at
  from taskcell.trash
 where user_id = $1::uuid and (deleted_at, id) < ($2::timestamptz, $3::uuid)
   and title is not null and ($5::boolean or deleted_at > now() - interval '30 days')
 order by deleted_at desc, id desc
 limit $4::bigint;

-- name: trash_restore
-- scope: user
-- Behind user_lock.
with c as materialized (
	select x.id, x.title, x.description, x.completed, x.completed_at, x.priority, x.due_date,
	       x.due_at, x.tags, x.created_at
	  from taskcell.trash x
	 where x.user_id = $1::uuid and x.id = $2::uuid
	   and x.title is not null and x.deleted_at > now() - interval '30 days'
	   for update),
r as (
	update taskcell.users set revision = revision + 1
	 where id = $1::uuid and exists (select from c)
	returning revision),
d as (
	delete from taskcell.trash x using r
	 where x.user_id = $1::uuid and x.id = $2::uuid)
insert into taskcell.tasks
       (user_id, id, title, description, completed, completed_at, priority, due_date, due_at, tags,
        version, created_at)
select $1::uuid, c.id, c.title, c.description, c.completed, c.completed_at, c.priority, c.due_date,
       c.due_at, c.tags, r.revision, c.created_at
  from c cross join r
returning id, user_id, title, description, completed, completed_at, priority, due_date, due_at,
          tags, version, created_at, updated_at;

-- name: trash_delete
-- scope: user
-- The feed has told of it: neither version nor revision moves.
update taskcell.trash
   set title = null, description = null, completed = false, completed_at = null, priority = 0,
       due_date = null, due_at = 'infinity', tags = '{}'
 where user_id = $1::uuid and id = $2::uuid
   and title is not null and deleted_at > now() - interval '30 days'
returning id;

-- name: trash_empty
-- scope: user
-- Behind user_lock. What cannot be restored any more goes with the user's later deletions, some at
-- a time.
with old as materialized (
	select id from taskcell.trash
	 where user_id = $1::uuid and title is not null and deleted_at <= now() - interval '30 days'
	 order by deleted_at
	 limit 100
	   for update skip locked)
update taskcell.trash x
   set title = null, description = null, completed = false, completed_at = null, priority = 0,
       due_date = null, due_at = 'infinity', tags = '{}'
  from old
 where x.user_id = $1::uuid and x.id = old.id;

-- name: trash_forget
-- scope: user
-- Tombstones likewise. Who has read the feed up to where they were has to start over, since what is
-- gone cannot be told: hence the floor.
with old as materialized (
	select id from taskcell.trash
	 where user_id = $1::uuid and title is null and deleted_at <= now() - interval '90 days'
	 order by deleted_at
	 limit 100
	   for update skip locked),
d as (
	delete from taskcell.trash x using old
	 where x.user_id = $1::uuid and x.id = old.id
	returning x.version)
update taskcell.users
   set feed_floor = greatest(feed_floor, (select max(version) from d))
 where id = $1::uuid and exists (select from d);
