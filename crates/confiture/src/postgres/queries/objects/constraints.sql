SELECT CASE WHEN k.contypid <> 0 THEN 'domain constraint' ELSE 'constraint' END AS kind, 'pg_constraint' AS class, k.oid, 0 AS sub,
    n.nspname AS "schema", k.conname AS "name",
    format('%s.%I', x.owner, k.conname) AS "identity",
    format('CONSTRAINT %I ON %s%s', k.conname, CASE WHEN k.contypid <> 0 THEN 'DOMAIN ' ELSE '' END, x.owner) AS "phrase",
    CASE WHEN k.contypid <> 0 THEN json_build_array('pg_type', k.contypid, 0) ELSE json_build_array('pg_class', k.conrelid, 0) END AS "parent json",
    -- What it has on partitions of the table that it refers to.
    CASE WHEN k.contype = 'f' THEN (SELECT json_agg(json_build_array('pg_class', t.relid::oid, 0)) FROM pg_partition_tree(k.confrelid) t WHERE t.relid <> k.confrelid) END AS "depends json",
    -- Partitions lack it where its index is not valid.
    format('%s ADD CONSTRAINT %I %s', CASE WHEN i.indisvalid IS FALSE THEN replace(x.alter, 'ALTER TABLE ', 'ALTER TABLE ONLY ') ELSE x.alter END, k.conname, d.definition) AS "create",
    d.definition AS "definition",
    format('%s DROP CONSTRAINT %I', x.alter, k.conname) AS "drop",
    x.alter AS "alter",
    k.conparentid <> 0 OR (k.coninhcount > 0 AND NOT k.conislocal) AS "inherited bool",
    CASE WHEN k.contype IN ('p', 'u', 'x') THEN json_build_array(i.indisclustered, CASE WHEN i.indisclustered THEN format('%s CLUSTER ON %I', x.alter, k.conname) ELSE format('%s SET WITHOUT CLUSTER', x.alter) END, NOT i.indisclustered) END AS "facets.clustered json",
    CASE WHEN k.contype IN ('p', 'u', 'x') THEN json_build_array(i.indisreplident, CASE WHEN i.indisreplident THEN format('ALTER TABLE ONLY %s REPLICA IDENTITY USING INDEX %I', x.owner, k.conname) ELSE '' END, NOT i.indisreplident) END AS "facets.replica identity json",
    CASE WHEN k.contype IN ('p', 'u', 'x') THEN json_build_array(o.description, format('COMMENT ON INDEX %I.%I IS %s', n.nspname, k.conname, coalesce(quote_literal(o.description), 'NULL')), o.description IS NULL) END AS "facets.index comment json",
    CASE WHEN k.contype IN ('p', 'u', 'x') THEN json_build_array(ic.reloptions, CASE WHEN ic.relkind = 'I' THEN '' WHEN ic.reloptions IS NULL
            THEN format('ALTER INDEX %I.%I RESET (fillfactor%s)', n.nspname, k.conname, CASE am.amname WHEN 'btree' THEN ', deduplicate_items' ELSE '' END)
            ELSE format('ALTER INDEX %I.%I SET (%s)', n.nspname, k.conname, array_to_string(ic.reloptions, ', ')) END, ic.reloptions IS NULL) END AS "facets.storage parameters json",
    CASE WHEN k.contype IN ('p', 'u', 'x') THEN json_build_array(s.spcname, format('ALTER INDEX %I.%I SET TABLESPACE %I', n.nspname, k.conname, coalesce(s.spcname, 'pg_default')), s.spcname IS NULL) END AS "facets.tablespace json",
    k.contype AS "details.type", k.conislocal AS "details.local bool", k.coninhcount AS "details.inherit_count json", k.conparentid <> 0 AS "details.child bool", k.convalidated AS "details.validated bool", coalesce(i.indisvalid, true) AS "details.valid bool",
    (SELECT format('%I.%I', pn.nspname, p.relname) FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE h.inhrelid = k.conindid AND k.contype IN ('p', 'u', 'x')) AS "details.index_parent",
    CASE WHEN ic.relispartition THEN (SELECT format('%I.%I', pn.nspname, p.relname) FROM pg_class p JOIN pg_namespace pn ON pn.oid = p.relnamespace WHERE p.oid = pg_partition_root(ic.oid)) END AS "details.index_root",
    c.relkind AS "details.relkind", k.confrelid AS "details.references"
FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
LEFT JOIN pg_class c ON c.oid = k.conrelid LEFT JOIN pg_type t ON t.oid = k.contypid
LEFT JOIN pg_namespace cn ON cn.oid = coalesce(c.relnamespace, t.typnamespace)
LEFT JOIN pg_index i ON i.indexrelid = k.conindid AND k.contype IN ('p', 'u', 'x')
LEFT JOIN pg_class ic ON ic.oid = i.indexrelid LEFT JOIN pg_am am ON am.oid = ic.relam LEFT JOIN pg_tablespace s ON s.oid = ic.reltablespace
LEFT JOIN LATERAL (SELECT o.description FROM pg_description o WHERE o.objoid = i.indexrelid AND o.classoid = 'pg_class'::regclass AND o.objsubid = 0 OFFSET 0) AS o ON true
-- OFFSET 0: computed once for each row, however often it is used.
CROSS JOIN LATERAL (SELECT format('%I.%I', cn.nspname, coalesce(c.relname, t.typname)),
    CASE WHEN k.contypid <> 0 THEN format('ALTER DOMAIN %I.%I', cn.nspname, t.typname) ELSE format('ALTER%s TABLE %I.%I', CASE c.relkind WHEN 'f' THEN ' FOREIGN' ELSE '' END, cn.nspname, c.relname) END OFFSET 0) AS x(owner, alter)
-- Nothing alters the parameters of a partitioned index.
CROSS JOIN LATERAL (SELECT CASE WHEN ic.relkind = 'I' AND ic.reloptions IS NOT NULL
    THEN regexp_replace(pg_get_constraintdef(k.oid), '( DEFERRABLE.*)?$', format(E' WITH (%s)\\1', array_to_string(ic.reloptions, ', '))) ELSE pg_get_constraintdef(k.oid) END OFFSET 0) AS d(definition)
-- A foreign key to a partitioned table has others to its partitions, which come and go with it.
WHERE k.contype IN ('c', 'p', 'u', 'x', 'f') AND NOT EXISTS (SELECT FROM pg_constraint above WHERE above.oid = k.conparentid AND above.conrelid = k.conrelid) AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
ORDER BY k.oid
