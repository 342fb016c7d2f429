-- What Confiture remembers of a migration, in the target: every step's effect and its record are one transaction.
CREATE TABLE IF NOT EXISTS confiture.migration (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    source text NOT NULL,                  -- user@host:port/database, as shown
    source_connection text NOT NULL,       -- how to reach it again; never its password
    source_name text,                      -- the environment that named it
    mapping_file text,                     -- the mapping of the last run, as it was named; none for equal names
    foreign_schema text,                   -- where foreign tables were made, if so
    tool_version text NOT NULL,
    set_up_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

CREATE TABLE IF NOT EXISTS confiture.table_state (
    table_schema text NOT NULL,
    table_name text NOT NULL,
    fingerprint text NOT NULL,             -- of the SELECT that defines the table's rows
    source text NOT NULL,
    filter text,                           -- --where of the run that copied it
    state text NOT NULL CHECK (state IN ('copying', 'copied', 'indexing', 'catching_up', 'following', 'finished')),
    route text NOT NULL,
    snapshot text NOT NULL,                -- pg_current_snapshot() of the rows
    started_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    finished_at timestamptz,
    PRIMARY KEY (table_schema, table_name)
);

CREATE TABLE IF NOT EXISTS confiture.chunk (
    table_schema text NOT NULL,
    table_name text NOT NULL,
    relation text NOT NULL,                -- the source relation that holds the pages
    first_page bigint NOT NULL,
    end_page bigint NOT NULL,              -- the page after the last; 4294967295 for an open end
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    file oid,                              -- pg_relation_filenode() of it, where changes are captured meanwhile
    transaction xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id(), -- xmin of the chunk's rows: who changes one, changes that
    finished_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    -- No foreign key to table_state: chunks are recorded under the source's snapshot where both are one database.
    PRIMARY KEY (table_schema, table_name, relation, first_page)
);

-- What was taken off tables for the load, and how it is put back.
CREATE TABLE IF NOT EXISTS confiture.journal (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_schema text NOT NULL,
    table_name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('index', 'constraint', 'foreign_key', 'trigger')),
    name text NOT NULL,
    restore text[] NOT NULL,               -- statements, in order; each may be run again after a crash
    key text[],                            -- of a unique index over plain columns and all rows: the columns
    is_primary boolean NOT NULL DEFAULT false,
    is_immediate boolean NOT NULL DEFAULT true, -- false where its uniqueness is checked late
    taken_off_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    UNIQUE (table_schema, table_name, kind, name)
);

CREATE TABLE IF NOT EXISTS confiture.event (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    by text NOT NULL DEFAULT current_user, -- the role
    actor text DEFAULT nullif(pg_catalog.current_setting('confiture.actor', true), ''), -- who ran it: ada@laptop
    client text DEFAULT pg_catalog.host(pg_catalog.inet_client_addr()), -- from where; NULL over a Unix socket
    what text NOT NULL
);
