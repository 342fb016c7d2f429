-- Who is a partition of whom or inherits from whom, in the order of the parents. For indexes: which is attached to which.
-- What is being detached concurrently is no longer read through its parent, and so is left out.
SELECT i.inhrelid AS child, i.inhparent AS parent, n.nspname AS parent_schema, c.relname AS parent_name
FROM pg_inherits AS i
JOIN pg_class AS c ON c.oid = i.inhparent
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT i.inhdetachpending
ORDER BY i.inhrelid, i.inhseqno;
