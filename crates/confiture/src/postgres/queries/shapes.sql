-- How relations look: a line for each column, with its number, and each partition; and one that changes with what
-- captures their changes, even where that was put back, and with where and as what their rows are stored. $1: their OIDs;
-- $2: the publication that captures them, empty where triggers do.
SELECT pg_catalog.format('%I.%I', namespace.nspname, class.relname) AS relation,
       coalesce((
           SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', attribute.attnum,
               pg_catalog.quote_ident(attribute.attname),
               pg_catalog.format_type(attribute.atttypid, attribute.atttypmod),
               CASE WHEN attribute.attcollation <> type.typcollation THEN 'COLLATE ' || attribute.attcollation::regcollation::text END,
               CASE WHEN attribute.attnotnull THEN 'NOT NULL' END,
               CASE WHEN attribute.attgenerated <> '' THEN 'GENERATED' END), E'\n' ORDER BY attribute.attnum)
           FROM pg_catalog.pg_attribute AS attribute
           JOIN pg_catalog.pg_type AS type ON type.oid = attribute.atttypid
           WHERE attribute.attrelid = class.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
       ), '')
       || coalesce((
           SELECT pg_catalog.string_agg(E'\npartition ' || inherits.inhrelid::regclass::text, '' ORDER BY inherits.inhrelid)
           FROM pg_catalog.pg_inherits AS inherits
           WHERE inherits.inhparent = class.oid AND NOT inherits.inhdetachpending
       ), '')
       || coalesce((
           SELECT E'\ncapture ' || pg_catalog.count(*) || ' '
               || pg_catalog.sum(trigger.xmin::text::pg_catalog.int8 + function.xmin::text::pg_catalog.int8)
           FROM pg_catalog.pg_trigger AS trigger
           JOIN pg_catalog.pg_proc AS function ON function.oid = trigger.tgfoid
           WHERE trigger.tgrelid = class.oid AND $2::text = '' AND pg_catalog.starts_with(trigger.tgname, 'confiture_capture')
           HAVING pg_catalog.count(*) > 0
       ), '')
       || coalesce((
           SELECT E'\ncapture published ' || pg_catalog.count(*) || ' '
               || pg_catalog.sum(published.xmin::text::pg_catalog.int8 + publication.xmin::text::pg_catalog.int8)
           FROM pg_catalog.pg_publication_rel AS published
           JOIN pg_catalog.pg_publication AS publication ON publication.oid = published.prpubid
           WHERE published.prrelid = class.oid AND publication.pubname::text = $2::text
           HAVING pg_catalog.count(*) > 0
       ), '')
       || E'\nstored ' || class.relfilenode || ' ' || coalesce((
           SELECT pg_catalog.sum(attribute.xmin::text::pg_catalog.int8)
           FROM pg_catalog.pg_attribute AS attribute WHERE attribute.attrelid = class.oid AND attribute.attnum > 0
       ), 0) AS shape
FROM pg_catalog.pg_class AS class
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = class.relnamespace
WHERE class.oid = ANY ($1::pg_catalog.oid[])
ORDER BY class.oid;
