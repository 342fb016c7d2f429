-- On the target: what batches did in the last minute, and how long they took.
SELECT pg_catalog.count(*) AS batches,
       coalesce(pg_catalog.sum(rows_written + rows_deleted), 0)::pg_catalog.float8 / 60 AS rows_per_second,
       pg_catalog.percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY lag_ms) AS lag_ms_p50_p95_p99,
       pg_catalog.percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY elapsed_ms) AS batch_ms_p50_p95_p99
FROM confiture.batch
WHERE at > pg_catalog.clock_timestamp() - interval '1 minute';
