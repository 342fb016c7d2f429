-- The scratch databases that nobody uses, locked so that one process at a time drops them. Who uses one may hold its lock in
-- another database than this one, where only pg_locks shows it.
WITH unused AS MATERIALIZED (
    SELECT d.datname
      FROM pg_catalog.pg_database AS d
     WHERE d.datname LIKE 'confiture\_scratch\_%'
       AND NOT EXISTS (
           SELECT FROM pg_catalog.pg_locks AS l
            WHERE l.locktype = 'advisory' AND l.objsubid = 1
              AND (l.classid::bigint << 32 | l.objid::bigint) = pg_catalog.hashtextextended(d.datname, 0)))
SELECT datname::text
  FROM unused
 WHERE pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended(datname, 0))
