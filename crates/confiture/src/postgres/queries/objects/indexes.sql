SELECT 'index' AS kind, 'pg_class' AS class, c.oid, 0 AS sub,
    n.nspname AS "schema", c.relname AS "name", format('%I.%I', n.nspname, c.relname) AS "identity",
    format('INDEX %I.%I', n.nspname, c.relname) AS "phrase",
    json_build_array('pg_class', i.indrelid, 0) AS "parent json",
    d.definition AS "create",
    -- Parameters can be altered, but not those of a partitioned index.
    format('%s%s', CASE WHEN i.indisunique THEN 'UNIQUE' END, replace(substr(d.definition, strpos(d.definition, format(' INDEX %I ON ', c.relname)) + length(format(' INDEX %I', c.relname))),
        CASE WHEN c.reloptions IS NULL OR c.relkind <> 'i' THEN '' ELSE (SELECT format(' WITH (%s)', string_agg(format('%I=%s', split_part(o, '=', 1), CASE WHEN quote_ident(v) = v THEN v ELSE quote_literal(v) END), ', ' ORDER BY at))
            FROM unnest(c.reloptions) WITH ORDINALITY AS u(o, at) CROSS JOIN LATERAL (SELECT substr(o, strpos(o, '=') + 1) OFFSET 0) AS x(v)) END, '')) AS "definition",
    CASE c.relkind WHEN 'i' THEN format('ALTER INDEX %I.%I', n.nspname, c.relname) END AS "alter", CASE c.relkind WHEN 'i' THEN to_json(c.reloptions) END AS "options json",
    format('DROP INDEX %I.%I', n.nspname, c.relname) AS "drop",
    c.relispartition AS "inherited bool",
    CASE WHEN i.indexprs IS NULL THEN f.facets ELSE (f.facets::jsonb
        || (SELECT jsonb_object_agg('statistics ' || a.attnum, jsonb_build_array(coalesce(a.attstattarget, -1), format('ALTER INDEX %I.%I ALTER COLUMN %s SET STATISTICS %s', n.nspname, c.relname, a.attnum, coalesce(a.attstattarget, -1)), coalesce(a.attstattarget, -1) = -1)) FROM pg_attribute a WHERE a.attrelid = c.oid AND i.indkey[a.attnum - 1] = 0))::json END AS "facets json",
    i.indisvalid AS "details.valid bool", c.relkind AS "details.relkind", i.indisunique AS "details.unique bool", format('%I.%I', tn.nspname, t.relname) AS "details.table", t.relkind AS "details.table_kind",
    (SELECT format('%I.%I', pn.nspname, p.relname) FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE h.inhrelid = c.oid) AS "details.index_parent",
    CASE WHEN c.relispartition THEN (SELECT format('%I.%I', pn.nspname, p.relname) FROM pg_class p JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE p.oid = pg_partition_root(c.oid)) END AS "details.index_root"
-- OFFSET 0: those of constraints are left out before anything is computed.
FROM (SELECT * FROM pg_index p WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = p.indexrelid AND k.contype IN ('p', 'u', 'x')) OFFSET 0) AS i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace
LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
-- OFFSET 0: computed once for each row, however often it is used.
CROSS JOIN LATERAL (SELECT pg_get_indexdef(c.oid) OFFSET 0) AS d(definition)
CROSS JOIN LATERAL (SELECT json_build_object(
    'clustered', json_build_array(i.indisclustered, CASE WHEN i.indisclustered THEN format('ALTER TABLE %I.%I CLUSTER ON %I', n.nspname, t.relname, c.relname) ELSE format('ALTER TABLE %I.%I SET WITHOUT CLUSTER', n.nspname, t.relname) END, NOT i.indisclustered),
    'replica identity', json_build_array(i.indisreplident, CASE WHEN i.indisreplident THEN format('ALTER TABLE ONLY %I.%I REPLICA IDENTITY USING INDEX %I', n.nspname, t.relname, c.relname) ELSE '' END, NOT i.indisreplident),
    'tablespace', json_build_array(s.spcname, format('ALTER INDEX %I.%I SET TABLESPACE %I', n.nspname, c.relname, coalesce(s.spcname, 'pg_default')), s.spcname IS NULL)) OFFSET 0) AS f(facets)
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
ORDER BY c.oid
