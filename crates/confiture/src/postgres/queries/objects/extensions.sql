SELECT 'extension' AS kind, 'pg_extension' AS class, e.oid, 0 AS sub, json_build_object(
    'name', e.extname, 'identity', quote_ident(e.extname), 'phrase', format('EXTENSION %I', e.extname),
    'create', format('CREATE EXTENSION %I WITH SCHEMA %I%s', e.extname, n.nspname,
        -- Both read files of the server; what came with the database is of its version.
        CASE WHEN e.oid >= 16384 AND e.extversion <> (SELECT a.default_version FROM pg_available_extensions a WHERE a.name = e.extname) THEN format(' VERSION %L', e.extversion) END),
    'details', json_build_object('fixed_in', CASE WHEN NOT e.extrelocatable THEN quote_ident(n.nspname) END, 'updates', CASE WHEN e.oid >= 16384 THEN ARRAY(SELECT p.target FROM pg_extension_update_paths(e.extname) p WHERE p.source = e.extversion AND p.path IS NOT NULL) END),
    'definition', '', 'drop', format('DROP EXTENSION %I', e.extname),
    'facets', json_build_object(
        'version', json_build_array(e.extversion, format('ALTER EXTENSION %I UPDATE TO %L', e.extname, e.extversion), true),
        'schema', json_build_array(CASE WHEN e.extrelocatable THEN n.nspname END, format('ALTER EXTENSION %I SET SCHEMA %I', e.extname, n.nspname), true))) AS body
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
