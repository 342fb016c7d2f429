-- What users have made in this database: every object that initdb did not make (their OIDs start at 16384), without what
-- belongs to an extension or is a part of something else.
WITH made AS (
    SELECT 'pg_class'::pg_catalog.regclass AS class, oid FROM pg_catalog.pg_class
     WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND relpersistence <> 't'
    UNION ALL SELECT 'pg_type'::pg_catalog.regclass, oid FROM pg_catalog.pg_type WHERE typtype IN ('d', 'e', 'r') OR typtype = 'b' AND typelem = 0
    UNION ALL SELECT 'pg_proc'::pg_catalog.regclass, oid FROM pg_catalog.pg_proc
    UNION ALL SELECT 'pg_namespace'::pg_catalog.regclass, oid FROM pg_catalog.pg_namespace
     WHERE nspname <> 'public' AND nspname !~ '^pg_(toast_)?temp_'
    UNION ALL SELECT 'pg_operator'::pg_catalog.regclass, oid FROM pg_catalog.pg_operator
    UNION ALL SELECT 'pg_opclass'::pg_catalog.regclass, oid FROM pg_catalog.pg_opclass
    UNION ALL SELECT 'pg_opfamily'::pg_catalog.regclass, oid FROM pg_catalog.pg_opfamily
    UNION ALL SELECT 'pg_am'::pg_catalog.regclass, oid FROM pg_catalog.pg_am
    UNION ALL SELECT 'pg_cast'::pg_catalog.regclass, oid FROM pg_catalog.pg_cast
    UNION ALL SELECT 'pg_collation'::pg_catalog.regclass, oid FROM pg_catalog.pg_collation
    UNION ALL SELECT 'pg_conversion'::pg_catalog.regclass, oid FROM pg_catalog.pg_conversion
    UNION ALL SELECT 'pg_ts_config'::pg_catalog.regclass, oid FROM pg_catalog.pg_ts_config
    UNION ALL SELECT 'pg_ts_dict'::pg_catalog.regclass, oid FROM pg_catalog.pg_ts_dict
    UNION ALL SELECT 'pg_ts_parser'::pg_catalog.regclass, oid FROM pg_catalog.pg_ts_parser
    UNION ALL SELECT 'pg_ts_template'::pg_catalog.regclass, oid FROM pg_catalog.pg_ts_template
    UNION ALL SELECT 'pg_event_trigger'::pg_catalog.regclass, oid FROM pg_catalog.pg_event_trigger
    UNION ALL SELECT 'pg_foreign_data_wrapper'::pg_catalog.regclass, oid FROM pg_catalog.pg_foreign_data_wrapper
    UNION ALL SELECT 'pg_foreign_server'::pg_catalog.regclass, oid FROM pg_catalog.pg_foreign_server
    UNION ALL SELECT 'pg_publication'::pg_catalog.regclass, oid FROM pg_catalog.pg_publication
    UNION ALL SELECT 'pg_transform'::pg_catalog.regclass, oid FROM pg_catalog.pg_transform
    UNION ALL SELECT 'pg_largeobject'::pg_catalog.regclass, oid FROM pg_catalog.pg_largeobject_metadata
)
SELECT pg_catalog.pg_describe_object(class, oid, 0) AS description, pg_catalog.count(*) OVER () AS total
  FROM made
 WHERE oid >= 16384
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = made.class AND d.objid = made.oid AND d.objsubid = 0 AND d.deptype IN ('e', 'i'))
 ORDER BY class <> 'pg_class'::pg_catalog.regclass, oid
 LIMIT 3;
