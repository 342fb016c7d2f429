SELECT 'depends' AS kind, d.classid::regclass::text AS class, d.objid AS oid, d.objsubid AS sub, d.refclassid::regclass::text AS on_class, d.refobjid AS on_oid, d.refobjsubid AS on_sub, d.deptype AS how
FROM pg_depend d WHERE d.objid >= 16384 AND (d.refobjid >= 16384 OR d.refclassid = 'pg_namespace'::regclass OR d.deptype = 'e')
    AND NOT (d.classid = 'pg_namespace'::regclass AND d.refclassid = 'pg_namespace'::regclass)
