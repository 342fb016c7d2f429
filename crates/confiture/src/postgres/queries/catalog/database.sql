-- The database itself. Runs before settings.sql, because that hides the user's search path.
SELECT pg_catalog.current_setting('server_version_num')::int4 AS server_version,
       pg_catalog.current_database() AS database,
       pg_catalog.getdatabaseencoding() AS encoding,
       pg_catalog.current_setting('block_size')::int8 AS block_size,
       pg_catalog.current_schemas(false) AS search_path;
