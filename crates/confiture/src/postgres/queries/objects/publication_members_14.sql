SELECT 'publication member' AS kind, 'pg_publication_rel' AS class, r.oid, 0 AS sub, json_build_object(
    'name', c.relname, 'schema', n.nspname, 'identity', format('%I %I.%I', p.pubname, n.nspname, c.relname), 'phrase', '', 'parent', json_build_array('pg_publication', p.oid, 0),
    'create', format('ALTER PUBLICATION %I ADD TABLE ONLY %I.%I', p.pubname, n.nspname, c.relname), 'drop', format('ALTER PUBLICATION %I DROP TABLE ONLY %I.%I', p.pubname, n.nspname, c.relname)) AS body
FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
