SELECT 'publication' AS kind, 'pg_publication' AS class, p.oid, 0 AS sub, json_build_object(
    'name', p.pubname, 'identity', quote_ident(p.pubname), 'phrase', format('PUBLICATION %I', p.pubname),
    'create', format('CREATE PUBLICATION %I%s WITH (%s)', p.pubname, CASE WHEN p.puballtables THEN ' FOR ALL TABLES' ELSE '' END, x.options), 'definition', p.puballtables::text,
    'drop', format('DROP PUBLICATION %I', p.pubname), 'owner', pg_get_userbyid(p.pubowner),
    'facets', json_build_object('options', json_build_array(x.options, format('ALTER PUBLICATION %I SET (%s)', p.pubname, x.options), true))) AS body
FROM pg_publication p
CROSS JOIN LATERAL (SELECT format('publish = %L, publish_via_partition_root = %s', concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END, CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END), CASE WHEN p.pubviaroot THEN 'true' ELSE 'false' END)
    || CASE to_jsonb(p) ->> 'pubgencols' WHEN 's' THEN ', publish_generated_columns = stored' WHEN 'n' THEN ', publish_generated_columns = none' ELSE '' END) AS x(options)
