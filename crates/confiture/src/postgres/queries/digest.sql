-- Every object that users have made, and all that `objects/*.sql` says of it: where no word of this differs between two states of a
-- database, no object does. The other way round not quite. Kinds that are rare are read from those files (digest.rs). Without the
-- table $1 (its name, or '') and what belongs to it; with $2, only what transactions from that one on have made.
WITH since AS (
    SELECT coalesce(pg_catalog.age($2::pg_catalog.text::pg_catalog.xid8::pg_catalog.xid), 2147483647) AS age
), without AS (
    SELECT coalesce(pg_catalog.to_regclass(nullif($1::pg_catalog.text, ''))::pg_catalog.oid, 0::pg_catalog.oid) AS oid
), mine AS (
    SELECT namespace.oid, namespace.nspname, namespace.nspowner, namespace.nspacl, namespace.xmin AS made
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
SELECT pg_catalog.format('schema %I', mine.nspname) AS object,
       ROW(pg_catalog.pg_get_userbyid(nspowner), nullif(nspacl::pg_catalog.text, pg_catalog.acldefault('n', nspowner)::pg_catalog.text))::pg_catalog.text AS definition
FROM mine
WHERE pg_catalog.age(made) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('extension %I', extname), ROW(extversion, extnamespace::pg_catalog.regnamespace)::pg_catalog.text FROM pg_catalog.pg_extension
WHERE pg_catalog.age(xmin) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('%s %I.%I',
           CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                        WHEN 'S' THEN 'sequence' WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' WHEN 'f' THEN 'foreign table'
                        ELSE 'type' END, nspname, relname),
       ROW(relkind, relpersistence, relreplident, relrowsecurity, relforcerowsecurity, reloptions, pg_catalog.pg_get_userbyid(relowner),
           nullif(relacl::pg_catalog.text, pg_catalog.acldefault(CASE relkind WHEN 'S' THEN 's'::pg_catalog."char" ELSE 'r' END, relowner)::pg_catalog.text),
           relam, reltablespace, CASE WHEN reloftype <> 0 THEN reloftype::pg_catalog.regtype END, pg_catalog.pg_get_expr(relpartbound, oid),
           CASE WHEN reltoastrelid <> 0 THEN (SELECT toast.reloptions FROM pg_catalog.pg_class AS toast WHERE toast.oid = relations.reltoastrelid) END,
           CASE WHEN relkind = 'f' THEN (SELECT ROW(server.srvname, ft.ftoptions)::pg_catalog.text FROM pg_catalog.pg_foreign_table AS ft
               JOIN pg_catalog.pg_foreign_server AS server ON server.oid = ft.ftserver WHERE ft.ftrelid = relations.oid) END,
           CASE WHEN relkind = 'p' THEN pg_catalog.pg_get_partkeydef(oid) END,
           CASE WHEN relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(oid) END,
           CASE WHEN relkind IN ('i', 'I') THEN (SELECT ROW(pg_catalog.pg_get_indexdef(relations.oid), indisvalid, indisclustered, indisreplident,
               CASE WHEN indexprs IS NOT NULL THEN (SELECT pg_catalog.string_agg(attnum || ' ' || attstattarget, ',' ORDER BY attnum)
                   FROM pg_catalog.pg_attribute WHERE attrelid = relations.oid AND attstattarget >= 0) END)::pg_catalog.text
               FROM pg_catalog.pg_index AS index WHERE index.indexrelid = relations.oid) END,
           CASE WHEN relkind = 'S' THEN (SELECT ROW(sequence.seqtypid::pg_catalog.regtype, seqstart, seqincrement, seqmin, seqmax, seqcycle, seqcache,
               (SELECT pg_catalog.pg_describe_object(own.refclassid, own.refobjid, own.refobjsubid)
                FROM pg_catalog.pg_depend AS own WHERE own.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND own.objid = relations.oid
                    AND own.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND own.refobjsubid > 0 AND own.deptype IN ('a', 'i')))::pg_catalog.text
               FROM pg_catalog.pg_sequence AS sequence WHERE sequence.seqrelid = relations.oid) END,
           (SELECT pg_catalog.string_agg(parent.inhparent::pg_catalog.regclass::pg_catalog.text, ', ' ORDER BY parent.inhseqno)
            FROM pg_catalog.pg_inherits AS parent WHERE parent.inhrelid = relations.oid))::pg_catalog.text
FROM relations
WHERE pg_catalog.age(made) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('column %I.%I.%I', nspname, relname, attname),
       ROW(pg_catalog.format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, attcollation::pg_catalog.regcollation,
           attstorage, attcompression, coalesce(attstattarget, -1), attislocal, attinhcount, attoptions, attfdwoptions, nullif(attacl::pg_catalog.text, '{}'),
           CASE WHEN atthasdef THEN (SELECT pg_catalog.pg_get_expr(adbin, adrelid) FROM pg_catalog.pg_attrdef WHERE adrelid = attrelid AND adnum = attnum) END)::pg_catalog.text
FROM pg_catalog.pg_attribute
JOIN relations ON relations.oid = attrelid AND relations.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
WHERE (attnum > 0 OR attacl IS NOT NULL) AND NOT attisdropped AND pg_catalog.age(pg_attribute.xmin) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('constraint %I of %s', conname,
           CASE WHEN conrelid <> 0 THEN conrelid::pg_catalog.regclass::pg_catalog.text ELSE contypid::pg_catalog.regtype::pg_catalog.text END),
       ROW(pg_catalog.pg_get_constraintdef(con.oid), convalidated, conislocal, coninhcount, conparentid <> 0)::pg_catalog.text
FROM pg_catalog.pg_constraint AS con
JOIN mine ON mine.oid = con.connamespace
WHERE (conrelid = 0 OR conrelid <> (SELECT oid FROM without)) AND NOT EXISTS (SELECT FROM members WHERE objid = conrelid AND conrelid <> 0)
  AND pg_catalog.age(con.xmin) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('trigger %I on %s', tgname, tgrelid::pg_catalog.regclass), ROW(pg_catalog.pg_get_triggerdef(tr.oid), tgenabled, tgparentid <> 0)::pg_catalog.text
FROM pg_catalog.pg_trigger AS tr JOIN relations ON relations.oid = tgrelid
WHERE NOT tgisinternal AND pg_catalog.age(tr.xmin) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('policy %I on %s', polname, polrelid::pg_catalog.regclass),
       ROW(polcmd, polpermissive,
           (SELECT pg_catalog.string_agg(CASE WHEN role = 0 THEN 'public' ELSE role::pg_catalog.regrole::pg_catalog.text END, ', ')
            FROM pg_catalog.unnest(polroles) AS role),
           pg_catalog.pg_get_expr(polqual, polrelid), pg_catalog.pg_get_expr(polwithcheck, polrelid))::pg_catalog.text
FROM pg_catalog.pg_policy JOIN relations ON relations.oid = polrelid
WHERE pg_catalog.age(pg_policy.xmin) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('rule %I on %s', rulename, ev_class::pg_catalog.regclass), ROW(pg_catalog.pg_get_ruledef(rw.oid), ev_enabled)::pg_catalog.text
FROM pg_catalog.pg_rewrite AS rw JOIN relations ON relations.oid = ev_class
WHERE rulename <> '_RETURN' AND pg_catalog.age(rw.xmin) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('routine %I.%I(%s)', mine.nspname, proname, pg_catalog.pg_get_function_identity_arguments(pro.oid)),
       ROW(CASE WHEN prokind <> 'a' THEN pg_catalog.pg_get_functiondef(pro.oid) ELSE (
               SELECT ROW(proparallel, pg_catalog.pg_get_function_arguments(pro.oid), pg_catalog.to_jsonb(agg) - '{aggfnoid,aggsortop,aggtranstype,aggmtranstype}'::pg_catalog.text[],
                   aggsortop::pg_catalog.regoperator, aggtranstype::pg_catalog.regtype, aggmtranstype::pg_catalog.regtype)::pg_catalog.text
               FROM pg_catalog.pg_aggregate AS agg WHERE aggfnoid = pro.oid) END,
           CASE WHEN NOT (proacl OPERATOR(pg_catalog.@>) pg_catalog.acldefault('f', proowner) AND proacl OPERATOR(pg_catalog.<@) pg_catalog.acldefault('f', proowner)) THEN proacl::pg_catalog.text END, pg_catalog.pg_get_userbyid(proowner))::pg_catalog.text
FROM pg_catalog.pg_proc AS pro JOIN mine ON mine.oid = pro.pronamespace
WHERE NOT EXISTS (SELECT FROM members WHERE classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND objid = pro.oid)
  AND pg_catalog.age(pro.xmin) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('type %I.%I', mine.nspname, typname),
       ROW(pg_catalog.to_jsonb(typ) - '{oid,typnamespace,typowner,typrelid,typelem,typarray,typbasetype,typcollation,typdefault,typdefaultbin,typacl}'::pg_catalog.text[],
           pg_catalog.format_type(typelem, NULL), pg_catalog.format_type(typbasetype, typtypmod), typcollation::pg_catalog.regcollation,
           coalesce(pg_catalog.pg_get_expr(typdefaultbin, 0), typdefault), pg_catalog.pg_get_userbyid(typowner),
           CASE WHEN NOT (typacl OPERATOR(pg_catalog.@>) pg_catalog.acldefault('T', typowner) AND typacl OPERATOR(pg_catalog.<@) pg_catalog.acldefault('T', typowner)) THEN typacl::pg_catalog.text END,
           CASE WHEN typtype = 'e' THEN (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
                                         FROM pg_catalog.pg_enum WHERE enumtypid = typ.oid) END,
           CASE WHEN typtype = 'c' THEN (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(attname), ', ' ORDER BY attnum)
                                         FROM pg_catalog.pg_attribute WHERE attrelid = typrelid AND attnum > 0 AND NOT attisdropped) END,
           CASE WHEN typtype = 'r' THEN (SELECT ROW(rngsubtype::pg_catalog.regtype, rngmultitypid::pg_catalog.regtype, rngcollation::pg_catalog.regcollation, rngcanonical, rngsubdiff,
               (SELECT ROW(opcnamespace::pg_catalog.regnamespace, opcname)::pg_catalog.text FROM pg_catalog.pg_opclass WHERE pg_opclass.oid = rngsubopc))::pg_catalog.text
               FROM pg_catalog.pg_range WHERE rngtypid = typ.oid) END)::pg_catalog.text
FROM pg_catalog.pg_type AS typ JOIN mine ON mine.oid = typ.typnamespace
WHERE typtype <> 'm' AND (typrelid = 0 OR EXISTS (SELECT FROM relations WHERE relations.oid = typrelid AND relkind = 'c'))
  AND (typelem = 0 OR typtype <> 'b' OR NOT EXISTS (SELECT FROM pg_catalog.pg_type AS element WHERE element.typarray = typ.oid))
  AND NOT EXISTS (SELECT FROM members WHERE classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND objid = typ.oid)
  AND pg_catalog.age(typ.xmin) <= (SELECT age FROM since)
UNION ALL
SELECT pg_catalog.format('statistics %I.%I', mine.nspname, stxname),
       ROW(pg_catalog.pg_get_statisticsobjdef(stx.oid), pg_catalog.pg_get_expr(stxexprs, stxrelid), stxkind, coalesce(stxstattarget, -1),
           pg_catalog.pg_get_userbyid(stxowner))::pg_catalog.text
FROM pg_catalog.pg_statistic_ext AS stx JOIN mine ON mine.oid = stx.stxnamespace
WHERE pg_catalog.age(stx.xmin) <= (SELECT age FROM since)
UNION ALL
SELECT 'comment on ' || pg_catalog.pg_describe_object(des.classoid, des.objoid, des.objsubid), des.description
FROM pg_catalog.pg_description AS des
WHERE (des.objoid >= 16384 OR des.classoid IN ('pg_catalog.pg_namespace'::pg_catalog.regclass, 'pg_catalog.pg_extension'::pg_catalog.regclass)) AND des.objoid <> (SELECT oid FROM without) AND pg_catalog.age(des.xmin) <= (SELECT age FROM since)
  AND NOT EXISTS (SELECT FROM members WHERE members.classid = des.classoid AND members.objid = des.objoid)
ORDER BY 1, 2;
