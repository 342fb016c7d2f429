SELECT format('%I.%I', n.nspname, c.relname), c.relispartition,
    ARRAY(SELECT format('%I.%I', pn.nspname, pc.relname) FROM pg_catalog.pg_partition_tree(c.oid) t JOIN pg_catalog.pg_class pc ON pc.oid = t.relid JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace WHERE t.relid <> c.oid ORDER BY 1),
    format('SELECT ARRAY[%s]::text[] FROM %s %I.%I', string_agg(format('CASE num_nulls(%1$I) WHEN 0 THEN format(''%%s'', %1$I) END', a.attname), ', ' ORDER BY a.attnum), CASE c.relkind WHEN 'r' THEN 'ONLY' ELSE '' END, n.nspname, c.relname),
    array_agg(a.attname::text ORDER BY a.attnum), array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum),
    array_agg(coalesce(e.typtype, t.typtype) NOT IN ('c', 'r', 'm', 'd') ORDER BY a.attnum), array_agg(a.attgenerated <> '' ORDER BY a.attnum), c.relkind = 'p'
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND a.attname IS NOT NULL
GROUP BY c.oid, n.nspname
