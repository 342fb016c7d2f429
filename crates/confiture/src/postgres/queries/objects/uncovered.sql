SELECT 'uncovered' AS kind, 'uncovered' AS class, 0 AS oid, 0 AS sub, json_build_object('what', what, 'count', count) AS body FROM (
    SELECT 'subscription' AS what, count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT 'security label', count(*) FROM pg_seclabel
    UNION ALL SELECT 'large object', count(*) FROM pg_largeobject_metadata
    UNION ALL SELECT 'setting of the database', coalesce(sum(cardinality(setconfig)), 0) FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT 'privilege on the sequence of an identity column', count(*) FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i' WHERE c.relkind = 'S' AND c.relacl IS NOT NULL
    UNION ALL SELECT 'privilege on an object of an extension', count(*) FROM (
        SELECT p.oid FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' LEFT JOIN pg_init_privs i ON i.classoid = d.classid AND i.objoid = p.oid AND i.objsubid = 0 WHERE p.proacl IS DISTINCT FROM i.initprivs
        UNION ALL SELECT c.oid FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e' LEFT JOIN pg_init_privs i ON i.classoid = d.classid AND i.objoid = c.oid AND i.objsubid = 0 WHERE c.relacl IS DISTINCT FROM i.initprivs
        UNION ALL SELECT t.oid FROM pg_type t JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e' LEFT JOIN pg_init_privs i ON i.classoid = d.classid AND i.objoid = t.oid AND i.objsubid = 0 WHERE t.typacl IS DISTINCT FROM i.initprivs) m
    UNION ALL SELECT 'system privilege', count(*) FROM (
        SELECT p.oid FROM pg_proc p LEFT JOIN pg_init_privs i ON i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid AND i.objsubid = 0 WHERE p.oid < 16384 AND p.pronamespace = 'pg_catalog'::regnamespace AND p.proacl IS DISTINCT FROM i.initprivs
        UNION ALL SELECT c.oid FROM pg_class c LEFT JOIN pg_init_privs i ON i.classoid = 'pg_class'::regclass AND i.objoid = c.oid AND i.objsubid = 0 WHERE c.oid < 16384 AND c.relnamespace = 'pg_catalog'::regnamespace AND c.relacl IS DISTINCT FROM i.initprivs
        UNION ALL SELECT a.attrelid FROM pg_attribute a LEFT JOIN pg_init_privs i ON i.classoid = 'pg_class'::regclass AND i.objoid = a.attrelid AND i.objsubid = a.attnum WHERE a.attrelid < 16384 AND a.attacl IS DISTINCT FROM i.initprivs
        UNION ALL SELECT t.oid FROM pg_type t LEFT JOIN pg_init_privs i ON i.classoid = 'pg_type'::regclass AND i.objoid = t.oid AND i.objsubid = 0 WHERE t.oid < 16384 AND t.typnamespace = 'pg_catalog'::regnamespace AND t.typacl IS DISTINCT FROM i.initprivs) s
) u WHERE count > 0
