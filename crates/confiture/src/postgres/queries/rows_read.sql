-- How often all rows of each table were read in this transaction, and in earlier ones that are not counted yet.
SELECT c.oid::bigint, pg_catalog.pg_stat_get_xact_numscans(c.oid)::bigint
  FROM pg_catalog.pg_class AS c
 WHERE c.relkind IN ('r', 'm')
   AND c.oid >= 16384
   AND pg_catalog.pg_stat_get_xact_numscans(c.oid) > 0
