-- Does this database see the advisory lock $1 (a bigint key) that the backend $2 holds in it?
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_locks
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND pid = $2
      AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
      AND classid = (($1::pg_catalog.int8 >> 32) & 4294967295)::pg_catalog.oid
      AND objid = ($1::pg_catalog.int8 & 4294967295)::pg_catalog.oid
);
