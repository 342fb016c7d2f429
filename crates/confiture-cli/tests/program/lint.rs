//! `confiture lint`.

use local_postgres::testing::Database;

use crate::support::Project;

fn shop() -> Project {
    let project = Project::new();
    project.write("confiture.yaml", "");
    project.write(
        "db/migrations/20_age.up.sql",
        "alter table users add column age int not null;\n\
         -- confiture: allow create-index because users is tiny\n\
         create index on users (age);\n",
    );
    project
        .write("db/schema/10.sql", "create table users (id int primary key);\ncreate index on users (id);\n");
    project
}

#[test]
fn what_is_found_is_shown_in_its_place() {
    insta::assert_snapshot!(shop().call(&["lint"]), @"
    status 7
    --- stdout
    error[add-not-null-column]: age is NOT NULL and has no default: this fails where users has rows
     --> db/migrations/20_age.up.sql:1:19
      |
    1 | alter table users add column age int not null;
      |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^
    fix: add it with a constant default; or add it nullable, fill the rows, then SET NOT NULL (docs/lint.md#add-not-null-column)

    warning[integer-primary-key]: id runs out of numbers
     --> db/schema/10.sql:1:21
      |
    1 | create table users (id int primary key);
      |                     ^^^^^^^^^^^^^^^^^^
    fix: bigint, or uuid (docs/lint.md#integer-primary-key)

    4 statements in 2 files: 1 error, 1 warning, 0 notes, 1 allowed
    --- stderr
    error: lint found 1 error
    hint: where it is meant so, say why: -- confiture: allow RULE because …
    ");
}

#[test]
fn warnings_fail_only_where_they_are_denied() {
    let project = shop();
    let schema = project.call(&["lint", "db/schema"]);
    assert_eq!(
        (schema.status, schema.stdout.contains("warning[integer-primary-key]")),
        (0, true),
        "{schema}"
    );
    assert_eq!(project.call(&["lint", "db/schema", "--deny-warnings"]).status, 7);
    assert_eq!(
        project.call(&["lint", "db/schema", "--deny-warnings", "--exclude", "integer-primary-key"]).status,
        0
    );
    // The same file as a migration: locks matter.
    let said =
        project.call(&["lint", "db/schema/10.sql", "--as", "migration", "--rule", "create-index,drop-table"]);
    assert_eq!(said.status, 0, "the file has made the table itself: {said}");
    let said = project.call(&["lint", "--rule", "add-nott-null-column"]);
    insta::assert_snapshot!(said, @"
    status 2
    --- stdout
    --- stderr
    error: there is no rule `add-nott-null-column`
    hint: did you mean `add-not-null-column`?
    hint: `confiture lint --explain` lists the rules
    ");
}

#[test]
fn other_programs_get_their_forms() {
    let project = shop();
    insta::assert_snapshot!(project.call(&["lint", "--format", "github", "db/migrations"]), @"
    status 7
    --- stdout
    ::error file=db/migrations/20_age.up.sql,line=1,col=19,title=add-not-null-column::age is NOT NULL and has no default: this fails where users has rows. Instead: add it with a constant default; or add it nullable, fill the rows, then SET NOT NULL. (docs/lint.md#add-not-null-column)
    --- stderr
    error: lint found 1 error
    hint: where it is meant so, say why: -- confiture: allow RULE because …
    ");
    let sarif = project.call(&["lint", "--format", "sarif"]).json();
    assert_eq!(sarif["version"], "2.1.0");
    let result = &sarif["runs"][0]["results"][0];
    let rule = usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
    assert_eq!(sarif["runs"][0]["tool"]["driver"]["rules"][rule]["id"], result["ruleId"]);
    assert_eq!(result["locations"][0]["physicalLocation"]["region"]["startLine"], 1);
    let refused = project.call(&["init", "--format", "sarif"]);
    assert_eq!(refused.status, 2, "{refused}");
}

#[test]
fn a_file_that_cannot_be_read_is_said_and_fails_nothing() {
    let project = shop();
    project.write("db/migrations/10.up.sql", "select 'open\n");
    let said = project.call(&["lint", "db/migrations/10.up.sql"]);
    insta::assert_snapshot!(said, @"
    status 0
    --- stdout
    db/migrations/10.up.sql:1:8: not judged: this string is never closed
    0 statements in 1 file: 0 errors, 0 warnings, 0 notes
    --- stderr
    ");
}

#[test]
fn rules_are_explained() {
    let said = Project::new().call(&["lint", "--explain", "drop-index"]);
    insta::assert_snapshot!(said, @"
    status 0
    --- stdout
    drop-index (error): an index is dropped without CONCURRENTLY

    ACCESS EXCLUSIVE is taken on its table: it waits for every query on it, and everybody else waits behind it.

    Instead: DROP INDEX CONCURRENTLY.
    --- stderr
    ");
    assert!(Project::new().call(&["lint", "--explain"]).stdout.lines().count() > 50);
}

#[tokio::test]
async fn a_small_table_is_no_danger() {
    let database = Database::create().await.expect("a database");
    let project = shop();
    let psql = std::process::Command::new(database.server().program("psql"))
        .args(["-Xqc", "create table users (id int)", &database.url()])
        .status();
    assert!(psql.expect("psql starts").success());
    project.write("x.sql", "create index on users (id);");
    assert_eq!(project.call(&["lint", "x.sql"]).status, 7);
    let said = project.call(&["lint", "x.sql", "--env", &database.url()]);
    assert_eq!(said.status, 0, "{said}");
    assert!(said.stdout.contains("users is small"), "{said}");
}
