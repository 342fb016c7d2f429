SELECT CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END AS kind, 'pg_class' AS class, c.oid, 0 AS sub, json_build_object(
    'schema', n.nspname, 'name', c.relname, 'identity', format('%I.%I', n.nspname, c.relname),
    'phrase', format('%s %I.%I', x.what, n.nspname, c.relname),
    'create', format('CREATE %s %I.%I', x.what, n.nspname, c.relname) || y.body,
    'replace', CASE c.relkind WHEN 'v' THEN format('CREATE OR REPLACE %s %I.%I', x.what, n.nspname, c.relname) || y.body END,
    'definition', format('%s %s%s', CASE c.relkind WHEN 'v' THEN array_to_string(w.options, ', ') END, pg_get_viewdef(c.oid),
        CASE WHEN c.relkind = 'm' AND NOT z.can_change THEN format(' USING %I', am.amname) END),
    'drop', format('DROP %s %I.%I', x.what, n.nspname, c.relname),
    'owner', pg_get_userbyid(c.relowner), 'acl', c.relacl::text[], 'acl_default', acldefault('r', c.relowner)::text[],
    'alter', CASE c.relkind WHEN 'm' THEN format('ALTER MATERIALIZED VIEW %I.%I', n.nspname, c.relname) END,
    'options', CASE c.relkind WHEN 'm' THEN array_cat(c.reloptions, (SELECT array_agg('toast.' || o) FROM unnest(t.reloptions) o)) END,
    'facets', CASE c.relkind WHEN 'm' THEN json_build_object(
        'access method', CASE WHEN z.can_change THEN json_build_array(am.amname, format('ALTER MATERIALIZED VIEW %I.%I SET ACCESS METHOD %I', n.nspname, c.relname, am.amname), am.amname = current_setting('default_table_access_method')) END,
        'tablespace', json_build_array(s.spcname, format('ALTER MATERIALIZED VIEW %I.%I SET TABLESPACE %I', n.nspname, c.relname, coalesce(s.spcname, 'pg_default')), s.spcname IS NULL)) END,
    'details', json_build_object('has_toast', c.reltoastrelid <> 0, 'columns', (SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation::text) ORDER BY a.attnum)
        FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped))) AS body
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_am am ON am.oid = c.relam LEFT JOIN pg_class t ON t.oid = c.reltoastrelid LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
-- ALTER … SET ACCESS METHOD is new in 15.
CROSS JOIN LATERAL (SELECT current_setting('server_version_num')::int >= 150000) AS z(can_change)
CROSS JOIN LATERAL (SELECT CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END) AS x(what)
-- pg_dump writes check_option behind the query, wherever it stands.
CROSS JOIN LATERAL (SELECT CASE WHEN c.reloptions IS NOT NULL
    THEN ARRAY(SELECT o FROM unnest(c.reloptions) WITH ORDINALITY AS u(o, number) ORDER BY o LIKE 'check\_option=%', number) END) AS w(options)
CROSS JOIN LATERAL (SELECT CASE WHEN c.reloptions IS NOT NULL AND c.relkind = 'v' THEN ' WITH (' || (SELECT string_agg(format('%I=%L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ') FROM unnest(w.options) o) || ')' ELSE '' END
    || E' AS\n' || rtrim(pg_get_viewdef(c.oid), ';') || CASE WHEN c.relkind = 'm' AND NOT c.relispopulated THEN E'\n  WITH NO DATA' ELSE '' END) AS y(body)
WHERE c.relkind IN ('v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
