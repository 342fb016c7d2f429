-- What of the server and the role decides whether the WAL can be followed.
SELECT pg_catalog.current_setting('wal_level') AS wal_level,
       pg_catalog.pg_is_in_recovery() AS standby,
       role.rolsuper
           OR role.rolreplication
           OR EXISTS (SELECT FROM pg_catalog.pg_roles AS managed
                      WHERE managed.rolname = 'rds_replication'
                        AND pg_catalog.pg_has_role(role.oid, managed.oid, 'MEMBER')) AS may_replicate,
       role.rolsuper AS superuser,
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE') AS may_publish,
       pg_catalog.current_setting('max_replication_slots')::int8 AS slots,
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots) AS slots_used,
       pg_catalog.current_setting('max_wal_senders')::int8 AS senders,
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_get_wal_senders()) AS senders_used,
       (SELECT setting::int8 FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size') AS keep_megabytes,
       pg_catalog.current_setting('synchronous_standby_names') ~ '[*]' AS anyone_is_standby,
       role.rolname::text AS role,
       pg_catalog.current_database()::text AS database
FROM pg_catalog.pg_roles AS role
WHERE role.rolname = current_user;
