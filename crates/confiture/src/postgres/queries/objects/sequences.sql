SELECT 'sequence' AS kind, 'pg_class' AS class, c.oid, 0 AS sub, json_build_object(
    'schema', n.nspname, 'name', c.relname, 'identity', format('%I.%I', n.nspname, c.relname),
    'phrase', format('SEQUENCE %I.%I', n.nspname, c.relname),
    'create', format('CREATE%s SEQUENCE %I.%I', CASE c.relpersistence WHEN 'u' THEN ' UNLOGGED' ELSE '' END, n.nspname, m.name)
        || CASE WHEN q.seqtypid <> 'int8'::regtype THEN format(' AS %s', format_type(q.seqtypid, NULL)) ELSE '' END
        || CASE WHEN p.plain THEN '' ELSE p.parameters END,
    'definition', '',
    'details', json_build_object('get_name', CASE WHEN m.name <> c.relname THEN format('ALTER SEQUENCE %I.%I RENAME TO %I', n.nspname, m.name, c.relname) END),
    'drop', format('DROP SEQUENCE %I.%I', n.nspname, c.relname),
    'owner', pg_get_userbyid(c.relowner), 'acl', c.relacl::text[], 'acl_default', acldefault('s', c.relowner)::text[],
    'facets', json_build_object(
        'persistence', json_build_array(c.relpersistence, format('ALTER SEQUENCE %I.%I SET %s', n.nspname, c.relname, CASE c.relpersistence WHEN 'u' THEN 'UNLOGGED' ELSE 'LOGGED' END), true),
        'parameters', json_build_array(format('%s%s', q.seqtypid::regtype, p.parameters), format('ALTER SEQUENCE %I.%I AS %s%s', n.nspname, c.relname, format_type(q.seqtypid, NULL), p.parameters), true))) AS body
FROM pg_sequence q JOIN pg_class c ON c.oid = q.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT format(' INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %s', q.seqincrement, q.seqmin, q.seqmax, q.seqstart, q.seqcache, CASE WHEN q.seqcycle THEN 'CYCLE' ELSE 'NO CYCLE' END),
    q.seqincrement = 1 AND q.seqmin = 1 AND q.seqstart = 1 AND q.seqcache = 1 AND NOT q.seqcycle AND q.seqmax = CASE q.seqtypid WHEN 'int8'::regtype THEN 9223372036854775807 WHEN 'int4'::regtype THEN 2147483647 ELSE 32767 END) AS p(parameters, plain)
-- None can be made under the name of a type, but get it.
CROSS JOIN LATERAL (SELECT CASE WHEN EXISTS (SELECT FROM pg_type t WHERE t.typname = c.relname AND t.typnamespace = c.relnamespace AND t.typrelid <> c.oid) THEN c.relname || '__made' ELSE c.relname END OFFSET 0) AS m(name)
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i')
UNION ALL
SELECT 'sequence owner', 'sequence owner', c.oid, 0, json_build_object(
    'schema', n.nspname, 'name', c.relname, 'identity', format('%I.%I', n.nspname, c.relname), 'phrase', '',
    'parent', json_build_array('pg_class', d.refobjid, d.refobjsubid),
    'create', format('ALTER SEQUENCE %I.%I OWNED BY %I.%I.%I', n.nspname, c.relname, tn.nspname, t.relname, a.attname),
    'replace', format('ALTER SEQUENCE %I.%I OWNED BY %I.%I.%I', n.nspname, c.relname, tn.nspname, t.relname, a.attname),
    'drop', format('ALTER SEQUENCE %I.%I OWNED BY NONE', n.nspname, c.relname),
    -- The table too: both have the same owner by then.
    'depends', json_build_array(json_build_array('pg_class', c.oid, 0), json_build_array('pg_class', d.refobjid, 0), json_build_array('pg_class', d.refobjid, d.refobjsubid)))
FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S' JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a' AND d.refobjsubid > 0
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
