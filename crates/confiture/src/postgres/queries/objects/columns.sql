SELECT CASE WHEN c.relkind IN ('v', 'm') THEN 'view column' ELSE 'column' END AS kind, 'pg_class' AS class, c.oid, a.attnum::int AS sub,
    n.nspname AS "schema", a.attname AS "name", format('%I.%I.%I', n.nspname, c.relname, a.attname) AS "identity",
    format('COLUMN %I.%I.%I', n.nspname, c.relname, a.attname) AS "phrase",
    json_build_array('pg_class', c.oid, 0) AS "parent json",
    CASE WHEN c.relkind IN ('v', 'm') THEN '' ELSE format('%I', a.attname) END AS "create",
    '' AS "definition",
    CASE WHEN c.relkind IN ('v', 'm') THEN '' ELSE format('ALTER%s TABLE %I.%I DROP COLUMN %I',
        CASE c.relkind WHEN 'f' THEN ' FOREIGN' ELSE '' END, n.nspname, c.relname, a.attname) END AS "drop",
    to_json(a.attacl::text[]) AS "acl json", '[]' AS "acl_default json", NULL AS "owner",
    a.attinhcount > 0 AND NOT a.attislocal AS "inherited bool",
    format('ALTER %s %I.%I ALTER COLUMN %I', CASE c.relkind WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END, n.nspname, c.relname, a.attname) AS "alter",
    to_json(a.attfdwoptions) AS "foreign_options json",
    to_json(a.attoptions) AS "options json",
    CASE WHEN c.relkind <> 'v' THEN json_build_array(a.attstorage, format('%s SET STORAGE %s', x.alter, CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'x' THEN 'EXTENDED' ELSE 'MAIN' END), a.attstorage = t.typstorage) END AS "facets.storage json",
    CASE WHEN c.relkind <> 'v' THEN json_build_array(a.attcompression, format('%s SET COMPRESSION %s', x.alter, CASE a.attcompression WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' ELSE 'default' END), a.attcompression = '') END AS "facets.compression json",
    CASE WHEN c.relkind <> 'v' THEN json_build_array(coalesce(a.attstattarget, -1), format('%s SET STATISTICS %s', x.alter, coalesce(a.attstattarget, -1)), coalesce(a.attstattarget, -1) = -1) END AS "facets.statistics json",
    -- A copy made with LIKE counts in bigint, whatever the column's type.
    CASE WHEN s.oid IS NOT NULL THEN json_build_array(CASE WHEN s.seqtypid <> a.atttypid THEN format('%s %s %s', s.seqtypid::regtype, s.seqmin, s.seqmax) END,
            format('ALTER SEQUENCE %I.%I AS %s MINVALUE %s MAXVALUE %s', s.nspname, s.relname, format_type(s.seqtypid, NULL), s.seqmin, s.seqmax), s.seqtypid = a.atttypid) END AS "facets.identity sequence json",
    -- What is on disk goes with the table, unless somebody has said otherwise.
    CASE WHEN s.oid IS NOT NULL AND current_setting('server_version_num')::int >= 150000 THEN json_build_array(s.relpersistence <> c.relpersistence,
            format('ALTER SEQUENCE %I.%I SET %s', s.nspname, s.relname, CASE s.relpersistence WHEN 'u' THEN 'UNLOGGED' ELSE 'LOGGED' END), s.relpersistence = c.relpersistence) END AS "facets.identity persistence json",
    a.attnum AS "details.number json", a.attislocal AS "details.local bool", a.attinhcount AS "details.inherit_count json",
    format_type(a.atttypid, a.atttypmod) AS "details.type",
    CASE WHEN t.typtype <> 'd' THEN format_type(a.atttypid, NULL) ELSE (
            WITH RECURSIVE down AS (SELECT t.typtype, t.typbasetype UNION ALL SELECT u.typtype, u.typbasetype FROM down JOIN pg_type u ON u.oid = down.typbasetype WHERE u.typtype = 'd')
            SELECT format_type(down.typbasetype, NULL) FROM down JOIN pg_type u ON u.oid = down.typbasetype WHERE u.typtype <> 'd') END AS "details.base", format_type(a.atttypid, NULL) AS "details.plain", t.typtype AS "details.typtype", t.typcategory AS "details.category",
    CASE WHEN a.attcollation <> t.typcollation THEN format('%I.%I', cn.nspname, co.collname) END AS "details.collation",
    a.attnotnull AS "details.not_null bool",
    c.relkind = 'p' AND EXISTS (SELECT FROM pg_depend k WHERE k.classid = 'pg_class'::regclass AND k.objid = c.oid AND k.objsubid = a.attnum AND k.refclassid = 'pg_class'::regclass AND k.refobjid = c.oid AND k.refobjsubid = 0 AND k.deptype = 'i') AS "details.in_key bool",
    CASE WHEN a.attnotnull AND current_setting('server_version_num')::int >= 180000 THEN (
            SELECT json_build_object('name', k.conname, 'valid', k.convalidated, 'goes_down', NOT k.connoinherit, 'own', k.coninhcount = 0, 'local', k.conislocal,
                'plain', k.conname = concat(c.relname, '_', a.attname, '_not_null') AND k.convalidated AND NOT k.connoinherit,
                'comment', obj_description(k.oid, 'pg_constraint'))
            FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum]) END AS "details.not_null_constraint json",
    CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END AS "details.generated",
    CASE a.attgenerated WHEN 's' THEN 'STORED' WHEN 'v' THEN 'VIRTUAL' END AS "details.generated_kind",
    CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END AS "details.identity",
    CASE WHEN s.oid IS NOT NULL THEN json_build_array(format('%I.%I', s.nspname, s.relname), format('INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s',
                s.seqincrement, greatest(s.seqmin, -v.highest - 1), least(s.seqmax, v.highest), s.seqstart, s.seqcache, CASE WHEN s.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END),
            s.seqincrement = 1 AND s.seqmin = 1 AND s.seqstart = 1 AND s.seqcache = 1 AND NOT s.seqcycle AND s.seqmax >= v.highest,
            s.relpersistence, s.nspname, s.relname,
            pg_get_userbyid(s.relowner), s.relacl::text[], acldefault('s', s.relowner)::text[], (SELECT o.description FROM pg_description o WHERE o.objoid = s.oid AND o.classoid = 'pg_class'::regclass AND o.objsubid = 0),
            EXISTS (SELECT FROM pg_type st WHERE st.typname = s.relname AND st.typnamespace = s.relnamespace AND st.typrelid <> s.oid)) END AS "details.sequence json"
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_type t ON t.oid = a.atttypid
-- OFFSET 0: computed once for each row, however often it is used.
CROSS JOIN LATERAL (SELECT format('ALTER%s TABLE ONLY %I.%I ALTER COLUMN %I', CASE c.relkind WHEN 'f' THEN ' FOREIGN' ELSE '' END, n.nspname, c.relname, a.attname) OFFSET 0) AS y(base)
CROSS JOIN LATERAL (SELECT CASE c.relkind WHEN 'm' THEN format('ALTER MATERIALIZED VIEW %I.%I ALTER COLUMN %I', n.nspname, c.relname, a.attname) ELSE y.base END OFFSET 0) AS x(alter)
LEFT JOIN pg_collation co ON co.oid = a.attcollation LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.attgenerated <> ''
-- The sequence behind an identity column.
LEFT JOIN LATERAL (SELECT sc.oid, sc.relname, sc.relpersistence, sc.relowner, sc.relacl, sc.relnamespace, sn.nspname, q.*
    FROM pg_depend dp JOIN pg_class sc ON sc.oid = dp.objid JOIN pg_namespace sn ON sn.oid = sc.relnamespace JOIN pg_sequence q ON q.seqrelid = sc.oid
    WHERE a.attidentity <> '' AND dp.refclassid = 'pg_class'::regclass AND dp.refobjid = c.oid AND dp.refobjsubid = a.attnum AND dp.deptype = 'i' AND dp.classid = 'pg_class'::regclass LIMIT 1) AS s ON true
-- What the column's type can hold: its sequence may count further once it has another type.
CROSS JOIN LATERAL (SELECT CASE a.atttypid WHEN 'int8'::regtype THEN 9223372036854775807 WHEN 'int4'::regtype THEN 2147483647 ELSE 32767 END) AS v(highest)
WHERE a.attnum > 0 AND NOT a.attisdropped AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
    AND c.relkind IN ('r', 'p', 'f', 'v', 'm')
ORDER BY c.oid, a.attnum
