SELECT 'text search configuration' AS kind, 'pg_ts_config' AS class, c.oid, 0 AS sub, json_build_object(
    'schema', n.nspname, 'name', c.cfgname, 'identity', format('%I.%I', n.nspname, c.cfgname), 'phrase', format('TEXT SEARCH CONFIGURATION %I.%I', n.nspname, c.cfgname),
    'create', format('CREATE TEXT SEARCH CONFIGURATION %I.%I (PARSER = %I.%I)', n.nspname, c.cfgname, pn.nspname, p.prsname), 'drop', format('DROP TEXT SEARCH CONFIGURATION %I.%I', n.nspname, c.cfgname), 'owner', pg_get_userbyid(c.cfgowner)) AS body
FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace JOIN pg_ts_parser p ON p.oid = c.cfgparser JOIN pg_namespace pn ON pn.oid = p.prsnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT 'text search mapping', 'pg_ts_config_map', c.oid, m.maptokentype, json_build_object(
    'schema', n.nspname, 'name', t.alias, 'identity', format('%I.%I %s', n.nspname, c.cfgname, t.alias), 'phrase', '', 'parent', json_build_array('pg_ts_config', c.oid, 0),
    'create', format('ALTER TEXT SEARCH CONFIGURATION %I.%I ADD MAPPING FOR %I WITH %s', n.nspname, c.cfgname, t.alias, m.dictionaries),
    'replace', format('ALTER TEXT SEARCH CONFIGURATION %I.%I ALTER MAPPING FOR %I WITH %s', n.nspname, c.cfgname, t.alias, m.dictionaries),
    'drop', format('ALTER TEXT SEARCH CONFIGURATION %I.%I DROP MAPPING FOR %I', n.nspname, c.cfgname, t.alias),
    'depends', (SELECT json_agg(json_build_array('pg_ts_dict', d, 0)) FROM unnest(m.oids) d))
FROM pg_ts_config c JOIN pg_namespace n ON n.oid = c.cfgnamespace
CROSS JOIN LATERAL (SELECT maptokentype, string_agg(mapdict::regdictionary::text, ', ' ORDER BY mapseqno), array_agg(mapdict ORDER BY mapseqno) FROM pg_ts_config_map WHERE mapcfg = c.oid GROUP BY maptokentype) AS m(maptokentype, dictionaries, oids)
JOIN LATERAL ts_token_type(c.cfgparser) AS t ON t.tokid = m.maptokentype
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT 'text search dictionary', 'pg_ts_dict', d.oid, 0, json_build_object(
    'schema', n.nspname, 'name', d.dictname, 'identity', format('%I.%I', n.nspname, d.dictname), 'phrase', format('TEXT SEARCH DICTIONARY %I.%I', n.nspname, d.dictname),
    'create', format('CREATE TEXT SEARCH DICTIONARY %I.%I (TEMPLATE = %I.%I%s)', n.nspname, d.dictname, tn.nspname, t.tmplname, ', ' || d.dictinitoption), 'drop', format('DROP TEXT SEARCH DICTIONARY %I.%I', n.nspname, d.dictname), 'owner', pg_get_userbyid(d.dictowner))
FROM pg_ts_dict d JOIN pg_namespace n ON n.oid = d.dictnamespace JOIN pg_ts_template t ON t.oid = d.dicttemplate JOIN pg_namespace tn ON tn.oid = t.tmplnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT 'text search parser', 'pg_ts_parser', p.oid, 0, json_build_object(
    'schema', n.nspname, 'name', p.prsname, 'identity', format('%I.%I', n.nspname, p.prsname), 'phrase', format('TEXT SEARCH PARSER %I.%I', n.nspname, p.prsname),
    'create', format('CREATE TEXT SEARCH PARSER %I.%I (START = %s, GETTOKEN = %s, END = %s, LEXTYPES = %s%s)', n.nspname, p.prsname, p.prsstart, p.prstoken, p.prsend, p.prslextype, CASE WHEN p.prsheadline <> 0 THEN ', HEADLINE = ' || p.prsheadline END),
    'drop', format('DROP TEXT SEARCH PARSER %I.%I', n.nspname, p.prsname))
FROM pg_ts_parser p JOIN pg_namespace n ON n.oid = p.prsnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT 'text search template', 'pg_ts_template', t.oid, 0, json_build_object(
    'schema', n.nspname, 'name', t.tmplname, 'identity', format('%I.%I', n.nspname, t.tmplname), 'phrase', format('TEXT SEARCH TEMPLATE %I.%I', n.nspname, t.tmplname),
    'create', format('CREATE TEXT SEARCH TEMPLATE %I.%I (%sLEXIZE = %s)', n.nspname, t.tmplname, CASE WHEN t.tmplinit <> 0 THEN format('INIT = %s, ', t.tmplinit) END, t.tmpllexize),
    'drop', format('DROP TEXT SEARCH TEMPLATE %I.%I', n.nspname, t.tmplname))
FROM pg_ts_template t JOIN pg_namespace n ON n.oid = t.tmplnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
