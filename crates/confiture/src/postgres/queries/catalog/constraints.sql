-- Constraints of tables, by name. NOT NULL (contype 'n', PostgreSQL 18) is a fact of the column.
-- conenforced exists from PostgreSQL 18 on: an older server finds no such column in the subquery and so takes the one of
-- "before_18" around it.
SELECT c.conrelid AS relation,
       c.conname AS name,
       c.contype::text AS kind,
       pg_get_constraintdef(c.oid) AS definition,
       c.conkey AS columns,
       rn.nspname AS referenced_schema,
       r.relname AS referenced_name,
       CASE WHEN c.contype = 'f' THEN ARRAY(
           SELECT a.attname
           FROM unnest(c.confkey) WITH ORDINALITY AS k (attnum, place)
           JOIN pg_attribute AS a ON a.attrelid = c.confrelid AND a.attnum = k.attnum
           ORDER BY k.place
       ) END AS referenced_columns,
       i.relname AS index_name,
       c.convalidated AS validated,
       c.conenforced AS enforced,
       c.condeferrable AS deferrable,
       c.conparentid <> 0 OR c.coninhcount > 0 AS inherited,
       obj_description(c.oid, 'pg_constraint') AS comment
FROM (VALUES (true)) AS before_18 (conenforced)
CROSS JOIN LATERAL (
    SELECT oid, conrelid, conname, contype, conkey, confrelid, confkey, conindid, convalidated, condeferrable,
           conparentid, coninhcount, conenforced
    FROM pg_constraint
) AS c
LEFT JOIN pg_class AS r ON r.oid = c.confrelid AND c.contype = 'f'
LEFT JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
LEFT JOIN pg_class AS i ON i.oid = c.conindid AND c.contype IN ('p', 'u', 'x')
WHERE c.conrelid >= 16384 AND c.contype IN ('p', 'u', 'x', 'c', 'f', 't')
ORDER BY c.conrelid, c.conname;
