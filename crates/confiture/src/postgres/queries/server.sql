-- What is to be known before the database $1 is made.
SELECT r.rolname::text AS role,
       r.rolcreatedb OR r.rolsuper AS may_create,
       current_setting('server_version_num')::int AS version,
       EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $1::text) AS target_exists,
       -- All that decides, besides the script, what the script makes of a new database. What was written in template1 is
       -- seen by its counters: it cannot be looked into from here, and a connection to it would block CREATE DATABASE.
       pg_catalog.md5(pg_catalog.concat_ws(E'\n',
           current_setting('server_version_num'),
           (SELECT pg_catalog.concat_ws(' ', d.oid, d.encoding, d.datcollate, d.datctype, s.tup_inserted, s.tup_updated, s.tup_deleted)
              FROM pg_catalog.pg_database d
              LEFT JOIN pg_catalog.pg_stat_database s ON s.datid = d.oid
             WHERE d.datname = 'template1'),
           -- The values that a new connection starts with: `reset_val`, for this session has pinned its own.
           (SELECT pg_catalog.string_agg(name || '=' || reset_val, E'\n' ORDER BY name)
              FROM pg_catalog.pg_settings
             WHERE context IN ('user', 'superuser')
               AND reset_val IS DISTINCT FROM boot_val
               AND name NOT IN ('application_name', 'client_encoding')))) AS circumstances
  FROM pg_catalog.pg_roles r
 WHERE r.rolname = current_user;
