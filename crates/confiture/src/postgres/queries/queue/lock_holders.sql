-- Who holds locks on the relations $1 (OIDs) that a lock in the mode SHARE ROW EXCLUSIVE, or with $2 any lock, waits for:
-- longest first, a line about each, the relation, and for how many seconds.
SELECT coalesce(
           'prepared transaction ' || pg_catalog.quote_literal(prepared.gid) || ' (role ' || prepared.owner || ', since '
               || pg_catalog.to_char(prepared.prepared, 'YYYY-MM-DD HH24:MI:SS TZ') || ')',
           pg_catalog.format('pid %s (%s)', lock.pid, pg_catalog.concat_ws(', ',
               nullif(activity.backend_type, 'client backend'),
               'role ' || activity.usename,
               nullif(activity.application_name, ''),
               activity.state,
               'since ' || pg_catalog.to_char(activity.xact_start, 'YYYY-MM-DD HH24:MI:SS TZ')))) AS shown,
       pg_catalog.format('%I.%I', namespace.nspname, class.relname) AS relation,
       coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - coalesce(prepared.prepared, activity.xact_start)), 0)
           ::pg_catalog.float8 AS seconds
FROM pg_catalog.pg_locks AS lock
JOIN pg_catalog.pg_class AS class ON class.oid = lock.relation
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
LEFT JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = lock.pid
LEFT JOIN pg_catalog.pg_locks AS own ON lock.pid IS NULL AND own.locktype = 'transactionid'
    AND own.virtualtransaction = lock.virtualtransaction
LEFT JOIN pg_catalog.pg_prepared_xacts AS prepared ON prepared.transaction = own.transactionid
WHERE lock.locktype = 'relation' AND lock.granted
  AND lock.relation = ANY ($1::pg_catalog.oid[])
  AND lock.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  AND lock.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
  AND ($2::pg_catalog.bool OR lock.mode NOT IN ('AccessShareLock', 'RowShareLock'))
ORDER BY 3 DESC;
