-- Every object that users have made, and what defines it: what is the same in two databases whose schemas are the same. Without the
-- table $1 (its name, or '') and what belongs to it; with $2, only what transactions from that one on have made. Columns are compared
-- by name, not by place.
WITH since AS (
    SELECT coalesce(pg_catalog.age($2::pg_catalog.text::pg_catalog.xid8::pg_catalog.xid), 2147483647) AS age
), without AS (
    SELECT coalesce(pg_catalog.to_regclass(nullif($1::pg_catalog.text, ''))::pg_catalog.oid, 0::pg_catalog.oid) AS oid
), mine AS (
    SELECT namespace.oid, namespace.nspname, namespace.xmin AS made
    FROM pg_catalog.pg_namespace AS namespace
    WHERE namespace.nspname NOT IN ('pg_catalog', 'information_schema')
      AND namespace.nspname !~ '^pg_(toast|temp_)'
), members AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
), relations AS (
    SELECT class.*, mine.nspname, class.xmin AS made
    FROM pg_catalog.pg_class AS class
    JOIN mine ON mine.oid = class.relnamespace
    WHERE class.oid <> (SELECT oid FROM without)
      AND NOT EXISTS (SELECT FROM members WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND objid = class.oid)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_index AS own WHERE own.indexrelid = class.oid AND own.indrelid = (SELECT oid FROM without))
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS own
                      WHERE own.objid = class.oid AND own.refobjid = (SELECT oid FROM without) AND own.deptype IN ('a', 'i') AND class.relkind = 'S')
)
SELECT pg_catalog.format('schema %I', mine.nspname) AS object, mine.nspname::pg_catalog.text AS definition FROM mine
WHERE pg_catalog.age(made) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('extension %I', extname), extversion FROM pg_catalog.pg_extension
WHERE pg_catalog.age(xmin) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('%s %I.%I',
           CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                        WHEN 'S' THEN 'sequence' WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' WHEN 'f' THEN 'foreign table'
                        ELSE 'type' END, nspname, relname),
       pg_catalog.concat_ws(' | ', relkind, relpersistence, relreplident, relrowsecurity, relforcerowsecurity, reloptions::pg_catalog.text,
           relacl::pg_catalog.text, pg_catalog.pg_get_userbyid(relowner), pg_catalog.pg_get_expr(relpartbound, oid),
           CASE WHEN relkind = 'p' THEN pg_catalog.pg_get_partkeydef(oid) END,
           CASE WHEN relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(oid) END,
           (SELECT pg_catalog.pg_get_indexdef(relations.oid) || ' ' || index.indisvalid FROM pg_catalog.pg_index AS index
            WHERE index.indexrelid = relations.oid),
           (SELECT pg_catalog.concat_ws(' ', sequence.seqtypid::pg_catalog.regtype, seqstart, seqincrement, seqmin, seqmax, seqcycle, seqcache)
            FROM pg_catalog.pg_sequence AS sequence WHERE sequence.seqrelid = relations.oid),
           (SELECT pg_catalog.string_agg(parent.inhparent::pg_catalog.regclass::pg_catalog.text, ', ' ORDER BY parent.inhseqno)
            FROM pg_catalog.pg_inherits AS parent WHERE parent.inhrelid = relations.oid))
FROM relations
WHERE pg_catalog.age(made) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('column %I.%I.%I', nspname, relname, attname),
       pg_catalog.concat_ws(' | ', pg_catalog.format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated,
           attcollation::pg_catalog.regcollation, attstorage, attoptions::pg_catalog.text, attacl::pg_catalog.text,
           (SELECT pg_catalog.pg_get_expr(adbin, adrelid) FROM pg_catalog.pg_attrdef WHERE adrelid = attrelid AND adnum = attnum))
FROM pg_catalog.pg_attribute
JOIN relations ON relations.oid = attrelid AND relations.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
WHERE attnum > 0 AND NOT attisdropped AND pg_catalog.age(pg_attribute.xmin) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('constraint %I of %s', conname,
           CASE WHEN conrelid <> 0 THEN conrelid::pg_catalog.regclass::pg_catalog.text ELSE contypid::pg_catalog.regtype::pg_catalog.text END),
       pg_catalog.concat_ws(' | ', pg_catalog.pg_get_constraintdef(con.oid), convalidated)
FROM pg_catalog.pg_constraint AS con
JOIN mine ON mine.oid = con.connamespace
WHERE (conrelid = 0 OR conrelid <> (SELECT oid FROM without)) AND NOT EXISTS (SELECT FROM members WHERE objid = conrelid AND conrelid <> 0)
  AND pg_catalog.age(con.xmin) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('trigger %I on %s', tgname, tgrelid::pg_catalog.regclass), pg_catalog.concat_ws(' ', pg_catalog.pg_get_triggerdef(tr.oid), tgenabled)
FROM pg_catalog.pg_trigger AS tr JOIN relations ON relations.oid = tgrelid
WHERE NOT tgisinternal AND pg_catalog.age(tr.xmin) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('policy %I on %s', polname, polrelid::pg_catalog.regclass),
       pg_catalog.concat_ws(' | ', polcmd, polpermissive,
           (SELECT pg_catalog.string_agg(CASE WHEN role = 0 THEN 'public' ELSE role::pg_catalog.regrole::pg_catalog.text END, ', ')
            FROM pg_catalog.unnest(polroles) AS role),
           pg_catalog.pg_get_expr(polqual, polrelid), pg_catalog.pg_get_expr(polwithcheck, polrelid))
FROM pg_catalog.pg_policy JOIN relations ON relations.oid = polrelid
WHERE pg_catalog.age(pg_policy.xmin) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('rule %I on %s', rulename, ev_class::pg_catalog.regclass), pg_catalog.pg_get_ruledef(rw.oid)
FROM pg_catalog.pg_rewrite AS rw JOIN relations ON relations.oid = ev_class AND relations.relkind NOT IN ('v', 'm')
WHERE pg_catalog.age(rw.xmin) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('routine %I.%I(%s)', mine.nspname, proname, pg_catalog.pg_get_function_identity_arguments(pro.oid)),
       pg_catalog.concat_ws(' | ', CASE WHEN prokind = 'a' THEN pg_catalog.pg_get_function_result(pro.oid)
                                        ELSE pg_catalog.pg_get_functiondef(pro.oid) END,
           proacl::pg_catalog.text, pg_catalog.pg_get_userbyid(proowner))
FROM pg_catalog.pg_proc AS pro JOIN mine ON mine.oid = pro.pronamespace
WHERE NOT EXISTS (SELECT FROM members WHERE classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND objid = pro.oid)
  AND pg_catalog.age(pro.xmin) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('type %I.%I', mine.nspname, typname),
       pg_catalog.concat_ws(' | ', typtype, pg_catalog.format_type(typbasetype, typtypmod), typnotnull, typdefault, typacl::pg_catalog.text,
           (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
            FROM pg_catalog.pg_enum WHERE enumtypid = typ.oid),
           (SELECT rngsubtype::pg_catalog.regtype::pg_catalog.text FROM pg_catalog.pg_range WHERE rngtypid = typ.oid))
FROM pg_catalog.pg_type AS typ JOIN mine ON mine.oid = typ.typnamespace
WHERE typtype IN ('e', 'd', 'r')
  AND NOT EXISTS (SELECT FROM members WHERE classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND objid = typ.oid)
  AND pg_catalog.age(typ.xmin) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('statistics %I.%I', mine.nspname, stxname), pg_catalog.pg_get_statisticsobjdef(stx.oid)
FROM pg_catalog.pg_statistic_ext AS stx JOIN mine ON mine.oid = stx.stxnamespace
WHERE pg_catalog.age(stx.xmin) <= (SELECT age FROM since)
UNION ALL
SELECT 'comment on ' || pg_catalog.pg_describe_object(des.classoid, des.objoid, des.objsubid), des.description
FROM pg_catalog.pg_description AS des
WHERE des.objoid >= 16384 AND des.objoid <> (SELECT oid FROM without) AND pg_catalog.age(des.xmin) <= (SELECT age FROM since)
  AND NOT EXISTS (SELECT FROM members WHERE members.classid = des.classoid AND members.objid = des.objoid)
  AND des.classoid <> 'pg_catalog.pg_extension'::pg_catalog.regclass
ORDER BY 1, 2;
