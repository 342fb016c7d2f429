-- Who holds the advisory lock $1 (a bigint key) in this database.
SELECT pg_catalog.format(
    'pid %s, role %s, from %s, since %s',
    lock.pid,
    coalesce(activity.usename, '?'),
    coalesce(activity.client_hostname, pg_catalog.host(activity.client_addr), 'this machine'),
    coalesce(pg_catalog.to_char(activity.backend_start, 'YYYY-MM-DD HH24:MI:SS TZ'), '?')
)
FROM pg_catalog.pg_locks AS lock
LEFT JOIN pg_catalog.pg_stat_activity AS activity USING (pid)
WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1
  AND lock.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  AND lock.classid = (($1::pg_catalog.int8 >> 32) & 4294967295)::pg_catalog.oid
  AND lock.objid = ($1::pg_catalog.int8 & 4294967295)::pg_catalog.oid
LIMIT 1;
