//! The list before a cutover, and the production checklist of a whole migration, at the stages of a real one.

use crate::schema_to_schema::{Shop, psql};
use crate::support::Said;

const ENDS: &str = "--from production --to production_new --mapping db/mapping.yaml";

/// Sizes, times and the machine's own names are made the same everywhere.
fn steady(shop: &Shop, said: &Said) -> String {
    let mut text = said.stdout.clone();
    for (database, name) in [(&shop.old, "OLD"), (&shop.new, "NEW")] {
        text = text.replace(&database.name().replace('_', "\\_"), name);
    }
    for (from, until, to) in [
        ("export OLD=\"", "\"\n", "CONNECTION"),
        ("export NEW=\"", "\"\n", "CONNECTION"),
        ("since 20", ", by", "DAY"),
        ("last: 20", ", as", "DAY"),
        ("comparison: 20", ", as", "DAY"),
        ("Last lag of a marker: ", "\n", "TIME"),
        ("came back after ", "\n", "TIME"),
        ("at most ", " ago", "TIME"),
        ("never more than ", " behind", "TIME"),
        ("rows, ", "\n", "SIZE"),
        ("the source keeps ", " for", "SIZE"),
        ("by version ", "\n", "VERSION"),
        ("as batch ", " left", "N"),
        ("stable**: ", ", never", "BATCHES"),
        ("is measured, ", "\n", "TIME"),
    ] {
        let mut steady = String::new();
        let mut rest = text.as_str();
        while let Some(start) = rest.find(from) {
            let begin = start + from.trim_end_matches("20").len();
            let Some(length) = rest[begin..].find(until) else { break };
            steady.push_str(&rest[..begin]);
            steady.push_str(to);
            rest = &rest[begin + length..];
        }
        steady.push_str(rest);
        text = steady;
    }
    text
}

#[tokio::test]
async fn the_runbook_of_a_migration_before_it() {
    let shop = Shop::new().await;
    let said = shop.call(&format!("runbook {ENDS} -q"));
    assert_eq!((said.status, said.stderr.as_str()), (0, ""), "{said}");
    insta::assert_snapshot!(steady(&shop, &said), @r#"
    Runbook of the migration
    From postgres@SOCKET:PORT/OLD to postgres@SOCKET:PORT/NEW
    2 tables, about 6,234 rows, SIZE
    It is not begun

    The commands use these names:
      export OLD="CONNECTION"
      export NEW="CONNECTION"

    Pre-Migration
      [ ] Database backup completed: about 6,234 rows, SIZE
          listing a dump shows that there is one: only restoring it shows that it is a backup
          $ pg_dump -Fc -d "$OLD" -f "backup_before_migration_$(date +%Y%m%d_%H%M%S).dump"
          $ pg_restore --exit-on-error --no-owner -d "$SCRATCH" backup_before_migration_*.dump
      [ ] Verification tested: nothing was compared yet
          no scripts to write: every row and every value is compared, on both servers
          $ confiture migrate schema-to-schema verify --from production --to production_new --mapping db/mapping.yaml
      [ ] Rollback procedure documented and tested: 2 tables can be carried back without loss
          try both on clones, with writers at work; until the cutover, going back changes nothing on the old side
          $ confiture migrate schema-to-schema cutover --from production --to production_new --dry-run --max-stall 5s --mapping db/mapping.yaml
          $ confiture migrate schema-to-schema rollback --from production --to production_new --mapping db/mapping.yaml
      [ ] On-call team briefed
      [ ] Monitoring dashboards configured
          lag is the round trip of a marker, not the age of the last update
          $ confiture migrate schema-to-schema monitor --from production --to production_new --listen 127.0.0.1:8787
          $ confiture migrate schema-to-schema status --to production_new --watch
          $ confiture migrate schema-to-schema status --to production_new --format json
      [ ] Stakeholders notified of the cutover
          there is no maintenance window: reads go on, and writes wait once, for less than --max-stall (5 s)
      [ ] Runbook reviewed by team
          $ confiture migrate schema-to-schema runbook --from production --to production_new --format markdown --mapping db/mapping.yaml
      [ ] Emergency contacts updated

    During Migration
      [ ] Initial setup completed: the target remembers no migration
          $ confiture migrate schema-to-schema analyze --from production --to production_new --mapping db/mapping.yaml
          $ confiture migrate schema-to-schema sync --from production --to production_new --mapping db/mapping.yaml
      [x] FDW configured and tested: not needed: rows travel by COPY, keys by the feed
      [x] Transformation functions verified: 5 columns, 0 of them expressions, all of which the source's server takes; 0 validations of your own
      [ ] Capture of changes deployed and tested: nothing is captured
      [ ] Initial data migration completed: nothing is copied yet
          $ confiture migrate schema-to-schema sync --from production --to production_new --mapping db/mapping.yaml
      [ ] Verification passes: nothing was compared
          not ">99.9 % accuracy": one row that differs is a failure, and the report names it
          $ confiture migrate schema-to-schema verify --from production --to production_new --mapping db/mapping.yaml
      [ ] Performance impact acceptable
          agree on a number before: the application's p95, replica lag, bytes kept on the source
          $ confiture migrate schema-to-schema throttle --to production_new --rows 20000
          $ confiture migrate schema-to-schema pause --to production_new
      [ ] Following is stable: nothing is followed yet
          no dual write: the application writes to one side, and only that; how long this lasts is up to you

    Pre-Cutover
      [ ] All verification checks pass: nothing was compared
          $ confiture migrate schema-to-schema verify --from production --to production_new --mapping db/mapping.yaml
      [ ] Replication lag under one second: nothing is measured
          measured by a marker's round trip; now() - max(updated_at) says when somebody last wrote, not how far behind it is
          $ confiture migrate schema-to-schema status --to production_new
      [ ] Application tested against new schema
      [x] Rollback plan ready: 2 tables can be carried back, armed at the cutover
      [x] What a rollback would lose is accepted: nothing would be
      [ ] Team on standby
      [ ] Every batch leaves the target equal to the source: the target follows no source
          confiture migrate schema-to-schema sync
      [ ] Every change is captured: nothing is captured
          confiture migrate schema-to-schema sync
      [x] Foreign keys are validated: 1 of them
      [x] Indexes are valid: 2 of them
      [x] Nothing that was taken off for the load is still off: nothing is off
      [x] Sequences can be advanced past every number that was given out: 0 of them
      [x] No prepared transaction holds one of the tables: none does
      [x] No writer is open for longer than writes may wait: none for 5.0 s
      [x] Roles that use the old tables may use the new ones: 0 roles looked at
      [ ] The cutover rehearsed, up to the fence
          waiting two seconds and counting rows proves nothing: the last batch ends with a marker
          $ confiture migrate schema-to-schema cutover --from production --to production_new --dry-run --max-stall 5s --mapping db/mapping.yaml
      [ ] Cutover: the application writes to the old side
          $ confiture migrate schema-to-schema cutover --from production --to production_new --max-stall 5s --mapping db/mapping.yaml

    Post-Cutover
      [ ] Application using new schema: the application writes to the old side
          $ confiture migrate schema-to-schema status --from production --to production_new
      [ ] No errors in application logs
      [ ] API endpoints responding normally
      [ ] Database performance normal
          $ psql -X -d "$NEW" -c "SELECT pid, pg_blocking_pids(pid) AS waits_for, now() - xact_start AS since, left(query, 60) AS query FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0"
          $ psql -X -d "$NEW" -c "SELECT pid, now() - query_start AS since, state, left(query, 60) AS query FROM pg_stat_activity WHERE state <> 'idle' AND backend_type = 'client backend' AND now() - query_start > interval '5 s'"
      [ ] User-facing features working
      [ ] Monitoring shows healthy metrics
          keep it running: it carries every change back to the old side, so that a rollback loses nothing
          $ confiture migrate schema-to-schema sync --from production --to production_new --mapping db/mapping.yaml
      [ ] Nobody needs to go back
          writes made since the cutover are kept by a rollback
          $ confiture migrate schema-to-schema rollback --from production --to production_new --mapping db/mapping.yaml

    Post-Migration (24-48 hours later)
      [ ] What captured changes is removed
          $ confiture migrate schema-to-schema cleanup --from production --to production_new
      [ ] FDW infrastructure removed
          the same command: it removes what it made, and nothing else
          $ confiture migrate schema-to-schema cleanup --from production --to production_new
      [ ] Old tables backed up
          $ pg_dump -Fc -d "$OLD" -t public.posts -t public.users -f old_tables.dump
      [ ] Old tables dropped: 2 tables were moved; public also holds 0 tables and 0 views that were not
          never DROP SCHEMA … CASCADE: that takes everything else in the schema with it; without CASCADE, what still needs a table keeps it
          $ confiture migrate schema-to-schema cleanup --from production --to production_new --drop-old --keep-old 14
          $ psql -X -d "$OLD" -c 'DROP TABLE IF EXISTS public.posts, public.users'
      [ ] Statistics are fresh
          $ psql -X -d "$NEW" -c 'ANALYZE'
      [ ] Documentation updated
      [ ] Post-mortem completed
      [ ] Lessons learned documented

    11 of 48 steps are ticked, because the servers show them or people have confirmed them; 12 are open, 25 only people know.
    "#);
}

#[tokio::test]
async fn the_runbook_of_a_migration_that_follows() {
    let shop = Shop::new().await;
    let synced = shop.call(&format!("sync {ENDS} --yes -q --until-caught-up"));
    assert_eq!(synced.status, 0, "{synced}");
    // The source, and the mapping, are those that the target remembers.
    let said = shop.call("runbook --to production_new -q --confirm backup,team --format markdown");
    assert_eq!((said.status, said.stderr.as_str()), (0, ""), "{said}");
    insta::assert_snapshot!(steady(&shop, &said), @r#"
    # Runbook of the migration

    - From postgres@SOCKET:PORT/OLD to postgres@SOCKET:PORT/NEW
    - 2 tables, about 6,234 rows, SIZE
    - It is following: every batch leaves the new side equal to the old one
    - Last lag of a marker: TIME
    - Last comparison: DAY, as batch N left both sides: 2 tables, nothing differed

    ```sh
    export OLD="CONNECTION"
    export NEW="CONNECTION"
    ```

    ## Pre-Migration

    - [x] **Database backup completed**: confirmed; about 6,234 rows, SIZE
      <br>listing a dump shows that there is one: only restoring it shows that it is a backup

      ```sh
      pg_dump -Fc -d "$OLD" -f "backup_before_migration_$(date +%Y%m%d_%H%M%S).dump"
      pg_restore --exit-on-error --no-owner -d "$SCRATCH" backup_before_migration_*.dump
      ```
    - [x] **Verification tested**: 1 comparison so far; the last: DAY, as batch N left both sides: 2 tables, nothing differed
      <br>no scripts to write: every row and every value is compared, on both servers

      ```sh
      confiture migrate schema-to-schema verify --from production --to production_new --mapping db/mapping.yaml
      ```
    - [ ] **Rollback procedure documented and tested**: 2 tables can be carried back without loss
      <br>try both on clones, with writers at work; until the cutover, going back changes nothing on the old side

      ```sh
      confiture migrate schema-to-schema cutover --from production --to production_new --dry-run --max-stall 5s --mapping db/mapping.yaml
      confiture migrate schema-to-schema rollback --from production --to production_new --mapping db/mapping.yaml
      ```
    - [ ] **On-call team briefed**
    - [ ] **Monitoring dashboards configured**
      <br>lag is the round trip of a marker, not the age of the last update

      ```sh
      confiture migrate schema-to-schema monitor --from production --to production_new --listen 127.0.0.1:8787
      confiture migrate schema-to-schema status --to production_new --watch
      confiture migrate schema-to-schema status --to production_new --format json
      ```
    - [ ] **Stakeholders notified of the cutover**
      <br>there is no maintenance window: reads go on, and writes wait once, for less than --max-stall (5 s)
    - [ ] **Runbook reviewed by team**

      ```sh
      confiture migrate schema-to-schema runbook --from production --to production_new --format markdown --mapping db/mapping.yaml
      ```
    - [ ] **Emergency contacts updated**

    ## During Migration

    - [x] **Initial setup completed**: the target remembers its source since DAY, by version VERSION

      ```sh
      confiture migrate schema-to-schema analyze --from production --to production_new --mapping db/mapping.yaml
      confiture migrate schema-to-schema sync --from production --to production_new --mapping db/mapping.yaml
      ```
    - [x] **FDW configured and tested**: not needed: rows travel by COPY, keys by the feed
    - [x] **Transformation functions verified**: 5 columns, 0 of them expressions, all of which the source's server takes; 0 validations of your own
    - [x] **Capture of changes deployed and tested**: 2 tables watched, without a gap
      <br>no triggers: changes are read from the write-ahead log, through a slot
    - [x] **Initial data migration completed**: 6,234 rows copied into 2 tables
    - [x] **Verification passes**: 2 tables found equal, all rows of each at most TIME ago; 0 keys touched since
      <br>not "\>99.9 % accuracy": one row that differs is a failure, and the report names it

      ```sh
      confiture migrate schema-to-schema verify --from production --to production_new --mapping db/mapping.yaml
      ```
    - [ ] **Performance impact acceptable**: 0 rows/s written in the last minute; the source keeps SIZE for the feed; no snapshot held
      <br>agree on a number before: the application's p95, replica lag, bytes kept on the source

      ```sh
      confiture migrate schema-to-schema throttle --to production_new --rows 20000
      confiture migrate schema-to-schema pause --to production_new
      ```
    - [ ] **Following is stable**: BATCHES, never more than TIME behind
      <br>no dual write: the application writes to one side, and only that; how long this lasts is up to you

      ```sh
      confiture migrate schema-to-schema sync --from production --to production_new --verify-every 15min --mapping db/mapping.yaml
      ```

    ## Pre-Cutover

    - [x] **All verification checks pass**: 2 tables found equal, all rows of each at most TIME ago; 0 keys touched since

      ```sh
      confiture migrate schema-to-schema verify --from production --to production_new --mapping db/mapping.yaml
      ```
    - [ ] **Replication lag under one second**: no run is at work, so the target falls behind
      <br>measured by a marker's round trip; now() - max(updated\_at) says when somebody last wrote, not how far behind it is

      ```sh
      confiture migrate schema-to-schema status --to production_new
      ```
    - [ ] **Application tested against new schema**
    - [x] **Rollback plan ready**: 2 tables can be carried back, armed at the cutover
    - [x] **What a rollback would lose is accepted**: nothing would be
    - [x] **Team on standby**: confirmed
    - [x] **Every batch leaves the target equal to the source**: 2 tables, by the wal
    - [x] **Every change is captured**: 2 tables watched, without a gap
    - [x] **Foreign keys are validated**: 1 of them
    - [x] **Indexes are valid**: 2 of them
    - [x] **Nothing that was taken off for the load is still off**: nothing is off
    - [x] **Sequences can be advanced past every number that was given out**: 0 of them
    - [x] **No prepared transaction holds one of the tables**: none does
    - [x] **No writer is open for longer than writes may wait**: none for 5.0 s
    - [x] **Roles that use the old tables may use the new ones**: 0 roles looked at
    - [ ] **The cutover rehearsed, up to the fence**
      <br>waiting two seconds and counting rows proves nothing: the last batch ends with a marker

      ```sh
      confiture migrate schema-to-schema cutover --from production --to production_new --dry-run --max-stall 5s --mapping db/mapping.yaml
      ```
    - [ ] **Cutover**: the application writes to the old side

      ```sh
      confiture migrate schema-to-schema cutover --from production --to production_new --max-stall 5s --mapping db/mapping.yaml
      ```

    ## Post-Cutover

    - [ ] **Application using new schema**: the application writes to the old side

      ```sh
      confiture migrate schema-to-schema status --from production --to production_new
      ```
    - [ ] **No errors in application logs**
    - [ ] **API endpoints responding normally**
    - [ ] **Database performance normal**

      ```sh
      psql -X -d "$NEW" -c "SELECT pid, pg_blocking_pids(pid) AS waits_for, now() - xact_start AS since, left(query, 60) AS query FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0"
      psql -X -d "$NEW" -c "SELECT pid, now() - query_start AS since, state, left(query, 60) AS query FROM pg_stat_activity WHERE state <> 'idle' AND backend_type = 'client backend' AND now() - query_start > interval '5 s'"
      ```
    - [ ] **User-facing features working**
    - [ ] **Monitoring shows healthy metrics**
      <br>keep it running: it carries every change back to the old side, so that a rollback loses nothing

      ```sh
      confiture migrate schema-to-schema sync --from production --to production_new --mapping db/mapping.yaml
      ```
    - [ ] **Nobody needs to go back**
      <br>writes made since the cutover are kept by a rollback

      ```sh
      confiture migrate schema-to-schema rollback --from production --to production_new --mapping db/mapping.yaml
      ```

    ## Post-Migration (24-48 hours later)

    - [ ] **What captured changes is removed**

      ```sh
      confiture migrate schema-to-schema cleanup --from production --to production_new
      ```
    - [ ] **FDW infrastructure removed**
      <br>the same command: it removes what it made, and nothing else

      ```sh
      confiture migrate schema-to-schema cleanup --from production --to production_new
      ```
    - [ ] **Old tables backed up**

      ```sh
      pg_dump -Fc -d "$OLD" -t public.posts -t public.users -f old_tables.dump
      ```
    - [ ] **Old tables dropped**: 2 tables were moved; public also holds 0 tables and 0 views that were not
      <br>never DROP SCHEMA … CASCADE: that takes everything else in the schema with it; without CASCADE, what still needs a table keeps it

      ```sh
      confiture migrate schema-to-schema cleanup --from production --to production_new --drop-old --keep-old 14
      psql -X -d "$OLD" -c 'DROP TABLE IF EXISTS public.posts, public.users'
      ```
    - [ ] **Statistics are fresh**

      ```sh
      psql -X -d "$NEW" -c 'ANALYZE'
      ```
    - [ ] **Documentation updated**
    - [ ] **Post-mortem completed**
    - [ ] **Lessons learned documented**

    21 of 48 steps are ticked, because the servers show them or people have confirmed them; 3 are open, 24 only people know.
    "#);
}

#[tokio::test]
async fn the_runbook_of_a_migration_after_its_cutover() {
    let shop = Shop::new().await;
    assert_eq!(shop.call(&format!("sync {ENDS} --yes -q --until-caught-up")).status, 0);
    let cutover = shop.call(&format!("cutover {ENDS} --yes -q"));
    assert_eq!(cutover.status, 0, "{cutover}");
    psql(&shop.new, "insert into users values (9001, 'after')");
    let said = shop.call(&format!("runbook {ENDS} -q"));
    assert_eq!((said.status, said.stderr.as_str()), (0, ""), "{said}");
    let page = steady(&shop, &said);
    let stall = psql(&shop.new, "select round(stall_ms) from confiture.cutover");
    for line in [
        "It is cut over: the application writes to the new side",
        "  [x] Application using new schema: since 20",
        "  [x] Cutover: 20",
        "  [x] All verification checks pass: the cutover of 20",
        "  [x] Initial data migration completed: before the cutover of 20",
        "  [ ] Nobody needs to go back",
        "  [ ] Old tables dropped: 2 tables were moved; public also holds 0 tables and 0 views that were not",
    ] {
        assert!(page.lines().any(|found| found.starts_with(line)), "{line}\n{page}");
    }
    assert!(page.contains("writes waited for TIME; the old side refuses writes"), "{page}");
    let json = shop.call(&format!("runbook {ENDS} -q --format json")).json();
    let told = json["result"]["figures"]["switched"]["stall_ms"].as_f64().expect("a figure");
    assert_eq!(format!("{told:.0}"), stall, "{json}");
    // What it says is so.
    let refused = std::process::Command::new(shop.old.server().program("psql"))
        .args(["-X", "-c", "insert into users values (9002, 'late')", &shop.old.url()])
        .output()
        .unwrap();
    assert!(!refused.status.success(), "{refused:?}");
}

#[tokio::test]
async fn a_runbook_tells_what_is_not_so() {
    let shop = Shop::new().await;
    assert_eq!(shop.call(&format!("sync {ENDS} --yes -q --until-caught-up")).status, 0);
    psql(&shop.new, "update users set display_name = 'by hand' where id = 7");
    psql(
        &shop.new,
        "alter table posts add constraint again foreign key (user_id) references users not valid",
    );
    assert_eq!(shop.call(&format!("verify {ENDS} -q --full")).status, 7);
    let page = steady(&shop, &shop.call(&format!("runbook {ENDS} -q")));
    for line in [
        "  [ ] Verification passes: the last comparison found: users differs",
        "  [ ] All verification checks pass: the last comparison found: users differs",
        "  [ ] Foreign keys are validated: not validated: again of posts",
        "  [ ] Replication lag under one second: no run is at work, so the target falls behind",
        "  [x] Indexes are valid",
    ] {
        assert!(page.lines().any(|found| found.starts_with(line)), "{line}\n{page}");
    }
    assert!(!page.contains("CASCADE;"), "{page}");
}

#[tokio::test]
async fn the_checklist_says_what_stands_before_the_cutover() {
    let shop = Shop::new().await;
    let early = shop.call(&format!("checklist {ENDS} -q"));
    assert_eq!(early.status, 7, "{early}");
    assert!(
        early.stdout.contains(
            "FAIL  Every batch leaves the target equal to the source: the target follows no source"
        ),
        "{early}"
    );
    assert_eq!(shop.call(&format!("sync {ENDS} --yes -q --until-caught-up")).status, 0);
    let said = shop.call(&format!("checklist {ENDS} -q --confirm backup,team,application"));
    assert_eq!(said.status, 7, "{said}");
    insta::assert_snapshot!(format!("{}--- stderr\n{}", steady(&shop, &said), said.stderr), @"
    PASS  Every batch leaves the target equal to the source: 2 tables, by the wal
    FAIL  The target is less than a second behind: no run is at work, so the target falls behind
          hint: let it run: confiture migrate schema-to-schema sync
    PASS  All rows were compared, and nothing differed: 2 tables found equal, all rows of each at most TIME ago; 0 keys touched since
    PASS  Every change is captured: 2 tables watched, without a gap
    PASS  Foreign keys are validated: 1 of them
    PASS  Indexes are valid: 2 of them
    PASS  Nothing that was taken off for the load is still off: nothing is off
    PASS  Sequences can be advanced past every number that was given out: 0 of them
    PASS  No prepared transaction holds one of the tables: none does
    PASS  No writer is open for longer than writes may wait: none for 5.0 s
    PASS  Roles that use the old tables may use the new ones: 0 roles looked at
    PASS  The way back stands ready: 2 tables can be carried back, armed at the cutover
    PASS  What would be lost on the way back is accepted: nothing would be
    PASS  A backup of both databases is made, and was restored once: confirmed
    PASS  The application was tested against the new schema: confirmed
    PASS  The team on call knows, and is there: confirmed
    ASK   Going back was tried: nobody has said so
          hint: rehearse cutover and rollback on clones of both databases, with writers at work
          then say --confirm rollback-plan

    15 of 17 are so; 1 are not, 1 are to be confirmed.
    --- stderr
    error: 2 points stand before the cutover: lag, rollback-plan
    ");
    let json = shop.call(&format!("checklist {ENDS} -q --format json --confirm rollback-plan")).json();
    let checks = json["result"]["checks"].as_array().unwrap();
    let of = |id: &str| checks.iter().find(|check| check["id"] == id).unwrap()["outcome"].clone();
    assert_eq!((of("lag"), of("team"), of("rollback-plan")), ("fail".into(), "ask".into(), "pass".into()));
    let wrong = shop.call(&format!("checklist {ENDS} --confirm luck"));
    assert_eq!(wrong.status, 2, "{wrong}");
    assert!(
        wrong.stderr.contains("[possible values: backup, application, team, rollback-plan, losses]"),
        "{wrong}"
    );
    let markdown = shop.call("status --to production_new --format markdown");
    assert_eq!(markdown.status, 2, "{markdown}");
}
