-- What refers to one of the relations $1 (OIDs), and is none of them: views, functions whose body was parsed when they were made,
-- policies of other tables. A line about each, and the relation.
SELECT DISTINCT found.referring, found.nspname, found.relname FROM (SELECT
    CASE depend.classid
        WHEN 'pg_catalog.pg_rewrite'::pg_catalog.regclass THEN
            (SELECT pg_catalog.format('%s %I.%I', CASE class.relkind WHEN 'm' THEN 'the materialized view' ELSE 'the view' END,
                                      namespace.nspname, class.relname)
             FROM pg_catalog.pg_rewrite AS rewrite
             JOIN pg_catalog.pg_class AS class ON class.oid = rewrite.ev_class
             JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
             WHERE rewrite.oid = depend.objid AND class.oid <> depend.refobjid)
        WHEN 'pg_catalog.pg_proc'::pg_catalog.regclass THEN
            (SELECT pg_catalog.format('the function %I.%I', namespace.nspname, proc.proname)
             FROM pg_catalog.pg_proc AS proc
             JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = proc.pronamespace
             WHERE proc.oid = depend.objid)
        WHEN 'pg_catalog.pg_policy'::pg_catalog.regclass THEN
            (SELECT pg_catalog.format('the policy %I of %s', policy.polname, policy.polrelid::pg_catalog.regclass)
             FROM pg_catalog.pg_policy AS policy
             WHERE policy.oid = depend.objid AND policy.polrelid <> ALL ($1::pg_catalog.oid[]))
    END AS referring,
    namespace.nspname, class.relname
FROM pg_catalog.pg_depend AS depend
JOIN pg_catalog.pg_class AS class ON class.oid = depend.refobjid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE depend.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND depend.refobjid = ANY ($1::pg_catalog.oid[])
  AND depend.classid IN ('pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass,
                         'pg_catalog.pg_policy'::pg_catalog.regclass)
) AS found
WHERE found.referring IS NOT NULL
ORDER BY 1, 2, 3;
