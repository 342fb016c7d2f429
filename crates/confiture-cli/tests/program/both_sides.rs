//! `bidirectional --sync immediate`, and what other commands say meanwhile.

use local_postgres::testing::Database;

use crate::json::holds;
use crate::schema_to_schema::psql;
use crate::support::{Project, Said};

const BOTH: &str = "
    create schema old; create schema new;
    create table old.users (id bigserial primary key, full_name text not null, note text);
    insert into old.users (full_name, note) select 'User ' || i, 'n' from generate_series(1, 20) i;
    create table new.users (id bigserial primary key, display_name text not null);
    analyze;
";

const MAPPING: &str = "
sync: immediate
tables:
  new.users: { from: old.users u, columns: { display_name: u.full_name } }
";

struct Both {
    database: Database<'static>,
    project: Project,
}

impl Both {
    async fn new() -> Self {
        let database = Database::create().await.expect("a database");
        psql(&database, BOTH);
        let project = Project::new();
        project.write("mapping.yaml", MAPPING);
        Self { database, project }
    }

    fn call(&self, line: &str) -> Said {
        let url = self.database.url();
        let words: Vec<&str> = ["migrate", "schema-to-schema"]
            .into_iter()
            .chain(line.split(' '))
            .chain(["--from", &url, "--to", &url, "--mapping", "mapping.yaml"])
            .collect();
        self.project.call(&words)
    }
}

#[tokio::test]
async fn opened_and_stopped_from_the_command_line() {
    let both = Both::new().await;
    let early = both.call("bidirectional --yes");
    assert_eq!(early.status, 8, "{early}");
    assert!(early.stderr.contains("sync --until-caught-up"), "{early}");
    assert_eq!(both.call("sync --until-caught-up --yes -q").status, 0);

    let shown = both.call("bidirectional --dry-run");
    insta::assert_snapshot!(shown.steady(&[]), @r"
    status 0
    --- stdout
    Both sides will be written at once, by triggers
      old.users <-> new.users
      old.users_id_seq and new.users_id_seq take turns, so that no number is given twice
    What it costs
      A write takes some 15 to 25 microseconds longer for each row, which is written twice; the queue's triggers take 3 to 5.
      Two transactions that write the two twins of one row wait for each other, and one of them is the victim of a deadlock, after
      deadlock_timeout. With rows that both sides write all the time that is nearly all they do: measured, 44,000 transactions a
      second on three rows became 11.
      An error of the other side's constraints is the application's own error.
    What else to know
      note mapping.yaml:4:3: old.users.note: only the old side has it: rows that are there keep its value, new ones take its default
    Nothing was changed (--dry-run).
    --- stderr
    ");
    let asked = both.call("bidirectional");
    assert_ne!(asked.status, 0, "without an answer nothing is opened: {asked}");
    let opened = both.call("bidirectional --yes --format json");
    assert_eq!(opened.status, 0, "{opened}");
    holds(&opened.json()["result"], "immediate.json");
    psql(
        &both.database,
        "update new.users set display_name = 'Ada' where id = 7; insert into old.users (full_name) values ('Bo')",
    );
    assert_eq!(psql(&both.database, "select full_name || note from old.users where id = 7"), "Adan");

    let follows = both.call("sync --yes -q");
    assert_eq!(follows.status, 0, "{follows}");
    assert!(follows.stdout.contains("written at once"), "{follows}");
    assert_eq!(both.call("verify -q").status, 0);
    for command in ["cutover --yes", "rollback --yes"] {
        let refused = both.call(command);
        assert_eq!(refused.status, 8, "{refused}");
        assert!(refused.stderr.contains("bidirectional --stop"), "{refused}");
    }
    assert_eq!(psql(&both.database, "select count(*) from old.users"), "21");

    let stopped = both.call("bidirectional --stop --yes --format json");
    assert_eq!(stopped.status, 0, "{stopped}");
    holds(&stopped.json()["result"], "immediate.json");
    assert_eq!(both.call("bidirectional --stop --yes").status, 8);
    psql(&both.database, "update old.users set full_name = 'Cy' where id = 7");
    assert_eq!(both.call("sync --until-caught-up --yes -q").status, 0);
    assert_eq!(psql(&both.database, "select display_name from new.users where id = 7"), "Cy");
}
