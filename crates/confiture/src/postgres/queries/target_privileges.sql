-- What the role lacks for filling the tables $1 (OIDs), taking their keys, indexes and triggers off, and putting them back.
-- A foreign key belongs to the table that refers, and putting it back needs REFERENCES on the other one.
WITH RECURSIVE tree AS (
    SELECT pg_catalog.unnest($1::pg_catalog.oid[]) AS oid
    UNION
    SELECT inhrelid FROM tree JOIN pg_catalog.pg_inherits ON inhparent = tree.oid
), foreign_key AS (
    SELECT conrelid, confrelid FROM pg_catalog.pg_constraint
    WHERE contype = 'f' AND (conrelid IN (SELECT oid FROM tree) OR confrelid IN (SELECT oid FROM tree))
), lack AS (
    SELECT 1 AS step, class.oid, 'ownership' AS what
    FROM pg_catalog.pg_class AS class
    WHERE class.oid IN (SELECT oid FROM tree UNION SELECT conrelid FROM foreign_key)
      AND NOT pg_catalog.pg_has_role(class.relowner, 'USAGE')
    UNION ALL
    SELECT 2, class.oid, pg_catalog.format('USAGE, CREATE ON SCHEMA %I', namespace.nspname)
    FROM pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
    WHERE class.oid IN (SELECT oid FROM tree)
      AND NOT (pg_catalog.has_schema_privilege(namespace.oid, 'USAGE')
               AND (pg_catalog.has_schema_privilege(namespace.oid, 'CREATE')
                    OR NOT EXISTS (SELECT FROM pg_catalog.pg_index WHERE indrelid = class.oid)))
    UNION ALL
    SELECT 3, class.oid, pg_catalog.format('REFERENCES ON %I.%I', namespace.nspname, class.relname)
    FROM pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
    WHERE class.oid IN (SELECT confrelid FROM foreign_key)
      AND NOT pg_catalog.has_table_privilege(class.oid, 'REFERENCES')
    UNION ALL
    SELECT 4, class.oid, 'row security'
    FROM pg_catalog.pg_class AS class
    WHERE class.oid IN (SELECT oid FROM tree) AND class.relrowsecurity
      AND pg_catalog.row_security_active(class.oid)
)
SELECT pg_catalog.format('%I.%I', namespace.nspname, class.relname), lack.what
FROM lack
JOIN pg_catalog.pg_class AS class ON class.oid = lack.oid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
ORDER BY lack.step, 1;
