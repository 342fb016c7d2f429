//! The lock that a plan names for a statement is the strongest that the server takes for it on a table that is there.

use confiture::migrate::UpOptions;

use crate::ground::Ground;

const THERE: &str = "
    CREATE TABLE t (id bigint PRIMARY KEY, a int, b text, c int);
    CREATE TABLE u (id bigint PRIMARY KEY, t_id bigint, CONSTRAINT u_t FOREIGN KEY (t_id) REFERENCES t NOT VALID);
    CREATE INDEX t_a ON t (a);
    CREATE INDEX u_t_id ON u (t_id);
    CREATE TABLE parted (id bigint) PARTITION BY RANGE (id);
    CREATE TABLE part1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
    CREATE TABLE loose (id bigint CHECK (id >= 10 AND id < 20));
    CREATE VIEW v AS SELECT id, a FROM t;
    CREATE MATERIALIZED VIEW m AS SELECT id FROM t;
    CREATE UNIQUE INDEX m_id ON m (id);
    CREATE SEQUENCE s;
    CREATE TYPE mood AS ENUM ('sad');
    CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
    CREATE TRIGGER noting AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION noted();
    CREATE POLICY open ON t USING (true);
    ALTER TABLE t ADD CONSTRAINT t_check CHECK (a > 0) NOT VALID;
    CREATE STATISTICS st ON a, b FROM t;
";

const STATEMENTS: &[&str] = &[
    "CREATE TABLE n (a int)",
    "CREATE TABLE n (a bigint REFERENCES t)",
    "CREATE TABLE n PARTITION OF parted FOR VALUES FROM (10) TO (20)",
    "CREATE TABLE n (a int) INHERITS (t)",
    "CREATE TABLE n (LIKE t INCLUDING ALL)",
    "CREATE TABLE n AS SELECT * FROM t",
    "CREATE INDEX n ON t (b)",
    "CREATE UNIQUE INDEX n ON t (b)",
    "DROP INDEX t_a",
    "REINDEX TABLE t",
    "REINDEX INDEX t_a",
    "ALTER TABLE t ADD COLUMN n int",
    "ALTER TABLE t DROP COLUMN c",
    "ALTER TABLE t ALTER b SET DEFAULT 'x'",
    "ALTER TABLE t ALTER b SET NOT NULL",
    "ALTER TABLE t ALTER c TYPE bigint",
    "ALTER TABLE t ALTER a SET STATISTICS 10",
    "ALTER TABLE t ALTER b SET STORAGE EXTERNAL",
    "ALTER TABLE t RENAME TO n",
    "ALTER TABLE t RENAME COLUMN b TO n",
    "ALTER TABLE t SET (fillfactor = 90)",
    "ALTER TABLE t SET (autovacuum_enabled = off)",
    "ALTER TABLE t RESET (fillfactor)",
    "ALTER TABLE t CLUSTER ON t_pkey",
    "ALTER TABLE t SET SCHEMA other",
    "ALTER TABLE t ADD CONSTRAINT n CHECK (a < 9) NOT VALID",
    "ALTER TABLE u ADD CONSTRAINT n FOREIGN KEY (t_id) REFERENCES t NOT VALID",
    "ALTER TABLE t VALIDATE CONSTRAINT t_check",
    "ALTER TABLE u VALIDATE CONSTRAINT u_t",
    "ALTER TABLE t ADD CONSTRAINT n UNIQUE (a)",
    "ALTER TABLE t DROP CONSTRAINT t_check",
    "ALTER TABLE t DISABLE TRIGGER noting",
    "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE t REPLICA IDENTITY FULL",
    "ALTER TABLE t OWNER TO CURRENT_USER",
    "ALTER TABLE parted ATTACH PARTITION loose FOR VALUES FROM (10) TO (20)",
    "ALTER TABLE parted DETACH PARTITION part1",
    "ALTER TABLE t SET LOGGED",
    "ALTER INDEX t_a RENAME TO n",
    "ALTER INDEX t_a SET (fillfactor = 90)",
    "ALTER INDEX t_a RESET (fillfactor)",
    "ALTER TABLE t ALTER b SET (n_distinct = 5)",
    "ALTER TABLE t VALIDATE CONSTRAINT t_check, ALTER a SET STATISTICS 10",
    "ALTER TABLE t VALIDATE CONSTRAINT t_check, ADD n int",
    "ALTER TABLE t DISABLE TRIGGER noting, VALIDATE CONSTRAINT t_check",
    "ALTER TABLE u ADD n bigint REFERENCES t",
    "ALTER TABLE t ENABLE ALWAYS TRIGGER noting",
    "ALTER SEQUENCE s RENAME TO n",
    "ALTER SEQUENCE s OWNED BY t.a",
    "ALTER MATERIALIZED VIEW m RENAME TO n",
    "ALTER SEQUENCE s INCREMENT 2",
    "ALTER VIEW v RENAME TO n",
    "ALTER VIEW v SET (security_barrier)",
    "ALTER TYPE mood ADD VALUE 'ok'",
    "ALTER STATISTICS st SET STATISTICS 10",
    "CREATE VIEW n AS SELECT * FROM t",
    "CREATE OR REPLACE VIEW v AS SELECT id, a FROM t WHERE a > 0",
    "CREATE FUNCTION n() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE TRIGGER n AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION noted()",
    "CREATE OR REPLACE TRIGGER noting AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION noted()",
    "ALTER TRIGGER noting ON t RENAME TO n",
    "DROP TRIGGER noting ON t",
    "CREATE POLICY n ON t USING (true)",
    "ALTER POLICY open ON t USING (false)",
    "DROP POLICY open ON t",
    "CREATE RULE n AS ON UPDATE TO t DO ALSO NOTHING",
    "CREATE STATISTICS n ON a, id FROM t",
    "DROP STATISTICS st",
    "COMMENT ON TABLE t IS 'x'",
    "COMMENT ON COLUMN t.a IS 'x'",
    "COMMENT ON INDEX t_a IS 'x'",
    "COMMENT ON VIEW v IS 'x'",
    "COMMENT ON MATERIALIZED VIEW m IS 'x'",
    "COMMENT ON SEQUENCE s IS 'x'",
    "COMMENT ON CONSTRAINT t_check ON t IS 'x'",
    "COMMENT ON TRIGGER noting ON t IS 'x'",
    "COMMENT ON POLICY open ON t IS 'x'",
    "COMMENT ON STATISTICS st IS 'x'",
    "COMMENT ON FUNCTION noted() IS 'x'",
    "ANALYZE t",
    "TRUNCATE u",
    "CLUSTER t USING t_pkey",
    "LOCK TABLE t IN SHARE MODE",
    "LOCK TABLE t",
    "GRANT SELECT ON t TO PUBLIC",
    "REFRESH MATERIALIZED VIEW m",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY m",
    "INSERT INTO t (id) VALUES (1)",
    "UPDATE t SET b = 'x'",
    "DELETE FROM u",
    "WITH gone AS (DELETE FROM u RETURNING id) INSERT INTO t SELECT id FROM gone",
    "SELECT * FROM t FOR UPDATE",
    "SELECT 1 FROM t",
    "DROP TABLE u",
    "DROP VIEW v",
    "DROP SEQUENCE s",
    "DROP MATERIALIZED VIEW m",
];

/// The strongest mode on what there was before, in the words of the manual, as far as it keeps anybody waiting who reads or writes or
/// changes a table.
const SEEN: &str = "
    SELECT coalesce((
        SELECT known.mode FROM (VALUES (1, 'RowShareLock', 'ROW SHARE'), (2, 'RowExclusiveLock', 'ROW EXCLUSIVE'),
            (3, 'ShareUpdateExclusiveLock', 'SHARE UPDATE EXCLUSIVE'), (4, 'ShareLock', 'SHARE'),
            (5, 'ShareRowExclusiveLock', 'SHARE ROW EXCLUSIVE'), (6, 'ExclusiveLock', 'EXCLUSIVE'),
            (7, 'AccessExclusiveLock', 'ACCESS EXCLUSIVE')) AS known (strength, name, mode)
        JOIN pg_locks ON pg_locks.mode = known.name
        WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation IN (SELECT oid FROM there)
        ORDER BY strength DESC LIMIT 1), '-')";

#[tokio::test]
async fn what_a_plan_says_is_what_the_server_takes() {
    let ground = Ground::new(&[("1_there.up.sql", THERE)]).await;
    ground.apply().await;
    // `loose` is nobody's before it is attached.
    ground.psql("CREATE TABLE there AS SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'm', 'v', 'S', 'i') AND relname <> 'loose'");
    ground.psql("CREATE SCHEMA other");
    ground.write(&[("2_all.up.sql", &(STATEMENTS.join(";\n") + ";\n"))]);
    let plan = ground.migrator().plan_up(&UpOptions::default()).await.unwrap();
    let planned = &plan.migrations[0].statements;
    assert_eq!(planned.len(), STATEMENTS.len());
    let mut wrong = Vec::new();
    for (statement, planned) in STATEMENTS.iter().zip(planned) {
        let script = format!("BEGIN; SET client_min_messages = error; {statement}; {SEEN}; ROLLBACK");
        let seen = ground.psql(&script);
        let (said, seen) = (planned.lock.unwrap_or("-"), seen.lines().last().unwrap_or("-"));
        if said != seen {
            wrong.push(format!("{statement}: said {said}, seen {seen}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
