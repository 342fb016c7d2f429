-- The tables $1 (OIDs), each with itself and, of a partitioned one, its partitions at any depth; the root is first.
SELECT root.oid AS root, class.oid, namespace.nspname, class.relname, class.relkind::text AS kind,
       class.relispartition AS is_partition,
       -- The process that applies a subscription fires row triggers, but no statement triggers.
       EXISTS (SELECT FROM pg_catalog.pg_subscription_rel AS subscribed WHERE subscribed.srrelid = class.oid)
           AS is_subscribed,
       NOT class.relispartition
           AND EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = class.oid) AS is_child,
       class.relkind <> 'p'
           AND EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = class.oid) AS is_parent,
       -- ROW, BEFORE and UPDATE: what may change a key that no statement names.
       EXISTS (SELECT FROM pg_catalog.pg_trigger AS trigger
               WHERE trigger.tgrelid = class.oid AND trigger.tgtype & 19 = 19) AS has_before_update,
       pg_catalog.pg_has_role(class.relowner, 'USAGE') AS is_ours,
       pg_catalog.pg_get_userbyid(class.relowner) AS owner
FROM pg_catalog.unnest($1::pg_catalog.oid[]) WITH ORDINALITY AS root (oid, position)
CROSS JOIN LATERAL (
    SELECT root.oid
    UNION
    SELECT relid::pg_catalog.oid FROM pg_catalog.pg_partition_tree(root.oid::pg_catalog.regclass)
) AS member (oid)
JOIN pg_catalog.pg_class AS class ON class.oid = member.oid
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
ORDER BY root.position, class.oid <> root.oid, class.oid;
