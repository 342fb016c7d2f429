-- The triggers whose function in the schema confiture has a name like $1 (a regular expression), of the relations $2 (OIDs) or
-- of all: roots before their partitions.
SELECT namespace.nspname, class.relname, class.oid, trigger.tgname::text, trigger.tgparentid <> 0 AS is_clone
FROM pg_catalog.pg_trigger AS trigger
JOIN pg_catalog.pg_proc AS function ON function.oid = trigger.tgfoid
JOIN pg_catalog.pg_class AS class ON class.oid = trigger.tgrelid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE function.pronamespace = pg_catalog.to_regnamespace('confiture')
  AND function.proname ~ $1::text
  AND ($2::pg_catalog.oid[] IS NULL OR class.oid = ANY ($2::pg_catalog.oid[]))
ORDER BY is_clone, class.oid, trigger.tgname;
