-- Which columns $2 of the tables $1 hold values that are equal although their texts differ ('Ann' and 'ann' of citext, 5 and 5.0),
-- and of what type or collation they are.
WITH RECURSIVE base AS (
    SELECT key.at, class.oid AS relation, attribute.attname AS name, attribute.atttypid AS type, attribute.atttypmod AS modifier,
           attribute.attcollation AS collation
    FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) WITH ORDINALITY AS key (relation, name, at)
    JOIN pg_catalog.pg_class AS class ON class.oid = pg_catalog.to_regclass(key.relation)
    JOIN pg_catalog.pg_attribute AS attribute ON attribute.attrelid = class.oid AND attribute.attname = key.name
    UNION ALL
    SELECT base.at, base.relation, base.name, domain.typbasetype, domain.typtypmod, base.collation
    FROM base JOIN pg_catalog.pg_type AS domain ON domain.oid = base.type AND domain.typtype = 'd'
)
SELECT namespace.nspname, class.relname, base.name::text,
       CASE WHEN rules.collisdeterministic IS NOT FALSE THEN pg_catalog.format_type(base.type, base.modifier)
            ELSE pg_catalog.format('collated by %I', rules.collname) END
FROM base
JOIN pg_catalog.pg_type AS type ON type.oid = base.type AND type.typtype <> 'd'
JOIN pg_catalog.pg_class AS class ON class.oid = base.relation
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
LEFT JOIN pg_catalog.pg_collation AS rules ON rules.oid = base.collation
WHERE NOT rules.collisdeterministic
   OR (type.typtype <> 'e'
       AND NOT (type.oid = 'pg_catalog.numeric'::pg_catalog.regtype AND base.modifier >= 0)
       AND type.oid <> ALL ('{bool,int2,int4,int8,oid,xid8,money,text,varchar,bpchar,name,"\"char\"",bytea,uuid,date,time,timetz,timestamp,timestamptz,inet,cidr,macaddr,macaddr8,bit,varbit,pg_lsn}'::pg_catalog.regtype[]))
ORDER BY base.at
LIMIT 1
