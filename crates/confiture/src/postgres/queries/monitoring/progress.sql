-- On the target: rows copied of every table, and how fast.
SELECT pg_catalog.format('%I.%I', state.table_schema, state.table_name) AS table_name,
       state.state,
       coalesce(pg_catalog.sum(chunk.rows), 0)::pg_catalog.int8 AS rows_copied,
       coalesce(pg_catalog.sum(chunk.bytes), 0)::pg_catalog.int8 AS bytes_copied,
       (coalesce(pg_catalog.sum(chunk.rows), 0) / greatest(extract(epoch FROM
           coalesce(state.finished_at, pg_catalog.clock_timestamp()) - state.started_at), 0.001))::pg_catalog.int8
           AS rows_per_second_so_far
FROM confiture.table_state AS state
LEFT JOIN confiture.chunk USING (table_schema, table_name)
GROUP BY state.table_schema, state.table_name
ORDER BY 1;
