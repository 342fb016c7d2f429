-- Tables and what can be read like one. This query decides what belongs to the catalog: the others only filter by OID
-- (the server's own objects are below 16384), and what they find for relations that are not here is dropped.
SELECT c.oid,
       n.nspname AS schema,
       c.relname AS name,
       c.relkind::text AS kind,
       c.relpersistence = 'u' AS unlogged,
       pg_get_userbyid(c.relowner) AS owner,
       c.relispartition AS is_partition,
       pg_get_expr(c.relpartbound, c.oid) AS partition_bound,
       CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS partition_key,
       c.relrowsecurity AS row_security,
       c.relforcerowsecurity AS force_row_security,
       c.relreplident::text AS replica_identity,
       -- -1: never analysed.
       nullif(c.reltuples, -1)::float8 AS row_estimate,
       -- Null for what has no storage, or was dropped since the snapshot.
       CASE WHEN c.relkind IN ('r', 'm') THEN pg_relation_size(c.oid) END AS main_bytes,
       CASE WHEN c.relkind IN ('r', 'm') THEN pg_table_size(c.oid) END AS bytes
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND c.relpersistence <> 't'
  AND n.nspname NOT LIKE 'pg\_%'
  AND n.nspname <> 'information_schema'
  AND NOT EXISTS (
      SELECT
      FROM pg_depend AS d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  );
