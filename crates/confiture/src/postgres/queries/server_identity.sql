-- Which cluster this is, `?` where the role may not ask; and the timeline that it writes, which changes with each promotion.
SELECT CASE WHEN pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
            THEN (SELECT system_identifier::text FROM pg_catalog.pg_control_system())
            ELSE '?'
       END AS cluster,
       CASE WHEN pg_catalog.pg_is_in_recovery()
                 OR NOT pg_catalog.has_function_privilege('pg_catalog.pg_walfile_name(pg_catalog.pg_lsn)', 'EXECUTE')
            THEN '?'
            ELSE pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8)
       END AS timeline,
       (pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot()))::text AS next;
