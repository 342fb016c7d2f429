-- May a value of one type be assigned to another? $1: OIDs of the types given, $2: names of the types wanted.
-- Answers, in order: n, the name of the given type, and one of
--   same      nothing to do            i, a   implicit or assignment cast: fine
--   e         only an explicit cast    none   no cast at all               missing   no such type here
WITH RECURSIVE pair AS (
    SELECT n, given, pg_catalog.to_regtype(wanted)::pg_catalog.oid AS wanted
    FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.oid[]), pg_catalog.unnest($2::pg_catalog.text[])) WITH ORDINALITY AS pair (given, wanted, n)
), unwrapped AS (
    SELECT n, given AS type FROM pair
    UNION ALL
    SELECT n, domain.typbasetype
    FROM unwrapped JOIN pg_catalog.pg_type AS domain ON domain.oid = type
    WHERE domain.typtype = 'd'
), base AS (
    SELECT pair.n, pair.given, pair.wanted, given.oid AS source, given.typelem AS source_element,
           given.typcategory AS source_category, wanted.typelem AS wanted_element, wanted.typcategory AS wanted_category
    FROM pair
    JOIN unwrapped USING (n)
    JOIN pg_catalog.pg_type AS given ON given.oid = unwrapped.type AND given.typtype <> 'd'
    LEFT JOIN pg_catalog.pg_type AS wanted ON wanted.oid = pair.wanted
)
SELECT n::pg_catalog.int8,
       pg_catalog.format_type(given, NULL),
       CASE
           WHEN wanted IS NULL THEN 'missing'
           WHEN given = wanted THEN 'same'
           WHEN source = wanted OR source = 'pg_catalog.unknown'::pg_catalog.regtype THEN 'i'
           WHEN own.castcontext IS NOT NULL THEN own.castcontext::pg_catalog.text
           WHEN source_category = 'A' AND wanted_category = 'A' AND source_element = wanted_element THEN 'i'
           WHEN source_category = 'A' AND wanted_category = 'A' AND element.castcontext IS NOT NULL
               THEN element.castcontext::pg_catalog.text
           WHEN wanted_category = 'S' THEN 'a'
           WHEN source_category = 'S' THEN 'e'
           ELSE 'none'
       END
FROM base
LEFT JOIN pg_catalog.pg_cast AS own ON own.castsource = source AND own.casttarget = wanted
LEFT JOIN pg_catalog.pg_cast AS element ON element.castsource = source_element AND element.casttarget = wanted_element
ORDER BY n;
