-- The materialized views that read from the relations $1 (OIDs), through whatever views; those that others read first.
WITH RECURSIVE reader AS (
    SELECT pg_catalog.unnest($1::pg_catalog.oid[]) AS oid, 0 AS depth
    UNION
    SELECT rewrite.ev_class, reader.depth + 1
    FROM reader
    JOIN pg_catalog.pg_depend AS depend
        ON depend.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND depend.refobjid = reader.oid
        AND depend.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
    JOIN pg_catalog.pg_rewrite AS rewrite ON rewrite.oid = depend.objid AND rewrite.ev_class <> reader.oid
)
SELECT pg_catalog.format('%I.%I', namespace.nspname, class.relname) AS name
FROM (SELECT oid, pg_catalog.max(depth) AS depth FROM reader GROUP BY oid) AS deepest
JOIN pg_catalog.pg_class AS class ON class.oid = deepest.oid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE class.relkind = 'm' AND class.relispopulated
ORDER BY deepest.depth, name;
