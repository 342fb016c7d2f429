-- Has all that was written so far reach the disk, where something has not: a transaction that a crash takes back must not be
-- part of a position, for another may get its number.
SELECT CASE
    WHEN pg_catalog.pg_current_wal_flush_lsn() < pg_catalog.pg_current_wal_insert_lsn()
    THEN (SELECT pg_catalog.pg_logical_emit_message(true, 'confiture', 'flush')::text
          FROM pg_catalog.set_config('synchronous_commit', 'local', true))
END;
