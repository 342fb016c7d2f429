-- Who uses the segments $1 (names), longest first: one line.
SELECT coalesce(
           'prepared transaction ' || pg_catalog.quote_literal(prepared.gid),
           pg_catalog.format('pid %s (%s)', lock.pid, pg_catalog.concat_ws(', ',
               'role ' || activity.usename,
               nullif(activity.application_name, ''),
               activity.state,
               'since ' || pg_catalog.to_char(activity.xact_start, 'YYYY-MM-DD HH24:MI:SS TZ')))) AS shown
FROM pg_catalog.pg_locks AS lock
LEFT JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = lock.pid
LEFT JOIN pg_catalog.pg_locks AS own ON lock.pid IS NULL AND own.locktype = 'transactionid'
    AND own.virtualtransaction = lock.virtualtransaction
LEFT JOIN pg_catalog.pg_prepared_xacts AS prepared ON prepared.transaction = own.transactionid
WHERE lock.locktype = 'relation' AND lock.granted
  AND lock.relation IN (SELECT pg_catalog.to_regclass(name)::pg_catalog.oid
                        FROM pg_catalog.unnest($1::text[]) AS segment (name))
  AND lock.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  AND lock.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
ORDER BY coalesce(prepared.prepared, activity.xact_start)
LIMIT 1;
