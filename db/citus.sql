-- Spreads what belongs to a person over the nodes of a Citus cluster, by the person's id. Once, in
-- a database with the extension, on the coordinator, after `taskcellctl migrate` and while no
-- taskcell runs:
--
--   psql -X -1 -v ON_ERROR_STOP=1 -f db/citus.sql 'dbname=taskcell user=taskcell'
--
-- docs/operations.md, "Growing past one machine", says what is still missing before taskcell can
-- serve from such a database.

-- First, since the foreign keys of the others lead to it.
select create_distributed_table('taskcell.users', 'id', colocate_with => 'none');
select create_distributed_table('taskcell.credentials', 'user_id',
	colocate_with => 'taskcell.users');
select create_distributed_table('taskcell.sessions', 'user_id', colocate_with => 'taskcell.users');
select create_distributed_table('taskcell.tasks', 'user_id', colocate_with => 'taskcell.users');
select create_distributed_table('taskcell.trash', 'user_id', colocate_with => 'taskcell.users');
select create_distributed_table('taskcell.idempotency', 'user_id',
	colocate_with => 'taskcell.users');
select create_distributed_table('taskcell.audit', 'user_id', colocate_with => 'taskcell.users');

-- The one key over all persons, spread by itself.
select create_distributed_table('taskcell.user_emails', 'email', colocate_with => 'none');

-- migrations, throttle and invites are small and nobody's: they stay on the coordinator.
