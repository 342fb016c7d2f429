-- Triggers of users, by name. Up to PostgreSQL 14 the copies that a partitioned table's trigger has on the partitions
-- count as internal; so do, always, those behind foreign keys and deferrable unique constraints, which are left out.
SELECT t.tgrelid AS relation,
       t.tgname AS name,
       pg_get_triggerdef(t.oid) AS definition,
       t.tgenabled::text AS enabled,
       t.tgparentid <> 0 AS inherited
FROM pg_trigger AS t
LEFT JOIN pg_constraint AS k ON k.oid = t.tgconstraint
WHERE (NOT t.tgisinternal OR t.tgparentid <> 0) AND coalesce(k.contype, 't') = 't'
ORDER BY t.tgrelid, t.tgname;
