-- What a database holds, as statements name it: kind, name, what it belongs to, and what else there is to know.
WITH spaces AS (
    SELECT oid, quote_ident(nspname) AS name FROM pg_catalog.pg_namespace
     WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
),
members AS (SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'),
relations AS (
    SELECT c.*, s.name || '.' || quote_ident(relname) AS name
      FROM pg_catalog.pg_class AS c JOIN spaces AS s ON s.oid = relnamespace
     WHERE ('pg_class'::regclass, c.oid) NOT IN (SELECT classid, objid FROM members)
),
types AS (
    SELECT t.*, s.name || '.' || quote_ident(typname) AS name
      FROM pg_catalog.pg_type AS t JOIN spaces AS s ON s.oid = typnamespace
     WHERE ('pg_type'::regclass, t.oid) NOT IN (SELECT classid, objid FROM members)
),
routines AS (
    SELECT p.*, s.name || '.' || quote_ident(proname) AS name, pg_get_function_identity_arguments(p.oid) AS arguments
      FROM pg_catalog.pg_proc AS p JOIN spaces AS s ON s.oid = pronamespace
     WHERE ('pg_proc'::regclass, p.oid) NOT IN (SELECT classid, objid FROM members)
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'i')
)
SELECT 'schema', name, '', '' FROM spaces
UNION ALL
SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' ELSE 'table' END,
       name, coalesce((SELECT p.name FROM pg_catalog.pg_inherits JOIN relations AS p ON p.oid = inhparent WHERE inhrelid = r.oid ORDER BY inhseqno LIMIT 1), ''),
       CASE WHEN relkind IN ('v', 'm') THEN rtrim(pg_get_viewdef(oid), ';') WHEN relkind = 'p' THEN pg_get_partkeydef(oid) ELSE '' END
  FROM relations AS r WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
UNION ALL
SELECT 'partition', name, (SELECT p.name FROM pg_catalog.pg_inherits JOIN relations AS p ON p.oid = inhparent WHERE inhrelid = r.oid),
       pg_get_expr(relpartbound, oid)
  FROM relations AS r WHERE relispartition AND relkind IN ('r', 'p', 'f')
UNION ALL
SELECT 'index', r.name, t.name, CASE WHEN indisunique THEN 'unique' ELSE '' END
  FROM relations AS r JOIN pg_catalog.pg_index ON indexrelid = r.oid JOIN relations AS t ON t.oid = indrelid
UNION ALL
SELECT CASE WHEN attidentity <> '' THEN 'identity' WHEN attgenerated <> '' THEN 'generated' WHEN relkind = 'c' THEN 'attribute' ELSE 'column' END,
       quote_ident(attname), name, format_type(atttypid, atttypmod)
  FROM pg_catalog.pg_attribute JOIN relations AS r ON r.oid = attrelid
 WHERE attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
UNION ALL
SELECT 'constraint', quote_ident(conname), r.name, contype::text
  FROM pg_catalog.pg_constraint JOIN relations AS r ON r.oid = conrelid WHERE contype <> 't'
UNION ALL
SELECT 'domain constraint', quote_ident(conname), t.name, '' FROM pg_catalog.pg_constraint JOIN types AS t ON t.oid = contypid
UNION ALL
SELECT CASE typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' ELSE 'composite' END, name, '', ''
  FROM types WHERE typtype IN ('e', 'd', 'r') OR typrelid IN (SELECT oid FROM relations WHERE relkind = 'c')
UNION ALL
SELECT 'label', quote_literal(enumlabel), name, '' FROM pg_catalog.pg_enum JOIN types AS t ON t.oid = enumtypid
UNION ALL
SELECT CASE prokind WHEN 'a' THEN 'aggregate' WHEN 'p' THEN 'procedure' ELSE 'function' END, name, arguments,
       coalesce(pg_get_function_result(oid), '')
  FROM routines
UNION ALL
SELECT 'definition', name, arguments, pg_get_functiondef(oid) FROM routines WHERE prokind IN ('f', 'p')
UNION ALL
SELECT 'trigger', quote_ident(tgname), name, '' FROM pg_catalog.pg_trigger JOIN relations AS r ON r.oid = tgrelid WHERE NOT tgisinternal
UNION ALL
SELECT 'rule', quote_ident(rulename), name, '' FROM pg_catalog.pg_rewrite JOIN relations AS r ON r.oid = ev_class WHERE rulename <> '_RETURN'
UNION ALL
SELECT 'policy', quote_ident(polname), name, '' FROM pg_catalog.pg_policy JOIN relations AS r ON r.oid = polrelid
UNION ALL
-- Who owns one of all tables is not compared.
SELECT CASE WHEN puballtables THEN 'publication of all' ELSE 'publication' END, quote_ident(pubname), '', '' FROM pg_catalog.pg_publication
UNION ALL
SELECT 'event trigger', quote_ident(evtname), '', '' FROM pg_catalog.pg_event_trigger
UNION ALL
SELECT 'statistics', s.name || '.' || quote_ident(stxname), r.name, ''
  FROM pg_catalog.pg_statistic_ext JOIN spaces AS s ON s.oid = stxnamespace JOIN relations AS r ON r.oid = stxrelid
UNION ALL
SELECT 'operator', oid::regoperator::text, oprcode::regproc::text, '' FROM pg_catalog.pg_operator
 WHERE oprcode <> 0 AND oprnamespace IN (SELECT oid FROM spaces) AND ('pg_operator'::regclass, oid) NOT IN (SELECT classid, objid FROM members)
UNION ALL
SELECT 'cast', format('%s AS %s', castsource::regtype, casttarget::regtype), '', '' FROM pg_catalog.pg_cast
 WHERE oid >= 16384 AND ('pg_cast'::regclass, oid) NOT IN (SELECT classid, objid FROM members)
UNION ALL
SELECT 'server', quote_ident(srvname), '', '' FROM pg_catalog.pg_foreign_server
UNION ALL
SELECT 'extension', quote_ident(extname), '', '' FROM pg_catalog.pg_extension WHERE extname <> 'plpgsql'
UNION ALL
SELECT 'collation', s.name || '.' || quote_ident(collname), '', '' FROM pg_catalog.pg_collation JOIN spaces AS s ON s.oid = collnamespace
UNION ALL
SELECT 'text search configuration', s.name || '.' || quote_ident(cfgname), '', '' FROM pg_catalog.pg_ts_config JOIN spaces AS s ON s.oid = cfgnamespace
UNION ALL
SELECT 'text search dictionary', s.name || '.' || quote_ident(dictname), '', '' FROM pg_catalog.pg_ts_dict JOIN spaces AS s ON s.oid = dictnamespace
ORDER BY 1, 2, 3, 4
