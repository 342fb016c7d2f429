-- Changes whenever one of the relations is altered, renamed, attached, dropped, rewritten or emptied, or a user's function
-- is made, replaced or dropped, and costs little. $1: OIDs of relations; $2: names of functions; $3: the
-- publication that captures the relations' changes, empty where triggers do.
SELECT pg_catalog.concat_ws(' ',
    (SELECT pg_catalog.string_agg(relname || relnamespace::text || ' ' || relfilenode::text, ' ' ORDER BY oid)
     FROM pg_catalog.pg_class WHERE oid = ANY ($1::pg_catalog.oid[])),
    (SELECT pg_catalog.count(*)::text || ' ' || pg_catalog.sum(xmin::text::pg_catalog.int8)::text
     FROM pg_catalog.pg_attribute WHERE attrelid = ANY ($1::pg_catalog.oid[]) AND attnum > 0),
    (SELECT pg_catalog.count(*)::text || ' ' || coalesce(pg_catalog.sum(inhrelid::pg_catalog.int8), 0)::text
     FROM pg_catalog.pg_inherits WHERE inhparent = ANY ($1::pg_catalog.oid[]) AND NOT inhdetachpending),
    (SELECT pg_catalog.count(*)::text || ' '
            || pg_catalog.sum(trigger.xmin::text::pg_catalog.int8 + function.xmin::text::pg_catalog.int8)
     FROM pg_catalog.pg_trigger AS trigger JOIN pg_catalog.pg_proc AS function ON function.oid = trigger.tgfoid
     WHERE trigger.tgrelid = ANY ($1::pg_catalog.oid[]) AND $3::text = ''
       AND pg_catalog.starts_with(trigger.tgname, 'confiture_capture')),
    (SELECT pg_catalog.count(*)::text || ' '
            || pg_catalog.sum(published.xmin::text::pg_catalog.int8 + publication.xmin::text::pg_catalog.int8)
     FROM pg_catalog.pg_publication_rel AS published
     JOIN pg_catalog.pg_publication AS publication ON publication.oid = published.prpubid
     WHERE published.prrelid = ANY ($1::pg_catalog.oid[]) AND publication.pubname::text = $3::text),
    (SELECT pg_catalog.count(*)::text || ' ' || pg_catalog.sum(proc.xmin::text::pg_catalog.int8 + proc.oid::pg_catalog.int8)
     FROM pg_catalog.pg_proc AS proc
     WHERE proc.proname = ANY ($2::pg_catalog.text[])
       AND proc.pronamespace <> 'pg_catalog'::pg_catalog.regnamespace));
