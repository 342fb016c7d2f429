-- What a digest (digest.sql, and what digest.rs puts to it) that was read before transaction $1 still holds for. Every catalog that it is made of has its rows counted:
-- `kept` are older, `made` are not. A row that was changed or deleted since is no longer among the older ones, so where as many are
-- left as there were, all that was there is as it was, and the digest lacks what was made and nothing else. Where `is_apart` is false,
-- what was made may change how older objects read; so may what `others` stands for.
WITH since AS (
    SELECT coalesce(pg_catalog.age($1::pg_catalog.text::pg_catalog.xid8::pg_catalog.xid), 2147483647) AS age
), depends AS MATERIALIZED (
    SELECT xmin, deptype, refclassid, objid FROM pg_catalog.pg_depend
    WHERE deptype = 'e' OR refclassid = 'pg_catalog.pg_publication'::pg_catalog.regclass
        OR deptype = 'a' AND refobjsubid > 0 AND classid = 'pg_catalog.pg_class'::pg_catalog.regclass
            AND refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
), shown AS (
    SELECT xmin FROM pg_catalog.pg_namespace
    UNION ALL SELECT xmin FROM pg_catalog.pg_class
    UNION ALL SELECT xmin FROM pg_catalog.pg_attribute
    UNION ALL SELECT xmin FROM pg_catalog.pg_attrdef
    UNION ALL SELECT xmin FROM pg_catalog.pg_constraint
    UNION ALL SELECT xmin FROM pg_catalog.pg_index
    UNION ALL SELECT xmin FROM pg_catalog.pg_inherits
    UNION ALL SELECT xmin FROM pg_catalog.pg_partitioned_table
    UNION ALL SELECT xmin FROM pg_catalog.pg_sequence
    UNION ALL SELECT xmin FROM pg_catalog.pg_trigger
    UNION ALL SELECT xmin FROM pg_catalog.pg_policy
    UNION ALL SELECT xmin FROM pg_catalog.pg_rewrite
    UNION ALL SELECT xmin FROM pg_catalog.pg_proc
    UNION ALL SELECT xmin FROM pg_catalog.pg_type
    UNION ALL SELECT xmin FROM pg_catalog.pg_enum
    UNION ALL SELECT xmin FROM pg_catalog.pg_range
    UNION ALL SELECT xmin FROM pg_catalog.pg_statistic_ext
    UNION ALL SELECT xmin FROM pg_catalog.pg_description
    UNION ALL SELECT xmin FROM pg_catalog.pg_foreign_table
    UNION ALL SELECT xmin FROM depends WHERE deptype <> 'e' AND refclassid <> 'pg_catalog.pg_publication'::pg_catalog.regclass
), named AS (
    SELECT xmin FROM pg_catalog.pg_extension
    -- Members of extensions and of publications.
    UNION ALL SELECT xmin FROM depends WHERE deptype = 'e' OR refclassid = 'pg_catalog.pg_publication'::pg_catalog.regclass
    UNION ALL SELECT xmin FROM pg_catalog.pg_aggregate
    UNION ALL SELECT xmin FROM pg_catalog.pg_am
    UNION ALL SELECT xmin FROM pg_catalog.pg_amop
    UNION ALL SELECT xmin FROM pg_catalog.pg_amproc
    UNION ALL SELECT xmin FROM pg_catalog.pg_cast
    UNION ALL SELECT xmin FROM pg_catalog.pg_collation
    UNION ALL SELECT xmin FROM pg_catalog.pg_conversion
    UNION ALL SELECT xmin FROM pg_catalog.pg_default_acl
    UNION ALL SELECT xmin FROM pg_catalog.pg_event_trigger
    UNION ALL SELECT xmin FROM pg_catalog.pg_foreign_data_wrapper
    UNION ALL SELECT xmin FROM pg_catalog.pg_foreign_server
    UNION ALL SELECT xmin FROM pg_catalog.pg_language
    UNION ALL SELECT xmin FROM pg_catalog.pg_opclass
    UNION ALL SELECT xmin FROM pg_catalog.pg_operator
    UNION ALL SELECT xmin FROM pg_catalog.pg_opfamily
    UNION ALL SELECT xmin FROM pg_catalog.pg_publication
    UNION ALL SELECT xmin FROM pg_catalog.pg_transform
    UNION ALL SELECT xmin FROM pg_catalog.pg_ts_config
    UNION ALL SELECT xmin FROM pg_catalog.pg_ts_config_map
    UNION ALL SELECT xmin FROM pg_catalog.pg_ts_dict
    UNION ALL SELECT xmin FROM pg_catalog.pg_ts_parser
    UNION ALL SELECT xmin FROM pg_catalog.pg_ts_template
), counted AS (
    SELECT count(*) FILTER (WHERE pg_catalog.age(xmin) > (SELECT age FROM since)) AS kept,
           count(*) FILTER (WHERE pg_catalog.age(xmin) <= (SELECT age FROM since)) AS made,
           false AS is_named
    FROM shown
    UNION ALL
    SELECT count(*) FILTER (WHERE pg_catalog.age(xmin) > (SELECT age FROM since)),
           count(*) FILTER (WHERE pg_catalog.age(xmin) <= (SELECT age FROM since)),
           true
    FROM named
)
SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.text AS now,
       sum(kept)::pg_catalog.int8 AS kept,
       sum(made)::pg_catalog.int8 AS made,
       sum(made) FILTER (WHERE is_named) = 0
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_enum AS label JOIN pg_catalog.pg_type AS type ON type.oid = label.enumtypid
                       WHERE pg_catalog.age(label.xmin) <= (SELECT age FROM since) AND pg_catalog.age(type.xmin) > (SELECT age FROM since))
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits AS child JOIN pg_catalog.pg_class AS class ON class.oid = child.inhrelid
                       WHERE pg_catalog.age(child.xmin) <= (SELECT age FROM since) AND pg_catalog.age(class.xmin) > (SELECT age FROM since))
       AND NOT EXISTS (SELECT FROM depends JOIN pg_catalog.pg_class AS class ON class.oid = depends.objid AND class.relkind = 'S'
                       WHERE pg_catalog.age(depends.xmin) <= (SELECT age FROM since) AND pg_catalog.age(class.xmin) > (SELECT age FROM since))
           AS is_apart,
       (SELECT coalesce(pg_catalog.string_agg(pg_catalog.concat_ws(' ', oid, rolname), ',' ORDER BY oid), '') FROM pg_catalog.pg_roles)
       || (SELECT coalesce(pg_catalog.string_agg(pg_catalog.concat_ws(' ', umid, umoptions), ',' ORDER BY umid), '') FROM pg_catalog.pg_user_mappings) AS others,
       (SELECT coalesce(pg_catalog.string_agg(setting::pg_catalog.text, ',' ORDER BY setting::pg_catalog.text), '')
        FROM pg_catalog.pg_db_role_setting AS setting
        WHERE setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))) AS settings
FROM counted;
