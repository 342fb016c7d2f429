-- What setting up a queue needs beside the tables.
SELECT pg_catalog.pg_is_in_recovery() AS is_standby,
       current_user::text AS role,
       pg_catalog.current_database()::text AS database,
       pg_catalog.to_regnamespace('confiture') IS NOT NULL AS has_schema,
       CASE WHEN pg_catalog.to_regnamespace('confiture') IS NULL
            THEN pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')
            ELSE pg_catalog.has_schema_privilege('confiture', 'CREATE')
                 AND pg_catalog.has_schema_privilege('confiture', 'USAGE')
       END AS may_create,
       coalesce((SELECT pg_catalog.has_language_privilege(oid, 'USAGE')
                 FROM pg_catalog.pg_language WHERE lanname = 'plpgsql'), false) AS has_language,
       (SELECT pubname::text FROM pg_catalog.pg_publication WHERE puballtables ORDER BY 1 LIMIT 1) AS publication;
