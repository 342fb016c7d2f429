SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' WHEN 'c' THEN 'composite type' WHEN 'p' THEN 'shell type' ELSE 'base type' END AS kind, 'pg_type' AS class, t.oid, 0 AS sub, json_build_object(
    'schema', n.nspname, 'name', t.typname, 'identity', format('%I.%I', n.nspname, t.typname),
    'phrase', format('%s %I.%I', CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, n.nspname, t.typname),
    'create', CASE t.typtype
        WHEN 'e' THEN format('CREATE TYPE %I.%I AS ENUM (%s)', n.nspname, t.typname, (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid))
        WHEN 'd' THEN format('CREATE DOMAIN %I.%I AS %s%s%s', n.nspname, t.typname, format_type(t.typbasetype, t.typtypmod),
            CASE WHEN t.typcollation <> bt.typcollation THEN format(' COLLATE %I.%I', cn.nspname, co.collname) END, CASE WHEN t.typnotnull THEN concat(' CONSTRAINT ' || nn.other_name, ' NOT NULL') END)
        WHEN 'r' THEN format('CREATE TYPE %I.%I AS RANGE (%s)', n.nspname, t.typname, concat_ws(', ', 'SUBTYPE = ' || format_type(r.rngsubtype, NULL),
            CASE WHEN NOT opc.opcdefault THEN format('SUBTYPE_OPCLASS = %I.%I', opn.nspname, opc.opcname) END,
            CASE WHEN r.rngcollation <> st.typcollation THEN format('COLLATION = %I.%I', rcn.nspname, rco.collname) END,
            CASE WHEN r.rngcanonical <> 0 THEN 'CANONICAL = ' || r.rngcanonical::regproc END, CASE WHEN r.rngsubdiff <> 0 THEN 'SUBTYPE_DIFF = ' || r.rngsubdiff::regproc END,
            CASE WHEN mt.typname IS NOT NULL THEN format('MULTIRANGE_TYPE_NAME = %I.%I', mn.nspname, mt.typname) END))
        WHEN 'c' THEN format('CREATE TYPE %I.%I AS (%s)', n.nspname, t.typname, coalesce((SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
            || CASE WHEN a.attcollation <> ty.typcollation THEN format(' COLLATE %I.%I', an.nspname, ac.collname) ELSE '' END, ', ' ORDER BY a.attnum)
            FROM pg_attribute a JOIN pg_type ty ON ty.oid = a.atttypid LEFT JOIN pg_collation ac ON ac.oid = a.attcollation LEFT JOIN pg_namespace an ON an.oid = ac.collnamespace WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), ''))
        WHEN 'p' THEN format('CREATE TYPE %I.%I', n.nspname, t.typname)
        ELSE format('CREATE TYPE %I.%I (%s)', n.nspname, t.typname, concat_ws(', ', b.fixed,
            CASE WHEN t.typreceive <> 0 THEN 'RECEIVE = ' || t.typreceive::regproc END, CASE WHEN t.typsend <> 0 THEN 'SEND = ' || t.typsend::regproc END,
            CASE WHEN t.typmodin <> 0 THEN 'TYPMOD_IN = ' || t.typmodin::regproc END, CASE WHEN t.typmodout <> 0 THEN 'TYPMOD_OUT = ' || t.typmodout::regproc END,
            CASE WHEN t.typanalyze <> 0 THEN 'ANALYZE = ' || t.typanalyze::regproc END, CASE WHEN t.typsubscript <> 0 THEN 'SUBSCRIPT = ' || t.typsubscript::regproc END, b.storage)) END,
    'definition', CASE t.typtype WHEN 'd' THEN format('%s %s', format_type(t.typbasetype, t.typtypmod), t.typcollation::regcollation) WHEN 'c' THEN (SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation::text) ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)::text WHEN 'b' THEN b.fixed
        WHEN 'r' THEN concat_ws(', ', format_type(r.rngsubtype, NULL), format('%I.%I', opn.nspname, opc.opcname), r.rngcollation::regcollation, r.rngcanonical::regproc, r.rngsubdiff::regproc) END,
    -- A base type and its functions need each other, so they go together; but with nothing else.
    'drop', CASE WHEN t.typtype = 'b' THEN format('DO %L', format(
        'BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_type AS t ON t.oid = %L::pg_catalog.regtype'
        ' WHERE d.refclassid = ''pg_catalog.pg_type''::pg_catalog.regclass AND d.refobjid IN (t.oid, t.typarray) AND d.deptype = ''n'''
        ' AND NOT (d.classid = ''pg_catalog.pg_proc''::pg_catalog.regclass AND d.objid IN (t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout, t.typanalyze, t.typsubscript)))'
        ' THEN RAISE EXCEPTION ''something still uses the type %%'', %L; END IF; DROP TYPE %I.%I CASCADE; END',
        format('%I.%I', n.nspname, t.typname), format('%I.%I', n.nspname, t.typname), n.nspname, t.typname))
        -- So with a range type and the function that makes its values canonical.
        WHEN r.rngcanonical <> 0 THEN format('DO %L', format(
        'BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_range AS r JOIN pg_catalog.pg_type AS t ON t.oid IN (r.rngtypid, r.rngmultitypid) JOIN pg_catalog.pg_depend AS d ON d.refobjid IN (t.oid, t.typarray)'
        ' WHERE r.rngtypid = %L::pg_catalog.regtype AND d.refclassid = ''pg_catalog.pg_type''::pg_catalog.regclass AND d.deptype = ''n'''
        ' AND NOT (d.classid = ''pg_catalog.pg_proc''::pg_catalog.regclass AND (d.objid = r.rngcanonical'
        ' OR EXISTS (SELECT FROM pg_catalog.pg_depend AS i WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype = ''i''))))'
        ' THEN RAISE EXCEPTION ''something still uses the type %%'', %L; END IF; DROP TYPE %I.%I CASCADE; END',
        format('%I.%I', n.nspname, t.typname), format('%I.%I', n.nspname, t.typname), n.nspname, t.typname))
        ELSE format('DROP %s %I.%I', CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, n.nspname, t.typname) END,
    'depends', CASE WHEN t.typtype = 'b' OR r.rngcanonical <> 0 THEN json_build_array(json_build_array('shell', t.oid, 0)) END,
    'owner', pg_get_userbyid(t.typowner), 'acl', t.typacl::text[], 'acl_default', acldefault('T', t.typowner)::text[],
    'facets', CASE t.typtype WHEN 'd' THEN json_build_object(
        'not null', json_build_array(t.typnotnull, format('ALTER DOMAIN %I.%I %s NOT NULL', n.nspname, t.typname,
            CASE WHEN nn.other_name IS NOT NULL THEN format('ADD CONSTRAINT %s', nn.other_name) WHEN t.typnotnull THEN 'SET' ELSE 'DROP' END), true))
        WHEN 'b' THEN json_build_object(
            'receive', json_build_array(t.typreceive::regproc, format('ALTER TYPE %I.%I SET (RECEIVE = %s)', n.nspname, t.typname, CASE WHEN t.typreceive = 0 THEN 'NONE' ELSE t.typreceive::regproc::text END), true),
            'send', json_build_array(t.typsend::regproc, format('ALTER TYPE %I.%I SET (SEND = %s)', n.nspname, t.typname, CASE WHEN t.typsend = 0 THEN 'NONE' ELSE t.typsend::regproc::text END), true),
            'typmod_in', json_build_array(t.typmodin::regproc, format('ALTER TYPE %I.%I SET (TYPMOD_IN = %s)', n.nspname, t.typname, CASE WHEN t.typmodin = 0 THEN 'NONE' ELSE t.typmodin::regproc::text END), true),
            'typmod_out', json_build_array(t.typmodout::regproc, format('ALTER TYPE %I.%I SET (TYPMOD_OUT = %s)', n.nspname, t.typname, CASE WHEN t.typmodout = 0 THEN 'NONE' ELSE t.typmodout::regproc::text END), true),
            'analyze', json_build_array(t.typanalyze::regproc, format('ALTER TYPE %I.%I SET (ANALYZE = %s)', n.nspname, t.typname, CASE WHEN t.typanalyze = 0 THEN 'NONE' ELSE t.typanalyze::regproc::text END), true),
            'subscript', json_build_array(t.typsubscript::regproc, format('ALTER TYPE %I.%I SET (SUBSCRIPT = %s)', n.nspname, t.typname, CASE WHEN t.typsubscript = 0 THEN 'NONE' ELSE t.typsubscript::regproc::text END), true),
            'storage', json_build_array(t.typstorage, format('ALTER TYPE %I.%I SET (%s)', n.nspname, t.typname, b.storage), true)) END,
    'details', json_build_object(
        'not_null_name', nn.name, 'not_null_comment', nn.comment,
        'constructors', CASE t.typtype WHEN 'r' THEN (SELECT json_agg(json_build_array(p.oid::regprocedure::text, p.proname, p.pronamespace::regnamespace, oidvectortypes(p.proargtypes)) ORDER BY p.oid) FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
            WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.oid, mt.oid) AND d.deptype = 'i') END,
        'multirange', CASE WHEN mt.typname IS NOT NULL THEN json_build_array(format('%I.%I', mn.nspname, mt.typname), mt.typname, quote_ident(mn.nspname)) END,
        'labels', (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
        'attributes', CASE WHEN t.typtype = 'c' THEN (SELECT json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attcollation <> ty.typcollation THEN format(' COLLATE %I.%I', an.nspname, ac.collname) ELSE '' END,
                col_description(a.attrelid, a.attnum)) ORDER BY a.attnum)
            FROM pg_attribute a JOIN pg_type ty ON ty.oid = a.atttypid LEFT JOIN pg_collation ac ON ac.oid = a.attcollation LEFT JOIN pg_namespace an ON an.oid = ac.collnamespace WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) END)) AS body
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_type bt ON bt.oid = t.typbasetype
LEFT JOIN pg_collation co ON co.oid = t.typcollation LEFT JOIN pg_namespace cn ON cn.oid = co.collnamespace
LEFT JOIN pg_class rc ON rc.oid = t.typrelid
LEFT JOIN pg_range r ON r.rngtypid = t.oid LEFT JOIN pg_type st ON st.oid = r.rngsubtype LEFT JOIN pg_opclass opc ON opc.oid = r.rngsubopc LEFT JOIN pg_namespace opn ON opn.oid = opc.opcnamespace
LEFT JOIN pg_type mt ON mt.oid = r.rngmultitypid LEFT JOIN pg_namespace mn ON mn.oid = mt.typnamespace
LEFT JOIN pg_collation rco ON rco.oid = r.rngcollation LEFT JOIN pg_namespace rcn ON rcn.oid = rco.collnamespace
-- PostgreSQL 17 and later keep a domain's NOT NULL as a constraint.
LEFT JOIN LATERAL (SELECT format('%I', k.conname), CASE WHEN k.conname <> concat(t.typname, '_not_null') THEN format('%I', k.conname) END, obj_description(k.oid, 'pg_constraint')
    FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'n') AS nn(name, other_name, comment) ON t.typtype = 'd'
-- Of a base type: what no ALTER TYPE changes, and what ALTER TYPE can.
CROSS JOIN LATERAL (SELECT concat_ws(', ', 'INPUT = ' || t.typinput::regproc, 'OUTPUT = ' || t.typoutput::regproc, 'INTERNALLENGTH = ' || CASE t.typlen WHEN -1 THEN 'variable' ELSE t.typlen::text END,
        CASE WHEN t.typbyval THEN 'PASSEDBYVALUE' END, 'ALIGNMENT = ' || CASE t.typalign WHEN 'c' THEN 'char' WHEN 's' THEN 'int2' WHEN 'i' THEN 'int4' ELSE 'double' END,
        'CATEGORY = ' || quote_literal(t.typcategory::text), CASE WHEN t.typispreferred THEN 'PREFERRED = true' END, 'DEFAULT = ' || quote_literal(t.typdefault),
        CASE WHEN t.typelem <> 0 THEN 'ELEMENT = ' || format_type(t.typelem, NULL) END, CASE WHEN t.typdelim <> ',' THEN 'DELIMITER = ' || quote_literal(t.typdelim::text) END,
        CASE WHEN t.typcollation <> 0 THEN 'COLLATABLE = true' END),
    'STORAGE = ' || CASE t.typstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'x' THEN 'extended' ELSE 'main' END) AS b(fixed, storage)
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
    AND (t.typtype IN ('e', 'd', 'r', 'p') OR t.typtype = 'c' AND rc.relkind = 'c' OR t.typtype = 'b' AND NOT EXISTS (SELECT FROM pg_type el WHERE el.typarray = t.oid))
UNION ALL
-- What a domain's default calls may be made anew: the domain stays.
SELECT 'default', 'pg_type', t.oid, 1, json_build_object('schema', n.nspname, 'name', t.typname, 'identity', format('%I.%I', n.nspname, t.typname),
    'phrase', '', 'parent', json_build_array('pg_type', t.oid, 0),
    'create', format('ALTER DOMAIN %I.%I SET DEFAULT %s', n.nspname, t.typname, x.expression),
    'replace', format('ALTER DOMAIN %I.%I SET DEFAULT %s', n.nspname, t.typname, x.expression),
    'drop', format('ALTER DOMAIN %I.%I DROP DEFAULT', n.nspname, t.typname),
    'inherited', false, 'details', json_build_object('expression', x.expression))
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
-- Not `typdefault`: that was written down with the search path of its day.
CROSS JOIN LATERAL (SELECT coalesce(pg_get_expr(t.typdefaultbin, 0), quote_literal(t.typdefault)) OFFSET 0) AS x(expression)
WHERE t.typtype = 'd' AND t.typdefault IS NOT NULL AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
UNION ALL
SELECT 'attribute', 'pg_class', c.oid, a.attnum::int, json_build_object('schema', n.nspname, 'name', a.attname, 'identity', format('%I.%I.%I', n.nspname, c.relname, a.attname),
    'phrase', format('COLUMN %I.%I.%I', n.nspname, c.relname, a.attname), 'parent', json_build_array('pg_type', c.reltype, 0), 'create', '', 'drop', '',
    'details', json_build_object('number', a.attnum, 'type', format_type(a.atttypid, a.atttypmod), 'base', format_type(a.atttypid, NULL), 'collation', a.attcollation::regcollation))
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid AND c.relkind = 'c' JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
UNION ALL
-- The name of a base type, which its functions need before the type can be made; of a range type likewise.
SELECT 'shell type', 'shell', t.oid, 0, json_build_object('schema', n.nspname, 'name', t.typname, 'identity', format('%I.%I', n.nspname, t.typname), 'phrase', format('TYPE %I.%I', n.nspname, t.typname),
    'create', format('CREATE TYPE %I.%I', n.nspname, t.typname), 'drop', '',
    'depends', json_build_array(json_build_array('pg_namespace', n.oid, 0)))
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE (t.typtype = 'b' OR EXISTS (SELECT FROM pg_range r WHERE r.rngtypid = t.oid AND r.rngcanonical <> 0))
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)' AND NOT EXISTS (SELECT FROM pg_type el WHERE el.typarray = t.oid)
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
