-- The trigger functions in the schema confiture: what they do, and whether as their owner.
SELECT function.proname, function.prosrc, function.prosecdef AS is_definer
FROM pg_catalog.pg_proc AS function
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = function.pronamespace
WHERE namespace.nspname = 'confiture' AND pg_catalog.starts_with(function.proname, 'capture_');
