-- Ends the sessions that hold the advisory lock $1 (a bigint key) in this database, and waits up to 2 seconds for each.
SELECT pg_catalog.pg_terminate_backend(lock.pid, 2000)
FROM pg_catalog.pg_locks AS lock
WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objsubid = 1
  AND lock.pid <> pg_catalog.pg_backend_pid()
  AND lock.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
  AND lock.classid = (($1::pg_catalog.int8 >> 32) & 4294967295)::pg_catalog.oid
  AND lock.objid = ($1::pg_catalog.int8 & 4294967295)::pg_catalog.oid;
