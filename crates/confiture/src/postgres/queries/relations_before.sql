-- What is there before a plan runs, with the file that holds its rows (a sequence has none); an index with its table.
SELECT c.oid::bigint,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
       coalesce(i.indrelid, 0)::bigint,
       CASE WHEN c.relkind = 'S' THEN 0 ELSE coalesce(pg_catalog.pg_relation_filenode(c.oid), 0) END::bigint
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'i', 'I')
   AND c.relpersistence <> 't'
   AND n.nspname NOT LIKE 'pg\_%'
   AND n.nspname <> 'information_schema'
