-- What is taken off tables while they are loaded, how, and the statements that put it back. $1: OIDs of the tables.
-- An index of a partitioned table goes with those of its partitions, and is put back after them: a server that makes an
-- index of a partitioned table takes in what partitions have already. It is told under the table of $1. Where $1 has a
-- partition alone, what is attached to an index of the whole stays; so does a primary key of the whole from 18 on.
-- Invalid indexes stay too: put back, they would be valid. Run with an empty search_path, so that names are qualified.
WITH RECURSIVE tree AS (
    SELECT root AS oid, root FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS root
    UNION
    SELECT inhrelid, root FROM tree JOIN pg_catalog.pg_inherits ON inhparent = tree.oid
), relation AS (
    SELECT class.oid, namespace.nspname, class.relname, class.relkind, class.relispartition,
           pg_catalog.format('%I.%I', namespace.nspname, class.relname) AS name
    FROM pg_catalog.pg_class AS class
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
), index_parts AS (
    SELECT index.indexrelid, index.indrelid,
           pg_catalog.format('%I.%I', namespace.nspname, class.relname) AS name, class.relname,
           -- One string with what is built: every element is a transaction of its own.
           pg_catalog.format('SET LOCAL default_tablespace = %L; ', coalesce(tablespace.spcname, '')) AS placed,
           -- Of a partitioned table without its ONLY.
           CASE WHEN relation.relkind = 'p'
                THEN definition.head || pg_catalog.substr(definition.text, pg_catalog.length(definition.head || 'ONLY ') + 1)
                ELSE definition.text END AS build,
           coalesce((
               SELECT pg_catalog.array_agg(pg_catalog.format(
                   'ALTER INDEX %I.%I ALTER COLUMN %s SET STATISTICS %s',
                   namespace.nspname, class.relname, attribute.attnum, attribute.attstattarget))
               FROM pg_catalog.pg_attribute AS attribute
               WHERE attribute.attrelid = index.indexrelid AND attribute.attstattarget >= 0
           ), '{}') AS statistics,
           CASE WHEN index.indisunique AND index.indpred IS NULL AND index.indexprs IS NULL THEN ARRAY(
               SELECT attribute.attname::text
               FROM pg_catalog.unnest(index.indkey[0:index.indnkeyatts - 1]) WITH ORDINALITY AS part (number, position)
               JOIN pg_catalog.pg_attribute AS attribute
                   ON attribute.attrelid = index.indrelid AND attribute.attnum = part.number
               ORDER BY part.position) END AS key,
           index.indisprimary AS is_primary, index.indimmediate AS is_immediate,
           CASE WHEN index.indisclustered THEN ARRAY[pg_catalog.format(
               'ALTER TABLE %s CLUSTER ON %I', relation.name, class.relname)] ELSE '{}' END AS clustered,
           CASE WHEN index.indisreplident THEN ARRAY[pg_catalog.format(
               'ALTER TABLE %s REPLICA IDENTITY USING INDEX %I', relation.name, class.relname)] ELSE '{}' END AS identity,
           CASE WHEN pg_catalog.obj_description(index.indexrelid, 'pg_class') IS NOT NULL THEN ARRAY[pg_catalog.format(
               'COMMENT ON INDEX %I.%I IS %L', namespace.nspname, class.relname,
               pg_catalog.obj_description(index.indexrelid, 'pg_class'))] ELSE '{}' END AS comment
    FROM pg_catalog.pg_index AS index
    JOIN pg_catalog.pg_class AS class ON class.oid = index.indexrelid
    JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
    JOIN relation ON relation.oid = index.indrelid
    LEFT JOIN pg_catalog.pg_tablespace AS tablespace ON tablespace.oid = class.reltablespace
    CROSS JOIN LATERAL (
        SELECT pg_catalog.pg_get_indexdef(index.indexrelid),
               pg_catalog.format('CREATE %sINDEX %I ON ', CASE WHEN index.indisunique THEN 'UNIQUE ' END, class.relname)
    ) AS definition (text, head)
    WHERE index.indisvalid AND relation.relkind IN ('r', 'p')
), own_constraint AS (
    SELECT con.*, relation.name, relation.nspname, relation.relname,
           pg_catalog.pg_get_constraintdef(con.oid) AS definition,
           -- Partitioned tables refuse NOT VALID keys; and those that refer to one stay half invalid until PostgreSQL 17.
           relation.relkind = 'r' AND NOT EXISTS (
               SELECT FROM pg_catalog.pg_partitioned_table WHERE partrelid = con.confrelid) AS may_wait,
           CASE WHEN pg_catalog.obj_description(con.oid, 'pg_constraint') IS NOT NULL THEN ARRAY[pg_catalog.format(
               'COMMENT ON CONSTRAINT %I ON %s IS %L', con.conname, relation.name,
               pg_catalog.obj_description(con.oid, 'pg_constraint'))] ELSE '{}' END AS comment
    FROM pg_catalog.pg_constraint AS con
    JOIN relation ON relation.oid = con.conrelid
), branch AS (
    -- Every index that is attached to no other, and those that are attached to it.
    SELECT parts.indexrelid AS top, parts.indexrelid, 0 AS depth
    FROM index_parts AS parts
    WHERE parts.indrelid IN (SELECT oid FROM tree)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = parts.indexrelid)
    UNION ALL
    SELECT branch.top, inherits.inhrelid, branch.depth + 1
    FROM branch JOIN pg_catalog.pg_inherits AS inherits ON inherits.inhparent = branch.indexrelid
), rebuilt AS (
    SELECT branch.top, branch.indexrelid, branch.depth,
           CASE WHEN con.oid IS NULL THEN ARRAY[parts.placed || parts.build]
                WHEN relation.relkind = 'r' AND con.contype IN ('p', 'u')
                     AND NOT coalesce((pg_catalog.to_jsonb(con) ->> 'conperiod')::boolean, false)
                THEN ARRAY[parts.placed || parts.build, pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s USING INDEX %I%s', con.name, con.conname,
                    CASE con.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END, parts.relname,
                    CASE WHEN con.condeferrable THEN ' DEFERRABLE' ELSE '' END
                    || CASE WHEN con.condeferred THEN ' INITIALLY DEFERRED' ELSE '' END)]
                ELSE ARRAY[parts.placed
                    || pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s', con.name, con.conname, con.definition)]
           END || coalesce(con.comment, '{}') || parts.statistics || parts.clustered || parts.identity || parts.comment AS statements
    FROM branch
    JOIN index_parts AS parts ON parts.indexrelid = branch.indexrelid
    JOIN relation ON relation.oid = parts.indrelid
    LEFT JOIN own_constraint AS con ON con.conindid = branch.indexrelid AND con.contype IN ('p', 'u', 'x')
), whole AS (
    SELECT rebuilt.top, pg_catalog.count(DISTINCT rebuilt.indexrelid) AS indexes,
           -- From the leaves to the root.
           pg_catalog.array_agg(statement.text ORDER BY rebuilt.depth DESC, rebuilt.indexrelid, statement.number) AS restore
    FROM rebuilt CROSS JOIN pg_catalog.unnest(rebuilt.statements) WITH ORDINALITY AS statement (text, number)
    GROUP BY rebuilt.top
), taken AS (
    SELECT parts.indexrelid, root.nspname, root.relname, root.oid AS root, whole.restore,
           CASE WHEN parts.indrelid = root.oid THEN parts.key END AS key, parts.is_primary, parts.is_immediate,
           parts.name, parts.relname AS index_name
    FROM index_parts AS parts
    JOIN (SELECT oid, pg_catalog.min(root) AS root FROM tree GROUP BY oid) AS tree ON tree.oid = parts.indrelid
    JOIN relation AS root ON root.oid = tree.root
    JOIN whole ON whole.top = parts.indexrelid
    -- All of them are valid.
    JOIN (SELECT top, pg_catalog.count(*) AS indexes FROM branch GROUP BY top) AS attached
        ON attached.top = whole.top AND attached.indexes = whole.indexes
    -- From 18 on a partition that is given a primary key of its own has its NOT NULL for its own, too.
    JOIN relation ON relation.oid = parts.indrelid
    WHERE NOT (parts.is_primary AND relation.relkind = 'p'
               AND pg_catalog.current_setting('server_version_num')::int >= 180000)
)
SELECT 1 AS step, con.nspname AS table_schema, con.relname AS table_name, 'foreign_key' AS kind, con.conname AS name,
       pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', con.name, con.conname) AS take_off,
       ARRAY[pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s%s', con.name, con.conname, con.definition,
           CASE WHEN con.convalidated AND con.may_wait THEN ' NOT VALID' ELSE '' END)]
       || con.comment
       || CASE WHEN con.convalidated AND con.may_wait
               THEN ARRAY[pg_catalog.format('ALTER TABLE %s VALIDATE CONSTRAINT %I', con.name, con.conname)]
               ELSE '{}' END AS restore,
       con.conrelid AS oid, NULL::text[] AS key, false AS is_primary, true AS is_immediate
FROM own_constraint AS con JOIN relation ON relation.oid = con.conrelid
WHERE con.contype = 'f' AND con.conparentid = 0
  AND (con.conrelid IN (SELECT oid FROM tree) OR con.confrelid IN (SELECT oid FROM tree))
UNION ALL
SELECT 2, taken.nspname, taken.relname, 'constraint', con.conname,
       pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I', con.name, con.conname),
       taken.restore, taken.root, taken.key, taken.is_primary, taken.is_immediate
FROM taken
JOIN own_constraint AS con ON con.conindid = taken.indexrelid AND con.contype IN ('p', 'u', 'x')
UNION ALL
SELECT 3, taken.nspname, taken.relname, 'index', taken.index_name,
       'DROP INDEX ' || taken.name,
       taken.restore, taken.root, taken.key, taken.is_primary, taken.is_immediate
FROM taken
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conindid = taken.indexrelid AND contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 4, relation.nspname, relation.relname, 'trigger', trigger.tgname,
       pg_catalog.format('ALTER TABLE ONLY %s DISABLE TRIGGER %I', relation.name, trigger.tgname),
       ARRAY[pg_catalog.format('ALTER TABLE ONLY %s ENABLE %sTRIGGER %I', relation.name,
           CASE trigger.tgenabled WHEN 'A' THEN 'ALWAYS ' ELSE '' END, trigger.tgname)],
       relation.oid, NULL, false, true
FROM pg_catalog.pg_trigger AS trigger
JOIN relation ON relation.oid = trigger.tgrelid
WHERE NOT trigger.tgisinternal AND trigger.tgenabled IN ('O', 'A') AND trigger.tgrelid IN (SELECT oid FROM tree)
ORDER BY step, table_schema, table_name, name;
