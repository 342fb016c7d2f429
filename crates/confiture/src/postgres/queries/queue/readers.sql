-- The queues that are there: the OID of the captured table, its name, and who reads the queue, as the comment of its
-- sequence says.
SELECT queue.root, coalesce(queue.root::pg_catalog.regclass::text, queue.root::text) AS captured, queue.comment
FROM (
    SELECT (pg_catalog.regexp_match(class.relname, '^queue_([0-9]{1,10})_segment$'))[1]::pg_catalog.oid AS root,
           pg_catalog.obj_description(class.oid, 'pg_class') AS comment
    FROM pg_catalog.pg_class AS class
    WHERE class.relnamespace = pg_catalog.to_regnamespace('confiture') AND class.relkind = 'S'
      AND class.relname ~ '^queue_[0-9]{1,10}_segment$'
) AS queue
ORDER BY queue.root;
