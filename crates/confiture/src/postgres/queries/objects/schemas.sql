SELECT 'schema' AS kind, 'pg_namespace' AS class, n.oid, 0 AS sub, json_build_object(
    'name', n.nspname, 'identity', quote_ident(n.nspname), 'phrase', format('SCHEMA %I', n.nspname),
    'create', format('CREATE SCHEMA %I', n.nspname), 'drop', format('DROP SCHEMA %I', n.nspname),
    'owner', pg_get_userbyid(n.nspowner), 'acl', n.nspacl::text[], 'acl_default', acldefault('n', n.nspowner)::text[]) AS body
FROM pg_namespace n
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
