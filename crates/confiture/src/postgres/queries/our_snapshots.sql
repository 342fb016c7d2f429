-- The oldest snapshot that sessions of ours hold in this database: seconds, or NULL for none.
SELECT pg_catalog.max(extract(epoch FROM pg_catalog.clock_timestamp() - xact_start))::pg_catalog.float8 AS seconds
FROM pg_catalog.pg_stat_activity
WHERE application_name = 'confiture' AND datname = pg_catalog.current_database()
  AND backend_xmin IS NOT NULL AND pid <> pg_catalog.pg_backend_pid();
