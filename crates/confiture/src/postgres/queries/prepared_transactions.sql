-- Prepared transactions that hold a lock on one of the tables $1 (OIDs): no session, and no restart, ever ends them.
SELECT DISTINCT ON (prepared.gid) prepared.gid, pg_catalog.format('%I.%I', namespace.nspname, class.relname),
       extract(epoch FROM pg_catalog.clock_timestamp() - prepared.prepared)::pg_catalog.float8
FROM pg_catalog.pg_prepared_xacts AS prepared
-- Every transaction that writes holds its own number; whoever holds that holds the tables too.
JOIN pg_catalog.pg_locks AS own ON own.locktype = 'transactionid' AND own.transactionid = prepared.transaction
    AND own.mode = 'ExclusiveLock' AND own.granted
JOIN pg_catalog.pg_locks AS lock ON lock.virtualtransaction = own.virtualtransaction AND lock.pid IS NULL
JOIN pg_catalog.pg_class AS class ON class.oid = lock.relation
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE prepared.database = pg_catalog.current_database() AND lock.locktype = 'relation'
  AND lock.relation = ANY ($1::pg_catalog.oid[])
ORDER BY prepared.gid, 2;
