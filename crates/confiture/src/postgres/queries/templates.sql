-- The template databases that this role has made, the newest first.
SELECT datname::text AS name, pg_catalog.shobj_description(d.oid, 'pg_database') AS comment
  FROM pg_catalog.pg_database d
  JOIN pg_catalog.pg_roles r ON r.oid = d.datdba
 WHERE r.rolname = current_user
   AND datname ~ '^confiture_template_[0-9a-f]{32}$'
 ORDER BY d.oid DESC;
