-- The rows of all tables in the order in which they lie, and where the sequences stand: what pg_dump adds to the schema.
SELECT format('SELECT %L', c.oid::regclass),
       CASE c.relkind WHEN 'S' THEN format('SELECT last_value, is_called FROM %s', c.oid::regclass)
                      ELSE format('COPY (SELECT * FROM ONLY %s) TO STDOUT', c.oid::regclass) END
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'S') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' AND n.nspname <> :'without'
ORDER BY c.oid::regclass::text COLLATE "C"
\gexec
