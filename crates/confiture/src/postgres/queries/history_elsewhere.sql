-- Histories in other schemas than $1, under the name $2 or the usual one, which this role may read: what a search_path that has
-- changed hides.
SELECT namespace.nspname::pg_catalog.text AS schema, class.relname::pg_catalog.text AS name
FROM pg_catalog.pg_class AS class
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE class.relkind = 'r' AND namespace.nspname <> $1::pg_catalog.text
  AND class.relname IN ($2::pg_catalog.text, 'confiture_migrations')
  AND pg_catalog.has_schema_privilege(namespace.oid, 'USAGE') AND pg_catalog.has_table_privilege(class.oid, 'SELECT')
  AND (SELECT count(*) FROM pg_catalog.pg_attribute AS attribute
       WHERE attribute.attrelid = class.oid AND NOT attribute.attisdropped
         AND attribute.attname IN ('version', 'name', 'checksum', 'state', 'step', 'running')) = 6
ORDER BY 1, 2;
