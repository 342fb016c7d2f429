-- The state of the slot $1. The reason of an invalidation is told from PostgreSQL 17 on; 16 also calls a slot conflicting
-- whose WAL it has removed, and that has no position any more.
SELECT slot.plugin = 'pgoutput' AND slot.database = pg_catalog.current_database() AS ours,
       slot.active_pid,
       slot.wal_status,
       coalesce(pg_catalog.to_jsonb(slot) ->> 'invalidation_reason',
                CASE WHEN (pg_catalog.to_jsonb(slot) ->> 'conflicting')::bool AND slot.restart_lsn IS NOT NULL
                    THEN 'conflict' END) AS reason,
       slot.safe_wal_size,
       pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), slot.restart_lsn)::int8 AS retained
FROM pg_catalog.pg_replication_slots AS slot
WHERE slot.slot_name::text = $1::text;
