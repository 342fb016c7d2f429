-- Which of the relations $1 (OIDs) the role may not read whole, and what it lacks.
SELECT relation.name, CASE
    WHEN NOT relation.may_use THEN pg_catalog.format('USAGE ON SCHEMA %I', relation.nspname)
    WHEN NOT relation.may_read THEN 'SELECT ON ' || relation.name
    ELSE 'row security' END AS lacks
FROM (
    SELECT pg_catalog.format('%I.%I', namespace.nspname, class.relname) AS name, namespace.nspname,
           pg_catalog.has_schema_privilege(namespace.oid, 'USAGE') AS may_use,
           pg_catalog.has_table_privilege(class.oid, 'SELECT')
           -- Some columns may be enough: reading says which.
           OR pg_catalog.has_any_column_privilege(class.oid, 'SELECT') AS may_read,
           class.relrowsecurity AND pg_catalog.row_security_active(class.oid) AS is_filtered
    FROM pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
    WHERE class.oid = ANY ($1::pg_catalog.oid[])
) AS relation
WHERE NOT may_use OR NOT may_read OR is_filtered
ORDER BY 1;
