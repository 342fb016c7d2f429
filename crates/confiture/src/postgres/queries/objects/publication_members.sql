SELECT 'publication member' AS kind, 'pg_publication_rel' AS class, r.oid, 0 AS sub, json_build_object(
    'name', c.relname, 'schema', n.nspname, 'identity', format('%I %I.%I', p.pubname, n.nspname, c.relname), 'phrase', '', 'parent', json_build_array('pg_publication', p.oid, 0),
    'create', format('ALTER PUBLICATION %I ADD TABLE ONLY %I.%I%s%s', p.pubname, n.nspname, c.relname,
        (SELECT ' (' || string_agg(quote_ident(a.attname), ', ' ORDER BY a.attname) || ')' FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY (r.prattrs)),
        ' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')'),
    'drop', format('ALTER PUBLICATION %I DROP TABLE ONLY %I.%I', p.pubname, n.nspname, c.relname)) AS body
FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
UNION ALL
SELECT 'publication member', 'pg_publication_namespace', r.oid, 0, json_build_object(
    'name', n.nspname, 'identity', format('%I schema %I', p.pubname, n.nspname), 'phrase', '', 'parent', json_build_array('pg_publication', p.oid, 0),
    'create', format('ALTER PUBLICATION %I ADD TABLES IN SCHEMA %I', p.pubname, n.nspname), 'drop', format('ALTER PUBLICATION %I DROP TABLES IN SCHEMA %I', p.pubname, n.nspname))
FROM pg_publication_namespace r JOIN pg_publication p ON p.oid = r.pnpubid JOIN pg_namespace n ON n.oid = r.pnnspid
