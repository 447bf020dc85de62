-- The tables of Better Auth 1.x, which are somebody else's and are found by the search_path of the
-- connection string. Columns that only some of its plug-ins make are read as JSON, where they may be
-- missing.

-- name: better_auth_begin
-- scope: foreign
begin isolation level repeatable read read only;

-- The password changed last counts, should a user have several.
-- name: better_auth_open
-- scope: foreign
declare better_auth_users no scroll cursor for
select u.id::text, u.email, u.name,
	coalesce((extract(epoch from u."createdAt") * 1000000)::bigint, 0)::text, a.password,
	coalesce(to_jsonb(u) ->> 'banned', '') = 'true'
  from "user" u
  left join (select distinct on ("userId") "userId", password
	from "account"
	where "providerId" = 'credential' and password is not null
	order by "userId", "updatedAt" desc nulls last) a on a."userId" = u.id
 order by u.id;

-- name: better_auth_next
-- scope: foreign
fetch 200 from better_auth_users;
