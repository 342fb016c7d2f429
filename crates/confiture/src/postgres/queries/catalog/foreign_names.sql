-- In a SQL_ASCII database names are bytes of any kind. Those with bytes beyond ASCII, unconverted, to find the one that
-- is not UTF-8.
SELECT named.kind, convert_to(named.name::text, 'SQL_ASCII') AS name
FROM (
    SELECT 'schema' AS kind, nspname AS name FROM pg_namespace
    UNION ALL
    SELECT 'relation, index or sequence', relname FROM pg_class
    UNION ALL
    SELECT 'column', attname FROM pg_attribute
    UNION ALL
    SELECT 'type', typname FROM pg_type
    UNION ALL
    SELECT 'enum label', enumlabel FROM pg_enum
    UNION ALL
    SELECT 'constraint', conname FROM pg_constraint
    UNION ALL
    SELECT 'trigger', tgname FROM pg_trigger
    UNION ALL
    SELECT 'role', rolname FROM pg_roles
) AS named
WHERE octet_length(regexp_replace(named.name::text COLLATE "C", '[\x01-\x7f]+', '', 'g')) > 0;
