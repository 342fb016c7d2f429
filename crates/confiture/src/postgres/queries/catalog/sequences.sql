-- Sequences, who owns them, and where they stand.
SELECT n.nspname AS schema,
       c.relname AS name,
       format_type(s.seqtypid, NULL) AS data_type,
       s.seqstart AS start,
       s.seqincrement AS increment,
       s.seqmin AS min,
       s.seqmax AS max,
       s.seqcache AS cache,
       s.seqcycle AS cycle,
       -- Up to PostgreSQL 16 this function fails without the privilege, and on a standby where the sequence is unlogged.
       CASE
           WHEN has_sequence_privilege(c.oid, 'SELECT, USAGE')
                AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
           THEN pg_sequence_last_value(c.oid)
       END AS last_value,
       o.refobjid AS owner_relation,
       o.refobjsubid AS owner_column,
       coalesce(o.deptype = 'i', false) AS identity
FROM pg_sequence AS s
JOIN pg_class AS c ON c.oid = s.seqrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_depend AS o
    ON o.classid = 'pg_class'::regclass
    AND o.objid = c.oid
    AND o.refclassid = 'pg_class'::regclass
    AND o.refobjsubid > 0
    AND o.deptype IN ('a', 'i')
WHERE c.relpersistence <> 't'
  AND n.nspname NOT LIKE 'pg\_%'
  AND n.nspname <> 'information_schema'
  AND NOT EXISTS (
      SELECT
      FROM pg_depend AS d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  );
