//! A target whose server does not have `postgres_fdw`: an installation without contrib modules.

use std::path::{Path, PathBuf};
use std::process::Command;

use confiture::config::mapping::Strategy;
use confiture::event::Execution;
use confiture::schema_to_schema::{Migration, SchemaToSchemaMigrator};
use confiture::{Error, ErrorKind};
use local_postgres::testing::{self, shared_server};
use local_postgres::{Options, Server};
use tempfile::TempDir;

use crate::crash::{MAPPING, NEW, OLD, assert_exact};
use crate::database::connection;
use crate::world::{WorldOn, dump, psql};

/// A copy of the installation, at the same place below another root: it then finds its files there. Without what is
/// called `postgres_fdw` and ends in one of `endings`.
fn installation_without(endings: &[&str], server: &Server) -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let told = |what: &str| {
        let output = Command::new(server.program("pg_config")).arg(what).output().unwrap();
        PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
    };
    let below = |folder: &Path| root.path().join(folder.strip_prefix("/").unwrap());
    for what in ["--bindir", "--sharedir", "--pkglibdir"] {
        let folder = told(what);
        std::fs::create_dir_all(below(&folder).parent().unwrap()).unwrap();
        let copy = Command::new("cp").arg("-rL").arg(&folder).arg(below(&folder)).status().unwrap();
        assert!(copy.success());
    }
    // The server runs as somebody else.
    assert!(Command::new("chmod").args(["-R", "a+rX"]).arg(root.path()).status().unwrap().success());
    for (folder, ending) in [
        (told("--sharedir").join("extension"), "control"),
        (told("--pkglibdir"), "so"),
        (told("--pkglibdir"), "dylib"),
    ] {
        let file = below(&folder).join(format!("postgres_fdw.{ending}"));
        if endings.contains(&ending) && file.exists() {
            std::fs::remove_file(file).unwrap();
        }
    }
    let bin_dir = below(&told("--bindir"));
    (root, bin_dir)
}

/// A target on a server without the extension, of a source on one that has it.
async fn world(target: &Server) -> WorldOn<'_> {
    WorldOn::on(shared_server().await, target, OLD, NEW).await
}

async fn target(endings: &[&str]) -> (TempDir, Server) {
    let (root, bin_dir) = installation_without(endings, shared_server().await);
    let options = Options { bin_dir: Some(bin_dir), ..testing::options() };
    (root, Server::throwaway(options).await.unwrap())
}

fn assert_says_so(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Server, "{error:?}");
    assert!(error.message().contains("the target's server does not have postgres_fdw"), "{error:?}");
    assert!(error.hints().iter().any(|hint| hint.contains("--strategy copy")), "{error:?}");
}

#[tokio::test]
async fn every_row_goes_by_copy_and_the_plan_says_why() {
    let (_root, server) = target(&["control", "so", "dylib"]).await;
    let world = world(&server).await;
    let before = dump(&world.new).await;
    let mut options = world.options(MAPPING).await;
    options.strategy = Some(Strategy::Fdw);
    let plan = Migration::plan(options.clone(), &Execution::unattended()).await.unwrap();
    for table in &plan.as_plan().tables {
        assert_eq!(table.reason, "the target's server does not have postgres_fdw");
    }
    drop(plan);
    world.migrate(options).await.unwrap();
    assert_exact(&world, &before).await;
    // The other way is asked for by name, and is refused before anything is written.
    let migrator = SchemaToSchemaMigrator::new(connection(&world.old), connection(&world.new), "foreign");
    assert_says_so(&migrator.setup_fdw().await.unwrap_err());
}

#[tokio::test]
async fn what_only_foreign_tables_can_do_is_refused() {
    let (_root, server) = target(&["control", "so", "dylib"]).await;
    let world = world(&server).await;
    let before = dump(&world.new).await;
    let mapping = "tables:\n  kinds:\n    custom_sql: INSERT INTO kinds SELECT kind FROM old_schema.kinds\n";
    let error = world.migrate(world.options(mapping).await).await.unwrap_err();
    assert!(error.message().contains("the target's server does not have postgres_fdw"), "{error:?}");
    assert_eq!(dump(&world.new).await, before, "nothing was taken off");
    assert_eq!(psql(&world.new, "SELECT count(*) FROM kinds").await.trim(), "0");
}

#[tokio::test]
async fn an_extension_without_its_library_is_as_good_as_none() {
    let (_root, server) = target(&["so", "dylib"]).await;
    let world = world(&server).await;
    let before = dump(&world.new).await;
    let mut options = world.options(MAPPING).await;
    options.strategy = Some(Strategy::Fdw);
    assert_says_so(&world.migrate(options.clone()).await.unwrap_err());
    assert_eq!(dump(&world.new).await, before, "nothing was taken off");
    options.strategy = Some(Strategy::Copy);
    world.migrate(options).await.unwrap();
    assert_exact(&world, &before).await;
}
