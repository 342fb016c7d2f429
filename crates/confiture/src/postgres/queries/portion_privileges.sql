-- What the role lacks for writing to parts of the tables $1 (OIDs), whose keys, indexes and triggers stay as they are. $2: true
-- where the session may write past triggers and foreign keys.
WITH RECURSIVE tree AS (
    SELECT pg_catalog.unnest($1::pg_catalog.oid[]) AS oid
    UNION
    SELECT inhrelid FROM tree JOIN pg_catalog.pg_inherits ON inhparent = tree.oid
), lack AS (
    SELECT 1 AS step, class.oid, pg_catalog.format('USAGE ON SCHEMA %I', namespace.nspname) AS what
    FROM pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
    WHERE class.oid = ANY ($1::pg_catalog.oid[]) AND NOT pg_catalog.has_schema_privilege(namespace.oid, 'USAGE')
    UNION ALL
    SELECT 2, class.oid, pg_catalog.format('%s ON %I.%I', privilege, namespace.nspname, class.relname)
    FROM pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
    CROSS JOIN pg_catalog.unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
    WHERE class.oid = ANY ($1::pg_catalog.oid[]) AND NOT pg_catalog.has_table_privilege(class.oid, privilege)
    UNION ALL
    SELECT 3, class.oid, 'row security'
    FROM pg_catalog.pg_class AS class
    WHERE class.oid IN (SELECT oid FROM tree) AND class.relrowsecurity
      AND pg_catalog.row_security_active(class.oid)
    UNION ALL
    SELECT 4, tgrelid, CASE WHEN tgisinternal THEN 'foreign keys' ELSE 'the trigger ' || pg_catalog.quote_ident(tgname) END
    FROM pg_catalog.pg_trigger JOIN pg_catalog.pg_proc AS routine ON routine.oid = tgfoid
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = routine.pronamespace
    WHERE NOT $2::pg_catalog.bool AND tgrelid IN (SELECT oid FROM tree) AND tgenabled IN ('O', 'A')
      AND namespace.nspname <> 'confiture'
)
SELECT pg_catalog.format('%I.%I', namespace.nspname, class.relname), lack.what, lack.step
FROM lack
JOIN pg_catalog.pg_class AS class ON class.oid = lack.oid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
ORDER BY lack.step, 1, 2;
