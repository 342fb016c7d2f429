-- Where the history table $2 is, or would be made, in the schema $1 (null: that of the search_path), and its columns (null: it is not there).
SELECT coalesce(namespace.nspname::pg_catalog.text, $1, pg_catalog.current_schema()::pg_catalog.text) AS schema,
       CASE WHEN class.oid IS NOT NULL THEN
           ARRAY(SELECT attribute.attname::pg_catalog.text FROM pg_catalog.pg_attribute AS attribute
                 WHERE attribute.attrelid = class.oid AND NOT attribute.attisdropped)
       END AS columns
FROM (SELECT pg_catalog.to_regclass(coalesce(pg_catalog.quote_ident($1::pg_catalog.text) || '.', '')
                                    || pg_catalog.quote_ident($2::pg_catalog.text)) AS oid) AS found
LEFT JOIN pg_catalog.pg_class AS class ON class.oid = found.oid
LEFT JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace;
