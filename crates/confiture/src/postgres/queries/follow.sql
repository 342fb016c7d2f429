-- What Confiture remembers, in the target, of a migration that follows its source.
CREATE TABLE IF NOT EXISTS confiture.follow (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    id text NOT NULL,                      -- names the slot and the publication on the source
    feed text NOT NULL CHECK (feed IN ('wal', 'queue')),
    reason text NOT NULL,                  -- why that feed
    phase text NOT NULL CHECK (phase IN
        ('preparing', 'copying', 'catching_up', 'following', 'bidirectional', 'armed', 'cut_over', 'immediate')),
    direction text NOT NULL DEFAULT 'forward' CHECK (direction IN ('forward', 'reverse')),
    epoch bigint NOT NULL DEFAULT 0,       -- cutovers and rollbacks so far: where two ledgers differ, the greater is right
    way_back jsonb,                        -- of the way back, which no file holds: its mapping, and what it leaves alone
    exchange jsonb,                        -- in one database, after a cutover: what takes the tables back
    snapshot text,                         -- pg_current_snapshot() of the source, of the last batch
    batches bigint NOT NULL DEFAULT 0,
    row_changes bigint NOT NULL DEFAULT 0,
    lag_ms double precision,               -- the last marker's round trip
    retained_bytes bigint NOT NULL DEFAULT 0, -- what the source keeps for the feed
    started_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    seen_at timestamptz,                   -- when the target last was a picture of the source
    source_server text,                    -- cluster/timeline/transaction of the source when a run last began
    target_server text,                    -- the same of the target
    beat_at timestamptz,                   -- when a run last said that it is at work, paused or not
    stopped_because text                   -- NULL while a run is at work, or after a clean stop
);

CREATE TABLE IF NOT EXISTS confiture.batch (
    id bigint PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    snapshot text NOT NULL,
    keys bigint NOT NULL,
    rows_written bigint NOT NULL,
    rows_deleted bigint NOT NULL,
    row_changes bigint NOT NULL,
    carried bigint NOT NULL,
    lag_ms double precision NOT NULL,
    elapsed_ms double precision NOT NULL
);

-- Keys that changed while their target table was being copied or indexed; NULL for the whole table.
CREATE TABLE IF NOT EXISTS confiture.deferred (
    table_schema text NOT NULL,
    table_name text NOT NULL,
    key text[]
);
CREATE INDEX IF NOT EXISTS deferred_by_table ON confiture.deferred (table_schema, table_name);
CREATE INDEX IF NOT EXISTS deferred_whole ON confiture.deferred (table_schema, table_name) WHERE key IS NULL;

-- How the mapped tables looked when they were last looked at.
CREATE TABLE IF NOT EXISTS confiture.shape (
    side text NOT NULL CHECK (side IN ('source', 'target')),
    relation text NOT NULL,
    shape text NOT NULL,
    PRIMARY KEY (side, relation)
);

-- What anybody may tell a run that is at work, with any client: it looks here before every batch.
CREATE TABLE IF NOT EXISTS confiture.control (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    paused boolean NOT NULL DEFAULT false,
    max_rows_per_second bigint CHECK (max_rows_per_second > 0),
    max_bytes_per_second bigint CHECK (max_bytes_per_second > 0),
    max_replica_lag interval,              -- copying pauses while a replica of the source is further behind
    max_retained_bytes bigint,             -- copying pauses while the source keeps more than this for the feed
    max_snapshot interval NOT NULL DEFAULT '5 minutes', -- a comparison that takes longer goes on in another snapshot
    hand_over_to integer,                  -- the pid of whoever waits to take the work over
    changed_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
INSERT INTO confiture.control DEFAULT VALUES ON CONFLICT DO NOTHING;

-- Comparisons of both sides, each of one batch.
CREATE TABLE IF NOT EXISTS confiture.verification (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch bigint NOT NULL,                 -- after which both sides were frozen
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    ok boolean NOT NULL,
    tables integer NOT NULL,
    rows bigint NOT NULL,
    elapsed_ms double precision NOT NULL,
    found text                             -- what differed; never a value
);

-- Tables that were found equal to their source. Since then, batches write down which of their keys they touch.
CREATE TABLE IF NOT EXISTS confiture.coverage (
    table_schema text NOT NULL,
    table_name text NOT NULL,
    batch bigint NOT NULL,                 -- after which it was equal
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    rows bigint NOT NULL,
    complete_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(), -- when all rows were compared last
    PRIMARY KEY (table_schema, table_name)
);

-- Keys of the source that batches have touched since, as text; of several columns as the text of an array.
CREATE TABLE IF NOT EXISTS confiture.touched (
    table_schema text NOT NULL,
    table_name text NOT NULL,
    batch bigint NOT NULL,
    keys text[] NOT NULL
);
CREATE INDEX IF NOT EXISTS touched_by_table ON confiture.touched (table_schema, table_name);

-- What a run that is at work is asked to compare, and its answer.
CREATE TABLE IF NOT EXISTS confiture.request (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    pid integer NOT NULL DEFAULT pg_catalog.pg_backend_pid(), -- who waits for the answer
    tables text[] NOT NULL,                -- empty for all
    complete boolean NOT NULL,             -- all rows, not only what changed since they were found equal
    repair boolean NOT NULL,
    show_values boolean NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'at_work', 'done', 'failed', 'cancelled')),
    answer jsonb                           -- the report; gone once it was read
);

-- Cutovers and rollbacks that were begun, and how each ended.
CREATE TABLE IF NOT EXISTS confiture.cutover (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('cutover', 'rollback')),
    started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    fenced_at timestamptz,                 -- from when on writes had to wait
    committed_at timestamptz,              -- when the other side took them
    ended_at timestamptz,
    outcome text NOT NULL DEFAULT 'begun' CHECK (outcome IN ('begun', 'done', 'given_up')),
    stall_ms double precision,             -- how long writes had to wait
    checklist jsonb,
    pooler jsonb,                          -- the PgBouncer whose clients wait meanwhile
    found text                             -- why it was given up; never a value
);
