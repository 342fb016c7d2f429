-- On either side: statements of this database that have been running for more than five seconds. Add the column "query" to
-- see their text: it may hold values.
SELECT pid,
       extract(epoch FROM pg_catalog.clock_timestamp() - query_start)::pg_catalog.float8 AS runs_seconds,
       usename::text AS role,
       application_name AS application,
       coalesce(wait_event_type || ': ' || wait_event, 'running') AS waits_for
FROM pg_catalog.pg_stat_activity
WHERE datname = pg_catalog.current_database() AND backend_type = 'client backend' AND state = 'active'
  AND query_start < pg_catalog.clock_timestamp() - interval '5 seconds' AND pid <> pg_catalog.pg_backend_pid()
ORDER BY runs_seconds DESC, pid
LIMIT 20;
