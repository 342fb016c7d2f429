-- On either side: who waits for a lock in this database, for how long, and who is in the way.
SELECT waiting.pid,
       coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - (
           SELECT pg_catalog.min(waitstart) FROM pg_catalog.pg_locks
           WHERE pg_locks.pid = waiting.pid AND NOT granted)), 0)::pg_catalog.float8 AS waits_seconds,
       waiting.usename::text AS role,
       waiting.application_name AS application,
       (SELECT pg_catalog.format('%s on %s', mode, coalesce(relation::pg_catalog.regclass::text, locktype))
        FROM pg_catalog.pg_locks WHERE pg_locks.pid = waiting.pid AND NOT granted LIMIT 1) AS wants,
       (SELECT pg_catalog.string_agg(pg_catalog.format('pid %s (%s)', blocker.pid, pg_catalog.concat_ws(', ',
                   'role ' || blocker.usename, nullif(blocker.application_name, ''), blocker.state,
                   'since ' || pg_catalog.to_char(blocker.xact_start, 'HH24:MI:SS TZ'))), '; ')
        FROM pg_catalog.pg_stat_activity AS blocker
        WHERE blocker.pid = ANY (pg_catalog.pg_blocking_pids(waiting.pid))) AS blocked_by
FROM pg_catalog.pg_stat_activity AS waiting
WHERE waiting.datname = pg_catalog.current_database()
  AND waiting.pid IN (SELECT pid FROM pg_catalog.pg_locks WHERE NOT granted)
ORDER BY waits_seconds DESC, pid
LIMIT 20;
