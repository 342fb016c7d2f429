-- The OIDs of all tables for which something of a capture is in this database, whether they are still there or not.
SELECT DISTINCT (pg_catalog.regexp_match(name, '^(?:capture|queue)_([0-9]{1,10})(?:_|$)'))[1]::pg_catalog.oid AS root
FROM (
    SELECT proname::text AS name, pronamespace AS namespace FROM pg_catalog.pg_proc
    WHERE prorettype = 'pg_catalog.trigger'::pg_catalog.regtype
    UNION ALL
    SELECT relname::text, relnamespace FROM pg_catalog.pg_class WHERE relkind IN ('r', 'S')
) AS object
WHERE namespace = pg_catalog.to_regnamespace('confiture')
  AND name ~ '^(capture_[0-9]{1,10}(_new|_old|_truncate)?|queue_[0-9]{1,10}_(0|1|segment))$'
ORDER BY 1;
