//! `examples/full-name`, as its README says, while somebody writes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use local_postgres::testing::Database;

use crate::schema_to_schema::psql;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/full-name")
}

/// A step, with this program and the server's psql before all others.
fn step(database: &Database<'_>, line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(folder().join(words.next().expect("a script")));
    let programs = [Path::new(env!("CARGO_BIN_EXE_confiture")), &database.server().program("psql")];
    let mut path: Vec<PathBuf> =
        programs.iter().filter_map(|program| program.parent()).map(Path::to_path_buf).collect();
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    command.args(words).stdin(Stdio::null()).env("DATABASE", database.url());
    command.env("PATH", std::env::join_paths(path).expect("a PATH"));
    command
}

/// Writes over and over, until it is told to stop by the table `stop`.
fn writer(database: &Database<'_>) -> Child {
    let script = "
        do $$ begin
            for n in 1 .. 1000000 loop
                exit when to_regclass('public.stop') is null;
                insert into public.users (email, full_name) values ('w' || n, 'Writer No ' || n);
                update public.users set full_name = 'Changed ' || n || ' de la  Cruz' where id = 1 + n::bigint * 7919 % 20000;
                delete from public.users where id = 1000 + n::bigint * 104729 % 19000;
                commit;
                perform pg_sleep(0.002);
            end loop;
        end $$;";
    let mut psql = Command::new(database.server().program("psql"));
    psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-c", "create table public.stop ()", "-c"]);
    psql.arg(script).arg(database.url());
    psql.stdin(Stdio::null()).spawn().expect("psql starts")
}

/// The lines of the README that are steps, without their remarks.
fn steps() -> Vec<String> {
    let page = std::fs::read_to_string(folder().join("README.md")).expect("README.md");
    let lines = page.lines().filter_map(|line| line.strip_prefix("    steps/"));
    lines.map(|line| format!("steps/{}", line.split('#').next().unwrap_or_default().trim())).collect()
}

const GIVEN: &str =
    "select id, email, regexp_replace(trim(full_name), '\\s+', ' ', 'g'), bio, created_at, updated_at
    from public.users";
const HELD: &str = "select id, email, trim(first_name || ' ' || last_name), bio, created_at, updated_at
    from new_users.users";

#[tokio::test]
async fn every_step_of_the_readme_works_with_a_writer_at_work() {
    let database = Database::create().await.expect("a database");
    let steps = steps();
    let mut scripts: Vec<String> = std::fs::read_dir(folder().join("steps"))
        .expect("the steps")
        .map(|entry| format!("steps/{}", entry.expect("a file").file_name().display()))
        .collect();
    scripts.sort();
    let named: Vec<_> = steps.iter().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(named, scripts, "the README names every step, in order");
    let mut writing = None;
    for line in &steps {
        if line.starts_with("steps/4") {
            writing = Some(writer(&database));
        }
        if line.starts_with("steps/7") {
            psql(&database, "drop table if exists public.stop");
            let ended = writing.as_mut().expect("a writer").wait().expect("psql ends");
            assert!(ended.success(), "the application met an error");
        }
        let said = step(&database, line).output().expect("it starts");
        assert!(said.status.success(), "{line}: {said:?}");
        if line.starts_with("steps/7") {
            let differing = format!(
                "select count(*) from (({GIVEN} except {HELD}) union all ({HELD} except {GIVEN})) as q"
            );
            assert_eq!(psql(&database, &differing), "0", "{differing}");
            let renumbered = "select last_name from new_users.users where id = 7";
            assert_eq!(psql(&database, renumbered), "van Gogh");
        }
    }
    let left = psql(&database, "select count(*) from pg_trigger where tgrelid = 'public.users'::regclass");
    assert_eq!(
        (left.as_str(), psql(&database, "select to_regnamespace('confiture') is null").as_str()),
        ("0", "t")
    );
    assert!(
        psql(&database, "select count(*) from new_users.users").parse::<u64>().expect("a number") > 10_000
    );
}
