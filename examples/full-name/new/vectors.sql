-- What the functions must give. Any row that this finds is an error.
CREATE TEMPORARY TABLE wrong AS
SELECT 'split ' || coalesce(quote_literal(full_name), 'NULL') AS what, name.first_name || '|' || name.last_name AS is, first || '|' || last AS should
FROM (VALUES
    ('John Doe', 'John', 'Doe'),
    ('Mary Jane Watson', 'Mary Jane', 'Watson'),
    ('Madonna', 'Madonna', ''),
    ('  Spaced  Out  ', 'Spaced', 'Out'),
    (NULL, '', ''),
    ('', '', ''),
    ('   ', '', ''),
    ('John van der Berg', 'John', 'van der Berg'),
    ('Mary Jane van der Berg', 'Mary Jane', 'van der Berg'),
    ('Eve   van  Der', 'Eve', 'van Der'),
    ('Van Morrison', 'Van', 'Morrison'),
    ('Leonardo da Vinci', 'Leonardo', 'da Vinci'),
    (E'Tab\tName', 'Tab', 'Name'),
    ('Éva Kovács', 'Éva', 'Kovács')
) AS vector (full_name, first, last), new_users.split_full_name(full_name) AS name
WHERE (name.first_name, name.last_name) IS DISTINCT FROM (first, last)
UNION ALL
SELECT format('concat %L, %L', first, last), new_users.concat_names(first, last), whole
FROM (VALUES
    ('John', 'Doe', 'John Doe'),
    ('Mary', 'Watson', 'Mary Watson'),
    ('Madonna', NULL, 'Madonna'),
    (NULL, 'Prince', 'Prince'),
    (NULL, NULL, ''),
    ('Mary Jane', 'van der Berg', 'Mary Jane van der Berg'),
    (' Ada ', '', 'Ada')
) AS vector (first, last, whole)
WHERE new_users.concat_names(first, last) IS DISTINCT FROM whole
UNION ALL
-- There and back, for every name that is there: nothing but white space may change, and a second time nothing at all.
SELECT 'there and back ' || id, back, full_name
FROM public.users
CROSS JOIN LATERAL new_users.split_full_name(full_name) AS name
CROSS JOIN LATERAL new_users.concat_names(name.first_name, name.last_name) AS back
WHERE back <> btrim(regexp_replace(full_name, '\s+', ' ', 'g')) OR new_users.split_full_name(back) IS DISTINCT FROM name;

TABLE wrong;
DO $$ BEGIN
    IF EXISTS (SELECT FROM wrong) THEN RAISE EXCEPTION 'the functions do not give what they must: see the rows above'; END IF;
END $$;
