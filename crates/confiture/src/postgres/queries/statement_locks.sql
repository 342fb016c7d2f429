-- What this transaction holds locks on, and how its rows fare: which file has them, how often they were all read. A sequence has one, which is not
-- worth a word.
SELECT l.relation::bigint,
       l.mode,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
       CASE c.relkind WHEN 'S' THEN 0 ELSE coalesce(pg_catalog.pg_relation_filenode(c.oid), 0) END::bigint,
       CASE c.relkind WHEN 'S' THEN 0 ELSE coalesce(pg_catalog.pg_stat_get_xact_numscans(l.relation), 0) END::bigint
  FROM pg_catalog.pg_locks AS l
  LEFT JOIN pg_catalog.pg_class AS c ON c.oid = l.relation
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE l.pid = pg_catalog.pg_backend_pid()
   AND l.locktype = 'relation'
   AND l.relation >= 16384
