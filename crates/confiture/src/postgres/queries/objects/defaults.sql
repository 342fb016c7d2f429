SELECT 'default' AS kind, 'pg_attrdef' AS class, d.oid, 0 AS sub,
    n.nspname AS "schema", a.attname AS "name", format('%I.%I.%I', n.nspname, c.relname, a.attname) AS "identity",
    '' AS "phrase",
    json_build_array('pg_class', c.oid, CASE c.relkind WHEN 'v' THEN 0 ELSE a.attnum END) AS "parent json",
    format('%s ALTER COLUMN %I SET DEFAULT %s', x.alter, a.attname, e.expression) AS "create",
    format('%s ALTER COLUMN %I SET DEFAULT %s', x.alter, a.attname, e.expression) AS "replace",
    format('%s ALTER COLUMN %I DROP DEFAULT', x.alter, a.attname) AS "drop",
    false AS "inherited bool",
    e.expression AS "details.expression", a.attinhcount AS "details.inherit_count json"
FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
-- OFFSET 0: computed once for each row, however often it is used.
CROSS JOIN LATERAL (SELECT CASE c.relkind WHEN 'v' THEN format('ALTER VIEW %I.%I', n.nspname, c.relname)
    ELSE format('ALTER%s TABLE ONLY %I.%I', CASE c.relkind WHEN 'f' THEN ' FOREIGN' ELSE '' END, n.nspname, c.relname) END OFFSET 0) AS x(alter)
CROSS JOIN LATERAL (SELECT pg_get_expr(d.adbin, d.adrelid) OFFSET 0) AS e(expression)
WHERE a.attgenerated = '' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
