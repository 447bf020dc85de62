-- Attempts that are counted. Each count is atomic and, but for the clearing with an act, a
-- transaction of its own. The database's clock of the attempt is excluded.counted_at.

-- name: throttle_address
-- scope: pre_user
-- A fixed window of $3 seconds. No row: $2 attempts were counted, and this one is not.
insert into taskcell.throttle as t (key, hits, counted_at, ends_at)
values ($1::text, 1, now(), now() + $3::bigint * interval '1 second')
on conflict (key) do update
   set hits = case when t.ends_at <= excluded.counted_at then 1 else t.hits + 1 end,
       ends_at = case when t.ends_at <= excluded.counted_at then excluded.ends_at
                      else t.ends_at end,
       counted_at = excluded.counted_at
 where t.hits < $2::bigint or t.ends_at <= excluded.counted_at
returning key;

-- name: throttle_reserve
-- scope: pre_user
-- $2 failures are free; each further one starts a wait, of 1, 2, 4 … seconds up to $3. A day
-- without a failure forgets them. No row: the wait is not over.
insert into taskcell.throttle as t (key, hits, counted_at, ends_at)
values ($1::text, 1, now(), '-infinity')
on conflict (key) do update
   set hits = case when t.counted_at < excluded.counted_at - interval '24 hours' then 1
                   else t.hits + 1 end,
       ends_at = case when t.counted_at < excluded.counted_at - interval '24 hours'
                        or t.hits < $2::bigint then excluded.ends_at
                      else excluded.counted_at + interval '1 second'
                           * least(power(2, least(t.hits - $2::bigint, 30)), $3::bigint) end,
       counted_at = excluded.counted_at
 where t.ends_at <= excluded.counted_at
returning counted_at;

-- name: throttle_wait
-- scope: pre_user
select ends_at, now() from taskcell.throttle where key = $1::text;

-- name: throttle_refund
-- scope: pre_user
-- The wait is lifted only if the attempt given back, that of $2, is the one that started it.
update taskcell.throttle
   set hits = greatest(hits - 1, 0),
       ends_at = case when counted_at = $2::timestamptz then '-infinity' else ends_at end
 where key = $1::text;

-- name: throttle_clear
-- scope: pre_user
-- When act $2 was done in this transaction.
delete from taskcell.throttle
 where key = $3::text
   and exists (select from taskcell.audit a where a.user_id = $1::uuid and a.id = $2::uuid);

-- name: throttle_sweep
-- scope: pre_user
-- With each count a few go that no longer count: for none of the statements above does such a row
-- differ from none. One that is being counted is passed over.
with old as materialized (
	select key from taskcell.throttle
	 where counted_at < now() - interval '24 hours' and ends_at <= now()
	 order by counted_at
	 limit 10
	   for update skip locked)
delete from taskcell.throttle t
 using old
 where t.key = old.key;
