-- On the source: what its replication slots keep. A slot of Confiture is called confiture_ and the migration's name.
SELECT slot_name::text AS slot,
       active,
       wal_status,
       CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN
           pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn)::pg_catalog.int8 END AS bytes_kept
FROM pg_catalog.pg_replication_slots
WHERE slot_type = 'logical'
ORDER BY bytes_kept DESC NULLS LAST, 1;
