WITH objects(class, oid, sub, owner, acl) AS (
    SELECT 'pg_class'::regclass, oid, 0, relowner, relacl FROM pg_class WHERE relacl IS NOT NULL AND relnamespace <> 'information_schema'::regnamespace
    UNION ALL SELECT 'pg_class'::regclass, a.attrelid, a.attnum, c.relowner, a.attacl FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND c.relnamespace <> 'information_schema'::regnamespace
    UNION ALL SELECT 'pg_proc'::regclass, oid, 0, proowner, proacl FROM pg_proc WHERE proacl IS NOT NULL
    UNION ALL SELECT 'pg_type'::regclass, oid, 0, typowner, typacl FROM pg_type WHERE typacl IS NOT NULL
    UNION ALL SELECT 'pg_namespace'::regclass, oid, 0, nspowner, nspacl FROM pg_namespace WHERE nspacl IS NOT NULL AND nspname <> 'information_schema' AND nspname !~ '^pg_(toast|temp)'
    UNION ALL SELECT 'pg_language'::regclass, oid, 0, lanowner, lanacl FROM pg_language WHERE lanacl IS NOT NULL
    UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, 0, fdwowner, fdwacl FROM pg_foreign_data_wrapper WHERE fdwacl IS NOT NULL
    UNION ALL SELECT 'pg_foreign_server'::regclass, oid, 0, srvowner, srvacl FROM pg_foreign_server WHERE srvacl IS NOT NULL)
SELECT 'uncovered' AS kind, 'uncovered' AS class, 0 AS oid, 0 AS sub, json_build_object('what', what, 'count', count) AS body FROM (
    SELECT 'subscription' AS what, count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT 'security label', count(*) FROM pg_seclabel
    UNION ALL SELECT 'large object', count(*) FROM pg_largeobject_metadata
    UNION ALL SELECT 'setting of the database', coalesce(sum(cardinality(setconfig)), 0) FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT 'privilege on the sequence of an identity column', count(*) FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i' WHERE c.relkind = 'S' AND c.relacl IS NOT NULL
    UNION ALL SELECT CASE WHEN e.objid IS NULL THEN 'privilege on an object of the system' ELSE 'privilege on an object of an extension' END, count(*) FROM objects o
        LEFT JOIN pg_depend e ON e.classid = o.class AND e.objid = o.oid AND e.deptype = 'e'
        LEFT JOIN pg_init_privs i ON i.classoid = o.class AND i.objoid = o.oid AND i.objsubid = o.sub
        WHERE (o.oid < 16384 OR e.objid IS NOT NULL) AND o.acl IS DISTINCT FROM i.initprivs AND NOT (o.class = 'pg_namespace'::regclass AND o.oid = 2200) GROUP BY 1
    UNION ALL SELECT 'privilege granted by another than the owner', count(*) FROM objects o CROSS JOIN LATERAL aclexplode(o.acl) g
        WHERE o.oid >= 16384 AND g.grantor <> o.owner AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = o.class AND e.objid = o.oid AND e.deptype = 'e')
) u WHERE count > 0
