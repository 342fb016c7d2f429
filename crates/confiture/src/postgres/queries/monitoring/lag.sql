-- On the target: how far it is behind. The lag is measured: from a snapshot of the source until all that it sees had been told.
SELECT phase,
       lag_ms / 1000 AS lag_seconds,
       extract(epoch FROM pg_catalog.clock_timestamp() - seen_at)::pg_catalog.float8 AS seen_seconds_ago,
       extract(epoch FROM pg_catalog.clock_timestamp() - beat_at)::pg_catalog.float8 AS run_last_heard_seconds_ago,
       (SELECT pg_catalog.count(*) FROM confiture.deferred) AS keys_that_wait,
       retained_bytes AS bytes_kept_on_source
FROM confiture.follow;
