SELECT 'depends' AS kind, d.classid::regclass::text AS class, d.objid AS oid, d.objsubid AS sub, json_build_array(d.refclassid::regclass::text, d.refobjid, d.refobjsubid, d.deptype) AS body
FROM pg_depend d WHERE d.objid >= 16384 AND (d.refobjid >= 16384 OR d.refclassid = 'pg_namespace'::regclass OR d.deptype = 'e')
    AND NOT (d.classid = 'pg_namespace'::regclass AND d.refclassid = 'pg_namespace'::regclass)
