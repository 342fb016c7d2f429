-- What lint judges by: sizes, types of columns, and checks that prove a column not to be null. Sizes are measured, which locks each
-- table against being dropped, or ($1 is false) what the server has counted last.
SELECT n.nspname AS schema,
       c.relname AS name,
       c.relkind = 'p' AS is_partitioned,
       -- -1: never analysed.
       nullif(c.reltuples, -1)::float8 AS rows,
       CASE WHEN NOT $1::boolean
            THEN CASE WHEN c.reltuples >= 0 THEN c.relpages * pg_catalog.current_setting('block_size')::bigint END
            WHEN c.relkind = 'p'
            THEN (SELECT coalesce(sum(pg_catalog.pg_table_size(p.relid)), 0)::bigint FROM pg_catalog.pg_partition_tree(c.oid) AS p WHERE p.isleaf)
            ELSE coalesce(pg_catalog.pg_table_size(c.oid), 0)
       END AS bytes,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute AS a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns,
       ARRAY(SELECT pg_catalog.format_type(a.atttypid, a.atttypmod) FROM pg_catalog.pg_attribute AS a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS types,
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_constraint AS k
               JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
              WHERE k.conrelid = c.oid AND k.contype = 'c' AND k.convalidated AND cardinality(k.conkey) = 1
                AND pg_catalog.pg_get_constraintdef(k.oid) = pg_catalog.format('CHECK ((%I IS NOT NULL))', a.attname)) AS checked_not_null,
       EXISTS (SELECT FROM pg_catalog.pg_index AS i
                WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL) AS has_unique_index
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm')
   AND c.relpersistence <> 't'
   AND n.nspname NOT LIKE 'pg\_%'
   AND n.nspname <> 'information_schema'
 ORDER BY 1, 2;
