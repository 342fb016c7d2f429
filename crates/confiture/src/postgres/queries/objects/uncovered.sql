SELECT 'uncovered' AS kind, 'uncovered' AS class, 0 AS oid, 0 AS sub, json_build_object('what', what, 'count', count) AS body FROM (
    SELECT 'subscription' AS what, count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT 'security label', count(*) FROM pg_seclabel
    UNION ALL SELECT 'large object', count(*) FROM pg_largeobject_metadata
    UNION ALL SELECT 'setting of the database', coalesce(sum(cardinality(setconfig)), 0) FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
) u WHERE count > 0
