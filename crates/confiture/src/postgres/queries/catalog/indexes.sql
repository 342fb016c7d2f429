-- Indexes, by name, those behind constraints included.
SELECT i.indexrelid AS oid,
       i.indrelid AS relation,
       c.relname AS name,
       pg_get_indexdef(i.indexrelid) AS definition,
       -- Numbers of the columns, 0 for an expression; what is behind INCLUDE comes after the keys.
       i.indkey::int2[] AS columns,
       i.indnkeyatts AS keys,
       i.indisunique AS unique,
       i.indisprimary AS primary,
       i.indpred IS NOT NULL AS partial,
       i.indimmediate AS immediate,
       i.indisvalid AS valid,
       i.indisclustered AS clustered,
       i.indisreplident AS replica_identity,
       k.conname AS constraint_name,
       c.relkind = 'i' AS has_storage,
       -- All the forks, as pg_indexes_size counts. A partitioned index has no storage.
       CASE WHEN c.relkind = 'i' THEN pg_table_size(i.indexrelid) END AS bytes,
       obj_description(i.indexrelid, 'pg_class') AS comment
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
LEFT JOIN pg_constraint AS k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')
WHERE i.indrelid >= 16384 AND c.relnamespace <> 'pg_toast'::regnamespace
ORDER BY i.indrelid, c.relname;
