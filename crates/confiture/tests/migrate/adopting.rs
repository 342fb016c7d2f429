//! Ledgers of other tools, in the shape in which those tools make them.

use confiture::ErrorKind;
use confiture::event::Execution;
use confiture::migrate::UpOptions;

use crate::ground::{Ground, version};

const UP: &str = "CREATE TABLE t (a int);";

async fn adopt(ground: &Ground) -> confiture::Result<confiture::migrate::Baseline> {
    ground.migrator().adopt(None, &Execution::unattended()).await
}

#[tokio::test]
async fn dbmate() {
    let both = |sql: &str| format!("-- migrate:up\n{sql}\n\n-- migrate:down\nDROP TABLE t;\n");
    let (first, second) = (both(UP), both("CREATE TABLE u ();").replace("TABLE t", "TABLE u"));
    let ground = Ground::new(&[("20260101120000_t.sql", &first), ("20260102120000_u.sql", &second)]).await;
    ground.psql(
        "CREATE TABLE IF NOT EXISTS \"public\".\"schema_migrations\" (version varchar(128) primary key); \
         INSERT INTO schema_migrations VALUES ('20260101120000'); CREATE TABLE t (a int)",
    );
    let baseline = adopt(&ground).await.unwrap();
    assert_eq!(
        (baseline.tool, baseline.migrations.as_slice()),
        (Some("dbmate"), ["20260101120000_t".to_owned()].as_slice())
    );
    assert_eq!(ground.apply().await, ["20260102120000"]);
    ground.down(2).await.unwrap();
    assert_eq!(ground.psql("SELECT to_regclass('t') IS NULL, count(*) FROM schema_migrations"), "t|1");
    let again = adopt(&ground).await.unwrap();
    assert_eq!((again.migrations.len(), again.already), (1, 0), "a reverted one is adopted again");
}

#[tokio::test]
async fn golang_migrate() {
    let ground = Ground::new(&[
        ("000001_a.up.sql", "SELECT 1;"),
        ("000002_b.up.sql", "SELECT 1;"),
        ("000003_c.up.sql", "SELECT 1;"),
    ])
    .await;
    ground.psql(
        "CREATE TABLE IF NOT EXISTS \"public\".\"schema_migrations\" (version bigint not null primary key, dirty boolean not null); \
         INSERT INTO schema_migrations VALUES (2, true)",
    );
    let error = adopt(&ground).await.unwrap_err();
    assert_eq!(error.message(), "public.schema_migrations says that its migration 2 failed half-way");
    ground.psql("UPDATE schema_migrations SET dirty = false");
    let baseline = adopt(&ground).await.unwrap();
    assert_eq!((baseline.tool, baseline.migrations.len()), (Some("golang-migrate"), 2));
    assert_eq!(ground.standing().await, "000001 Applied; 000002 Applied; 000003 Pending");
}

#[tokio::test]
async fn sqlx() {
    let ground = Ground::new(&[("20260101000000_t.sql", UP), ("20260102000000_u.sql", "SELECT 1;")]).await;
    ground.psql(
        "CREATE TABLE IF NOT EXISTS _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
         installed_on TIMESTAMPTZ NOT NULL DEFAULT now(), success BOOLEAN NOT NULL, checksum BYTEA NOT NULL, \
         execution_time BIGINT NOT NULL); \
         INSERT INTO _sqlx_migrations VALUES (20260101000000, 't', '2026-01-05 10:00:00Z', true, sha384('CREATE TABLE t (a int);'), 5)",
    );
    let baseline = adopt(&ground).await.unwrap();
    assert_eq!((baseline.tool, baseline.migrations.len()), (Some("sqlx"), 1));
    let at = "SELECT applied_at AT TIME ZONE 'UTC', source FROM confiture_migrations";
    assert_eq!(ground.psql(at), "2026-01-05 10:00:00|public._sqlx_migrations");
    assert_eq!(ground.apply().await, ["20260102000000"]);

    let other = Ground::new(&[("20260101000000_t.sql", "CREATE TABLE t (a bigint);")]).await;
    other.psql(
        "CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT, installed_on TIMESTAMPTZ, success BOOLEAN, \
         checksum BYTEA, execution_time BIGINT); \
         INSERT INTO _sqlx_migrations VALUES (20260101000000, 't', now(), true, sha384('CREATE TABLE t (a int);'), 5)",
    );
    let error = adopt(&other).await.unwrap_err();
    assert!(error.message().starts_with("20260101000000_t is not the file that sqlx has applied"), "{error}");
    assert!(error.place().is_some());
}

#[tokio::test]
async fn refinery() {
    let ground =
        Ground::new(&[("V1__t.sql", UP), ("U2__u.sql", "SELECT 1;"), ("V3__v.sql", "SELECT 1;")]).await;
    ground.psql(
        "CREATE TABLE IF NOT EXISTS refinery_schema_history (version INT4 PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), \
         checksum VARCHAR(255)); \
         INSERT INTO refinery_schema_history VALUES (1, 't', '2026-01-05T10:00:00.123456789Z', '123'), \
         (2, 'u', '2026-01-06T10:00:00Z', '456')",
    );
    assert_eq!(adopt(&ground).await.unwrap().tool, Some("refinery"));
    assert_eq!(ground.standing().await, "1 Applied; 2 Applied; 3 Pending");
    assert_eq!(ground.apply().await, ["3"]);
}

#[tokio::test]
async fn flyway() {
    let ground = Ground::new(&[
        ("V1__base.sql", "SELECT 0;"),
        ("V2__t.sql", UP),
        ("V2_1__u.sql", "CREATE TABLE u ();"),
        ("U2_1__u.sql", "DROP TABLE u;"),
        ("V3__v.sql", "SELECT 1;"),
    ])
    .await;
    ground.psql(
        "CREATE TABLE flyway_schema_history (installed_rank integer NOT NULL PRIMARY KEY, version character varying(50), \
         description character varying(200) NOT NULL, type character varying(20) NOT NULL, script character varying(1000) NOT NULL, \
         checksum integer, installed_by character varying(100) NOT NULL, installed_on timestamp without time zone NOT NULL DEFAULT now(), \
         execution_time integer NOT NULL, success boolean NOT NULL)",
    );
    let crc = crc32(UP);
    ground.psql(&format!(
        "INSERT INTO flyway_schema_history VALUES \
         (1, '1', '<< Flyway Baseline >>', 'BASELINE', '<< Flyway Baseline >>', NULL, 'me', '2026-01-01', 0, true), \
         (2, '2', 't', 'SQL', 'V2__t.sql', {crc}, 'me', '2026-01-02', 5, true), \
         (3, '2.1', 'u', 'SQL', 'V2_1__u.sql', 1, 'me', '2026-01-03', 5, true), \
         (4, '2.1', 'u', 'UNDO_SQL', 'U2_1__u.sql', 1, 'me', '2026-01-03', 5, true), \
         (5, NULL, 'views', 'SQL', 'R__views.sql', 7, 'me', '2026-01-03', 5, true)"
    ));
    let baseline = adopt(&ground).await.unwrap();
    assert_eq!((baseline.tool, baseline.migrations.len()), (Some("Flyway"), 2));
    assert_eq!(ground.standing().await, "1 Applied; 2 Applied; 2.1 Pending; 3 Pending");
    assert_eq!(ground.apply().await, ["2.1", "3"]);
    ground.psql("UPDATE flyway_schema_history SET checksum = 42 WHERE installed_rank = 2");
    assert!(
        adopt(&ground)
            .await
            .unwrap_err()
            .message()
            .starts_with("2_t is not the file that Flyway has applied")
    );
}

#[tokio::test]
async fn diesel() {
    let ground = Ground::new(&[
        ("00000000000000_diesel_initial_setup/up.sql", "SELECT 0;"),
        ("00000000000000_diesel_initial_setup/down.sql", "SELECT 0;"),
        ("2026-01-01-120000_t/up.sql", UP),
        ("2026-01-01-120000_t/down.sql", "DROP TABLE t;"),
        ("2026-01-02-120000_fill/up.sql", "DO $$ BEGIN CREATE TABLE u (); COMMIT; END $$;"),
        ("2026-01-02-120000_fill/down.sql", "DROP TABLE u;"),
        ("2026-01-02-120000_fill/metadata.toml", "run_in_transaction = false\n"),
    ])
    .await;
    ground.psql(
        "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, \
         run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP); CREATE TABLE t (a int); \
         INSERT INTO __diesel_schema_migrations VALUES ('00000000000000', '2026-01-01 12:00'), ('20260101120000', '2026-01-01 12:01')",
    );
    assert_eq!(ground.up().await.unwrap_err().kind(), ErrorKind::Unsafe, "before it is adopted");
    let baseline = adopt(&ground).await.unwrap();
    assert_eq!((baseline.tool, baseline.migrations.len()), (Some("Diesel"), 2));
    assert_eq!(
        ground.psql("SELECT applied_at::timestamp FROM confiture_migrations ORDER BY version DESC LIMIT 1"),
        "2026-01-01 12:01:00"
    );
    assert_eq!(ground.apply().await, ["20260102120000"]);
    ground.down(2).await.unwrap();
    assert_eq!(ground.psql("SELECT to_regclass('t') IS NULL, to_regclass('u') IS NULL"), "t|t");
}

const PRISMA: &str = "CREATE TABLE _prisma_migrations (id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL, \
    finished_at TIMESTAMPTZ, migration_name VARCHAR(255) NOT NULL, logs TEXT, rolled_back_at TIMESTAMPTZ, \
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(), applied_steps_count INTEGER NOT NULL DEFAULT 0)";

#[tokio::test]
async fn prisma() {
    let second = "-- AlterTable\nALTER TABLE t ADD b int;\n";
    let ground = Ground::new(&[
        ("20260101120000_t/migration.sql", UP),
        ("20260102120000_b/migration.sql", &second.replace('\n', "\r\n")),
        ("20260103120000_c/migration.sql", "CREATE TABLE c ();"),
        ("migration_lock.toml", "# made by Prisma\nprovider = \"postgresql\"\n"),
    ])
    .await;
    ground.psql(PRISMA);
    let sum = |text: &str| format!("encode(sha256('{text}'), 'hex')");
    ground.psql(&format!(
        "CREATE TABLE t (a int, b int); INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, rolled_back_at) VALUES \
         ('1', {}, '2026-01-01 12:00Z', '20260101120000_t', NULL), ('2', 'x', NULL, '20260102120000_b', now()), \
         ('3', {}, now(), '20260102120000_b', NULL)",
        sum(UP),
        sum(second)
    ));
    let baseline = adopt(&ground).await.unwrap();
    assert_eq!(
        (baseline.tool, baseline.migrations.join(" ")),
        (Some("Prisma"), "20260101120000_t 20260102120000_b".to_owned())
    );
    assert_eq!(ground.apply().await, ["20260103120000"]);
    ground.psql("UPDATE _prisma_migrations SET migration_name = 'init' WHERE id = '3'");
    let error = adopt(&ground).await.unwrap_err();
    assert_eq!(error.message(), "public._prisma_migrations has a row whose version is not a number: init");
    // Of a folder with other migrations it says nothing.
    ground.psql("DELETE FROM confiture_migrations");
    ground.psql("DELETE FROM _prisma_migrations WHERE id = '1'");
    assert!(ground.migrator().plan_up(&UpOptions::default()).await.is_ok());
    ground.psql("UPDATE _prisma_migrations SET migration_name = '20260102120000_b' WHERE id = '3'");
    ground.psql("UPDATE _prisma_migrations SET finished_at = NULL WHERE id = '3'");
    let error = adopt(&ground).await.unwrap_err();
    assert_eq!(
        error.message(),
        "public._prisma_migrations says that its migration 20260102120000 failed half-way"
    );
    ground.psql("UPDATE _prisma_migrations SET finished_at = now(), checksum = 'y' WHERE id = '3'");
    let error = adopt(&ground).await.unwrap_err();
    assert!(
        error.message().starts_with("20260102120000_b is not the file that Prisma has applied"),
        "{error}"
    );
}

#[tokio::test]
async fn goose() {
    let both = |sql: &str| format!("-- +goose Up\n{sql}\n-- +goose Down\nDROP TABLE t;\n");
    let ground = Ground::new(&[
        ("00001_t.sql", &both(UP)),
        ("00002_u.sql", &both("CREATE TABLE u ();")),
        ("00003_v.sql", &both("CREATE TABLE v ();")),
    ])
    .await;
    ground.psql(
        "CREATE TABLE goose_db_version (id integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, version_id bigint NOT NULL, \
         is_applied boolean NOT NULL, tstamp timestamp NOT NULL DEFAULT now()); CREATE TABLE t (a int); CREATE TABLE v (); \
         INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true), (1, true), (2, true), (2, false), (3, false), (3, true)",
    );
    assert_eq!(adopt(&ground).await.unwrap().tool, Some("goose"));
    assert_eq!(ground.standing().await, "00001 Applied; 00002 OutOfOrder; 00003 Applied");
}

#[tokio::test]
async fn tools_that_record_the_names_of_files() {
    let both = |head: &str, sql: &str| format!("-- {head}\n{sql}\n");
    let ground = Ground::new(&[
        ("1700000000000_t.sql", &both("Up Migration", UP)),
        ("1700000000001_u.sql", &both("Up Migration", "CREATE TABLE u ();")),
    ])
    .await;
    ground.psql(
        "CREATE TABLE pgmigrations (id SERIAL PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL); \
         INSERT INTO pgmigrations (name, run_on) VALUES ('1700000000000_t', now()); CREATE TABLE t (a int)",
    );
    let baseline = adopt(&ground).await.unwrap();
    assert_eq!(
        (baseline.tool, baseline.migrations.join(" ")),
        (Some("node-pg-migrate"), "1700000000000_t".to_owned())
    );
    assert_eq!(ground.apply().await, ["1700000000001"]);

    let ground = Ground::new(&[
        ("1-t.sql", &both("+migrate Up", UP)),
        ("2-u.sql", &both("+migrate Up", "CREATE TABLE u ();")),
    ])
    .await;
    ground.psql(
        "CREATE TABLE gorp_migrations (id text PRIMARY KEY, applied_at timestamptz); CREATE TABLE t (a int); \
         INSERT INTO gorp_migrations VALUES ('1-t.sql', now())",
    );
    assert_eq!(adopt(&ground).await.unwrap().tool, Some("sql-migrate"));
    assert_eq!(ground.apply().await, ["2"]);
}

/// By zlib, of PostgreSQL's friends: Python has it.
fn crc32(text: &str) -> i64 {
    let code =
        "import sys, zlib; n = zlib.crc32(sys.argv[1].encode()); print(n - (1 << 32) if n >> 31 else n)";
    let output = std::process::Command::new("python3").args(["-c", code, text]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn the_python_original() {
    let python = "class A(Migration):\n    version = \"002\"\n    name = \"bio\"\n\n    def up(self) -> None:\n        \
                  self.execute(\"ALTER TABLE t ADD COLUMN bio text\")\n\n    def down(self) -> None:\n        \
                  self.execute(\"ALTER TABLE t DROP COLUMN bio\")\n";
    let ground = Ground::new(&[("001_t.up.sql", UP), ("002_bio.py", python)]).await;
    ground.psql(
        "CREATE TABLE tb_confiture (id UUID DEFAULT gen_random_uuid() UNIQUE, \
         pk_confiture BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, slug TEXT NOT NULL UNIQUE, \
         version VARCHAR(255) NOT NULL UNIQUE, name VARCHAR(255) NOT NULL, applied_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), \
         execution_time_ms INTEGER, checksum VARCHAR(64)); \
         INSERT INTO tb_confiture (slug, version, name) VALUES ('t-001', '001', 't'); CREATE TABLE t (a int)",
    );
    assert_eq!(adopt(&ground).await.unwrap().tool, Some("the Python original"));
    assert_eq!(ground.apply().await, ["002"]);
    let column = "SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'bio'";
    assert_eq!(ground.psql(column), "1");
    ground.down(1).await.unwrap();
    assert_eq!(ground.psql(column), "0");
}

#[tokio::test]
async fn none_or_several_ledgers_are_an_error() {
    let ground = Ground::new(&[("1_a.up.sql", "SELECT 1;")]).await;
    assert_eq!(
        adopt(&ground).await.unwrap_err().message(),
        "there is no ledger of another tool in this database"
    );
    ground.psql(
        "CREATE TABLE schema_migrations (version varchar primary key); CREATE SCHEMA old; \
         CREATE TABLE refinery_schema_history (version int, name text, applied_on text, checksum text); \
         CREATE TABLE old.schema_migrations (version varchar); INSERT INTO old.schema_migrations VALUES ('1')",
    );
    let error = adopt(&ground).await.unwrap_err();
    assert!(
        error.message().starts_with("there are several ledgers: public.refinery_schema_history (refinery)"),
        "{error}"
    );
    let one = ground.migrator().adopt(Some("old.schema_migrations"), &Execution::unattended()).await.unwrap();
    assert_eq!((one.tool, one.migrations.len()), (Some("dbmate"), 1));
}

#[tokio::test]
async fn a_baseline_marks_without_running() {
    let ground =
        Ground::new(&[("1_a.up.sql", "CREATE TABLE a ();"), ("2_b.up.sql", "CREATE TABLE b ();")]).await;
    let baseline = ground.migrator().baseline(Some(&version("1")), &Execution::unattended()).await.unwrap();
    assert_eq!(baseline.migrations, ["1_a"]);
    assert_eq!(ground.apply().await, ["2"]);
    assert_eq!(ground.psql("SELECT to_regclass('a') IS NULL, to_regclass('b')"), "t|b");
    let error = ground.migrator().baseline(Some(&version("9")), &Execution::unattended()).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Config, "there is no migration 9"));
    assert_eq!(error.hints().last().unwrap(), "the last ones are 1, 2");
}

/// Written later, it would count as applied, and as changed.
#[tokio::test]
async fn a_baseline_leaves_what_is_not_written_yet() {
    let ground =
        Ground::new(&[("1_a.up.sql", "CREATE TABLE a ();"), ("2_b.up.sql", "-- to be written\n")]).await;
    let baseline = ground.migrator().baseline(None, &Execution::unattended()).await.unwrap();
    assert_eq!(baseline.migrations, ["1_a"]);
    assert_eq!(baseline.notes, ["2_b has no statements yet, and is not recorded"]);
    ground.write(&[("2_b.up.sql", "CREATE TABLE b ();")]);
    assert_eq!(ground.apply().await, ["2"]);
}

/// `up` before `baseline --adopt`, as a pipeline does it where that was forgotten.
#[tokio::test]
async fn what_another_tool_has_applied_is_not_applied_again() {
    let file = "-- migrate:up\nUPDATE accounts SET cents = cents * 100;\n";
    let ground = Ground::new(&[
        ("20240101000000_cents.sql", file),
        ("20240102000000_b.sql", "-- migrate:up\nSELECT 1;\n"),
    ])
    .await;
    ground.psql(
        "CREATE TABLE schema_migrations (version varchar(128) primary key); CREATE TABLE accounts (id int, cents int); \
         INSERT INTO accounts VALUES (1, 500)",
    );
    assert!(
        ground.migrator().plan_up(&UpOptions::default()).await.is_ok(),
        "a ledger without rows says nothing"
    );
    ground.psql("INSERT INTO schema_migrations VALUES ('20230101000000')");
    let rails = ground.migrator().plan_up(&UpOptions::default()).await;
    assert!(rails.is_ok(), "a ledger of other migrations is somebody else's: {rails:?}");

    ground.psql("INSERT INTO schema_migrations VALUES ('20240101000000')");
    let dry = ground.migrator().plan_up(&UpOptions::default()).await.unwrap_err();
    let error = ground.up().await.unwrap_err();
    let message = "the ledger public.schema_migrations says that dbmate has applied 20240101000000_cents, and nothing was taken over from it yet";
    for error in [&dry, &error] {
        assert_eq!((error.kind(), error.message()), (ErrorKind::Unsafe, message));
        assert!(error.hints()[0].contains("baseline --adopt"), "{error:?}");
    }
    assert_eq!(
        ground.psql("SELECT cents, to_regclass('confiture_migrations') IS NULL FROM accounts"),
        "500|t"
    );
    let status = ground.migrator().status().await.unwrap();
    assert_eq!(
        (status.notes.as_slice(), status.unadopted.is_some()),
        ([message.to_owned()].as_slice(), true)
    );

    adopt(&ground).await.unwrap();
    assert_eq!(ground.apply().await, ["20240102000000"]);
    assert_eq!(ground.psql("SELECT cents FROM accounts"), "500");

    let twin = Ground::new(&[("20240101000000_a.up.sql", "SELECT 1;")]).await;
    twin.psql("CREATE TABLE schema_migrations (version text); INSERT INTO schema_migrations VALUES ('20240101000000')");
    let ignoring = UpOptions { ignore_ledger: true, ..UpOptions::default() };
    assert_eq!(twin.migrator().plan_up(&ignoring).await.unwrap().migrations.len(), 1);
}

#[tokio::test]
async fn flyways_way_back_is_no_migration() {
    let both = [
        ("V1__a.sql", "SELECT 1;"),
        ("U2__b.sql", "DROP TABLE IF EXISTS fly;"),
        ("V2__b.sql", "CREATE TABLE fly ();"),
    ];
    let ground = Ground::new(&both[..2]).await;
    ground.psql(
        "CREATE TABLE flyway_schema_history (installed_rank integer PRIMARY KEY, version varchar(50), description varchar(200), \
         type varchar(20), script varchar(1000), checksum integer, installed_by varchar(100), installed_on timestamp DEFAULT now(), \
         execution_time integer, success boolean); CREATE TABLE fly (); \
         INSERT INTO flyway_schema_history VALUES (1, '1', 'a', 'SQL', 'V1__a.sql', NULL, 'me', now(), 1, true)",
    );
    let error = adopt(&ground).await.unwrap_err();
    assert_eq!(error.message(), "there is Flyway's way back for version 2, and no V2 file");
    assert!(error.place().is_some_and(|place| place.file.ends_with("U2__b.sql")));
    // Its V file may also go later.
    ground.psql(
        "CREATE TABLE other (); INSERT INTO flyway_schema_history VALUES (2, '2', 'b', 'SQL', 'V2__b.sql', NULL, 'me', now(), 1, true)",
    );
    ground.write(&both[2..]);
    adopt(&ground).await.unwrap();
    ground.psql("DELETE FROM confiture_migrations WHERE version = '2'");
    ground.remove(both[2].0);
    assert_eq!(ground.up().await.unwrap_err().kind(), ErrorKind::Config);
    assert_eq!(ground.psql("SELECT to_regclass('fly') IS NULL"), "f");
}
