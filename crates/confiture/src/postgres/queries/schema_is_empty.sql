-- Whether the schema confiture is there and nothing is in it. To drop one that is not empty locks, before it fails, all that is.
SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'confiture')
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend
        WHERE refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
            AND refobjid = pg_catalog.to_regnamespace('confiture')::pg_catalog.oid AND deptype = 'n'
    );
