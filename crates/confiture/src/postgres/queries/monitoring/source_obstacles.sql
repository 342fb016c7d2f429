-- On the source: what would keep a cutover waiting. Prepared transactions, and the oldest transaction that has written.
SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_xacts
        WHERE database = pg_catalog.current_database()) AS prepared_transactions,
       (SELECT coalesce(pg_catalog.max(extract(epoch FROM pg_catalog.clock_timestamp() - xact_start)), 0)::pg_catalog.float8
        FROM pg_catalog.pg_stat_activity
        WHERE datname = pg_catalog.current_database() AND backend_xid IS NOT NULL
          AND application_name NOT LIKE 'confiture%') AS oldest_writer_seconds;
