-- The tables called one of $1, in the schema $2 (null: in those of the search_path), their columns, and whether they are more than that:
-- a view, or something else stands on them.
SELECT namespace.nspname::pg_catalog.text AS schema,
       class.relname::pg_catalog.text AS name,
       ARRAY(SELECT attribute.attname::pg_catalog.text FROM pg_catalog.pg_attribute AS attribute
             WHERE attribute.attrelid = class.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped) AS columns,
       class.relkind = 'v' OR EXISTS (
           SELECT FROM pg_catalog.pg_depend AS depend
           WHERE (depend.deptype = 'n' OR depend.classid = 'pg_catalog.pg_publication_rel'::pg_catalog.regclass)
             AND (depend.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND depend.refobjid = class.oid
                  OR depend.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND depend.refobjid = class.reltype)
       ) AS is_used
FROM pg_catalog.pg_class AS class
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE class.relname = ANY ($1::pg_catalog.text[])
  AND class.relkind IN ('r', 'p', 'v')
  AND CASE WHEN $2::pg_catalog.text IS NULL THEN namespace.nspname = ANY (pg_catalog.current_schemas(false))
           ELSE namespace.nspname = $2::pg_catalog.text END
ORDER BY 1, 2;
