-- Types that columns use, and the types that those are made of, however deep.
-- "hashable" and "has_binary" speak of the type alone; what its parts allow, and their extension, is added by the reader.
WITH RECURSIVE used (oid) AS (
    SELECT a.atttypid
    FROM pg_attribute AS a
    JOIN pg_class AS c ON c.oid = a.attrelid
    WHERE a.attrelid >= 16384
      AND a.attnum > 0
      AND NOT a.attisdropped
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    UNION
    SELECT part.oid
    FROM used
    JOIN pg_type AS t ON t.oid = used.oid
    CROSS JOIN LATERAL (
        SELECT t.typelem WHERE t.typelem <> 0 AND t.typsubscript = 'array_subscript_handler'::regproc
        UNION ALL
        SELECT t.typbasetype WHERE t.typtype = 'd'
        UNION ALL
        SELECT a.atttypid
        FROM pg_attribute AS a
        WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT r.rngsubtype FROM pg_range AS r WHERE t.typtype = 'r' AND r.rngtypid = t.oid
        UNION ALL
        SELECT r.rngtypid FROM pg_range AS r WHERE t.typtype = 'm' AND r.rngmultitypid = t.oid
    ) AS part (oid)
),
-- Types with a default hash operator class that has an extended hash function (amproc 2), which hash_record_extended
-- asks for; then what is binary coercible to one of them, as varchar is to text.
hashed (oid) AS (
    SELECT o.opcintype
    FROM pg_opclass AS o
    JOIN pg_am AS am ON am.oid = o.opcmethod
    JOIN pg_amproc AS p
        ON p.amprocfamily = o.opcfamily
        AND p.amproclefttype = o.opcintype
        AND p.amprocrighttype = o.opcintype
    WHERE o.opcdefault AND am.amname = 'hash' AND p.amprocnum = 2
),
hashable (oid) AS (
    SELECT oid FROM hashed
    UNION
    SELECT k.castsource
    FROM pg_cast AS k
    JOIN hashed AS h ON h.oid = k.casttarget
    WHERE k.castmethod = 'b' AND k.castcontext = 'i'
)
SELECT t.oid,
       n.nspname AS schema,
       t.typname AS name,
       format_type(t.oid, NULL) AS text,
       t.typtype::text AS kind,
       CASE WHEN t.typsubscript = 'array_subscript_handler'::regproc THEN nullif(t.typelem, 0) END AS element,
       CASE WHEN t.typtype = 'e' THEN ARRAY(
           SELECT e.enumlabel FROM pg_enum AS e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder
       ) END AS labels,
       t.typbasetype AS base_oid,
       t.typtypmod AS base_modifier,
       format_type(nullif(t.typbasetype, 0), t.typtypmod) AS base_text,
       t.typnotnull AS not_null,
       CASE WHEN t.typtype = 'd' THEN ARRAY(
           SELECT pg_get_constraintdef(k.oid)
           FROM pg_constraint AS k
           WHERE k.contypid = t.oid AND k.contype = 'c'
           ORDER BY k.conname
       ) END AS checks,
       f.names AS field_names,
       f.oids AS field_oids,
       f.modifiers AS field_modifiers,
       f.texts AS field_texts,
       r.rngsubtype AS subtype,
       m.rngtypid AS range,
       (
           SELECT x.extname
           FROM pg_depend AS d
           JOIN pg_extension AS x ON x.oid = d.refobjid
           WHERE d.refclassid = 'pg_extension'::regclass
             AND d.deptype = 'e'
             AND (d.classid = 'pg_type'::regclass AND d.objid = t.oid
                  -- The row type of a table is a member through the table.
                  OR d.classid = 'pg_class'::regclass AND d.objid = nullif(t.typrelid, 0))
           LIMIT 1 -- from 17 on, row types are members themselves too
       ) AS extension,
       t.typsend <> 0 AND t.typreceive <> 0 AS has_binary,
       EXISTS (SELECT FROM hashable AS h WHERE h.oid = t.oid) AS hashable
FROM used
JOIN pg_type AS t ON t.oid = used.oid
JOIN pg_namespace AS n ON n.oid = t.typnamespace
LEFT JOIN pg_range AS r ON t.typtype = 'r' AND r.rngtypid = t.oid
LEFT JOIN pg_range AS m ON t.typtype = 'm' AND m.rngmultitypid = t.oid
LEFT JOIN LATERAL (
    SELECT array_agg(a.attname ORDER BY a.attnum) AS names,
           array_agg(a.atttypid ORDER BY a.attnum) AS oids,
           array_agg(a.atttypmod ORDER BY a.attnum) AS modifiers,
           array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum) AS texts
    FROM pg_attribute AS a
    -- Not in ON: this way nothing is looked up for the types that have no fields.
    WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
) AS f ON true
ORDER BY t.oid;
