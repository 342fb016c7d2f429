-- Statistics targets set on columns of indexes. Unset is -1 up to PostgreSQL 16 and null from 17 on.
SELECT a.attrelid AS index, a.attnum AS number, a.attstattarget::int4 AS target
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
WHERE a.attrelid >= 16384 AND a.attnum > 0 AND a.attstattarget >= 0 AND c.relkind IN ('i', 'I')
ORDER BY a.attrelid, a.attnum;
