-- Which of the privileges ($1 roles, $2 tables by OID, $3 privileges, $4 whether on some columns) nobody has granted here: the
-- role, and the GRANT that is missing; an empty one where the role itself is missing. Numbering takes its sequence too.
WITH wanted AS (
    SELECT * FROM ROWS FROM (
        pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::pg_catalog.oid[]), pg_catalog.unnest($3::text[]),
        pg_catalog.unnest($4::pg_catalog.bool[])) AS w (role, oid, privilege, of_columns)
), known AS (
    SELECT wanted.*, namespace.oid AS schema, namespace.nspname, class.relname,
           role = 'public' OR EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role) AS exists
    FROM wanted
    JOIN pg_catalog.pg_class AS class ON class.oid = wanted.oid
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
), numbering AS (
    SELECT DISTINCT known.role, known.exists, sequence.oid, namespace.nspname, sequence.relname
    FROM known
    JOIN pg_catalog.pg_attrdef AS default_of ON default_of.adrelid = known.oid
    JOIN pg_catalog.pg_depend AS depend ON depend.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
        AND depend.objid = default_of.oid AND depend.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
    JOIN pg_catalog.pg_class AS sequence ON sequence.oid = depend.refobjid AND sequence.relkind = 'S'
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = sequence.relnamespace
    WHERE known.privilege = 'INSERT'
), lacking AS (
    SELECT role, 1 AS step, CASE WHEN exists THEN pg_catalog.format('USAGE ON SCHEMA %I', nspname) ELSE '' END AS what
    FROM known
    WHERE CASE WHEN exists THEN NOT pg_catalog.has_schema_privilege(role, schema, 'USAGE') ELSE true END
    UNION
    SELECT role, 2, pg_catalog.format('%s ON %I.%I', privilege, nspname, relname)
    FROM known
    WHERE CASE WHEN NOT exists THEN false
               WHEN of_columns AND privilege <> 'DELETE' THEN NOT pg_catalog.has_any_column_privilege(role, oid, privilege)
               ELSE NOT pg_catalog.has_table_privilege(role, oid, privilege) END
    UNION
    SELECT role, 3, pg_catalog.format('USAGE ON SEQUENCE %I.%I', nspname, relname)
    FROM numbering
    WHERE CASE WHEN exists THEN NOT pg_catalog.has_sequence_privilege(role, oid, 'USAGE, UPDATE') ELSE false END
)
SELECT role, what FROM lacking ORDER BY role, step, what;
