-- Who else is connected to the database $1.
SELECT pg_catalog.concat_ws(' ',
           coalesce(nullif(application_name, ''), 'a client'),
           'of ' || usename,
           'from ' || coalesce(pg_catalog.host(client_addr), 'this machine'),
           '(pid ' || pid || ',',
           'since ' || pg_catalog.to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC)') AS who
  FROM pg_catalog.pg_stat_activity
 WHERE datname = $1::text
   AND pid <> pg_catalog.pg_backend_pid()
   AND backend_type = 'client backend'
 ORDER BY backend_start;
