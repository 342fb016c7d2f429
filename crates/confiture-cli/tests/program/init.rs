//! `confiture init`.

use crate::support::Project;

#[test]
fn a_new_project_says_what_it_made_and_what_comes_next() {
    let project = Project::new();
    insta::assert_snapshot!(project.call(&["init", "shop"]), @"
    status 0
    --- stdout
      created  shop/db/schema/00_common/extensions.sql
      created  shop/db/schema/00_common/types.sql
      created  shop/db/schema/10_tables/10_users.sql
      created  shop/db/schema/10_tables/20_posts.sql
      created  shop/db/schema/15_functions/display_name.sql
      created  shop/db/schema/20_views/user_stats.sql
      created  shop/db/schema/30_functions/calculate_score.sql
      created  shop/db/environments/local.yaml
      created  shop/db/environments/test.yaml
      created  shop/db/environments/production.yaml
      created  shop/confiture.yaml
      created  shop/db/migrations
      extended shop/.gitignore

    Next: cd shop, edit db/schema, then `confiture build --env local`.
    --- stderr
    ");
    insta::assert_snapshot!(project.call(&["init", "shop"]), @"
    status 0
    --- stdout
      kept     11 files as they were
    Everything is there already.
    --- stderr
    ");
}

#[test]
fn only_a_schema_folder() {
    let project = Project::new();
    let said = project.call(&["init", "--schema-dir", "db/new_schema"]);
    assert_eq!(said.status, 0);
    assert!(project.path().join("db/new_schema/10_tables").is_dir());
    assert!(!project.path().join("db/environments").exists(), "{said}");
}

#[test]
fn the_result_is_there_for_programs() {
    let project = Project::new();
    let json = project.call(&["-C", ".", "init", "--format", "json"]).json();
    assert_eq!((&json["ok"], &json["command"]), (&true.into(), &"init".into()));
    let created = json["result"]["created"].as_array().expect("a list");
    for path in created {
        assert!(project.path().join(path.as_str().expect("a path")).exists(), "{path}");
    }
    assert!(created.iter().any(|path| path == "db/environments/local.yaml"));
}

#[test]
fn a_file_in_the_way_is_one_clear_error() {
    let project = Project::new();
    project.write("db", "");
    let said = project.call(&["init"]);
    assert_eq!(said.status, 5);
    insta::assert_snapshot!(said.stderr, @"
    error: cannot create the folder db/schema/00_common: it is not a folder
    hint: there is a file where a folder should be: move it away, or choose another folder
    ");
}
