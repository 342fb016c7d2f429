-- One name into two, and back. Both are total: they give a value for every text and for NULL, never NULL.

-- The last word is the last name, with the particles right before it ("van der Berg"); everything before that is the first
-- name ("Mary Jane"). The first word is never a last name: a single word is a first name. White space is made single spaces.
CREATE FUNCTION new_users.split_full_name(full_name text, OUT first_name text, OUT last_name text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT rtrim(left(whole, length(whole) - length(last))), last
    FROM (
        SELECT whole, coalesce(substring(whole FROM
            '(?i) ((?:(?:af|al|av|bin|da|das|de|del|den|der|di|dos|du|el|la|le|ten|ter|van|von|zu|zur) )*[^ ]+)$'), '') AS last
        FROM (SELECT btrim(regexp_replace(coalesce(full_name, ''), '\s+', ' ', 'g')) AS whole) AS cleaned
    ) AS parts
$$;

-- What is missing leaves no space behind. For every text t, the way there and back changes nothing but white space.
CREATE FUNCTION new_users.concat_names(first_name text, last_name text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT btrim(regexp_replace(coalesce(first_name, '') || ' ' || coalesce(last_name, ''), '\s+', ' ', 'g'))
$$;
