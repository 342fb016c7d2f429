-- What calls to these functions may give. $1: schemas, NULL where none was written; $2: names.
-- Answers, in order, one of
--   volatile   every function of the name comes with the server or an extension, and is volatile
--   unknown    some are volatile: of a user's own, that may be only what nobody declared otherwise
--   fine       none is volatile, or there is none
SELECT called.n::pg_catalog.int8,
       CASE
           WHEN pg_catalog.bool_and(proc.provolatile = 'v' AND (namespace.nspname = 'pg_catalog' OR member.objid IS NOT NULL))
               THEN 'volatile'
           WHEN pg_catalog.bool_or(proc.provolatile = 'v') THEN 'unknown'
           ELSE 'fine'
       END
FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) WITH ORDINALITY AS called (schema, name, n)
LEFT JOIN pg_catalog.pg_proc AS proc
    ON proc.proname = called.name
    AND CASE WHEN called.schema IS NULL THEN pg_catalog.pg_function_is_visible(proc.oid)
             ELSE proc.pronamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = called.schema) END
LEFT JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = proc.pronamespace
LEFT JOIN pg_catalog.pg_depend AS member
    ON member.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND member.objid = proc.oid AND member.deptype = 'e'
GROUP BY called.n
ORDER BY called.n;
