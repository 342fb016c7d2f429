-- System columns are there with every table; what may be said of them is who may read them.
SELECT 'system column' AS kind, 'pg_class' AS class, c.oid, a.attnum::int AS sub, json_build_object(
    'schema', n.nspname, 'name', a.attname, 'identity', format('%I.%I.%I', n.nspname, c.relname, a.attname),
    'phrase', '', 'parent', json_build_array('pg_class', c.oid, 0), 'create', '',
    'drop', format('REVOKE ALL (%I) ON TABLE %I.%I FROM %s CASCADE', a.attname, n.nspname, c.relname,
        (SELECT string_agg(DISTINCT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END, ', ') FROM aclexplode(a.attacl) x)),
    'acl', a.attacl::text[], 'acl_default', '[]'::json) AS body
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnum < 0 AND a.attacl IS NOT NULL AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
