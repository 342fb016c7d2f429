SELECT CASE c.relkind WHEN 'f' THEN 'foreign table' ELSE 'table' END AS kind, 'pg_class' AS class, c.oid, 0 AS sub,
    n.nspname AS "schema", c.relname AS "name", format('%I.%I', n.nspname, c.relname) AS "identity",
    format('%s %I.%I', CASE c.relkind WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, n.nspname, c.relname) AS "phrase",
    format('CREATE%s%s TABLE %I.%I', CASE c.relpersistence WHEN 'u' THEN ' UNLOGGED' ELSE '' END,
        CASE c.relkind WHEN 'f' THEN ' FOREIGN' ELSE '' END, n.nspname, c.relname) AS "create",
    json_build_array(c.relkind, pg_get_partkeydef(c.oid),
        fs.srvname,
        -- The type of a column in the key cannot be altered.
        (SELECT array_agg(format_type(a.atttypid, a.atttypmod) || ' ' || a.attcollation::regcollation ORDER BY a.attnum) FROM pg_depend k JOIN pg_attribute a ON a.attrelid = k.objid AND a.attnum = k.objsubid
            WHERE c.relkind = 'p' AND k.classid = 'pg_class'::regclass AND k.objid = c.oid AND k.refclassid = 'pg_class'::regclass AND k.refobjid = c.oid AND k.refobjsubid = 0 AND k.deptype = 'i'))::text || m.made_anew AS "definition",
    format('DROP%s TABLE %I.%I', CASE c.relkind WHEN 'f' THEN ' FOREIGN' ELSE '' END, n.nspname, c.relname) AS "drop",
    pg_get_userbyid(c.relowner) AS "owner", to_json(c.relacl::text[]) AS "acl json", to_json(acldefault('r', c.relowner)::text[]) AS "acl_default json",
    format('ALTER%s TABLE %I.%I', CASE c.relkind WHEN 'f' THEN ' FOREIGN' ELSE '' END, n.nspname, c.relname) AS "alter",
    to_json(array_cat(c.reloptions, (SELECT array_agg('toast.' || o) FROM unnest(t.reloptions) o))) AS "options json",
    to_json(ft.ftoptions) AS "foreign_options json",
    CASE WHEN c.relkind = 'r' THEN json_build_array(c.relpersistence, format('ALTER TABLE %I.%I SET %s', n.nspname, c.relname,
            CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED' ELSE 'LOGGED' END), true) END AS "facets.persistence json",
    CASE WHEN c.relkind = 'p' AND m.partitions_inherit
            THEN json_build_array(am.amname, format('ALTER TABLE %I.%I SET ACCESS METHOD %s', n.nspname, c.relname, coalesce(quote_ident(am.amname), 'DEFAULT')), true)
            WHEN am.amname IS NOT NULL AND m.can_change THEN json_build_array(am.amname, format('ALTER TABLE %I.%I SET ACCESS METHOD %I', n.nspname, c.relname, am.amname), true) END AS "facets.access method json",
    CASE WHEN c.relkind IN ('r', 'p') THEN json_build_array(s.spcname, format('ALTER TABLE %I.%I SET TABLESPACE %I', n.nspname, c.relname, coalesce(s.spcname, 'pg_default')), true) END AS "facets.tablespace json",
    json_build_array(c.relrowsecurity, format('ALTER TABLE %I.%I %s ROW LEVEL SECURITY', n.nspname, c.relname,
            CASE WHEN c.relrowsecurity THEN 'ENABLE' ELSE 'DISABLE' END), NOT c.relrowsecurity) AS "facets.row security json",
    json_build_array(c.relforcerowsecurity, format('ALTER TABLE %I.%I %s ROW LEVEL SECURITY', n.nspname, c.relname,
            CASE WHEN c.relforcerowsecurity THEN 'FORCE' ELSE 'NO FORCE' END), NOT c.relforcerowsecurity) AS "facets.forced row security json",
    CASE WHEN c.relkind <> 'f' THEN json_build_array(CASE WHEN c.relreplident = 'i' THEN '' ELSE c.relreplident::text END,
            CASE c.relreplident WHEN 'i' THEN '' ELSE format('ALTER TABLE ONLY %I.%I REPLICA IDENTITY %s', n.nspname, c.relname,
            CASE c.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' ELSE 'DEFAULT' END) END, c.relreplident IN ('d', 'i')) END AS "facets.replica identity json",
    c.relkind AS "details.relkind", c.relispartition AS "details.is_partition bool", c.reltoastrelid <> 0 AS "details.has_toast bool", concat(
        CASE WHEN c.relkind = 'p' THEN ' PARTITION BY ' || pg_get_partkeydef(c.oid) END,
        CASE WHEN am.amname <> current_setting('default_table_access_method') OR c.relkind = 'p' AND am.amname IS NOT NULL THEN format(' USING %I', am.amname) END) AS "details.tail",
    CASE WHEN s.spcname IS NOT NULL THEN format(' TABLESPACE %I', s.spcname) END AS "details.tablespace",
    CASE WHEN c.reloftype <> 0 THEN format_type(c.reloftype, NULL) END AS "details.of",
    pg_get_partkeydef(c.oid) AS "details.key",
    fs.srvname AS "details.server"
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
LEFT JOIN pg_am am ON am.oid = c.relam
LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
LEFT JOIN pg_foreign_table ft ON ft.ftrelid = c.oid
LEFT JOIN pg_foreign_server fs ON fs.oid = ft.ftserver
-- ALTER … SET ACCESS METHOD is new in 15: before, another one makes another table. In 17 partitioned tables got one, for their partitions.
CROSS JOIN LATERAL (SELECT current_setting('server_version_num')::int) AS server(version)
CROSS JOIN LATERAL (SELECT server.version >= 150000, server.version >= 170000) AS v(can_change, partitions_inherit)
CROSS JOIN LATERAL (SELECT v.can_change, v.partitions_inherit, CASE WHEN am.amname <> current_setting('default_table_access_method') AND NOT v.can_change
    THEN format(' USING %I', am.amname) ELSE '' END) AS m(can_change, partitions_inherit, made_anew)
WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
