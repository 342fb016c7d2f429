-- The capture triggers of the relations $1 (OIDs).
SELECT trigger.tgrelid, trigger.tgname, trigger.tgtype, trigger.tgenabled::text AS enabled, function.proname AS function,
       trigger.tgparentid = 0 AS is_root, trigger.tgattr::text <> '' AS has_columns
FROM pg_catalog.pg_trigger AS trigger
JOIN pg_catalog.pg_proc AS function ON function.oid = trigger.tgfoid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = function.pronamespace
WHERE trigger.tgrelid = ANY ($1::pg_catalog.oid[])
  AND pg_catalog.starts_with(trigger.tgname, 'confiture_capture') AND namespace.nspname = 'confiture';
