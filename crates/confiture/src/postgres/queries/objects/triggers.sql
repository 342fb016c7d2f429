SELECT 'trigger' AS kind, 'pg_trigger' AS class, t.oid, 0 AS sub, json_build_object(
    'schema', n.nspname, 'name', t.tgname, 'identity', format('%I.%I.%I', n.nspname, c.relname, t.tgname),
    'phrase', format('TRIGGER %I ON %I.%I', t.tgname, n.nspname, c.relname),
    'parent', json_build_array('pg_class', c.oid, 0),
    'create', pg_get_triggerdef(t.oid), 'definition', pg_get_triggerdef(t.oid),
    'drop', format('DROP TRIGGER %I ON %I.%I', t.tgname, n.nspname, c.relname),
    'inherited', t.tgparentid <> 0,
    'facets', json_build_object('enabled', json_build_array(t.tgenabled, format('ALTER TABLE %I.%I %s TRIGGER %I', n.nspname, c.relname,
        CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END, t.tgname), t.tgenabled = 'O'))) AS body
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
