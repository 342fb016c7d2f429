-- For each of the relations $1, which belong to the captured tables with the indexes $2: whether its changes are in the WAL,
-- and the columns by which the WAL tells its rows apart; NULL where there are none.
SELECT captured.index::int8 AS index,
       class.oid AS oid,
       pg_catalog.format('%I.%I', namespace.nspname, class.relname) AS shown,
       class.relkind::text AS kind,
       class.relpersistence::text AS persistence,
       pg_catalog.pg_has_role(class.relowner, 'USAGE') AS owned,
       class.relreplident::text AS identity,
       CASE class.relreplident
           WHEN 'f' THEN (SELECT pg_catalog.array_agg(attribute.attname::text)
                          FROM pg_catalog.pg_attribute AS attribute
                          WHERE attribute.attrelid = class.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped)
           WHEN 'n' THEN NULL
           ELSE (SELECT pg_catalog.array_agg(attribute.attname::text)
                 FROM pg_catalog.pg_index AS index
                 JOIN pg_catalog.pg_attribute AS attribute
                   ON attribute.attrelid = index.indrelid AND attribute.attnum = ANY (index.indkey::int2[])
                 WHERE index.indrelid = class.oid
                   AND index.indisvalid AND index.indimmediate
                   AND CASE class.relreplident WHEN 'i' THEN index.indisreplident ELSE index.indisprimary END)
       END AS columns
FROM ROWS FROM (pg_catalog.unnest($1::oid[]), pg_catalog.unnest($2::int8[])) AS captured (oid, index)
JOIN pg_catalog.pg_class AS class ON class.oid = captured.oid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
ORDER BY captured.index, shown;
