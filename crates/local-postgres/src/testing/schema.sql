-- What a database is made of, one line per thing, for servers that no pg_dump of this machine can read. Runs in psql; the
-- variable "without" names a schema to leave out. Says nothing that changes when the same thing is made again: no OIDs,
-- no column numbers, only the columns' order; privileges that nobody granted are those that the owner has by default.
-- Of access methods, operators and their classes, casts, conversions, languages, transforms and text search objects, only
-- that they exist is said, not how they are defined.
SET search_path = '';
WITH schema AS (
    SELECT *
    FROM pg_catalog.pg_namespace
    WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema' AND nspname <> :'without'
), member AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
), class AS (
    SELECT c.*, schema.nspname
    FROM pg_catalog.pg_class AS c
    JOIN schema ON schema.oid = c.relnamespace
    WHERE NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND objid = c.oid)
), relation AS (
    SELECT * FROM class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
), line (line) AS (
    SELECT ROW('database', pg_get_userbyid(datdba), encoding, datcollate, datctype, datconnlimit,
               ARRAY(SELECT acl::text FROM unnest(coalesce(datacl, acldefault('d', datdba))) AS acl ORDER BY 1), obj.description)::text
    FROM pg_catalog.pg_database AS d
    LEFT JOIN pg_catalog.pg_shdescription AS obj ON obj.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass AND obj.objoid = d.oid
    WHERE datname = current_database()
    UNION ALL
    SELECT ROW('setting', coalesce(r.rolname, ''), s.setconfig)::text
    FROM pg_catalog.pg_db_role_setting AS s
    JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase AND d.datname = current_database()
    LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
    UNION ALL
    SELECT ROW('schema', nspname, pg_get_userbyid(nspowner),
               ARRAY(SELECT acl::text FROM unnest(coalesce(nspacl, acldefault('n', nspowner))) AS acl ORDER BY 1))::text FROM schema
    UNION ALL
    SELECT ROW('extension', extname, extnamespace::regnamespace)::text FROM pg_catalog.pg_extension
    UNION ALL
    SELECT ROW('relation', c.oid::regclass, c.relkind, c.relpersistence, pg_get_userbyid(c.relowner),
               ARRAY(SELECT acl::text FROM unnest(coalesce(c.relacl, acldefault('r', c.relowner))) AS acl ORDER BY 1), c.reloptions,
               toast.reloptions, am.amname, t.spcname, c.reloftype::regtype, c.relrowsecurity, c.relforcerowsecurity,
               c.relreplident, c.relispartition, pg_get_expr(c.relpartbound, c.oid), c.relispopulated,
               CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END,
               CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END)::text
    FROM relation AS c
    LEFT JOIN pg_catalog.pg_class AS toast ON toast.oid = c.reltoastrelid
    LEFT JOIN pg_catalog.pg_am AS am ON am.oid = c.relam
    LEFT JOIN pg_catalog.pg_tablespace AS t ON t.oid = c.reltablespace
    UNION ALL
    SELECT ROW('column', c.oid::regclass, row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum), a.attname,
               format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity,
               a.attgenerated, nullif(a.attcollation, 0)::regcollation, a.attstorage, a.attcompression,
               nullif(a.attstattarget, -1), a.attoptions, a.attfdwoptions, a.attislocal, a.attinhcount, a.attacl)::text
    FROM relation AS c
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
    UNION ALL
    SELECT ROW('inheritance', i.inhrelid::regclass, i.inhseqno, i.inhparent::regclass, i.inhdetachpending)::text
    FROM pg_catalog.pg_inherits AS i
    JOIN class ON class.oid = i.inhrelid
    UNION ALL
    -- From PostgreSQL 18 on, NOT NULL is among them. Which of two equal unique indexes a foreign key refers to is left
    -- out, as pg_dump leaves it out: made again, the server chooses. So is whether a foreign key is handed on: that tells whether it
    -- came with the whole's, or was there before and was taken for it. And so is what VALIDATE CONSTRAINT has left undone, up to PostgreSQL
    -- 17, for the single partitions of a table that is referred to: nothing asks for that, the whole's says that all rows were read.
    SELECT ROW('constraint', nullif(k.conrelid, 0)::regclass, nullif(k.contypid, 0)::regtype, k.conname, k.contype,
               CASE WHEN k.conrelid = parent.conrelid THEN replace(pg_get_constraintdef(k.oid), ' NOT VALID', '') ELSE pg_get_constraintdef(k.oid) END,
               k.convalidated OR coalesce(k.conrelid = parent.conrelid, false), k.condeferrable, k.condeferred, k.conislocal, k.coninhcount,
               k.contype NOT IN ('p', 'u', 'x', 'f') AND k.connoinherit, CASE WHEN k.contype IN ('p', 'u', 'x') THEN k.conindid::regclass END, parent.conrelid::regclass, parent.conname)::text
    FROM pg_catalog.pg_constraint AS k
    JOIN schema ON schema.oid = k.connamespace
    LEFT JOIN pg_catalog.pg_constraint AS parent ON parent.oid = k.conparentid
    WHERE k.conrelid = 0 OR k.conrelid IN (SELECT oid FROM class)
    UNION ALL
    SELECT ROW('index', i.indexrelid::regclass, pg_get_indexdef(i.indexrelid), i.indisunique, i.indisprimary, i.indimmediate,
               i.indisvalid, i.indisready, i.indisclustered, i.indisreplident, t.spcname, pg_get_userbyid(class.relowner))::text
    FROM pg_catalog.pg_index AS i
    JOIN class ON class.oid = i.indexrelid
    LEFT JOIN pg_catalog.pg_tablespace AS t ON t.oid = class.reltablespace
    UNION ALL
    SELECT ROW('index column', class.oid::regclass, a.attnum, a.attstattarget, a.attoptions)::text
    FROM class
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = class.oid
    WHERE class.relkind IN ('i', 'I') AND a.attstattarget >= 0
    UNION ALL
    -- Those behind foreign keys and deferrable constraints are named by OIDs: the function tells them apart.
    SELECT ROW('trigger', t.tgrelid::regclass, CASE WHEN t.tgconstraint = 0 OR k.contype = 't' THEN t.tgname END, k.conname,
               t.tgfoid::regprocedure, t.tgenabled, t.tgisinternal, parent.tgrelid::regclass,
               CASE WHEN t.tgconstraint = 0 OR k.contype = 't' THEN pg_get_triggerdef(t.oid) END)::text
    FROM pg_catalog.pg_trigger AS t
    JOIN class ON class.oid = t.tgrelid
    LEFT JOIN pg_catalog.pg_constraint AS k ON k.oid = t.tgconstraint
    LEFT JOIN pg_catalog.pg_trigger AS parent ON parent.oid = t.tgparentid
    UNION ALL
    SELECT ROW('rule', r.ev_class::regclass, r.rulename, r.ev_enabled, pg_get_ruledef(r.oid))::text
    FROM pg_catalog.pg_rewrite AS r
    JOIN class ON class.oid = r.ev_class
    UNION ALL
    SELECT ROW('policy', p.polrelid::regclass, p.polname, p.polcmd, p.polpermissive,
               ARRAY(SELECT CASE role WHEN 0 THEN 'public' ELSE pg_get_userbyid(role) END FROM unnest(p.polroles) AS role),
               pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))::text
    FROM pg_catalog.pg_policy AS p
    JOIN class ON class.oid = p.polrelid
    UNION ALL
    SELECT ROW('sequence', class.oid::regclass, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax,
               s.seqcache, s.seqcycle, class.relpersistence,
               ARRAY(SELECT acl::text FROM unnest(coalesce(class.relacl, acldefault('s', class.relowner))) AS acl ORDER BY 1), pg_get_userbyid(class.relowner),
               nullif(o.refobjid, 0)::regclass, a.attname, o.deptype)::text
    FROM pg_catalog.pg_sequence AS s
    JOIN class ON class.oid = s.seqrelid
    LEFT JOIN pg_catalog.pg_depend AS o
        ON o.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND o.objid = class.oid AND o.refobjsubid > 0
        AND o.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND o.deptype IN ('a', 'i')
    LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = o.refobjid AND a.attnum = o.refobjsubid
    UNION ALL
    SELECT ROW('statistics', s.stxname, s.stxrelid::regclass, pg_get_statisticsobjdef(s.oid), s.stxstattarget)::text
    FROM pg_catalog.pg_statistic_ext AS s
    JOIN schema ON schema.oid = s.stxnamespace
    UNION ALL
    SELECT ROW('type', t.oid::regtype, t.typtype, t.typcategory, pg_get_userbyid(t.typowner),
               ARRAY(SELECT acl::text FROM unnest(coalesce(t.typacl, acldefault('T', t.typowner))) AS acl ORDER BY 1), pg_get_expr(t.typdefaultbin, 'pg_type'::regclass),
               t.typnotnull, format_type(nullif(t.typbasetype, 0), t.typtypmod), nullif(t.typcollation, 0)::regcollation,
               r.rngsubtype::regtype, r.rngmultitypid::regtype, r.rngsubdiff, t.typinput, t.typstorage, t.typalign,
               ARRAY(SELECT enumlabel FROM pg_catalog.pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder))::text
    FROM pg_catalog.pg_type AS t
    JOIN schema ON schema.oid = t.typnamespace
    LEFT JOIN pg_catalog.pg_range AS r ON r.rngtypid = t.oid
    WHERE NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_type'::pg_catalog.regclass AND objid = t.oid)
    UNION ALL
    SELECT ROW('routine', p.oid::regprocedure, p.prokind, pg_get_userbyid(p.proowner),
               ARRAY(SELECT acl::text FROM unnest(coalesce(p.proacl, acldefault('f', p.proowner))) AS acl ORDER BY 1),
               CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END, pg_get_function_result(p.oid),
               a.aggkind, a.aggtransfn, a.aggfinalfn, a.aggcombinefn, a.aggtranstype::regtype, a.agginitval)::text
    FROM pg_catalog.pg_proc AS p
    JOIN schema ON schema.oid = p.pronamespace
    LEFT JOIN pg_catalog.pg_aggregate AS a ON a.aggfnoid = p.oid
    WHERE NOT EXISTS (SELECT FROM member WHERE classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND objid = p.oid)
    UNION ALL
    SELECT ROW('collation', c.oid::regcollation, c.collprovider, c.collisdeterministic, c.collcollate, c.collctype)::text
    FROM pg_catalog.pg_collation AS c
    JOIN schema ON schema.oid = c.collnamespace
    UNION ALL
    SELECT ROW('foreign server', s.srvname, w.fdwname, pg_get_userbyid(s.srvowner), 
               ARRAY(SELECT acl::text FROM unnest(coalesce(s.srvacl, acldefault('S', s.srvowner))) AS acl ORDER BY 1), s.srvoptions)::text
    FROM pg_catalog.pg_foreign_server AS s
    JOIN pg_catalog.pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
    UNION ALL
    SELECT ROW('foreign data wrapper', fdwname, nullif(fdwhandler, 0)::regproc, nullif(fdwvalidator, 0)::regproc, 
               ARRAY(SELECT acl::text FROM unnest(coalesce(fdwacl, acldefault('F', fdwowner))) AS acl ORDER BY 1), fdwoptions)::text
    FROM pg_catalog.pg_foreign_data_wrapper
    UNION ALL
    SELECT ROW('user mapping', srvname, usename, umoptions)::text FROM pg_catalog.pg_user_mappings
    UNION ALL
    SELECT ROW('foreign table', f.ftrelid::regclass, s.srvname, f.ftoptions)::text
    FROM pg_catalog.pg_foreign_table AS f
    JOIN class ON class.oid = f.ftrelid
    JOIN pg_catalog.pg_foreign_server AS s ON s.oid = f.ftserver
    UNION ALL
    SELECT ROW('event trigger', evtname, evtevent, evtfoid::regproc, evtenabled, evttags)::text FROM pg_catalog.pg_event_trigger
    UNION ALL
    SELECT ROW('publication', p.pubname, p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot,
               ARRAY(SELECT prrelid::regclass::text FROM pg_catalog.pg_publication_rel WHERE prpubid = p.oid ORDER BY 1))::text
    FROM pg_catalog.pg_publication AS p
    UNION ALL
    SELECT ROW('default privileges', pg_get_userbyid(defaclrole), nullif(defaclnamespace, 0)::regnamespace, defaclobjtype, defaclacl)::text
    FROM pg_catalog.pg_default_acl
    UNION ALL
    SELECT ROW('comment', named.type, named.identity, d.description)::text
    FROM pg_catalog.pg_description AS d
    CROSS JOIN LATERAL pg_identify_object(d.classoid, d.objoid, d.objsubid) AS named
    WHERE (d.objoid >= 16384 OR d.objoid IN (SELECT oid FROM schema)) AND named.schema IS DISTINCT FROM :'without'
      AND (named.type, named.name) IS DISTINCT FROM ('schema', :'without')
    UNION ALL
    SELECT ROW('other', named.type, named.identity)::text
    FROM (
        SELECT 'pg_catalog.pg_am'::pg_catalog.regclass AS classid, oid FROM pg_catalog.pg_am
        -- A name that nothing stands behind is none for pg_dump either.
        UNION ALL SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass, oid FROM pg_catalog.pg_operator WHERE oprcode <> 0
        UNION ALL SELECT 'pg_catalog.pg_opclass'::pg_catalog.regclass, oid FROM pg_catalog.pg_opclass
        UNION ALL SELECT 'pg_catalog.pg_opfamily'::pg_catalog.regclass, oid FROM pg_catalog.pg_opfamily
        UNION ALL SELECT 'pg_catalog.pg_cast'::pg_catalog.regclass, oid FROM pg_catalog.pg_cast
        UNION ALL SELECT 'pg_catalog.pg_conversion'::pg_catalog.regclass, oid FROM pg_catalog.pg_conversion
        UNION ALL SELECT 'pg_catalog.pg_language'::pg_catalog.regclass, oid FROM pg_catalog.pg_language
        UNION ALL SELECT 'pg_catalog.pg_transform'::pg_catalog.regclass, oid FROM pg_catalog.pg_transform
        UNION ALL SELECT 'pg_catalog.pg_ts_config'::pg_catalog.regclass, oid FROM pg_catalog.pg_ts_config
        UNION ALL SELECT 'pg_catalog.pg_ts_dict'::pg_catalog.regclass, oid FROM pg_catalog.pg_ts_dict
        UNION ALL SELECT 'pg_catalog.pg_ts_parser'::pg_catalog.regclass, oid FROM pg_catalog.pg_ts_parser
        UNION ALL SELECT 'pg_catalog.pg_ts_template'::pg_catalog.regclass, oid FROM pg_catalog.pg_ts_template
    ) AS other
    CROSS JOIN LATERAL pg_identify_object(other.classid, other.oid, 0) AS named
    WHERE other.oid >= 16384
)
SELECT line FROM line ORDER BY line COLLATE "C";
