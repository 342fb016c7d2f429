-- Where the history table $2 is, or would be made, in the schema $1 (null: that of the search_path), and which of its columns are
-- missing.
SELECT located.schema,
       class.oid IS NOT NULL AS is_there,
       ARRAY(SELECT wanted.name::pg_catalog.text
             FROM pg_catalog.unnest('{id,version,name,checksum,statements,state,step,running,applied_at,execution_ms,applied_by,source}'
                                    ::pg_catalog.text[]) AS wanted (name)
             WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS attribute
                               WHERE attribute.attrelid = class.oid AND attribute.attname = wanted.name
                                 AND NOT attribute.attisdropped)) AS missing
FROM (
    SELECT coalesce(
        $1::pg_catalog.text,
        (SELECT namespace.nspname::pg_catalog.text
         FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS path (name, place)
         JOIN pg_catalog.pg_namespace AS namespace ON namespace.nspname = path.name
         JOIN pg_catalog.pg_class AS class ON class.relnamespace = namespace.oid AND class.relname = $2::pg_catalog.text
         ORDER BY path.place LIMIT 1),
        pg_catalog.current_schema()::pg_catalog.text
    ) AS schema
) AS located
LEFT JOIN pg_catalog.pg_namespace AS namespace ON namespace.nspname = located.schema
LEFT JOIN pg_catalog.pg_class AS class ON class.relnamespace = namespace.oid AND class.relname = $2::pg_catalog.text;
