-- Journals an object that was taken off: $1 and $2 its table, $3 its kind, $4 its name, $5 the statements that put it back;
-- of a unique index $6 its columns, $7 whether it is the primary key's, $8 whether it is checked at once.
-- What an earlier run took off and had put back in part is in the journal already, with what is left to do; that comes
-- after what puts the part back. An index may be such a part of a constraint of its name.
WITH known AS (
    UPDATE confiture.journal AS journal
    SET restore = $5 || ARRAY(
        SELECT statement FROM pg_catalog.unnest(journal.restore) WITH ORDINALITY AS left_over (statement, n)
        WHERE statement <> ALL ($5) ORDER BY n)
    WHERE table_schema = $1 AND table_name = $2 AND name = $4
      AND (kind = $3 OR ($3 = 'index' AND kind = 'constraint'))
    RETURNING id
)
INSERT INTO confiture.journal (table_schema, table_name, kind, name, restore, key, is_primary, is_immediate)
SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE NOT EXISTS (SELECT FROM known);
