-- On the target: second by second since $1 (seconds since 1970), what was copied and what batches did.
WITH copied AS (
    SELECT pg_catalog.floor(extract(epoch FROM finished_at))::pg_catalog.int8 AS second,
           pg_catalog.sum(rows)::pg_catalog.int8 AS rows, pg_catalog.sum(bytes)::pg_catalog.int8 AS bytes
    FROM confiture.chunk WHERE finished_at >= pg_catalog.to_timestamp($1::pg_catalog.float8) GROUP BY 1
), applied AS (
    SELECT pg_catalog.floor(extract(epoch FROM at))::pg_catalog.int8 AS second, pg_catalog.count(*) AS batches,
           pg_catalog.sum(rows_written + rows_deleted)::pg_catalog.int8 AS rows,
           pg_catalog.max(lag_ms) AS lag_ms, pg_catalog.max(elapsed_ms) AS elapsed_ms
    FROM confiture.batch WHERE at >= pg_catalog.to_timestamp($1::pg_catalog.float8) GROUP BY 1
)
SELECT second, coalesce(copied.rows, 0)::pg_catalog.int8, coalesce(copied.bytes, 0)::pg_catalog.int8,
       coalesce(applied.rows, 0)::pg_catalog.int8, coalesce(applied.batches, 0)::pg_catalog.int8,
       applied.lag_ms, applied.elapsed_ms
FROM copied FULL JOIN applied USING (second)
ORDER BY second;
