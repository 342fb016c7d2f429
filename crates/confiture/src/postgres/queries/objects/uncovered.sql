SELECT 'uncovered' AS kind, 'uncovered' AS class, 0 AS oid, 0 AS sub, json_build_object('what', what, 'count', count) AS body FROM (
    SELECT 'subscription' AS what, count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT 'security label', count(*) FROM pg_seclabel
    UNION ALL SELECT 'large object', count(*) FROM pg_largeobject_metadata
    UNION ALL SELECT 'setting of the database', coalesce(sum(cardinality(setconfig)), 0) FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    -- By somebody who may hand it on: where it is granted again, it is by the owner.
    UNION ALL SELECT 'handed-on privilege', count(*) FROM (
        SELECT c.oid FROM pg_class c, aclexplode(c.relacl) a WHERE a.grantor <> c.relowner AND c.oid >= 16384
        UNION ALL SELECT c.oid FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid, aclexplode(t.attacl) a WHERE a.grantor <> c.relowner AND c.oid >= 16384
        UNION ALL SELECT p.oid FROM pg_proc p, aclexplode(p.proacl) a WHERE a.grantor <> p.proowner AND p.oid >= 16384
        UNION ALL SELECT t.oid FROM pg_type t, aclexplode(t.typacl) a WHERE a.grantor <> t.typowner AND t.oid >= 16384
        UNION ALL SELECT n.oid FROM pg_namespace n, aclexplode(n.nspacl) a WHERE a.grantor <> n.nspowner AND n.oid >= 16384) g
    UNION ALL SELECT 'privilege on an object of an extension', count(*) FROM (
        SELECT p.oid FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' LEFT JOIN pg_init_privs i ON i.classoid = d.classid AND i.objoid = p.oid AND i.objsubid = 0 WHERE p.proacl IS DISTINCT FROM i.initprivs
        UNION ALL SELECT c.oid FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e' LEFT JOIN pg_init_privs i ON i.classoid = d.classid AND i.objoid = c.oid AND i.objsubid = 0 WHERE c.relacl IS DISTINCT FROM i.initprivs
        UNION ALL SELECT l.oid FROM pg_language l JOIN pg_depend d ON d.classid = 'pg_language'::regclass AND d.objid = l.oid AND d.deptype = 'e' LEFT JOIN pg_init_privs i ON i.classoid = d.classid AND i.objoid = l.oid AND i.objsubid = 0 WHERE l.lanacl IS DISTINCT FROM i.initprivs
        UNION ALL SELECT t.oid FROM pg_type t JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e' LEFT JOIN pg_init_privs i ON i.classoid = d.classid AND i.objoid = t.oid AND i.objsubid = 0 WHERE t.typacl IS DISTINCT FROM i.initprivs) m
    UNION ALL SELECT 'system privilege', count(*) FROM (
        SELECT p.oid FROM pg_proc p LEFT JOIN pg_init_privs i ON i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid AND i.objsubid = 0 WHERE p.oid < 16384 AND p.pronamespace = 'pg_catalog'::regnamespace AND p.proacl IS DISTINCT FROM i.initprivs
        UNION ALL SELECT c.oid FROM pg_class c LEFT JOIN pg_init_privs i ON i.classoid = 'pg_class'::regclass AND i.objoid = c.oid AND i.objsubid = 0 WHERE c.oid < 16384 AND c.relnamespace = 'pg_catalog'::regnamespace AND c.relacl IS DISTINCT FROM i.initprivs
        UNION ALL SELECT a.attrelid FROM pg_attribute a LEFT JOIN pg_init_privs i ON i.classoid = 'pg_class'::regclass AND i.objoid = a.attrelid AND i.objsubid = a.attnum WHERE a.attrelid < 16384 AND a.attacl IS DISTINCT FROM i.initprivs
        UNION ALL SELECT t.oid FROM pg_type t LEFT JOIN pg_init_privs i ON i.classoid = 'pg_type'::regclass AND i.objoid = t.oid AND i.objsubid = 0 WHERE t.oid < 16384 AND t.typnamespace = 'pg_catalog'::regnamespace AND t.typacl IS DISTINCT FROM i.initprivs) s
) u WHERE count > 0
