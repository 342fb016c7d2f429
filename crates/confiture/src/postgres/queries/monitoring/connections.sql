-- On either side: connections by database, and how many the server allows. What sessions of other roles do is seen by
-- superusers and members of pg_read_all_stats.
SELECT coalesce(datname, '(none)') AS database,
       pg_catalog.count(*) AS connections,
       pg_catalog.count(*) FILTER (WHERE state = 'active') AS active,
       pg_catalog.count(*) FILTER (WHERE state = 'idle') AS idle,
       pg_catalog.count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction,
       pg_catalog.count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting_for_a_lock,
       coalesce(pg_catalog.max(extract(epoch FROM pg_catalog.clock_timestamp() - xact_start)), 0)::pg_catalog.float8
           AS oldest_transaction_seconds,
       pg_catalog.current_setting('max_connections')::pg_catalog.int8 AS allowed
FROM pg_catalog.pg_stat_activity
WHERE backend_type = 'client backend'
GROUP BY datname
ORDER BY connections DESC, 1;
