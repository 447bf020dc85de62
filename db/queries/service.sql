-- What the program asks about the database itself.

-- name: fitness
-- scope: service
-- One column a demand, in the order of the messages in src/store/check.c; then what tells a pooler.
select not r.rolsuper and not r.rolbypassrls,
       coalesce(current_setting('taskcell.admin', true), '') <> 'on',
       (select count(*) = 4 from pg_catalog.pg_class c
         where c.oid in ('taskcell.users'::regclass, 'taskcell.tasks'::regclass,
                         'taskcell.trash'::regclass, 'taskcell.idempotency'::regclass)
           and c.relrowsecurity and c.relforcerowsecurity),
       current_setting('row_security') = 'on',
       (select count(*) = $1::bigint from taskcell.migrations)
       and exists (select from taskcell.migrations m
                    where m.version = $1::bigint and m.checksum = $2::text),
       current_setting('default_transaction_isolation') = 'read committed',
       current_setting('lock_timeout') <> '0',
       current_setting('idle_in_transaction_session_timeout') <> '0',
       current_setting('client_connection_check_interval') <> '0',
       exists (select from pg_catalog.pg_prepared_statements p where p.name = 'fitness'),
       pg_backend_pid()::bigint
  from pg_catalog.pg_roles r
 where r.rolname = current_user;

-- name: ready
-- scope: service
select not pg_is_in_recovery() and current_setting('transaction_read_only') = 'off';

-- name: transaction_begin
-- scope: service
begin;

-- name: transaction_begin_snapshot
-- scope: service
begin isolation level repeatable read read only;

-- name: transaction_commit
-- scope: service
commit;

-- name: transaction_rollback
-- scope: service
rollback;

-- name: trace
-- scope: service
-- For what follows in the transaction. PostgreSQL shows it in pg_stat_activity and in its log (%a).
select set_config('application_name', $1::text, true);
