-- Relations by their OIDs, as far as a plan is made for them: columns in the order of their numbers, and partitions.
-- $1: their OIDs.
SELECT class.oid, namespace.nspname::pg_catalog.text, class.relname::pg_catalog.text, class.relkind = 'p',
       coalesce(columns.numbers, '{}'), coalesce(columns.names, '{}'), coalesce(columns.types, '{}'),
       coalesce((
           SELECT pg_catalog.array_agg(inherits.inhrelid) FROM pg_catalog.pg_inherits AS inherits
           WHERE inherits.inhparent = class.oid AND NOT inherits.inhdetachpending
       ), '{}')
FROM pg_catalog.pg_class AS class
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
CROSS JOIN LATERAL (
    SELECT pg_catalog.array_agg(attribute.attnum ORDER BY attribute.attnum),
           pg_catalog.array_agg(attribute.attname::pg_catalog.text ORDER BY attribute.attnum),
           pg_catalog.array_agg(attribute.atttypid ORDER BY attribute.attnum)
    FROM pg_catalog.pg_attribute AS attribute
    WHERE attribute.attrelid = class.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
) AS columns (numbers, names, types)
WHERE class.oid = ANY ($1::pg_catalog.oid[]);
