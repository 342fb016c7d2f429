-- The queues in the schema confiture: tables and sequences, and what their comments say that they hold.
SELECT class.relname, coalesce(pg_catalog.obj_description(class.oid, 'pg_class'), '') AS comment
FROM pg_catalog.pg_class AS class
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE namespace.nspname = 'confiture' AND class.relkind IN ('r', 'S') AND class.relpersistence = 'p'
  AND pg_catalog.starts_with(class.relname, 'queue_');
