-- What Confiture remembers, on both sides, while both take writes.
CREATE TABLE IF NOT EXISTS confiture.bidirectional (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    policy text NOT NULL CHECK (policy IN ('source', 'target', 'latest', 'fail')),
    latest_by text,                        -- of `latest`: the new side's column that says when a row was written
    since timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);

-- Rows that both have changed since they last agreed, and what became of them.
CREATE TABLE IF NOT EXISTS confiture.conflict (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    table_schema text NOT NULL,            -- the new side's table
    table_name text NOT NULL,
    key text[],                            -- of its row; NULL for all of the table
    policy text NOT NULL,
    winner text CHECK (winner IN ('old', 'new')), -- whose row both have now; NULL where that is to be decided
    old_row jsonb,                         -- what the mapping gave of the old side; NULL where it was gone
    new_row jsonb                          -- what the new side had; NULL where it was gone
);

-- Sequences that count in larger steps, so that neither side draws the other's numbers.
CREATE TABLE IF NOT EXISTS confiture.interleaved (
    sequence_schema text NOT NULL,
    sequence_name text NOT NULL,
    increment bigint NOT NULL,             -- as it was before, and will be again
    PRIMARY KEY (sequence_schema, sequence_name)
);
