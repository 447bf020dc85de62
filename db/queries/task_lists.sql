-- Lists of tasks. All filters may be null: $2 completed, $3 priority, $4 tag, $5 due before, $6 due
-- at or after, $7 search. $8: a revision; while the owner's is this one, nothing is read. $9 limit;
-- $10 and $11 the place behind which the page begins.
--
-- The filters are not leakproof, so under the policies no index could serve them: they look at the
-- owner's own index range. What is looked for is a sub-select, or it would be worked out for every
-- row; the last word of a search may be the beginning of one.

-- name: task_revision
-- scope: user
select revision from taskcell.users where id = $1::uuid;

-- name: task_list_newest
-- scope: user
-- coalesce() keeps the planner from taking each filter that is not there for a selective one: it would
-- read and sort all that the owner has for every page.
-- From the start: $10 is infinity and $11 the last uuid.
select t.id, t.user_id, t.title, t.description, t.completed, t.completed_at, t.priority, t.due_date,
       t.due_at, t.tags, t.version, t.created_at, t.updated_at, t.created_at,
       null::text
  from taskcell.tasks t
 where t.user_id = $1::uuid and (t.created_at, t.id) < ($10::timestamptz, $11::uuid)
   and coalesce(($2::boolean is null or t.completed = $2::boolean)
   and ($3::bigint is null or t.priority = $3::bigint)
   and ($4::text is null
        or (select lower($4::text)) = any (lower(t.tags::text)::text[]))
   and ($5::timestamptz is null or t.due_at < $5::timestamptz)
   and ($6::timestamptz is null or (t.due_at >= $6::timestamptz and t.due_at < 'infinity'))
   and ($7::text is null
        or t.search @@ (select regexp_replace(websearch_to_tsquery('simple', $7::text)::text,
                                              '''$', ''':*')::tsquery)), false)
   and ($8::bigint is null
        or not exists (select from taskcell.users u
                        where u.id = $1::uuid and u.revision = $8::bigint))
 order by t.created_at desc, t.id desc
 limit $9::bigint;

-- name: task_list_oldest
-- scope: user
-- From the start: $10 is -infinity.
select t.id, t.user_id, t.title, t.description, t.completed, t.completed_at, t.priority, t.due_date,
       t.due_at, t.tags, t.version, t.created_at, t.updated_at, t.created_at,
       null::text
  from taskcell.tasks t
 where t.user_id = $1::uuid and (t.created_at, t.id) > ($10::timestamptz, $11::uuid)
   and coalesce(($2::boolean is null or t.completed = $2::boolean)
   and ($3::bigint is null or t.priority = $3::bigint)
   and ($4::text is null
        or (select lower($4::text)) = any (lower(t.tags::text)::text[]))
   and ($5::timestamptz is null or t.due_at < $5::timestamptz)
   and ($6::timestamptz is null or (t.due_at >= $6::timestamptz and t.due_at < 'infinity'))
   and ($7::text is null
        or t.search @@ (select regexp_replace(websearch_to_tsquery('simple', $7::text)::text,
                                              '''$', ''':*')::tsquery)), false)
   and ($8::bigint is null
        or not exists (select from taskcell.users u
                        where u.id = $1::uuid and u.revision = $8::bigint))
 order by t.created_at, t.id
 limit $9::bigint;

-- name: task_list_up
-- scope: user
-- Any other order: $13 is 1 for updated_at, 2 title, 3 due date, 4 priority. It is not kept in an
-- index, which every write would pay for: the owner's own rows are sorted. The last two columns
-- are the place of the row, as $10 and $12 have it: a time (a priority as that many seconds behind
-- 1970) and a text. From the start: $10 is -infinity.
select s.id, s.user_id, s.title, s.description, s.completed, s.completed_at, s.priority, s.due_date,
       s.due_at, s.tags, s.version, s.created_at, s.updated_at, s.k_time, s.k_text
  from (
	select t.id, t.user_id, t.title, t.description, t.completed, t.completed_at, t.priority,
	       t.due_date, t.due_at, t.tags, t.version, t.created_at, t.updated_at,
	       case $13::bigint
	            when 1 then t.updated_at
	            when 3 then t.due_at
	            when 4 then 'epoch'::timestamptz + t.priority * interval '1 second'
	            else 'epoch'::timestamptz end as k_time,
	       case $13::bigint when 2 then t.title_key else '' end collate "C" as k_text
	  from taskcell.tasks t
	 where t.user_id = $1::uuid
	   and ($2::boolean is null or t.completed = $2::boolean)
	   and ($3::bigint is null or t.priority = $3::bigint)
	   and ($4::text is null
	        or (select lower($4::text)) = any (lower(t.tags::text)::text[]))
	   and ($5::timestamptz is null or t.due_at < $5::timestamptz)
	   and ($6::timestamptz is null or (t.due_at >= $6::timestamptz and t.due_at < 'infinity'))
	   and ($7::text is null
	        or t.search @@ (select regexp_replace(
	                                 websearch_to_tsquery('simple', $7::text)::text,
	                                 '''$', ''':*')::tsquery))
	   and ($8::bigint is null
	        or not exists (select from taskcell.users u
	                        where u.id = $1::uuid and u.revision = $8::bigint))) s
 where (s.k_time, s.k_text, s.id) > ($10::timestamptz, $12::text, $11::uuid)
 order by s.k_time, s.k_text, s.id
 limit $9::bigint;

-- name: task_list_down
-- scope: user
-- From the start: $10 is infinity and $12 not empty.
select s.id, s.user_id, s.title, s.description, s.completed, s.completed_at, s.priority, s.due_date,
       s.due_at, s.tags, s.version, s.created_at, s.updated_at, s.k_time, s.k_text
  from (
	select t.id, t.user_id, t.title, t.description, t.completed, t.completed_at, t.priority,
	       t.due_date, t.due_at, t.tags, t.version, t.created_at, t.updated_at,
	       case $13::bigint
	            when 1 then t.updated_at
	            when 3 then t.due_at
	            when 4 then 'epoch'::timestamptz + t.priority * interval '1 second'
	            else 'epoch'::timestamptz end as k_time,
	       case $13::bigint when 2 then t.title_key else '' end collate "C" as k_text
	  from taskcell.tasks t
	 where t.user_id = $1::uuid
	   and ($2::boolean is null or t.completed = $2::boolean)
	   and ($3::bigint is null or t.priority = $3::bigint)
	   and ($4::text is null
	        or (select lower($4::text)) = any (lower(t.tags::text)::text[]))
	   and ($5::timestamptz is null or t.due_at < $5::timestamptz)
	   and ($6::timestamptz is null or (t.due_at >= $6::timestamptz and t.due_at < 'infinity'))
	   and ($7::text is null
	        or t.search @@ (select regexp_replace(
	                                 websearch_to_tsquery('simple', $7::text)::text,
	                                 '''$', ''':*')::tsquery))
	   and ($8::bigint is null
	        or not exists (select from taskcell.users u
	                        where u.id = $1::uuid and u.revision = $8::bigint))) s
 where (s.k_time, s.k_text, s.id) < ($10::timestamptz, $12::text, $11::uuid)
 order by s.k_time desc, s.k_text desc, s.id desc
 limit $9::bigint;

-- name: task_count
-- scope: user
select count(*)
  from taskcell.tasks t
 where t.user_id = $1::uuid
   and ($2::boolean is null or t.completed = $2::boolean)
   and ($3::bigint is null or t.priority = $3::bigint)
   and ($4::text is null
        or (select lower($4::text)) = any (lower(t.tags::text)::text[]))
   and ($5::timestamptz is null or t.due_at < $5::timestamptz)
   and ($6::timestamptz is null or (t.due_at >= $6::timestamptz and t.due_at < 'infinity'))
   and ($7::text is null
        or t.search @@ (select regexp_replace(websearch_to_tsquery('simple', $7::text)::text,
                                              '''$', ''':*')::tsquery))
   and ($8::bigint is null
        or not exists (select from taskcell.users u
                        where u.id = $1::uuid and u.revision = $8::bigint));

-- name: task_stats
-- scope: user
-- $2: midnight in UTC of the caller's date. A date (of ten letters) is over with its day.
select count(*),
       count(*) filter (where t.completed),
       count(*) filter (where not t.completed
                          and t.due_at < case when octet_length(t.due_date) = 10
                                              then $2::timestamptz else now() end),
       count(*) filter (where not t.completed and t.due_at >= $2::timestamptz
                          and t.due_at < $2::timestamptz + interval '1 day'),
       (select count(*)
          from taskcell.trash x
         where x.user_id = $1::uuid and x.title is not null
           and x.deleted_at > now() - interval '30 days')
  from taskcell.tasks t
 where t.user_id = $1::uuid;
