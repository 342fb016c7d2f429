-- The triggers that call one of the functions $1 of the schema confiture, but none that is another's clone on a partition.
SELECT trigger.tgname, namespace.nspname, class.relname, class.oid
FROM pg_catalog.pg_trigger AS trigger
JOIN pg_catalog.pg_proc AS function ON function.oid = trigger.tgfoid
JOIN pg_catalog.pg_class AS class ON class.oid = trigger.tgrelid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE function.pronamespace = pg_catalog.to_regnamespace('confiture')
  AND function.proname = ANY ($1::text[]) AND trigger.tgparentid = 0
ORDER BY class.oid, trigger.tgname;
