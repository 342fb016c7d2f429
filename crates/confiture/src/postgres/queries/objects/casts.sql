SELECT 'cast' AS kind, 'pg_cast' AS class, c.oid, 0 AS sub, json_build_object(
    'name', x.identity, 'identity', x.identity, 'phrase', 'CAST ' || x.identity,
    'create', format('CREATE CAST %s %s%s', x.identity, CASE c.castmethod WHEN 'f' THEN 'WITH FUNCTION ' || c.castfunc::regprocedure WHEN 'i' THEN 'WITH INOUT' ELSE 'WITHOUT FUNCTION' END,
        CASE c.castcontext WHEN 'a' THEN ' AS ASSIGNMENT' WHEN 'i' THEN ' AS IMPLICIT' ELSE '' END),
    'drop', 'DROP CAST ' || x.identity) AS body
FROM pg_cast c CROSS JOIN LATERAL (SELECT format('(%s AS %s)', format_type(c.castsource, NULL), format_type(c.casttarget, NULL))) AS x(identity)
WHERE c.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_cast'::regclass AND d.objid = c.oid AND d.deptype = 'i')
UNION ALL
SELECT 'transform', 'pg_transform', t.oid, 0, json_build_object('name', x.identity, 'identity', x.identity, 'phrase', 'TRANSFORM ' || x.identity,
    'create', format('CREATE TRANSFORM %s (%s)', x.identity, concat_ws(', ', CASE WHEN t.trffromsql <> 0 THEN 'FROM SQL WITH FUNCTION ' || t.trffromsql::regprocedure END, CASE WHEN t.trftosql <> 0 THEN 'TO SQL WITH FUNCTION ' || t.trftosql::regprocedure END)),
    'drop', 'DROP TRANSFORM ' || x.identity)
FROM pg_transform t JOIN pg_language l ON l.oid = t.trflang CROSS JOIN LATERAL (SELECT format('FOR %s LANGUAGE %I', format_type(t.trftype, NULL), l.lanname)) AS x(identity)
WHERE t.oid >= 16384
UNION ALL
SELECT 'language', 'pg_language', l.oid, 0, json_build_object('name', l.lanname, 'identity', quote_ident(l.lanname), 'phrase', format('LANGUAGE %I', l.lanname),
    'create', format('CREATE%s LANGUAGE %I HANDLER %s%s%s', CASE WHEN l.lanpltrusted THEN ' TRUSTED' ELSE '' END, l.lanname, l.lanplcallfoid::regproc,
        CASE WHEN l.laninline <> 0 THEN ' INLINE ' || l.laninline::regproc END, CASE WHEN l.lanvalidator <> 0 THEN ' VALIDATOR ' || l.lanvalidator::regproc END),
    'drop', format('DROP LANGUAGE %I', l.lanname), 'owner', pg_get_userbyid(l.lanowner), 'acl', l.lanacl::text[], 'acl_default', acldefault('l', l.lanowner)::text[])
FROM pg_language l WHERE l.oid >= 16384
UNION ALL
SELECT 'access method', 'pg_am', a.oid, 0, json_build_object('name', a.amname, 'identity', quote_ident(a.amname), 'phrase', format('ACCESS METHOD %I', a.amname),
    'create', format('CREATE ACCESS METHOD %I TYPE %s HANDLER %s', a.amname, CASE a.amtype WHEN 't' THEN 'TABLE' ELSE 'INDEX' END, a.amhandler::regproc), 'drop', format('DROP ACCESS METHOD %I', a.amname))
FROM pg_am a WHERE a.oid >= 16384
