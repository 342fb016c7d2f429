SELECT 'operator' AS kind, 'pg_operator' AS class, o.oid, 0 AS sub, json_build_object(
    'schema', n.nspname, 'name', o.oprname, 'identity', x.identity, 'phrase', 'OPERATOR ' || x.identity,
    'create', format('CREATE OPERATOR %I.%s (%s)', n.nspname, o.oprname, concat_ws(', ', 'FUNCTION = ' || o.oprcode::regproc,
        CASE WHEN o.oprleft <> 0 THEN 'LEFTARG = ' || format_type(o.oprleft, NULL) END, CASE WHEN o.oprright <> 0 THEN 'RIGHTARG = ' || format_type(o.oprright, NULL) END,
        CASE WHEN c.oid IS NOT NULL THEN format('COMMUTATOR = OPERATOR(%I.%s)', cn.nspname, c.oprname) END,
        CASE WHEN g.oid IS NOT NULL THEN format('NEGATOR = OPERATOR(%I.%s)', gn.nspname, g.oprname) END,
        CASE WHEN o.oprrest <> 0 THEN 'RESTRICT = ' || o.oprrest::regproc END, CASE WHEN o.oprjoin <> 0 THEN 'JOIN = ' || o.oprjoin::regproc END,
        CASE WHEN o.oprcanhash THEN 'HASHES' END, CASE WHEN o.oprcanmerge THEN 'MERGES' END)),
    'drop', 'DROP OPERATOR ' || x.identity, 'owner', pg_get_userbyid(o.oprowner)) AS body
FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
LEFT JOIN pg_operator c ON c.oid = o.oprcom LEFT JOIN pg_namespace cn ON cn.oid = c.oprnamespace
LEFT JOIN pg_operator g ON g.oid = o.oprnegate LEFT JOIN pg_namespace gn ON gn.oid = g.oprnamespace
CROSS JOIN LATERAL (SELECT format('%I.%s (%s, %s)', n.nspname, o.oprname, CASE o.oprleft WHEN 0 THEN 'NONE' ELSE format_type(o.oprleft, NULL) END, CASE o.oprright WHEN 0 THEN 'NONE' ELSE format_type(o.oprright, NULL) END)) AS x(identity)
WHERE o.oprcode <> 0 AND n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
-- One that others name as their commutator or negator, and that nobody has made. It may outlive them, or not.
SELECT 'operator', 'pg_operator', o.oid, 0, json_build_object('schema', n.nspname, 'name', o.oprname, 'identity', x.identity || ', only its name', 'phrase', '', 'create', '', 'drop', 'DROP OPERATOR IF EXISTS ' || x.identity)
FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
CROSS JOIN LATERAL (SELECT format('%I.%s (%s, %s)', n.nspname, o.oprname, CASE o.oprleft WHEN 0 THEN 'NONE' ELSE format_type(o.oprleft, NULL) END, CASE o.oprright WHEN 0 THEN 'NONE' ELSE format_type(o.oprright, NULL) END)) AS x(identity)
WHERE o.oprcode = 0 AND n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT 'operator family', 'pg_opfamily', f.oid, 0, json_build_object(
    'schema', n.nspname, 'name', f.opfname, 'identity', x.identity, 'phrase', 'OPERATOR FAMILY ' || x.identity,
    'create', 'CREATE OPERATOR FAMILY ' || x.identity, 'definition', '', 'drop', 'DROP OPERATOR FAMILY ' || x.identity, 'owner', pg_get_userbyid(f.opfowner))
FROM pg_opfamily f JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am am ON am.oid = f.opfmethod
CROSS JOIN LATERAL (SELECT format('%I.%I USING %I', n.nspname, f.opfname, am.amname)) AS x(identity)
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT 'operator class', 'pg_opclass', o.oid, 0, json_build_object(
    'schema', n.nspname, 'name', o.opcname, 'identity', x.identity, 'phrase', 'OPERATOR CLASS ' || x.identity,
    'create', format('CREATE OPERATOR CLASS %I.%I %sFOR TYPE %s USING %I FAMILY %I.%I AS %s', n.nspname, o.opcname, CASE WHEN o.opcdefault THEN 'DEFAULT ' ELSE '' END, format_type(o.opcintype, NULL), am.amname, fn.nspname, f.opfname,
        -- A class with nothing in it still has to name something.
        coalesce(nullif(concat_ws(', ', CASE WHEN o.opckeytype <> 0 THEN 'STORAGE ' || format_type(o.opckeytype, NULL) END,
        (SELECT string_agg(format('OPERATOR %s %s%s', a.amopstrategy, a.amopopr::regoperator, CASE WHEN a.amopsortfamily <> 0 THEN (SELECT format(' FOR ORDER BY %I.%I', sn.nspname, sf.opfname) FROM pg_opfamily sf JOIN pg_namespace sn ON sn.oid = sf.opfnamespace WHERE sf.oid = a.amopsortfamily) END), ', ' ORDER BY a.amopstrategy)
            FROM pg_amop a JOIN pg_depend d ON d.classid = 'pg_amop'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_opclass'::regclass AND d.refobjid = o.oid),
        (SELECT string_agg(format('FUNCTION %s (%s, %s) %s', a.amprocnum, format_type(a.amproclefttype, NULL), format_type(a.amprocrighttype, NULL), a.amproc::regprocedure), ', ' ORDER BY a.amprocnum)
            FROM pg_amproc a JOIN pg_depend d ON d.classid = 'pg_amproc'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_opclass'::regclass AND d.refobjid = o.oid)), ''), 'STORAGE ' || format_type(o.opcintype, NULL))),
    'drop', 'DROP OPERATOR CLASS ' || x.identity, 'owner', pg_get_userbyid(o.opcowner))
FROM pg_opclass o JOIN pg_namespace n ON n.oid = o.opcnamespace JOIN pg_am am ON am.oid = o.opcmethod JOIN pg_opfamily f ON f.oid = o.opcfamily JOIN pg_namespace fn ON fn.oid = f.opfnamespace
CROSS JOIN LATERAL (SELECT format('%I.%I USING %I', n.nspname, o.opcname, am.amname)) AS x(identity)
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT 'operator family member', 'pg_amop', a.oid, 0, json_build_object('schema', n.nspname, 'name', f.opfname,
    'identity', format('%s operator %s (%s, %s)', x.identity, a.amopstrategy, format_type(a.amoplefttype, NULL), format_type(a.amoprighttype, NULL)), 'phrase', '', 'parent', json_build_array('pg_opfamily', f.oid, 0),
    'create', format('ALTER OPERATOR FAMILY %s ADD OPERATOR %s %s%s', x.identity, a.amopstrategy, a.amopopr::regoperator,
        (SELECT format(' FOR ORDER BY %I.%I', sn.nspname, sf.opfname) FROM pg_opfamily sf JOIN pg_namespace sn ON sn.oid = sf.opfnamespace WHERE sf.oid = a.amopsortfamily)),
    'drop', format('ALTER OPERATOR FAMILY %s DROP OPERATOR %s (%s, %s)', x.identity, a.amopstrategy, format_type(a.amoplefttype, NULL), format_type(a.amoprighttype, NULL)))
FROM pg_amop a JOIN pg_opfamily f ON f.oid = a.amopfamily JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am am ON am.oid = f.opfmethod
CROSS JOIN LATERAL (SELECT format('%I.%I USING %I', n.nspname, f.opfname, am.amname)) AS x(identity)
WHERE a.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_amop'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_opclass'::regclass)
UNION ALL
SELECT 'operator family member', 'pg_amproc', a.oid, 0, json_build_object('schema', n.nspname, 'name', f.opfname,
    'identity', format('%s function %s (%s, %s)', x.identity, a.amprocnum, format_type(a.amproclefttype, NULL), format_type(a.amprocrighttype, NULL)), 'phrase', '', 'parent', json_build_array('pg_opfamily', f.oid, 0),
    'create', format('ALTER OPERATOR FAMILY %s ADD FUNCTION %s (%s, %s) %s', x.identity, a.amprocnum, format_type(a.amproclefttype, NULL), format_type(a.amprocrighttype, NULL), a.amproc::regprocedure),
    'drop', format('ALTER OPERATOR FAMILY %s DROP FUNCTION %s (%s, %s)', x.identity, a.amprocnum, format_type(a.amproclefttype, NULL), format_type(a.amprocrighttype, NULL)))
FROM pg_amproc a JOIN pg_opfamily f ON f.oid = a.amprocfamily JOIN pg_namespace n ON n.oid = f.opfnamespace JOIN pg_am am ON am.oid = f.opfmethod
CROSS JOIN LATERAL (SELECT format('%I.%I USING %I', n.nspname, f.opfname, am.amname)) AS x(identity)
WHERE a.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_amproc'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_opclass'::regclass)
