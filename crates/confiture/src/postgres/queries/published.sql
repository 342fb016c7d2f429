-- The tables of which the publication $1 gives every change of every row.
SELECT published.prrelid
FROM pg_catalog.pg_publication_rel AS published
JOIN pg_catalog.pg_publication AS publication ON publication.oid = published.prpubid
WHERE publication.pubname = $1::text AND publication.pubinsert AND publication.pubupdate AND publication.pubdelete
  AND publication.pubtruncate
  -- Since PostgreSQL 15 there may be a row filter and a list of columns.
  AND pg_catalog.to_jsonb(published) ->> 'prqual' IS NULL AND pg_catalog.to_jsonb(published) ->> 'prattrs' IS NULL;
