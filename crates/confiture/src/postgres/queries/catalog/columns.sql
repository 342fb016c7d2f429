-- Columns, in the order of their numbers.
SELECT a.attrelid AS relation,
       a.attname AS name,
       a.attnum AS number,
       a.atttypid AS type_oid,
       a.atttypmod AS type_modifier,
       format_type(a.atttypid, a.atttypmod) AS type_text,
       a.attnotnull AS not_null,
       a.atthasdef AS has_default,
       pg_get_expr(d.adbin, d.adrelid) AS "default",
       a.attidentity::text AS identity,
       a.attgenerated::text AS generated,
       cn.nspname AS collation_schema,
       co.collname AS collation_name,
       a.attstorage::text AS storage,
       a.attcompression::text AS compression
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_collation AS co ON co.oid = a.attcollation AND a.attcollation <> t.typcollation
LEFT JOIN pg_namespace AS cn ON cn.oid = co.collnamespace
WHERE a.attrelid >= 16384
  AND a.attnum > 0
  AND NOT a.attisdropped
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY a.attrelid, a.attnum;
