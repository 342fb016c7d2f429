//! Lint looks at what is about to be applied, with the sizes of the tables that it is for.

use std::sync::Mutex;

use confiture::Error;
use confiture::event::Execution;
use confiture::lint::Severity;
use confiture::migrate::{Plan, UpOptions};

use crate::ground::Ground;

/// Each remark on what is pending: severity, rule, and what it was weighed by.
fn remarks(plan: &Plan) -> Vec<String> {
    let all = plan.migrations.iter().flat_map(|planned| &planned.remarks);
    let shown = all.map(|one| {
        let weighed = one.weighed.as_deref().unwrap_or("");
        format!(
            "{}:{} {} {} {weighed}",
            one.place.file.file_name().unwrap().display(),
            one.place.line,
            one.rule,
            one.severity.word()
        )
        .trim_end()
        .to_owned()
    });
    shown.collect()
}

async fn plan(ground: &Ground) -> Plan {
    ground.migrator().plan_up(&UpOptions::default()).await.unwrap()
}

const FIRST: &str = "CREATE TABLE large (id bigint PRIMARY KEY, a bigint);
    CREATE TABLE small (id bigint PRIMARY KEY, a bigint);
    INSERT INTO large SELECT n, n FROM generate_series(1, 20000) AS n;
    ANALYZE large; ANALYZE small;";

#[tokio::test]
async fn what_is_pending_is_judged_by_the_tables_that_are_there() {
    let ground = Ground::new(&[("1_t.up.sql", FIRST)]).await;
    ground.apply().await;
    ground.write(&[
        ("2_index.up.sql", "CREATE INDEX ON small (a);\nCREATE INDEX ON large (a);\nCREATE TABLE new (id bigint PRIMARY KEY, a bigint);"),
        ("3_new.up.sql", "CREATE INDEX ON new (a);\nDROP TABLE small; -- confiture: allow drop-table because nobody reads it"),
    ]);
    let planned = plan(&ground).await;
    let said = remarks(&planned);
    assert_eq!(said.len(), 3, "{said:?}");
    assert_eq!(said[0], "2_index.up.sql:1 create-index note small is small (about 0 rows, 0 kB)");
    assert!(
        said[1].starts_with("2_index.up.sql:2 create-index error large has about 20000 rows, "),
        "{said:?}"
    );
    assert_eq!(said[2], "3_new.up.sql:1 create-index note new is not in this database yet");

    // Whether somebody is asked depends on whose database it is.
    assert_eq!(planned.asks(false), None);
    let question = planned.asks(true).unwrap();
    assert!(question.contains("2_index.up.sql:2:1") && question.contains("DROP TABLE"), "{question}");

    // Who does not agree changes nothing.
    let asked = Mutex::new(Vec::new());
    let refuse = async |plan: &Plan| {
        asked.lock().unwrap().push(plan.migrations.len());
        Err(Error::refused("no"))
    };
    let up = ground.migrator().up_if(&UpOptions::default(), &Execution::unattended(), refuse).await;
    assert_eq!(up.unwrap_err().message(), "no");
    assert_eq!(*asked.lock().unwrap(), [2]);
    assert_eq!(ground.standing().await, "1 Applied; 2 Pending; 3 Pending");
    assert_eq!(ground.psql("SELECT to_regclass('new') IS NULL"), "t");
    assert_eq!(ground.apply().await, ["2", "3"]);
}

/// To measure a table takes a lock on it. Nothing waits for that.
#[tokio::test]
async fn a_table_that_somebody_holds_is_not_waited_for() {
    let mut ground = Ground::new(&[("1_t.up.sql", FIRST)]).await;
    ground.apply().await;
    ground.write(&[("2_index.up.sql", "CREATE INDEX ON large (a);")]);
    let holder = confiture::postgres::Session::connect(&ground.connection()).await.unwrap();
    holder.batch(&confiture::sql::Sql::literal("BEGIN; LOCK TABLE small")).await.unwrap();
    let planned = plan(&ground).await;
    let errors: Vec<_> = planned.migrations[0].errors().collect();
    assert!(errors.len() == 1 && errors[0].severity == Severity::Error, "{:?}", remarks(&planned));
    ground.options.lint = false;
    assert_eq!(remarks(&plan(&ground).await), [""; 0]);
}
