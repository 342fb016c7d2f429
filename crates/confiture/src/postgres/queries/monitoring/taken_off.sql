-- On the target: keys, indexes, foreign keys and triggers that are taken off; and those of its tables that are not valid.
SELECT (SELECT pg_catalog.count(*) FROM confiture.journal WHERE kind IN ('index', 'constraint')) AS indexes_off,
       (SELECT pg_catalog.count(*) FROM confiture.journal WHERE kind IN ('foreign_key', 'trigger')) AS foreign_keys_and_triggers_off,
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_constraint
        WHERE contype = 'f' AND NOT convalidated AND conrelid IN (
            SELECT pg_catalog.to_regclass(pg_catalog.format('%I.%I', table_schema, table_name))::pg_catalog.oid
            FROM confiture.table_state)) AS foreign_keys_not_valid,
       (SELECT pg_catalog.count(*) FROM pg_catalog.pg_index
        WHERE NOT indisvalid AND indrelid IN (
            SELECT pg_catalog.to_regclass(pg_catalog.format('%I.%I', table_schema, table_name))::pg_catalog.oid
            FROM confiture.table_state)) AS indexes_not_valid;
