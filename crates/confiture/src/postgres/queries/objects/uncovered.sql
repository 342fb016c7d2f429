SELECT 'uncovered' AS kind, 'uncovered' AS class, 0 AS oid, 0 AS sub, json_build_object('what', what, 'count', count) AS body FROM (
    SELECT 'subscription' AS what, count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT 'dependence of an object on an extension', count(*) FROM pg_depend WHERE deptype = 'x' AND objid >= 16384
    -- PostgreSQL 14 takes a partition's copy of a trigger for one of its own.
    UNION ALL SELECT 'trigger of a partition that is on or off by itself', count(*) FROM pg_trigger t JOIN pg_trigger p ON p.oid = t.tgparentid
        WHERE t.tgenabled <> p.tgenabled AND current_setting('server_version_num')::int < 150000
    UNION ALL SELECT 'security label', count(*) FROM pg_seclabel
    UNION ALL SELECT 'large object', count(*) FROM pg_largeobject_metadata
    UNION ALL SELECT 'setting of the database', coalesce(sum(cardinality(setconfig)), 0) FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    -- By somebody who may hand it on: where it is granted again, it is by the owner.
    UNION ALL SELECT 'handed-on privilege on a column', count(*) FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid, aclexplode(t.attacl) a WHERE t.attacl IS NOT NULL AND a.grantor <> c.relowner AND c.oid >= 16384
    UNION ALL SELECT 'privilege on an object of an extension', count(*) FROM (
        SELECT p.oid FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' LEFT JOIN pg_init_privs i ON i.classoid = d.classid AND i.objoid = p.oid AND i.objsubid = 0 WHERE p.proacl IS DISTINCT FROM i.initprivs
        UNION ALL SELECT c.oid FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e' LEFT JOIN pg_init_privs i ON i.classoid = d.classid AND i.objoid = c.oid AND i.objsubid = 0 WHERE c.relacl IS DISTINCT FROM i.initprivs
        UNION ALL SELECT t.oid FROM pg_type t JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e' LEFT JOIN pg_init_privs i ON i.classoid = d.classid AND i.objoid = t.oid AND i.objsubid = 0 WHERE t.typacl IS DISTINCT FROM i.initprivs
        UNION ALL SELECT l.oid FROM pg_language l JOIN pg_depend d ON d.classid = 'pg_language'::regclass AND d.objid = l.oid AND d.deptype = 'e' LEFT JOIN pg_init_privs i ON i.classoid = d.classid AND i.objoid = l.oid AND i.objsubid = 0 WHERE l.lanacl IS DISTINCT FROM i.initprivs
        UNION ALL SELECT w.oid FROM pg_foreign_data_wrapper w JOIN pg_depend d ON d.classid = 'pg_foreign_data_wrapper'::regclass AND d.objid = w.oid AND d.deptype = 'e' LEFT JOIN pg_init_privs i ON i.classoid = d.classid AND i.objoid = w.oid AND i.objsubid = 0 WHERE w.fdwacl IS DISTINCT FROM i.initprivs) m
    UNION ALL SELECT 'system privilege', count(*) FROM (
        SELECT 'pg_proc'::regclass AS class, oid, 0 AS sub, proacl AS acl FROM pg_proc WHERE proacl IS NOT NULL AND pronamespace = 'pg_catalog'::regnamespace
        UNION ALL SELECT 'pg_class'::regclass, oid, 0, relacl FROM pg_class WHERE relacl IS NOT NULL AND relnamespace = 'pg_catalog'::regnamespace
        UNION ALL SELECT 'pg_class'::regclass, attrelid, attnum, attacl FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE attacl IS NOT NULL AND relnamespace = 'pg_catalog'::regnamespace
        UNION ALL SELECT 'pg_type'::regclass, oid, 0, typacl FROM pg_type WHERE typacl IS NOT NULL AND typnamespace = 'pg_catalog'::regnamespace
        UNION ALL SELECT 'pg_language'::regclass, oid, 0, lanacl FROM pg_language l WHERE lanacl IS NOT NULL AND oid < 16384
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_language'::regclass AND d.objid = l.oid AND d.deptype = 'e')
        UNION ALL SELECT 'pg_namespace'::regclass, oid, 0, nspacl FROM pg_namespace WHERE nspname = 'pg_catalog') s
        LEFT JOIN pg_init_privs i ON i.classoid = s.class AND i.objoid = s.oid AND i.objsubid = s.sub WHERE s.acl IS DISTINCT FROM i.initprivs
) u WHERE count > 0
