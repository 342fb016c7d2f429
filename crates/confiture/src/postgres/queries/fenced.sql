-- The relations that have a trigger which calls the function $1 of the schema confiture: schema and name.
SELECT namespace.nspname, class.relname
FROM pg_catalog.pg_trigger AS trigger
JOIN pg_catalog.pg_proc AS function ON function.oid = trigger.tgfoid
JOIN pg_catalog.pg_class AS class ON class.oid = trigger.tgrelid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE function.pronamespace = pg_catalog.to_regnamespace('confiture') AND function.proname = $1
ORDER BY class.oid;
