-- A digest of what CREATE EXTENSION would install.
SELECT coalesce(pg_catalog.md5(pg_catalog.string_agg(name || ' ' || default_version, ',' ORDER BY name)), '') AS digest
  FROM pg_catalog.pg_available_extensions;
