SELECT 'statistics' AS kind, 'pg_statistic_ext' AS class, s.oid, 0 AS sub, json_build_object(
    'schema', n.nspname, 'name', s.stxname, 'identity', format('%I.%I', n.nspname, s.stxname), 'phrase', format('STATISTICS %I.%I', n.nspname, s.stxname),
    'parent', json_build_array('pg_class', s.stxrelid, 0),
    -- Not pg_get_statisticsobjdef: that leaves out parentheses which a condition within a condition needs.
    'create', format('CREATE STATISTICS %I.%I%s ON %s FROM %I.%I', n.nspname, s.stxname,
        CASE WHEN cardinality(x.parts) > 1 AND NOT s.stxkind @> '{d,f,m}' THEN (SELECT format(' (%s)', string_agg(k.name, ', ' ORDER BY k.place))
            FROM (VALUES (1, 'd', 'ndistinct'), (2, 'f', 'dependencies'), (3, 'm', 'mcv')) k(place, letter, name) WHERE k.letter::"char" = ANY (s.stxkind)) END,
        array_to_string(x.parts, ', '), tn.nspname, c.relname),
    'definition', format('%s %s %s %I.%I', s.stxkind, (SELECT array_agg(a.attname ORDER BY a.attname) FROM pg_attribute a WHERE a.attrelid = s.stxrelid AND a.attnum = ANY (s.stxkeys)), pg_get_expr(s.stxexprs, s.stxrelid), tn.nspname, c.relname),
    'drop', format('DROP STATISTICS %I.%I', n.nspname, s.stxname), 'owner', pg_get_userbyid(s.stxowner),
    'facets', json_build_object('target', json_build_array(coalesce(s.stxstattarget, -1), format('ALTER STATISTICS %I.%I SET STATISTICS %s', n.nspname, s.stxname, coalesce(s.stxstattarget, -1)), coalesce(s.stxstattarget, -1) = -1))) AS body
FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
JOIN pg_class c ON c.oid = s.stxrelid JOIN pg_namespace tn ON tn.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT ARRAY(SELECT format('%I', a.attname) FROM unnest(s.stxkeys) WITH ORDINALITY AS k(number, place) JOIN pg_attribute a ON a.attrelid = s.stxrelid AND a.attnum = k.number ORDER BY k.place)
    || ARRAY(SELECT format('(%s)', e) FROM unnest(pg_get_statisticsobjdef_expressions(s.oid)) AS e) AS parts) AS x
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
