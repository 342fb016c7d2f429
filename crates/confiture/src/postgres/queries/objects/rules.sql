SELECT 'rule' AS kind, 'pg_rewrite' AS class, r.oid, 0 AS sub, json_build_object(
    'schema', n.nspname, 'name', r.rulename, 'identity', format('%I.%I.%I', n.nspname, c.relname, r.rulename),
    'phrase', format('RULE %I ON %I.%I', r.rulename, n.nspname, c.relname),
    'parent', json_build_array('pg_class', c.oid, 0),
    'create', rtrim(pg_get_ruledef(r.oid), ';'), 'replace', regexp_replace(rtrim(pg_get_ruledef(r.oid), ';'), '^CREATE RULE', 'CREATE OR REPLACE RULE'),
    'drop', format('DROP RULE %I ON %I.%I', r.rulename, n.nspname, c.relname),
    'facets', json_build_object('enabled', json_build_array(r.ev_enabled, format('ALTER TABLE %I.%I %s RULE %I', n.nspname, c.relname,
        CASE r.ev_enabled WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END, r.rulename), r.ev_enabled = 'O'))) AS body
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE r.rulename <> '_RETURN' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
