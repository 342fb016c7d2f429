-- The index $1 (a name) of the table $2 (as SQL writes it): its schema, whether it is valid, and who builds it right now.
SELECT namespace.nspname::pg_catalog.text AS schema,
       index.indisvalid AND index.indisready AS is_valid,
       (SELECT progress.pid FROM pg_catalog.pg_stat_progress_create_index AS progress
        WHERE progress.index_relid = index.indexrelid AND progress.datname = pg_catalog.current_database() LIMIT 1) AS builder
FROM pg_catalog.pg_index AS index
JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE index.indrelid = pg_catalog.to_regclass($2::pg_catalog.text)
  AND class.relname = $1::pg_catalog.text;
