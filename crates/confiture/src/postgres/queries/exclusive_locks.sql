-- Who locks tables of this database against reading, longest first: a line about the session, and the table.
SELECT pg_catalog.format('pid %s (%s)', lock.pid, pg_catalog.concat_ws(', ',
           'role ' || activity.usename,
           nullif(activity.application_name, ''),
           activity.state,
           'since ' || pg_catalog.to_char(activity.xact_start, 'YYYY-MM-DD HH24:MI:SS TZ'))),
       pg_catalog.format('%I.%I', namespace.nspname, class.relname)
FROM pg_catalog.pg_locks AS lock
JOIN pg_catalog.pg_class AS class ON class.oid = lock.relation
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
LEFT JOIN pg_catalog.pg_stat_activity AS activity ON activity.pid = lock.pid
WHERE lock.locktype = 'relation' AND lock.granted AND lock.mode = 'AccessExclusiveLock'
  AND class.relkind IN ('r', 'p', 'm', 'v')
  AND lock.pid <> pg_catalog.pg_backend_pid()
  AND lock.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
ORDER BY activity.xact_start;
