//! What goes wrong is said once, where one looks for it, with the exit status that is documented.

use crate::support::Project;

#[test]
fn a_wrong_flag_is_usage() {
    insta::assert_snapshot!(Project::new().call(&["build", "--evn", "local"]), @"
    status 2
    --- stdout
    --- stderr
    error: unexpected argument '--evn' found

    Usage: confiture build [OPTIONS]

    For more information, try '--help'.
    ");
}

#[test]
fn a_wrong_flag_is_usage_as_json_too() {
    for arguments in [["--format", "json", "build", "--evn"], ["build", "--evn", "--format", "json"]] {
        let said = Project::new().call(&arguments);
        assert_eq!((said.status, said.stderr.as_str()), (2, ""));
        insta::allow_duplicates! { insta::assert_snapshot!(said.stdout, @r#"
        {
          "ok": false,
          "command": "confiture",
          "error": {
            "code": "usage",
            "message": "unexpected argument '--evn' found",
            "detail": null,
            "hints": [
              "usage: confiture build [OPTIONS]"
            ],
            "place": null,
            "sqlstate": null
          }
        }
        "#) };
    }
    let said =
        Project::new().call(&["--format=json", "migrate", "schema-to-schema", "--strategy", "teleport"]);
    assert_eq!(said.json()["error"]["code"], "usage");
}

#[test]
fn help_and_version_are_text_in_every_format() {
    let said = Project::new().call(&["--format", "json", "--version"]);
    assert_eq!((said.status, said.stdout), (0, format!("confiture {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn an_added_column_needs_no_second_schema() {
    let said = Project::new().call(&["migrate", "schema-to-schema", "--add-column", "bio"]);
    insta::assert_snapshot!(said, @"
    status 2
    --- stdout
    --- stderr
    error: --add-column: one column more needs no second schema
    hint: add it to the DDL files, then `confiture migrate diff --generate --name NAME` writes the migration
    ");
}

#[test]
fn what_cannot_be_turned_off_is_refused_with_the_reason() {
    let said = Project::new().call(&["migrate", "schema-to-schema", "--strategy", "copy", "--no-streaming"]);
    insta::assert_snapshot!(said, @"
    status 2
    --- stdout
    --- stderr
    error: --no-streaming: there is no other way than streaming
    hint: rows go from server to server through a few megabytes of memory, so nothing is gained by a file in between; leave the flag out
    ");
}

#[test]
fn a_project_that_is_not_there_is_usage() {
    let said = Project::new().call(&["-C", "nowhere", "init"]);
    assert_eq!((said.status, said.stdout.as_str()), (2, ""));
    assert!(said.stderr.starts_with("error: cannot enter the project's folder nowhere: "), "{said}");
}

#[test]
fn quiet_and_verbose_exclude_each_other() {
    assert_eq!(Project::new().call(&["-q", "-v", "init"]).status, 2);
}

#[test]
fn a_missing_command_is_said_as_such_in_json() {
    for arguments in [["migrate", "--format", "json"], ["--format", "json", "migrate"]] {
        let said = Project::new().call(&arguments).json();
        assert_eq!(said["error"]["message"], "a command is missing; --help lists them");
        assert_eq!(said["error"]["hints"][0], "usage: confiture migrate [OPTIONS] <COMMAND>");
    }
}
