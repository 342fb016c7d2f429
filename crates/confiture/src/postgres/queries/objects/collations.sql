SELECT 'collation' AS kind, 'pg_collation' AS class, c.oid, 0 AS sub, json_build_object(
    'schema', n.nspname, 'name', c.collname, 'identity', format('%I.%I', n.nspname, c.collname), 'phrase', format('COLLATION %I.%I', n.nspname, c.collname),
    'create', format('CREATE COLLATION %I.%I (%s)', n.nspname, c.collname, concat_ws(', ',
        'PROVIDER = ' || CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE 'libc' END, CASE WHEN NOT c.collisdeterministic THEN 'DETERMINISTIC = false' END,
        CASE WHEN c.collprovider = 'c' AND c.collcollate <> c.collctype THEN format('LC_COLLATE = %L, LC_CTYPE = %L', c.collcollate, c.collctype)
            ELSE 'LOCALE = ' || quote_literal(coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', c.collcollate)) END,
        'RULES = ' || quote_literal(coalesce(to_jsonb(c) ->> 'collicurules', to_jsonb(c) ->> 'collrules')))),
    'drop', format('DROP COLLATION %I.%I', n.nspname, c.collname), 'owner', pg_get_userbyid(c.collowner)) AS body
FROM pg_collation c JOIN pg_namespace n ON n.oid = c.collnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT 'conversion', 'pg_conversion', c.oid, 0, json_build_object(
    'schema', n.nspname, 'name', c.conname, 'identity', format('%I.%I', n.nspname, c.conname), 'phrase', format('CONVERSION %I.%I', n.nspname, c.conname),
    'create', format('CREATE%s CONVERSION %I.%I FOR %L TO %L FROM %s', CASE WHEN c.condefault THEN ' DEFAULT' ELSE '' END, n.nspname, c.conname, pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding), c.conproc::regproc),
    'drop', format('DROP CONVERSION %I.%I', n.nspname, c.conname), 'owner', pg_get_userbyid(c.conowner))
FROM pg_conversion c JOIN pg_namespace n ON n.oid = c.connamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
