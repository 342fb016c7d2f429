-- Transactions that hold a lock on the tables $1 (OIDs) which a cutover has to wait for, begun more than $2 seconds ago: their
-- process, how long ago they began, a table, the role, the program, and what they are doing. Autovacuum gives way by itself.
SELECT DISTINCT ON (activity.pid)
       activity.pid,
       extract(epoch FROM pg_catalog.clock_timestamp() - activity.xact_start)::pg_catalog.float8,
       pg_catalog.format('%I.%I', namespace.nspname, class.relname),
       coalesce(activity.usename, '')::text, coalesce(activity.application_name, ''), coalesce(activity.state, '')
FROM pg_catalog.pg_locks AS lock
JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = lock.pid
JOIN pg_catalog.pg_class AS class ON class.oid = lock.relation
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE lock.locktype = 'relation' AND lock.granted AND lock.relation = ANY ($1::pg_catalog.oid[])
  AND lock.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  AND lock.mode IN ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
                    'ExclusiveLock', 'AccessExclusiveLock')
  AND activity.backend_type <> 'autovacuum worker' AND activity.pid <> pg_catalog.pg_backend_pid()
  AND activity.xact_start < pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $2::pg_catalog.float8)
ORDER BY activity.pid, 3;
