-- Every schema that is not the server's own. Names that start with pg_ are reserved for it.
SELECT nspname AS name
FROM pg_namespace
WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema'
ORDER BY nspname;
