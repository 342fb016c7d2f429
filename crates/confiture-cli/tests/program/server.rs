//! `confiture server`: a real one, in a folder of its own.

use std::process::Command;

use crate::support::Project;

/// Stops the server even where the test fails.
struct Stop<'a>(&'a Project);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        let _ = self.0.command(&["server", "stop"]).output();
    }
}

#[test]
fn it_starts_answers_and_stops() {
    let project = Project::new();
    let none = project.call(&["server", "url"]);
    assert_eq!((none.status, none.stdout.as_str()), (3, ""));
    assert_eq!(none.stderr, "error: the server does not run\nhint: start it with `confiture server start`\n");
    let down = project.call(&["server", "status"]);
    assert_eq!((down.status, down.stdout.as_str()), (0, "The server does not run.\n"));

    let stop = Stop(&project);
    let started = project.call(&["server", "start"]);
    assert_eq!(started.status, 0, "{started}");
    assert!(started.stdout.starts_with("The server runs: PostgreSQL "), "{started}");
    assert!(project.call(&["server", "start"]).stdout.starts_with("The server runs already: "));
    let status = project.call(&["server", "status", "--format", "json"]).json();
    assert_eq!(status["result"]["running"], true);

    // The client of the same PostgreSQL is the oracle.
    let url = project.call(&["server", "url", "postgres"]).stdout;
    let psql = |sql: &str| {
        let psql = Command::new("psql").args(["-XAtc", sql, url.trim()]).output().expect("psql starts");
        assert!(psql.status.success(), "{psql:?}");
        String::from_utf8(psql.stdout).expect("UTF-8")
    };
    assert_eq!(psql("select 6 * 7"), "42\n");
    assert_eq!(psql("show fsync"), "on\n");
    assert_eq!(project.call(&["server", "start", "--not-durable"]).status, 0);
    assert_eq!(psql("show fsync"), "off\n");
    assert_eq!(project.call(&["server", "stop"]).status, 0);
    assert_eq!(project.call(&["server", "start"]).status, 0);
    assert_eq!(psql("show fsync"), "off\n");

    drop(stop);
    assert_eq!(project.call(&["server", "status", "--format", "json"]).json()["result"]["running"], false);
    assert_eq!(project.call(&["server", "stop"]).stdout, "The server does not run.\n");
}
