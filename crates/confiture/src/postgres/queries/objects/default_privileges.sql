SELECT 'default privileges' AS kind, 'pg_default_acl' AS class, d.oid, 0 AS sub, json_build_object(
    'name', x.identity, 'identity', format('%s ON %s', x.identity, y.what), 'phrase', '', 'create', '', 'definition', '', 'drop', '',
    'owner', pg_get_userbyid(d.defaclrole), 'acl', d.defaclacl::text[],
    'acl_default', CASE WHEN d.defaclnamespace <> 0 THEN '{}' ELSE acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole)::text[] END,
    'details', json_build_object('alter', x.identity, 'what', y.what, 'named', x.identity, 'own', 'ALTER DEFAULT PRIVILEGES' || x.within)) AS body
FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
CROSS JOIN LATERAL (SELECT CASE WHEN n.nspname IS NOT NULL THEN format(' IN SCHEMA %I', n.nspname) ELSE '' END) AS w(within)
CROSS JOIN LATERAL (SELECT w.within, format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s', pg_get_userbyid(d.defaclrole), w.within)) AS x(within, identity)
CROSS JOIN LATERAL (SELECT CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END) AS y(what)
