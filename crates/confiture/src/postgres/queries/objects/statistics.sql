SELECT 'statistics' AS kind, 'pg_statistic_ext' AS class, s.oid, 0 AS sub, json_build_object(
    'schema', n.nspname, 'name', s.stxname, 'identity', format('%I.%I', n.nspname, s.stxname), 'phrase', format('STATISTICS %I.%I', n.nspname, s.stxname),
    'parent', json_build_array('pg_class', s.stxrelid, 0),
    'create', pg_get_statisticsobjdef(s.oid),
    'definition', format('%s %s %s', s.stxkind, (SELECT array_agg(a.attname ORDER BY a.attname) FROM pg_attribute a WHERE a.attrelid = s.stxrelid AND a.attnum = ANY (s.stxkeys)), pg_get_expr(s.stxexprs, s.stxrelid)),
    'drop', format('DROP STATISTICS %I.%I', n.nspname, s.stxname), 'owner', pg_get_userbyid(s.stxowner),
    'facets', json_build_object('target', json_build_array(coalesce(s.stxstattarget, -1), format('ALTER STATISTICS %I.%I SET STATISTICS %s', n.nspname, s.stxname, coalesce(s.stxstattarget, -1)), coalesce(s.stxstattarget, -1) = -1))) AS body
FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
