-- Where tables of a sync wait until all are loaded and searched. Only its owner may look in.
CREATE SCHEMA confiture_quarantine;
COMMENT ON SCHEMA confiture_quarantine IS 'a sync of confiture that has not ended: `confiture sync --repair` removes it';
CREATE TABLE confiture_quarantine.run (
    started timestamp with time zone NOT NULL DEFAULT pg_catalog.now(),
    source text NOT NULL,
    key_id text                            -- masks of another key would not match
);
CREATE TABLE confiture_quarantine.loaded ( -- the tables that are whole
    place text PRIMARY KEY,                -- the table in this schema that holds the rows
    table_schema text NOT NULL,
    table_name text NOT NULL,
    identity text NOT NULL,                -- digest of its columns, types and rules
    snapshot text NOT NULL,                -- of the source
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    masked bigint[] NOT NULL,              -- per column
    unchanged bigint[] NOT NULL,
    milliseconds bigint NOT NULL,
    finished timestamp with time zone NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
