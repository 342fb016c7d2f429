SELECT 'policy' AS kind, 'pg_policy' AS class, p.oid, 0 AS sub, json_build_object(
    'schema', n.nspname, 'name', p.polname, 'identity', format('%I.%I.%I', n.nspname, c.relname, p.polname),
    'phrase', format('POLICY %I ON %I.%I', p.polname, n.nspname, c.relname),
    'parent', json_build_array('pg_class', c.oid, 0),
    'create', format('CREATE POLICY %I ON %I.%I%s FOR %s TO %s%s%s', p.polname, n.nspname, c.relname, CASE WHEN p.polpermissive THEN '' ELSE ' AS RESTRICTIVE' END, x.command, x.roles, ' USING (' || x.qual || ')', ' WITH CHECK (' || x.check || ')'),
    'drop', format('DROP POLICY %I ON %I.%I', p.polname, n.nspname, c.relname),
    'replace', format('ALTER POLICY %I ON %I.%I TO %s%s%s', p.polname, n.nspname, c.relname, x.roles, ' USING (' || x.qual || ')', ' WITH CHECK (' || x.check || ')'),
    'details', json_build_object('roles', (SELECT json_agg(pg_get_userbyid(r)) FROM unnest(p.polroles) r WHERE r <> 0), 'shape', json_build_array(x.command, p.polpermissive, x.qual IS NULL, x.check IS NULL)::text)) AS body
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
    (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ' ORDER BY CASE r WHEN 0 THEN '' ELSE pg_get_userbyid(r)::text END) FROM unnest(p.polroles) r),
    pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) AS x(command, roles, qual, "check")
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
