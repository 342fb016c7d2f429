//! Every form of the command that the documents show, and what it must mean.

use std::path::PathBuf;

use confiture::config::mapping::{Strategy, TableName};
use confiture::sql::Identifier;

use super::options::{MappingFrom, SchemaToSchemaOptions, Step};
use crate::args::{self, Cli};
use crate::commands::Command;
use crate::commands::migrate::Migrate;

/// What `confiture migrate schema-to-schema LINE` asks for.
fn read(line: &[&str]) -> confiture::Result<SchemaToSchemaOptions> {
    let words = ["confiture", "migrate", "schema-to-schema"].iter().chain(line);
    let cli: Cli = args::parse(words.map(Into::into)).unwrap_or_else(|stop| panic!("{line:?}: {stop:?}"));
    let Command::Migrate(migrate) = cli.command else { panic!("{line:?}") };
    Migrate::into_schema_to_schema(*migrate).options()
}

/// The same for a line whose words have no spaces.
fn words(line: &str) -> SchemaToSchemaOptions {
    let words: Vec<&str> = line.split_whitespace().collect();
    read(&words).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn everything() -> SchemaToSchemaOptions {
    SchemaToSchemaOptions { verify: true, ..SchemaToSchemaOptions::new(Step::Everything) }
}

fn between() -> SchemaToSchemaOptions {
    SchemaToSchemaOptions {
        source: Some("production".into()),
        target: Some("production_new".into()),
        ..everything()
    }
}

fn step(step: Step) -> SchemaToSchemaOptions {
    let verify = matches!(step, Step::Migrate | Step::MigrateTable | Step::Verify);
    SchemaToSchemaOptions {
        target: Some("new_production".into()),
        verify,
        ..SchemaToSchemaOptions::new(step)
    }
}

fn tables(names: &[&str]) -> Vec<TableName> {
    names.iter().map(|name| TableName { schema: None, name: Identifier::new(*name) }).collect()
}

fn file(path: &str) -> MappingFrom {
    MappingFrom::File(PathBuf::from(path))
}

#[test]
fn the_strategies_document() {
    let forms = [
        (
            "--from production --to production_new --strategy fdw",
            SchemaToSchemaOptions { strategy: Some(Strategy::Fdw), ..between() },
        ),
        (
            "--from production --to production_new --strategy copy",
            SchemaToSchemaOptions { strategy: Some(Strategy::Copy), ..between() },
        ),
        (
            "--from production --to production_new --copy-tables events,page_views",
            SchemaToSchemaOptions { copy_tables: tables(&["events", "page_views"]), ..between() },
        ),
        (
            "--from production --to production_new --auto-strategy",
            SchemaToSchemaOptions { strategy: Some(Strategy::Auto), ..between() },
        ),
        ("--auto-strategy", SchemaToSchemaOptions { strategy: Some(Strategy::Auto), ..everything() }),
        ("--strategy fdw", SchemaToSchemaOptions { strategy: Some(Strategy::Fdw), ..everything() }),
        ("--strategy copy", SchemaToSchemaOptions { strategy: Some(Strategy::Copy), ..everything() }),
        (
            "--fdw-tables users,posts --copy-tables events,page_views",
            SchemaToSchemaOptions {
                fdw_tables: tables(&["users", "posts"]),
                copy_tables: tables(&["events", "page_views"]),
                ..everything()
            },
        ),
        (
            "--auto-strategy --dry-run",
            SchemaToSchemaOptions { strategy: Some(Strategy::Auto), dry_run: true, ..everything() },
        ),
        (
            "--auto-strategy --threshold 5000000",
            SchemaToSchemaOptions {
                strategy: Some(Strategy::Auto),
                threshold_rows: Some(5_000_000),
                ..everything()
            },
        ),
        (
            "--strategy copy --parallel 4",
            SchemaToSchemaOptions { strategy: Some(Strategy::Copy), parallel: Some(4), ..everything() },
        ),
        (
            "--strategy copy --streaming",
            SchemaToSchemaOptions { strategy: Some(Strategy::Copy), ..everything() },
        ),
        (
            "--auto-strategy --verbose",
            SchemaToSchemaOptions { strategy: Some(Strategy::Auto), ..everything() },
        ),
        ("--verify", SchemaToSchemaOptions { verify: true, ..SchemaToSchemaOptions::new(Step::Verify) }),
        (
            "--strategy copy --tables events",
            SchemaToSchemaOptions {
                strategy: Some(Strategy::Copy),
                tables: tables(&["events"]),
                ..everything()
            },
        ),
    ];
    for (line, expected) in forms {
        assert_eq!(words(line), expected, "{line}");
    }
    let filtered = read(&["--auto-strategy", "--where", "created_at > '2024-01-01'"]).unwrap();
    assert_eq!(filtered.filter.as_deref(), Some("created_at > '2024-01-01'"));
}

#[test]
fn the_guide() {
    let forms = [
        (
            "setup --source old_production --target new_production",
            SchemaToSchemaOptions { source: Some("old_production".into()), ..step(Step::Setup) },
        ),
        ("analyze --target new_production", step(Step::Analyze)),
        (
            "migrate --target new_production --mapping db/migration/column_mapping.yaml",
            SchemaToSchemaOptions {
                mapping: file("db/migration/column_mapping.yaml"),
                ..step(Step::Migrate)
            },
        ),
        (
            "migrate-table --target new_production --source-table old_users --target-table users \
             --mapping full_name:display_name,email:email",
            SchemaToSchemaOptions {
                mapping: MappingFrom::Table {
                    source: tables(&["old_users"]).remove(0),
                    target: tables(&["users"]).remove(0),
                    columns: vec![
                        ("full_name".into(), "display_name".into()),
                        ("email".into(), "email".into()),
                    ],
                },
                ..step(Step::MigrateTable)
            },
        ),
        ("verify --target new_production", step(Step::Verify)),
        (
            "verify --target new_production --tables users,posts",
            SchemaToSchemaOptions { tables: tables(&["users", "posts"]), ..step(Step::Verify) },
        ),
        ("cleanup --target new_production", step(Step::Cleanup)),
    ];
    for (line, expected) in forms {
        assert_eq!(words(line), expected, "{line}");
    }
}

#[test]
fn the_four_mediums() {
    let mapped =
        words("--from production --to production_new --strategy fdw --mapping db/migration_map.yaml");
    assert_eq!((mapped.strategy, mapped.mapping), (Some(Strategy::Fdw), file("db/migration_map.yaml")));
    let copied = words("--strategy copy --tables events,page_views");
    assert_eq!(copied.tables, tables(&["events", "page_views"]));
    assert_eq!(words("--strategy hybrid").strategy, Some(Strategy::Hybrid));
    assert!(read(&["--add-column", "bio"]).unwrap_err().hints()[0].contains("migrate diff"));
    assert!(read(&["--add-column=bio"]).is_err());
}

#[test]
fn synonyms_mean_the_same() {
    assert_eq!(words("--source a --target b"), words("--from a --to b"));
    assert_eq!(words("setup --from a --to b"), words("setup --source a --target b"));
    assert_eq!(words("--config m.yaml"), words("--mapping m.yaml"));
    assert_eq!(words("-c m.yaml"), words("--mapping m.yaml"));
    assert_eq!(words("--threshold 5_000_000"), words("--threshold 5000000"));
    assert_eq!(words("--tables a --tables b"), words("--tables a,b"));
    assert_eq!(words("--auto-strategy"), words("--strategy auto"));
    assert_eq!(words("migrate --verify"), words("migrate"));
}

/// Nobody who wants to look must write, and nobody who wants to write must only look.
#[test]
fn verify_alone_only_looks_and_beside_a_copy_comes_after_it() {
    for line in
        ["--verify", "--verify --from a --to b", "--verify --tables users --mapping m.yaml", "--verify -v"]
    {
        assert_eq!(words(line).step, Step::Verify, "{line}");
    }
    for line in ["--verify --auto-strategy", "--verify --yes", "--verify --parallel 4", "--truncate --verify"]
    {
        assert_eq!((words(line).step, words(line).verify), (Step::Everything, true), "{line}");
    }
    assert!(!words("--no-verify").verify);
    assert!(!words("migrate --no-verify").verify);
}

#[test]
fn what_contradicts_itself_is_refused() {
    assert!(read(&["--fdw-tables", "a,b", "--copy-tables", "b"]).is_err());
    assert!(read(&["--no-streaming"]).is_err());
    assert!(read(&["--capture", "none", "--follow"]).is_err());
    let refused = |line: &str| {
        let words = ["confiture", "migrate", "schema-to-schema"].into_iter().chain(line.split(' '));
        assert!(args::parse(words.map(Into::into)).is_err(), "{line}");
    };
    for line in [
        "--strategy copy --auto-strategy",
        "--mapping a --config b",
        "--verify --no-verify",
        "--threshold 0",
        "--parallel 0",
        "--tables a..b",
        "--capture some",
        "--from a setup",
        "migrate-table --target b",
        "cleanup --truncate",
    ] {
        refused(line);
    }
}
