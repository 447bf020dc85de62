-- What has changed, by version.

-- name: task_feed
-- scope: user
-- $2 the version behind which to read, $3 the one behind which to tell of deletions (all ones: of
-- none), $4 the limit. One row at least, with revision and floor of the same moment; without an id
-- when nothing has changed.
select u.revision, u.feed_floor, c.deleted, c.id, c.user_id, c.title, c.description, c.completed,
       c.completed_at, c.priority, c.due_date, c.due_at, c.tags, c.version, c.created_at,
       c.updated_at
  from taskcell.users u
  left join (
	select b.*
	  from (
		(select false as deleted, t.id, t.user_id, t.title, t.description, t.completed,
		        t.completed_at, t.priority, t.due_date, t.due_at, t.tags, t.version,
		        t.created_at, t.updated_at
		   from taskcell.tasks t
		  where t.user_id = $1::uuid and t.version > $2::bigint
		  order by t.version
		  limit $4::bigint)
		union all
		(select true, x.id, x.user_id, null, null, null, null, null, null, null, null,
		        x.version, null, null
		   from taskcell.trash x
		  where x.user_id = $1::uuid and x.version > greatest($2::bigint, $3::bigint)
		  order by x.version
		  limit $4::bigint)) b
	 order by b.version
	 limit $4::bigint) c on true
 where u.id = $1::uuid
 order by c.version;
