//! What `init` writes is read by the same program, and is accepted by a server.

use std::path::Path;
use std::process::Command;

use confiture::config::{Endpoint, Flags, Surroundings};
use confiture::init;
use confiture::project::{Naming, Project, TargetDatabase};
use local_postgres::testing::Database;

fn write_project(root: &Path) {
    let existing = init::read_existing(root, Path::new("db/schema")).unwrap();
    init::execute(&init::plan_project("shop", &existing), root).unwrap();
}

#[test]
fn the_environments_of_a_new_project_lead_to_databases() {
    let root = tempfile::tempdir().unwrap();
    write_project(root.path());
    let variables = [("PRODUCTION_DB_HOST", "db"), ("PRODUCTION_DB_PASSWORD", "pw")];
    let project = Project::open(&Surroundings {
        folder: root.path().to_owned(),
        user: Some("me".into()),
        variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..Surroundings::default()
    })
    .unwrap();
    assert_eq!(project.environment_names().unwrap(), ["local", "production", "test"]);

    let target = |named: Option<&'static str>| {
        let naming = Naming { named: named.map(|name| ("--env", name)), database_url: None };
        project.target(naming, &Flags::default()).unwrap()
    };
    // Nothing named: the project's default.
    let TargetDatabase::Server(local) = target(None).database().unwrap() else { panic!("not a server") };
    assert_eq!((local.user.as_str(), local.database.as_str()), ("me", "shop_local"));
    assert!(local.endpoints.iter().all(Endpoint::is_unix_socket));

    assert_eq!(target(Some("test")).database().unwrap(), TargetDatabase::Embedded("shop_test".into()));

    let production = target(Some("production"));
    assert!(production.settings.production.value);
    let TargetDatabase::Server(connection) = production.database().unwrap() else { panic!("not a server") };
    assert_eq!(connection.to_string(), "shop@db:5432/shop");
    assert_eq!(connection.password.unwrap().expose(), "pw");
}

/// psql, not our own splitter, says whether the files are right, and whether their order is.
#[tokio::test]
async fn the_schema_of_a_new_project_runs_in_the_order_of_its_paths() {
    let root = tempfile::tempdir().unwrap();
    write_project(root.path());
    let schema = root.path().join("db/schema");
    let files = confiture::disk::files_below(&schema).unwrap();
    assert_eq!(files.len(), 7);

    let database = Database::create().await.unwrap();
    let mut psql = Command::new(database.server().program("psql"));
    psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]);
    psql.args(["--dbname", &database.url()]);
    for file in files {
        psql.arg("--file").arg(schema.join(file));
    }
    psql.args([
        "--command=insert into users (email, first_name, last_name) values ('a@example.com', 'Ada', 'Lovelace')",
        "--command=insert into posts (author_id, title, status, published_at) \
         values (1, 'one', 'published', now()), (1, 'two', 'draft', null)",
        "--command=select name, posts, published_posts, calculate_score(id) from user_stats",
    ]);
    let output = psql.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Ada Lovelace|2|1|11\n");
}
