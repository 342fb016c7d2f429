-- What this role finds set in this database, as far as another session may set it too. In another database it may be another role:
-- the schema that has its name is told by that.
SELECT given.name,
       pg_catalog.replace(pg_catalog.current_setting(given.name), '"$user"', pg_catalog.quote_ident(session_user))
  FROM (SELECT 'search_path' AS name
         UNION
        SELECT pg_catalog.split_part(entry, '=', 1)
          FROM pg_catalog.pg_db_role_setting AS s
         CROSS JOIN pg_catalog.unnest(s.setconfig) AS entry
         WHERE s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
           AND s.setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user))) AS given
  LEFT JOIN pg_catalog.pg_settings AS known ON known.name = given.name
 WHERE coalesce(known.context IN ('user', 'superuser'), true)
 ORDER BY given.name
