SELECT * FROM (
SELECT CASE WHEN c.relispartition THEN 'partition' ELSE 'inheritance' END AS kind, 'pg_inherits' AS class, c.oid, p.oid::bigint AS sub, json_build_object(
    'schema', n.nspname, 'name', c.relname, 'identity', format('%I.%I in %I.%I', n.nspname, c.relname, pn.nspname, p.relname), 'phrase', '',
    'parent', json_build_array('pg_class', c.oid, 0),
    'create', CASE WHEN c.relispartition THEN format('ALTER TABLE %I.%I ATTACH PARTITION %I.%I %s', pn.nspname, p.relname, n.nspname, c.relname, pg_get_expr(c.relpartbound, c.oid))
        ELSE format('ALTER TABLE %I.%I INHERIT %I.%I', n.nspname, c.relname, pn.nspname, p.relname) END,
    'drop', CASE WHEN c.relispartition THEN format('ALTER TABLE %I.%I DETACH PARTITION %I.%I', pn.nspname, p.relname, n.nspname, c.relname)
        ELSE format('ALTER TABLE %I.%I NO INHERIT %I.%I', n.nspname, c.relname, pn.nspname, p.relname) END,
    'details', json_build_object('parent', format('%I.%I', pn.nspname, p.relname), 'bound', pg_get_expr(c.relpartbound, c.oid), 'number', h.inhseqno, 'rank', rank() OVER (PARTITION BY c.oid ORDER BY h.inhseqno)),
    'depends', json_build_array(json_build_array('pg_class', c.oid, 0), json_build_array('pg_class', p.oid, 0))) AS body
FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid AND c.relkind IN ('r', 'p', 'f') JOIN pg_class p ON p.oid = h.inhparent
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
ORDER BY c.oid, h.inhseqno) links
UNION ALL
SELECT 'type of table', 'type of table', c.oid, 0, json_build_object(
    'schema', n.nspname, 'name', c.relname, 'identity', format('%I.%I', n.nspname, c.relname), 'phrase', '',
    'parent', json_build_array('pg_class', c.oid, 0),
    'create', format('ALTER TABLE %I.%I OF %s', n.nspname, c.relname, format_type(c.reloftype, NULL)),
    'drop', format('ALTER TABLE %I.%I NOT OF', n.nspname, c.relname),
    'depends', json_build_array(json_build_array('pg_class', c.oid, 0), json_build_array('pg_type', c.reloftype, 0)))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.reloftype <> 0 AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
