-- What is remembered while both sides of one database are written at once. A ledger of an earlier version knows no such phase.
CREATE TABLE IF NOT EXISTS confiture.immediate (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    opened_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    sequences jsonb NOT NULL               -- those that take turns, as they were before
);
ALTER TABLE confiture.follow DROP CONSTRAINT IF EXISTS follow_phase_check;
ALTER TABLE confiture.follow ADD CONSTRAINT follow_phase_check CHECK (phase IN
    ('preparing', 'copying', 'catching_up', 'following', 'bidirectional', 'armed', 'cut_over', 'immediate'))
