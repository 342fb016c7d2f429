SELECT CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END AS kind, 'pg_proc' AS class, p.oid, 0 AS sub, json_build_object(
    'schema', n.nspname, 'name', p.proname, 'identity', x.signature,
    'phrase', format('%s %s', x.what, a.address),
    'create', regexp_replace(f.definition, '^CREATE OR REPLACE', 'CREATE'), 'replace', f.definition, 'definition', f.definition,
    'drop', format('DROP %s %s', x.what, a.address),
    'owner', pg_get_userbyid(p.proowner), 'acl', p.proacl::text[], 'acl_default', acldefault('f', p.proowner)::text[],
    'depends', CASE WHEN b.oid IS NOT NULL THEN json_build_array(json_build_array('shell', b.oid, 0)) END,
    'details', json_build_object('base_type', b.name, 'result', pg_get_function_result(p.oid), 'kind', p.prokind, 'names', p.proargnames[1:p.pronargs], 'all_names', p.proargnames, 'modes', p.proargmodes,
        'arguments', p.proallargtypes::regtype[]::text[], 'defaults', p.pronargdefaults, 'body', CASE WHEN p.prosqlbody IS NULL THEN p.prosrc END, 'language', l.lanname)) AS body
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
CROSS JOIN LATERAL (SELECT CASE p.prokind WHEN 'p' THEN 'PROCEDURE' ELSE 'FUNCTION' END,
    format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes))) AS x(what, signature)
-- Where procedures of one name differ in what they give back only, types alone do not say which is meant.
CROSS JOIN LATERAL (SELECT CASE WHEN p.prokind <> 'p' OR NOT EXISTS (SELECT FROM pg_proc o WHERE o.proname = p.proname AND o.pronamespace = p.pronamespace AND o.oid <> p.oid) THEN x.signature
    ELSE format('%I.%I(%s)', n.nspname, p.proname, (SELECT string_agg(concat(CASE p.proargmodes[t.number] WHEN 'o' THEN 'OUT ' WHEN 'b' THEN 'INOUT ' WHEN 'v' THEN 'VARIADIC ' ELSE 'IN ' END, format_type(t.type, NULL)), ', ' ORDER BY t.number)
        FROM unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY AS t(type, number))) END) AS a(address)
-- The base type, or the range type, that the function reads, writes, or otherwise serves, where it is not made without it.
LEFT JOIN LATERAL (SELECT t.oid, format('%I.%I', tn.nspname, t.typname) FROM pg_type t JOIN pg_namespace tn ON tn.oid = t.typnamespace
    WHERE t.oid >= 16384 AND (t.typtype = 'b' AND p.oid IN (t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout, t.typanalyze, t.typsubscript)
            OR t.typtype = 'r' AND EXISTS (SELECT FROM pg_range r WHERE r.rngtypid = t.oid AND r.rngcanonical = p.oid))
        AND (p.prorettype = t.oid OR t.oid = ANY (p.proargtypes::oid[])) LIMIT 1) AS b(oid, name) ON true
CROSS JOIN LATERAL (SELECT rtrim(pg_get_functiondef(p.oid), E'\n')) AS f(definition)
WHERE p.prokind <> 'a' AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i'))
UNION ALL
SELECT 'aggregate', 'pg_proc', p.oid, 0, json_build_object(
    'schema', n.nspname, 'name', p.proname, 'identity', x.signature,
    'phrase', format('AGGREGATE %s', x.signature),
    'create', format('CREATE AGGREGATE %I.%I(%s) (%s)', n.nspname, p.proname, CASE WHEN a.aggkind = 'n' AND p.pronargs = 0 THEN '*' ELSE pg_get_function_arguments(p.oid) END, concat_ws(', ',
        'SFUNC = ' || a.aggtransfn::regproc, 'STYPE = ' || format_type(a.aggtranstype, NULL), CASE WHEN a.aggtransspace > 0 THEN 'SSPACE = ' || a.aggtransspace END,
        CASE WHEN a.aggfinalfn <> 0 THEN 'FINALFUNC = ' || a.aggfinalfn::regproc END, CASE WHEN a.aggfinalextra THEN 'FINALFUNC_EXTRA' END,
        CASE WHEN a.aggfinalfn <> 0 AND a.aggfinalmodify <> CASE WHEN a.aggkind = 'n' THEN 'r' ELSE 'w' END::"char" THEN 'FINALFUNC_MODIFY = ' || CASE a.aggfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END END,
        CASE WHEN a.aggcombinefn <> 0 THEN 'COMBINEFUNC = ' || a.aggcombinefn::regproc END,
        CASE WHEN a.aggserialfn <> 0 THEN 'SERIALFUNC = ' || a.aggserialfn::regproc END, CASE WHEN a.aggdeserialfn <> 0 THEN 'DESERIALFUNC = ' || a.aggdeserialfn::regproc END,
        'INITCOND = ' || quote_literal(a.agginitval),
        CASE WHEN a.aggmtransfn <> 0 THEN format('MSFUNC = %s, MINVFUNC = %s, MSTYPE = %s', a.aggmtransfn::regproc, a.aggminvtransfn::regproc, format_type(a.aggmtranstype, NULL)) END,
        CASE WHEN a.aggmtransspace > 0 THEN 'MSSPACE = ' || a.aggmtransspace END,
        CASE WHEN a.aggmfinalfn <> 0 THEN 'MFINALFUNC = ' || a.aggmfinalfn::regproc END, CASE WHEN a.aggmfinalextra THEN 'MFINALFUNC_EXTRA' END,
        CASE WHEN a.aggmfinalfn <> 0 AND a.aggmfinalmodify <> CASE WHEN a.aggkind = 'n' THEN 'r' ELSE 'w' END::"char" THEN 'MFINALFUNC_MODIFY = ' || CASE a.aggmfinalmodify WHEN 'r' THEN 'READ_ONLY' WHEN 's' THEN 'SHAREABLE' ELSE 'READ_WRITE' END END,
        'MINITCOND = ' || quote_literal(a.aggminitval),
        CASE WHEN a.aggsortop <> 0 THEN format('SORTOP = OPERATOR(%I.%s)', son.nspname, so.oprname) END,
        CASE WHEN a.aggkind = 'h' THEN 'HYPOTHETICAL' END,
        CASE p.proparallel WHEN 's' THEN 'PARALLEL = SAFE' WHEN 'r' THEN 'PARALLEL = RESTRICTED' END)),
    'drop', format('DROP AGGREGATE %s', x.signature),
    'owner', pg_get_userbyid(p.proowner), 'acl', p.proacl::text[], 'acl_default', acldefault('f', p.proowner)::text[],
    -- GRANT knows no ORDER BY between the arguments, and no star.
    'details', json_build_object('granted', format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes))))
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_aggregate a ON a.aggfnoid = p.oid
LEFT JOIN pg_operator so ON so.oid = a.aggsortop LEFT JOIN pg_namespace son ON son.oid = so.oprnamespace
CROSS JOIN LATERAL (SELECT format('%I.%I(%s)', n.nspname, p.proname, CASE WHEN a.aggkind = 'n' AND p.pronargs = 0 THEN '*' ELSE pg_get_function_identity_arguments(p.oid) END)) AS x(signature)
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i'))
